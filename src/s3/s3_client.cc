#include "s3/s3_client.h"

#include <algorithm>
#include <charconv>

#include "s3/digest.h"

namespace datashard::s3 {
namespace {

constexpr std::string_view kTokenHeader = "x-amz-meta-datashard-put";
constexpr std::string_view kChecksumHeader = "x-amz-checksum-sha256";
constexpr size_t kKeysPerRequest = 1000;
// Of an object whose size nobody has said: for the time its body may take.
constexpr int64_t kWholeBytesHint = int64_t{16} << 20;

int64_t NumberIn(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() ? number : 0;
}

Error Absent(const std::string& uri) { return NotFound("{} does not exist", uri); }

Call PutCall(const PutObject& object) {
  Call call{.operation = Operation::kPut, .key = object.key, .body = object.body, .body_sha256 = Sha256(object.body)};
  call.headers = {{"content-type", "application/octet-stream"}, {std::string(kChecksumHeader), Base64(call.body_sha256)}};
  if (!object.token.empty()) call.headers.push_back({std::string(kTokenHeader), object.token});
  if (object.if_absent) call.headers.push_back({"if-none-match", "*"});
  if (!object.if_match.empty()) call.headers.push_back({"if-match", object.if_match});
  return call;
}

/// Does the body have the checksum its server keeps? A checksum of parts ("…-3") and an absent one say nothing.
bool IsIntact(const HttpResponse& response) {
  const std::string_view expected = response.Header(kChecksumHeader);
  if (expected.empty() || expected.find('-') != std::string_view::npos) return true;
  return expected == Base64(Sha256(response.body));
}

/// The whole size of "bytes 0-9/1234"; -1 if it is not said.
int64_t SizeIn(std::string_view content_range) {
  const size_t slash = content_range.find('/');
  if (slash == std::string_view::npos || content_range.ends_with("/*")) return -1;
  return NumberIn(content_range.substr(slash + 1));
}
int64_t OffsetIn(std::string_view content_range) {
  return content_range.starts_with("bytes ") ? NumberIn(content_range.substr(6)) : -1;
}

/// What a request for `size` bytes at `offset` got.
Result<GotObject> Ranged(const std::string& uri, int64_t offset, int64_t size, Result<Answer> answered) {
  DS_ASSIGN_OR_RETURN(Answer answer, std::move(answered));
  GotObject got{.head = HeadOf(answer.http)};
  if (answer.beyond_the_end()) return got;
  if (answer.not_found()) return Absent(uri);
  if (answer.precondition_failed()) return Corruption("{} was replaced while it was read; open it again", uri);
  got.body = std::move(answer.http.body);
  if (answer.http.status == 200) {  // this server does not know ranges
    got.body = got.body.substr(std::min(got.body.size(), static_cast<size_t>(offset)), static_cast<size_t>(size));
    return got;
  }
  const std::string_view range = answer.http.Header("content-range");
  if (OffsetIn(range) != offset || static_cast<int64_t>(got.body.size()) > size)
    return Corruption("{}: asked for {} bytes at {}, got {} of the range '{}'", uri, size, offset, got.body.size(), range);
  got.head.size_bytes = SizeIn(range);
  return got;
}

}  // namespace

ObjectHead HeadOf(const HttpResponse& response) {
  return {.size_bytes = NumberIn(response.Header("content-length")),
          .modified = ReadHttpDate(response.Header("last-modified")).value_or(Instant()),
          .etag = std::string(response.Header("etag")),
          .token = std::string(response.Header(kTokenHeader))};
}

std::string S3Client::NewToken() const { return RandomHex(exchange_.outside().random, 32); }

Status WhoseIsIt(S3Client& client, std::string_view key, const std::string& token) {
  const std::string uri = client.UriOf(key);
  const Result<ObjectHead> head = client.Head(key);
  if (!head.ok())
    return CommitUnknown("{} was refused after an earlier attempt that may have been applied, and whose it is could not be read: {}",
                         uri, head.error().message());
  if (!token.empty() && head->token == token) return {};
  return AlreadyExists("{} exists", uri);
}

std::vector<Result<std::string>> S3Client::PutAll(std::span<const PutObject> objects) {
  std::vector<Call> calls;
  for (const PutObject& object : objects) calls.push_back(PutCall(object));
  std::vector<Result<Answer>> answers = exchange_.SendAll(calls);
  std::vector<Result<std::string>> etags;
  for (size_t i = 0; i < objects.size(); ++i) etags.push_back(Settle(objects[i], std::move(answers[i])));
  return etags;
}

Result<std::string> S3Client::Settle(const PutObject& object, Result<Answer> answered) {
  const std::string uri = UriOf(object.key);
  const bool conditional = object.if_absent || !object.if_match.empty();
  if (!answered.ok()) {
    return conditional ? std::move(answered).error() : Repeatable(std::move(answered).error());
  }
  const Answer& answer = *answered;
  if (answer.success()) return std::string(answer.http.Header("etag"));
  if (answer.not_found()) return object.if_match.empty() ? ErrorOf(Operation::kPut, uri, answer) : Absent(uri);
  if (!answer.precondition_failed()) return ErrorOf(Operation::kPut, uri, answer);
  // curl tells of a second sending only where there was a body to send again.
  const bool maybe_ours = answer.earlier_may_have_landed || object.body.empty();
  if (maybe_ours) {
    const Status ours = WhoseIsIt(*this, object.key, object.token);
    if (ours.ok()) return std::string();
    if (ours.kind() == ErrorKind::kCommitUnknown) return ours.error();
    if (object.is_replaced_by_others && answer.earlier_may_have_landed)
      return CommitUnknown("{}: an answer was lost, and another writer's object is there now; whether ours was there before it is not known", uri);
  }
  if (object.if_absent) return AlreadyExists("{} exists", uri);
  return Conflict("{} is no longer the one with the etag {}; read it and plan again", uri, object.if_match);
}

std::vector<Result<GotObject>> S3Client::GetAll(std::vector<std::string_view> keys, int64_t bytes_max) {
  std::vector<Call> calls;
  for (const std::string_view key : keys) {
    calls.push_back({.operation = Operation::kGet, .key = std::string(key), .headers = {{"x-amz-checksum-mode", "ENABLED"}},
                     .answer_bytes_max = bytes_max, .answer_bytes_hint = kWholeBytesHint});
  }
  std::vector<Result<Answer>> answers = exchange_.SendAll(calls);
  std::vector<Result<GotObject>> got;
  for (size_t i = 0; i < calls.size(); ++i) got.push_back(Whole(calls[i], std::move(answers[i])));
  return got;
}

/// The object in an answer, asked for once more where it came damaged.
Result<GotObject> S3Client::Whole(const Call& call, Result<Answer> answered) {
  const std::string uri = UriOf(call.key);
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (attempt > 0) answered = exchange_.Send(call);
    if (!answered.ok()) return std::move(answered).error();
    if (answered->not_found()) return Absent(uri);
    if (!answered->success()) return ErrorOf(Operation::kGet, uri, *answered);
    if (!IsIntact(answered->http)) continue;
    GotObject got{.head = HeadOf(answered->http)};
    got.body = std::move(answered->http.body);
    got.head.size_bytes = static_cast<int64_t>(got.body.size());
    return got;
  }
  return Corruption("{}: the bytes received twice do not have the checksum the server keeps of them; keep the object and look "
                    "at what lies between here and {}", uri, place().endpoint);
}

