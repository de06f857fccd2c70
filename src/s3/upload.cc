#include "s3/upload.h"

#include "s3/digest.h"

namespace datashard::s3 {
namespace {

constexpr int kCompleteAttempts = 4;

}  // namespace

Result<std::unique_ptr<Upload>> Upload::Begin(S3Client& client, std::string key, bool if_absent) {
  const std::string token = client.NewToken();
  Call call{.operation = Operation::kUploadBegin, .key = key, .query = {{"uploads", ""}}};
  call.headers = {{"content-type", std::string(client.ContentType(key))}, {"x-amz-meta-datashard-put", token}};
  Result<Answer> answer = client.exchange().Send(call);
  if (!answer.ok()) return Repeatable(std::move(answer).error());
  if (!answer->success()) return ErrorOf(Operation::kUploadBegin, client.UriOf(key), *answer);
  Result<std::string> id = ReadUploadId(answer->http.body);
  if (!id.ok()) return std::move(id).error().In(client.UriOf(key));
  return std::unique_ptr<Upload>(new Upload(client, std::move(key), std::move(id).value(), token, if_absent));
}

Upload::~Upload() {
  if (!open_) return;
  // Nobody is left to tell of a failure; buckets have a rule that removes parts nobody completed.
  static_cast<void>(client_.exchange().Send({.operation = Operation::kUploadAbort, .key = key_, .query = {{"uploadId", id_}}}));
}

Status Upload::PutParts(const std::vector<ByteView>& parts) {
  std::vector<Call> calls;
  for (const ByteView part : parts) {
    const std::string number = std::to_string(etags_.size() + calls.size() + 1);
    calls.push_back({.operation = Operation::kUploadPart, .key = key_, .query = {{"partNumber", number}, {"uploadId", id_}}, .body = part});
  }
  for (Result<Answer>& answer : client_.exchange().SendAll(calls)) {
    if (!answer.ok()) return Repeatable(std::move(answer).error());
    std::string etag(answer->http.Header("etag"));
    if (!answer->success() || etag.empty()) return ErrorOf(Operation::kUploadPart, client_.UriOf(key_), *answer);
    etags_.push_back(std::move(etag));
  }
  return {};
}

Status Upload::Complete() {
  bool earlier_may_have_landed = false;
  Status status;
  for (int attempt = 0; attempt < kCompleteAttempts; ++attempt) {
    bool again = false;
    status = CompleteOnce(earlier_may_have_landed, again);
    if (!again) break;
  }
  // Where the outcome is open, aborting could not undo it, and might cost the only copy of the parts.
  if (status.ok() || status.kind() == ErrorKind::kCommitUnknown) open_ = false;
  return status;
}

Status Upload::CompleteOnce(bool& earlier_may_have_landed, bool& again) {
  const std::string body = WriteParts(etags_);
  const std::string uri = client_.UriOf(key_);
  Call call{.operation = Operation::kUploadComplete, .key = key_, .query = {{"uploadId", id_}}, .body = body};
  call.headers = {{"content-type", "application/xml"}};
  if (if_absent_) call.headers.push_back({"if-none-match", "*"});
  DS_ASSIGN_OR_RETURN(const Answer answer, client_.exchange().Send(call));
  const std::optional<WireError> late = answer.success() ? ErrorInSuccess(answer.http.body) : std::nullopt;
  if (answer.success() && !late) return {};
  const bool refused = answer.precondition_failed() || (late && late->code == "PreconditionFailed");
  if (late && !refused) {  // 200 was sent before the work was done, and then it failed
    earlier_may_have_landed = again = true;
    return CommitUnknown("POST {}: completing the upload was answered 200 with the error {} ({})", uri, late->code, late->message);
  }
  // Gone: completed by an earlier attempt. Refused: perhaps by its result.
  if (earlier_may_have_landed || answer.earlier_may_have_landed) return WhoseIsIt(client_, key_, token_);
  if (refused) return AlreadyExists("{} exists", uri);
  return ErrorOf(Operation::kUploadComplete, uri, answer);
}

}  // namespace datashard::s3
