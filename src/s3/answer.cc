#include "s3/answer.h"

#include <algorithm>
#include <array>

namespace datashard::s3 {
namespace {

constexpr size_t kMessageBytesMax = 300;

/// A code S3 or a compatible server answers with, and what to do about it.
struct KnownCode {
  std::string_view code;
  ErrorKind kind;
  std::string_view advice;
};

constexpr auto kKnownCodes = std::to_array<KnownCode>({
    {"AccessDenied", ErrorKind::kDenied,
     "give these credentials the rights to get, put, delete and list in this bucket (without the right to list, an absent object "
     "looks like this too)"},
    {"AllAccessDisabled", ErrorKind::kDenied, "the bucket is disabled; ask its owner"},
    {"InvalidAccessKeyId", ErrorKind::kDenied, "this server does not know the access key; correct it"},
    {"XAdminUserNotFound", ErrorKind::kDenied, "this server does not know the access key; correct it"},
    {"InvalidToken", ErrorKind::kDenied, "the session token is wrong; fetch new credentials"},
    {"InvalidTokenId", ErrorKind::kDenied, "the session token is wrong; fetch new credentials"},
    {"ExpiredToken", ErrorKind::kDenied, "the session token has expired; fetch new credentials"},
    {"TokenRefreshRequired", ErrorKind::kDenied, "the session token has expired; fetch new credentials"},
    {"SignatureDoesNotMatch", ErrorKind::kDenied, "the secret key does not belong to the access key; correct it"},
    {"RequestTimeTooSkewed", ErrorKind::kDenied, "set this machine's clock"},
    {"NoSuchBucket", ErrorKind::kInvalidArgument, "create the bucket, or correct its name or the endpoint"},
    {"InvalidBucketName", ErrorKind::kInvalidArgument, "correct the bucket's name"},
    {"AuthorizationHeaderMalformed", ErrorKind::kInvalidArgument, "correct the region"},
    {"PermanentRedirect", ErrorKind::kInvalidArgument, "set the region, or the endpoint, in which the bucket lies"},
    {"TemporaryRedirect", ErrorKind::kInvalidArgument, "set the region, or the endpoint, in which the bucket lies"},
    {"KeyTooLongError", ErrorKind::kInvalidArgument, "use shorter names"},
    {"NotImplemented", ErrorKind::kUnsupported, "this server cannot do it; use another"},
    {"ObjectParentIsFile", ErrorKind::kUnsupported, "this server keeps names as a directory tree, where an object cannot lie below another"},
    {"ExistingObjectIsDirectory", ErrorKind::kUnsupported, "this server keeps names as a directory tree, where a name with others below it cannot be an object"},
    {"InvalidObjectState", ErrorKind::kUnsupported, "the object is archived; restore it first"},
});

constexpr auto kTransientCodes = std::to_array<std::string_view>(
    {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted", "ConditionalRequestConflict", "BadDigest",
     "IncompleteBody", "ThrottlingException", "Throttling", "RequestLimitExceeded", "BandwidthLimitExceeded", "XAmzContentSHA256Mismatch"});

constexpr auto kTransientStatuses = std::to_array<int>({408, 429, 500, 502, 503, 504, 509});

const KnownCode* Find(std::string_view code) {
  const auto* const found = std::find_if(kKnownCodes.begin(), kKnownCodes.end(), [&](const KnownCode& known) { return known.code == code; });
  return found == kKnownCodes.end() ? nullptr : found;
}

bool IsRedirect(int status) { return status == 301 || status == 302 || status == 307 || status == 308; }

std::string RegionAdvice(const Answer& answer) {
  std::string region(answer.http.Header("x-amz-bucket-region"));
  if (region.empty()) region = answer.error.region;
  if (region.empty()) return "set the region, or the endpoint, in which the bucket lies";
  return fmt::format("the bucket lies in region '{}'; set that, or its endpoint", region);
}

}  // namespace

std::string_view NameOf(Operation operation) {
  switch (operation) {
    case Operation::kGet: return "get";
    case Operation::kHead: return "head";
    case Operation::kPut: return "put";
    case Operation::kList: return "list";
    case Operation::kDelete: return "delete";
    case Operation::kDeleteMany: return "delete_many";
    case Operation::kCopy: return "copy";
    case Operation::kUploadBegin: return "upload_begin";
    case Operation::kUploadPart: return "upload_part";
    case Operation::kUploadComplete: return "upload_complete";
    case Operation::kUploadAbort: return "upload_abort";
    case Operation::kHeadBucket: return "head_bucket";
  }
  return "other";
}

std::string_view MethodOf(Operation operation) {
  switch (operation) {
    case Operation::kGet:
    case Operation::kList: return "GET";
    case Operation::kHead:
    case Operation::kHeadBucket: return "HEAD";
    case Operation::kPut:
    case Operation::kCopy:
    case Operation::kUploadPart: return "PUT";
    case Operation::kDelete:
    case Operation::kUploadAbort: return "DELETE";
    case Operation::kDeleteMany:
    case Operation::kUploadBegin:
    case Operation::kUploadComplete: return "POST";
  }
  return "GET";
}

bool OnlyReads(Operation operation) { return MethodOf(operation) == "GET" || MethodOf(operation) == "HEAD"; }

Verdict VerdictOn(const Answer& answer) {
  const int status = answer.http.status;
  if (answer.success()) return Verdict::kFinal;
  const std::string_view code = answer.error.code;
  if (std::find(kTransientCodes.begin(), kTransientCodes.end(), code) != kTransientCodes.end()) return Verdict::kTransient;
  if (std::find(kTransientStatuses.begin(), kTransientStatuses.end(), status) != kTransientStatuses.end()) return Verdict::kTransient;
  // Some servers answer 404 to wrong keys and buckets too.
  if (status == 404) return Find(code) == nullptr ? Verdict::kFinal : Verdict::kRefused;
  return status == 412 || status == 416 ? Verdict::kFinal : Verdict::kRefused;
}

Error Repeatable(Error error) {
  if (error.kind() != ErrorKind::kCommitUnknown) return error;
  return Error(ErrorKind::kUnavailable, error.message(), error.subject());
}

std::string Described(const Answer& answer) {
  std::string text = std::to_string(answer.http.status);
  if (!answer.error.code.empty()) text += " " + answer.error.code;
  if (!answer.error.message.empty()) text += " (" + answer.error.message.substr(0, kMessageBytesMax) + ")";
  if (!answer.error.request_id.empty()) text += ", request " + answer.error.request_id.substr(0, kMessageBytesMax);
  return text;
}

Error ErrorOf(Operation operation, std::string_view uri, const Answer& answer) {
  const int status = answer.http.status;
  ErrorKind kind = ErrorKind::kInvalidArgument;
  std::string advice = "is the endpoint an S3 server, and the name one it takes?";
  if (const KnownCode* const known = Find(answer.error.code)) {
    kind = known->kind;
    advice = known->advice;
  } else if (status == 401 || status == 403) {
    kind = ErrorKind::kDenied;
    advice = Find("AccessDenied")->advice;
  } else if (status == 405 || status == 501) {
    kind = ErrorKind::kUnsupported;
    advice = Find("NotImplemented")->advice;
  }
  if (IsRedirect(status) || answer.error.code == "AuthorizationHeaderMalformed") advice = RegionAdvice(answer);
  return Error(kind, fmt::format("{} {}: expected success, found {}; {}", MethodOf(operation), uri, Described(answer), advice));
}

}  // namespace datashard::s3