std::vector<Result<GotObject>> S3Client::GetRanges(std::string_view key, std::span<const std::pair<int64_t, int64_t>> offset_and_size,
                                                   const std::string& if_match) {
  std::vector<Call> calls;
  for (const auto& [offset, size] : offset_and_size) {
    Call call{.operation = Operation::kGet, .key = std::string(key), .answer_bytes_max = int64_t{2} << 30, .answer_bytes_hint = size};
    const bool open_end = size > INT64_MAX - offset;
    call.headers.push_back({"range", open_end ? fmt::format("bytes={}-", offset) : fmt::format("bytes={}-{}", offset, offset + size - 1)});
    if (!if_match.empty()) call.headers.push_back({"if-match", if_match});
    calls.push_back(std::move(call));
  }
  std::vector<Result<Answer>> answers = exchange_.SendAll(calls);
  std::vector<Result<GotObject>> got;
  for (size_t i = 0; i < calls.size(); ++i)
    got.push_back(Ranged(UriOf(key), offset_and_size[i].first, offset_and_size[i].second, std::move(answers[i])));
  return got;
}

Result<GotObject> S3Client::GetRange(std::string_view key, int64_t offset, int64_t size, const std::string& if_match) {
  const std::pair<int64_t, int64_t> range(offset, size);
  return std::move(GetRanges(key, {&range, 1}, if_match).front());
}

Result<GotObject> S3Client::GetEnd(std::string_view key, int64_t size) {
  Call call{.operation = Operation::kGet, .key = std::string(key), .headers = {{"range", fmt::format("bytes=-{}", size)}}};
  call.answer_bytes_max = int64_t{2} << 30;
  DS_ASSIGN_OR_RETURN(Answer answer, exchange_.Send(call));
  if (answer.not_found()) return Absent(UriOf(key));
  GotObject got{.head = HeadOf(answer.http)};
  if (answer.beyond_the_end()) {  // the object is empty
    DS_ASSIGN_OR_RETURN(got.head, Head(key));
    return got;
  }
  if (!answer.success()) return ErrorOf(Operation::kGet, UriOf(key), answer);
  got.body = std::move(answer.http.body);
  got.head.size_bytes = answer.http.status == 206 ? SizeIn(answer.http.Header("content-range")) : static_cast<int64_t>(got.body.size());
  if (got.head.size_bytes < static_cast<int64_t>(got.body.size()))
    return Corruption("{}: got {} bytes of the range '{}'", UriOf(key), got.body.size(), answer.http.Header("content-range"));
  return got;
}

