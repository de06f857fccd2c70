// What S3's answers mean: which are final, which may be repeated, and what a user should do about an error.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "http/http_client.h"
#include "s3/wire.h"

namespace datashard::s3 {

enum class Operation {
  kGet, kHead, kPut, kList, kDelete, kDeleteMany, kCopy, kUploadBegin, kUploadPart, kUploadComplete, kUploadAbort, kHeadBucket,
};
/// As in metrics: "get", "upload_part", …
std::string_view NameOf(Operation operation);
std::string_view MethodOf(Operation operation);
bool OnlyReads(Operation operation);

struct Answer {
  HttpResponse http;
  WireError error;  ///< of answers that are no success, where the body has one
  /// An earlier attempt of the same call may have been applied: a refused condition may be refused because of it.
  bool earlier_may_have_landed = false;

  bool success() const { return http.status / 100 == 2; }
  bool not_found() const { return http.status == 404; }
  bool precondition_failed() const { return http.status == 412; }
  bool beyond_the_end() const { return http.status == 416; }
};

enum class Verdict {
  kFinal,      ///< for the caller to decide: success, 404 of an object, 412, 416
  kRefused,    ///< an error that no repetition changes
  kTransient,  ///< the same call may succeed later
};
Verdict VerdictOn(const Answer& answer);

/// The error of a refused answer about `uri`. kDenied: keys or rights; kInvalidArgument: bucket, region, name or endpoint are
/// wrong; kUnsupported: the server cannot do it. Names the object, the answer and what to do; never a key or a signature.
Error ErrorOf(Operation operation, std::string_view uri, const Answer& answer);
/// The error of a call that may be made again whether or not it was applied: kCommitUnknown becomes kUnavailable.
Error Repeatable(Error error);
/// "503 SlowDown (Please reduce your request rate.)"
std::string Described(const Answer& answer);

}  // namespace datashard::s3
