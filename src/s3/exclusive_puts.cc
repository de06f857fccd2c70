#include "s3/exclusive_puts.h"

namespace datashard::s3 {

ExclusivePuts::ExclusivePuts(S3Client& client, std::string probe_key, S3StoreSettings::Exclusive known)
    : client_(client), probe_key_(std::move(probe_key)),
      state_(known == S3StoreSettings::Exclusive::kTrusted  ? kWorks
             : known == S3StoreSettings::Exclusive::kAbsent ? kAbsent
                                                            : kUnknown),
      matches_(known == S3StoreSettings::Exclusive::kTrusted ? kWorks : kUnknown) {}

PutObject ExclusivePuts::Probe() const {
  return {.key = probe_key_, .body = "datashard\n", .token = client_.NewToken(), .if_absent = true};
}

Error ExclusivePuts::Refusal() const {
  return Unsupported("{} does not refuse a put with 'If-None-Match: *' of a name that is taken (tried on {}), so that writers would "
                     "overwrite each other's commits; nothing can be written there, only read. Use a server with conditional "
                     "writes (AWS S3, MinIO, versitygw, Ceph), or update this one", client_.place().endpoint, client_.UriOf(probe_key_));
}

Status ExclusivePuts::Learn(const Result<std::string>& probed) {
  if (state_ == kAbsent) return Refusal();
  if (state_ == kWorks) return {};
  // Accepted: it did not exist, or was overwritten. Now it exists.
  const Result<std::string> second = probed.ok() ? client_.Put(Probe()) : probed;
  if (!second.ok() && second.kind() == ErrorKind::kAlreadyExists) {
    state_ = kWorks;
    return {};
  }
  if (!second.ok() && second.kind() != ErrorKind::kUnsupported) return Repeatable(second.error());
  state_ = kAbsent;
  return Refusal();
}

Status ExclusivePuts::Ensure() {
  if (state_ == kWorks) return {};
  if (state_ == kAbsent) return Refusal();
  return Learn(client_.Put(Probe()));
}

Status ExclusivePuts::Put(const PutObject& object) {
  DS_RETURN_IF_ERROR(Ensure());
  Result<std::string> etag = client_.Put(object);
  if (!etag.ok()) return std::move(etag).error();
  return {};
}

Error ExclusivePuts::MatchRefusal() const {
  return Unsupported("{} does not refuse a put with an 'If-Match' that is wrong (tried on {}), so that writers would replace what they "
                     "have not seen. Use a server with conditional writes (AWS S3, MinIO, versitygw), or update this one",
                     client_.place().endpoint, client_.UriOf(probe_key_));
}

Status ExclusivePuts::EnsureMatches() {
  if (matches_ == kWorks) return {};
  if (matches_ == kAbsent) return MatchRefusal();
  PutObject probe = Probe();
  probe.if_absent = false;
  probe.if_match = "\"00000000000000000000000000000000\"";  // of no body that is known
  const Result<std::string> etag = client_.Put(probe);
  if (!etag.ok() && (etag.kind() == ErrorKind::kConflict || etag.kind() == ErrorKind::kNotFound)) {
    matches_ = kWorks;
    return {};
  }
  if (!etag.ok() && etag.kind() != ErrorKind::kUnsupported) return Repeatable(etag.error());
  matches_ = kAbsent;
  return MatchRefusal();
}

Status ExclusivePuts::PutIf(const PutObject& object) {
  DS_RETURN_IF_ERROR(Ensure());
  if (!object.if_absent) DS_RETURN_IF_ERROR(EnsureMatches());
  const Result<std::string> etag = client_.Put(object);
  if (etag.ok()) return {};
  if (etag.kind() != ErrorKind::kAlreadyExists && etag.kind() != ErrorKind::kNotFound) return etag.error();
  return Conflict("{} is no longer what was read; read it and plan again", client_.UriOf(object.key));
}

std::vector<Status> ExclusivePuts::PutAll(std::span<const PutObject> objects) {
  if (state_ == kAbsent) return std::vector<Status>(objects.size(), Refusal());
  const bool probe = state_ == kUnknown;
  std::vector<PutObject> all(objects.begin(), objects.end());
  if (probe) all.push_back(Probe());
  const std::vector<Result<std::string>> etags = client_.PutAll(all);
  const Status works = probe ? Learn(etags.back()) : Status();
  std::vector<Status> outcomes;
  for (size_t i = 0; i < objects.size(); ++i) outcomes.push_back(!etags[i].ok() ? Status(etags[i].error()) : works);
  return outcomes;
}

}  // namespace datashard::s3