std::vector<Result<ObjectHead>> S3Client::HeadAll(std::vector<std::string_view> keys) {
  std::vector<Call> calls;
  for (const std::string_view key : keys) calls.push_back({.operation = Operation::kHead, .key = std::string(key)});
  std::vector<Result<ObjectHead>> heads;
  for (Result<Answer>& answer : exchange_.SendAll(calls)) {
    const std::string uri = UriOf(keys[heads.size()]);
    if (!answer.ok()) {
      heads.push_back(std::move(answer).error());
    } else if (answer->not_found()) {
      heads.push_back(Absent(uri));
    } else if (!answer->success()) {
      heads.push_back(ErrorOf(Operation::kHead, uri, *answer));
    } else {
      heads.push_back(HeadOf(answer->http));
    }
  }
  return heads;
}

Result<std::vector<ListedObject>> S3Client::List(std::string_view prefix) {
  std::vector<ListedObject> found;
  std::string token;
  do {
    Call call{.operation = Operation::kList};
    call.query = {{"list-type", "2"}, {"prefix", std::string(prefix)}, {"encoding-type", "url"}, {"max-keys", "1000"}};
    if (!token.empty()) call.query.emplace_back("continuation-token", token);
    DS_ASSIGN_OR_RETURN(const Answer answer, exchange_.Send(call));
    if (!answer.success()) return ErrorOf(Operation::kList, UriOf(prefix), answer);
    Result<ListPage> page = ReadListPage(answer.http.body);
    if (!page.ok()) return std::move(page).error().In(UriOf(prefix));
    found.insert(found.end(), std::make_move_iterator(page->objects.begin()), std::make_move_iterator(page->objects.end()));
    if (!page->next_token.empty() && page->next_token == token)
      return Corruption("{}: the server repeats a page of its list", UriOf(prefix));
    token = page->next_token;
  } while (!token.empty());
  std::sort(found.begin(), found.end(), [](const ListedObject& a, const ListedObject& b) { return a.key < b.key; });
  return found;
}

Status S3Client::Delete(std::string_view key) {
  Result<Answer> answer = exchange_.Send({.operation = Operation::kDelete, .key = std::string(key)});
  if (!answer.ok()) return Repeatable(std::move(answer).error());
  if (answer->success() || answer->not_found()) return {};
  return ErrorOf(Operation::kDelete, UriOf(key), *answer);
}

Status S3Client::DeleteAll(std::span<const std::string> keys) {
  Status first;
  for (size_t start = 0; start < keys.size(); start += kKeysPerRequest) {
    const auto some = keys.subspan(start, std::min(kKeysPerRequest, keys.size() - start));
    const std::string body = WriteDeletes({some.begin(), some.end()});
    Call call{.operation = Operation::kDeleteMany, .query = {{"delete", ""}}, .body = body};
    call.headers = {{"content-md5", Base64(Md5(body))}, {"content-type", "application/xml"}};
    Result<Answer> answer = exchange_.Send(call);
    if (!answer.ok()) return Repeatable(std::move(answer).error());
    if (!answer->success()) return ErrorOf(Operation::kDeleteMany, UriOf(""), *answer);
    Result<std::vector<FailedDelete>> failed = ReadFailedDeletes(answer->http.body);
    if (!failed.ok()) return std::move(failed).error().In(UriOf(""));
    if (first.ok() && !failed->empty()) {
      const FailedDelete& one = failed->front();
      first = Denied("DELETE {}: refused: {} ({}); {} of {} keys were not removed", UriOf(one.key), one.error.code, one.error.message,
                     failed->size(), some.size());
    }
  }
  return first;
}

Status S3Client::Copy(std::string_view from_key, std::string_view to_key) {
  Call call{.operation = Operation::kCopy, .key = std::string(to_key)};
  call.headers = {{"x-amz-copy-source", fmt::format("/{}/{}", PercentEncode(place().bucket, false), PercentEncode(from_key, true))}};
  Result<Answer> answer = exchange_.Send(call);
  if (!answer.ok()) return Repeatable(std::move(answer).error());
  if (answer->not_found()) return Absent(UriOf(from_key));
  if (!answer->success()) return ErrorOf(Operation::kCopy, UriOf(to_key), *answer);
  if (const std::optional<WireError> error = ErrorInSuccess(answer->http.body))
    return Unavailable("copying {} to {}: {} ({}); try again", UriOf(from_key), UriOf(to_key), error->code, error->message);
  return {};
}

Result<Instant> S3Client::ServerTime() {
  DS_ASSIGN_OR_RETURN(const Answer answer, exchange_.Send({.operation = Operation::kHeadBucket}));
  if (const std::optional<Instant> time = ReadHttpDate(answer.http.Header("date"))) return *time;
  return Unsupported("{} does not say what time it is: expected a Date header, found '{}'", place().endpoint, answer.http.Header("date"));
}

}  // namespace datashard::s3
