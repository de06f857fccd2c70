#include "catalog/directory_catalog.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "catalog/history.h"
#include "catalog/version_names.h"

namespace datashard::catalog {
namespace {

constexpr std::string_view kHintKey = "metadata/version-hint.text";
constexpr std::string_view kLegacyHintKey = "metadata.version-hint.text";
// How often a version that may or may not be there is looked at before the outcome is called unknown.
constexpr int kSettleAttempts = 5;

// How often the head is looked for again when its body was dropped between the look and the reading: each time the table
// has gone on by a hundred versions.
constexpr int kReadAttempts = 5;

// On a remote store every version stays for an hour (VersionLimits::remote_age). So where a version was the newest this lately,
// its successor, which came later, is still there.
constexpr auto kTrusted = std::chrono::minutes(10);
// A version seen this lately is likely still the newest: a lost race costs four requests, a look one for every commit.
constexpr auto kLately = std::chrono::seconds(10);
// The hint of a remote store is written this often at most.
constexpr auto kHintPause = std::chrono::milliseconds(100);

/// Whatever went wrong after a version got its name leaves open whether it counts.
Error OutcomeOpen(Error error, const std::string& root_uri, const std::string& key) {
  if (error.kind() == ErrorKind::kCommitUnknown) return error;
  return CommitUnknown("{}/{} was published, but whether it holds could not be found out ({}); keep every file and open "
                       "the table again", root_uri, key, error.ToString());
}

}  // namespace

DirectoryCatalog::DirectoryCatalog(std::shared_ptr<ObjectStore> store, Outside outside, VersionLimits limits)
    : store_(std::move(store)), outside_(outside), old_versions_(*store_, limits), foreign_writers_(*store_, outside),
      remote_(store_->is_remote()),
      follow_up_([this](const std::atomic<bool>&) { FollowUp(); }, kHintPause) {}

Result<VersionPtr> DirectoryCatalog::Read(int64_t number, Spellings spellings) const {
  auto version = std::make_shared<Version>();
  version->number = number;
  version->key = VersionKey(number);
  Result<Bytes> body = ReadBody(*version);
  if (!body.ok() && body.kind() == ErrorKind::kNotFound && spellings == Spellings::kBoth) {
    version->key = GzipVersionKey(number);
    body = ReadBody(*version);
    if (body.ok()) gzip_seen_ = true;
  }
  if (!body.ok()) {
    if (body.kind() != ErrorKind::kNotFound) return std::move(body).error();
    return NotFound("{}/{} does not exist", store_->root_uri(), VersionKey(number));
  }
  const std::string object = fmt::format("{}/{}", store_->root_uri(), version->key);
  if (*body == kTombstone) {
    return NotFound("the body of version {} ({}) was dropped: only the newest {} are kept", number, object,
                    old_versions_.limits().bodies_min);
  }
  DS_ASSIGN_OR_RETURN(version->metadata, iceberg::DecodeTableMetadata(*body, object));
  return VersionPtr(std::move(version));
}

/// The bytes of `version`'s key. On a directory the file stays open in it.
Result<Bytes> DirectoryCatalog::ReadBody(Version& version) const {
  int64_t size = iceberg::kMetadataBytesMax + 1;
  Bytes body;
  if (remote_) {
    DS_ASSIGN_OR_RETURN(body, store_->GetRange(version.key, {.size_bytes = size}));
    size = static_cast<int64_t>(body.size());
  } else {
    DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> reader, store_->OpenReader(version.key));
    size = reader->size_bytes();
    if (size <= iceberg::kMetadataBytesMax) {
      body.resize(static_cast<size_t>(size));
      DS_ASSIGN_OR_RETURN(const int64_t count, reader->ReadAt(0, size, body.data()));
      body.resize(static_cast<size_t>(count));
    }
    version.object = std::move(reader);
  }
  if (size > iceberg::kMetadataBytesMax) {
    return Corruption("{}/{}: more bytes than table metadata can have ({})", store_->root_uri(), version.key,
                      iceberg::kMetadataBytesMax)
        .About(ErrorSubject::kMetadata);
  }
  return body;
}

Result<VersionPtr> DirectoryCatalog::ReadHead(int64_t head, std::chrono::microseconds looked) const {
  for (int attempt = 1;; ++attempt) {
    Result<VersionPtr> version = Read(head);
    if (version.ok()) NoteNewest(**version, looked);
    if (version.ok() || version.kind() != ErrorKind::kNotFound || attempt == kReadAttempts) return version;
    looked = outside_.clock.Monotonic();
    DS_ASSIGN_OR_RETURN(head, HeadFrom(head));
  }
}

Result<VersionPtr> DirectoryCatalog::Load() const {
  const Result<Bytes> hint = store_->Get(kHintKey);
  if (hint.ok()) {
    std::string_view text = *hint;
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
    if (const std::optional<int64_t> number = ParseVersionNumber(text)) {
      Result<VersionPtr> version = LoadFrom(*number);
      // The newest version always has a body. Where it has none, the hint led to a name left over below the table.
      if (version.ok() || version.kind() != ErrorKind::kNotFound) return version;
    }
  } else if (hint.kind() == ErrorKind::kDenied) {
    return hint.error();
  }
  return LoadByList();
}

Result<VersionPtr> DirectoryCatalog::LoadByList() const {
  const auto looked = outside_.clock.Monotonic();
  DS_ASSIGN_OR_RETURN(const std::optional<int64_t> head, HeadByList());
  if (!head) {
    if (store_->Head(kLegacyHintKey).ok()) {
      return Unsupported("'{}' holds a table written before release 0.10 of the datashard package; convert it once with "
                         "that package: pip install datashard==0.11.2, then `datashard migrate`",
                         store_->root_uri())
          .About(ErrorSubject::kLegacyLayout);
    }
    return NotFound("No Iceberg table found at {}: it has no metadata/v*.metadata.json", store_->root_uri())
        .About(ErrorSubject::kTable);
  }
  if (!remote_) return ReadHead(*head, looked);
  // A list that comes out of a cache is old.
  DS_ASSIGN_OR_RETURN(const int64_t end, HeadFrom(*head));
  return ReadHead(end, looked);
}

/// The newest version of the run that holds `hinted`. Errors also: kNotFound where that, or its body, is not there.
Result<VersionPtr> DirectoryCatalog::LoadFrom(int64_t hinted) const {
  const auto looked = outside_.clock.Monotonic();
  if (!remote_) {
    DS_ASSIGN_OR_RETURN(const bool exists, Exists(hinted));
    if (!exists) return NotFound("{}/{} does not exist", store_->root_uri(), VersionKey(hinted));
    DS_ASSIGN_OR_RETURN(const int64_t end, HeadFrom(hinted));
    // Where a name is missing, a power failure may have cut off what follows: the list tells.
    DS_ASSIGN_OR_RETURN(const bool gap, Exists(end + 2));
    return gap ? NotFound("what follows {} decides", VersionKey(end)) : ReadHead(end, looked);
  }
  // Most likely it is the newest one, so it is read before anything is asked.
  DS_ASSIGN_OR_RETURN(VersionPtr version, Read(hinted));
  DS_ASSIGN_OR_RETURN(const int64_t end, HeadFrom(hinted));
  const bool old = ToMillis(outside_.clock.Now() - kTrusted) > version->metadata.last_updated_ms;
  if (end == hinted) {
    NoteNewest(*version, looked);
    version->doubtful = old;
    return version;
  }
  DS_ASSIGN_OR_RETURN(const bool stands, old ? BatchStands(*version) : Result<bool>(true));
  return stands ? ReadHead(end, looked) : NotFound("names above {} are being removed", VersionKey(hinted));
}

bool DirectoryCatalog::MayBeNewest(const VersionPtr& known) const {
  return remote_ && WasSeenWithin(*known, kLately);
}

Result<VersionPtr> DirectoryCatalog::RefreshAfterLoss(const VersionPtr& known) const {
  if (!remote_) return Refresh(known);
  Result<VersionPtr> next = Read(known->number + 1);
  if (!next.ok()) return next.kind() == ErrorKind::kNotFound ? Refresh(known) : std::move(next);
  FollowsOn(*known, **next);
  DS_RETURN_IF_ERROR(CheckSameTable(known->metadata.table_uuid, **next));
  return next;
}

Result<VersionPtr> DirectoryCatalog::Next(const VersionPtr& known) const {
  if (!remote_ || gzip_seen_) return Refresh(known);
  const auto looked = outside_.clock.Monotonic();
  Result<VersionPtr> next = Read(known->number + 1, Spellings::kPlain);
  if (next.ok()) {
    FollowsOn(*known, **next);
    DS_RETURN_IF_ERROR(CheckSameTable(known->metadata.table_uuid, **next));
    return Refresh(*next);
  }
  if (next.kind() != ErrorKind::kNotFound) return next;
  DS_ASSIGN_OR_RETURN(const bool still_there, BaseStillThere(*known));
  if (!still_there) return Refresh(known);
  NoteNewest(*known, looked);
  return known;
}

bool DirectoryCatalog::WasSeenWithin(const Version& version, std::chrono::microseconds span) const {
  const auto since = outside_.clock.Monotonic() - std::chrono::microseconds(version.seen_us.load());
  // Not of this boot, where it lies in the future.
  return version.seen_us != 0 && since.count() >= 0 && since < span;
}

void DirectoryCatalog::NoteNewest(const Version& version, std::chrono::microseconds looked) const {
  version.seen_us = looked.count();
  version.doubtful = false;
}

void DirectoryCatalog::FollowsOn(const Version& known, const Version& next) const {
  next.seen_us = known.seen_us.load();
  next.doubtful = known.doubtful.load();
}

Result<VersionPtr> DirectoryCatalog::Refresh(const VersionPtr& known) const {
  VersionPtr newest = known;
  const auto looked = outside_.clock.Monotonic();
  DS_ASSIGN_OR_RETURN(const int64_t head, HeadFrom(known->number));
  // Once the body of `known` is gone its name may be gone too, and the next number be a stray: only then is the hint asked. Not
  // before the look, which says nothing where names are being removed.
  DS_ASSIGN_OR_RETURN(const bool still_there, BaseStillThere(*known));
  if (!still_there) {
    DS_ASSIGN_OR_RETURN(newest, Load());
    DS_ASSIGN_OR_RETURN(const bool stands, newest->doubtful ? BatchStands(*newest) : Result<bool>(true));
    if (!stands) {
      DS_ASSIGN_OR_RETURN(newest, LoadByList());
    }
  } else if (head != known->number) {
    DS_ASSIGN_OR_RETURN(newest, ReadHead(head, looked));
  } else {
    NoteNewest(*known, looked);
  }
  DS_RETURN_IF_ERROR(CheckSameTable(known->metadata.table_uuid, *newest));
  return newest;
}

Status DirectoryCatalog::CheckSameTable(std::string_view table_uuid, const Version& found) const {
  if (found.metadata.table_uuid == table_uuid) return {};
  return Corruption("the table at {} was replaced: its uuid was {}, now it is {}; open it again", store_->root_uri(),
                    table_uuid, found.metadata.table_uuid)
      .About(ErrorSubject::kTable);
}

Result<Published> DirectoryCatalog::Settle(const Prepared& prepared) const {
  const std::string& key = prepared.version->key;
  std::string last = "no answer";
  for (int attempt = 0; attempt < kSettleAttempts; ++attempt) {
    if (attempt > 0) outside_.clock.Sleep(std::chrono::milliseconds(10) * (1 << attempt));
    const Result<Bytes> found = store_->Get(key);
    if (found.ok()) {
      if (*found != prepared.body) return Published::kLost;
      if (store_->durable_when_visible()) return Published::kWon;
      last = "it is there, but its name could not be made durable";
      break;  // another sync of the directory may report success for a name it has lost
    }
    if (found.kind() != ErrorKind::kNotFound) {
      last = found.error().ToString();
      continue;
    }
    // Absent: the same number again, never the next one. An earlier attempt that arrives late then finds it taken.
    const Status put = store_->PutIfAbsent(key, prepared.body);
    if (put.ok()) return Published::kWon;
    last = put.error().ToString();
  }
  return CommitUnknown("whether {}/{} was published could not be found out ({}); keep every file and open the table again",
                       store_->root_uri(), key, last);
}

Result<DirectoryCatalog::Prepared> DirectoryCatalog::Prepare(int64_t number, iceberg::TableMetadata metadata,
                                                             WriteGroup& group) {
  const auto codec = metadata.properties.find("write.metadata.compression-codec");
  if (codec != metadata.properties.end() && codec->second != "none") {
    return Unsupported("{}: write.metadata.compression-codec is '{}', but only 'none' can be written here; set it to 'none'",
                       store_->root_uri(), codec->second);
  }
  DS_ASSIGN_OR_RETURN(const bool beside_others, MayHaveForeignWriters(metadata));
  Prepared prepared;
  prepared.beside_others = beside_others && !remote_;
  DS_ASSIGN_OR_RETURN(prepared.body, iceberg::EncodeTableMetadata(metadata));
  DS_ASSIGN_OR_RETURN(prepared.object, group.Prepare(VersionKey(number), prepared.body));
  auto version = std::make_shared<Version>();
  version->number = number;
  version->key = VersionKey(number);
  version->metadata = std::move(metadata);
  version->object = prepared.object;
  NoteNewest(*version, outside_.clock.Monotonic());
  prepared.version = std::move(version);
  return prepared;
}

Result<Published> DirectoryCatalog::Publish(const Prepared& prepared, const VersionPtr& base,
                                            const std::function<void()>& alive) {
  const std::string gzip_key = GzipVersionKey(prepared.version->number);
  const bool look_for_gzip = !remote_ || gzip_seen_;
  if (look_for_gzip) {
    const Result<ObjectInfo> other_spelling = store_->Head(gzip_key);
    if (other_spelling.ok()) return Published::kLost;
    if (other_spelling.kind() != ErrorKind::kNotFound) return other_spelling.error();
  }
  // A checksum left behind by a Hadoop writer that crashed makes Spark refuse the new file.
  if (!remote_) DS_RETURN_IF_ERROR(store_->Delete(ChecksumKey(prepared.version->key)));
  if (prepared.beside_others && base) {
    DS_ASSIGN_OR_RETURN(const bool gave_way, foreign_writers_.GiveWay(alive));
    if (gave_way || !IsSettled(*base)) {
      DS_RETURN_IF_ERROR(foreign_writers_.Await(alive));
      DS_ASSIGN_OR_RETURN(const bool still_there, BaseStillThere(*base));
      if (!still_there) return Published::kLost;
    }
  }

  const Status put = prepared.object->Publish();
  if (!put.ok()) {
    if (put.kind() == ErrorKind::kAlreadyExists) return Published::kLost;
    if (put.kind() != ErrorKind::kCommitUnknown) return put.error();
    DS_ASSIGN_OR_RETURN(const Published settled, Settle(prepared));
    if (settled == Published::kLost) return Published::kLost;
  }
  if (look_for_gzip && store_->Head(gzip_key).ok()) {
    return CommitUnknown("{0}/{1} and {0}/{2} were published at the same moment by writers that compress metadata "
                         "differently; let all writers use write.metadata.compression-codec=none",
                         store_->root_uri(), prepared.version->key, gzip_key);
  }
  Result<Published> confirmed = Confirm(prepared, base, alive);
  if (!confirmed.ok()) return OutcomeOpen(std::move(confirmed).error(), store_->root_uri(), prepared.version->key);
  return confirmed;
}

Result<bool> DirectoryCatalog::BaseStillThere(const Version& base) const {
  if (remote_) {
    if (WasSeenWithin(base, kTrusted) && !base.doubtful) return true;
    DS_ASSIGN_OR_RETURN(const bool named, base.object ? base.object->StillNamed() : Result<bool>(true));
    return named ? BatchStands(base) : Result<bool>(false);
  }
  if (base.object) return base.object->StillNamed();
  const Result<ObjectInfo> info = store_->Head(base.key);
  if (info.ok()) return !IsTombstone(*info);
  if (info.kind() == ErrorKind::kNotFound) return false;
  return info.error();
}

Result<bool> DirectoryCatalog::BatchStands(const Version& version) const {
  DS_ASSIGN_OR_RETURN(const std::optional<ObjectInfo> first, Find(old_versions_.FirstOfBatch(version.number)));
  // A late request may have made the name again: that one is younger than what followed it.
  return first && ToMillis(first->modified - old_versions_.limits().remote_age / 2) <= version.metadata.last_updated_ms;
}

bool DirectoryCatalog::IsSettled(const Version& version) const {
  return version.object && version.object == *settled_.Lock();
}

// Two ways to be wrong although the create has succeeded. (1) The number was not new: a writer that was stopped on an old
// base while the table went on by so many versions that the names behind its base were removed creates such a name again,
// and no later version contains it. (2) A Hadoop catalog renames its version over ours.
Result<Published> DirectoryCatalog::Confirm(const Prepared& prepared, const VersionPtr& base,
                                            const std::function<void()>& alive) {
  // Bodies are dropped in ascending order, long before names: while the base has its body, its successor was never removed. In a
  // bucket names go by the batch, the first of each before the others.
  bool holds = false;
  if (base) {
    DS_ASSIGN_OR_RETURN(holds, BaseStillThere(*base));
  }
  if (prepared.beside_others) {
    DS_RETURN_IF_ERROR(foreign_writers_.Await(alive));
    DS_ASSIGN_OR_RETURN(const bool ours, prepared.version->object->StillNamed());
    holds = holds && ours;
  }
  Published published = Published::kWon;
  if (!holds) {
    DS_ASSIGN_OR_RETURN(published, Trace(prepared, base));
  }
  if (published == Published::kWon && prepared.beside_others) {
    foreign_writers_.Won();
    *settled_.Lock() = prepared.version->object;
  }
  return published;
}

Result<Published> DirectoryCatalog::Trace(const Prepared& prepared, const VersionPtr& base) {
  const Version& ours = *prepared.version;
  DS_ASSIGN_OR_RETURN(const bool ours_there, ours.object->StillNamed());
  // In a bucket a hint of long ago may lead to us, where names around ours are being removed.
  DS_ASSIGN_OR_RETURN(const VersionPtr head, remote_ ? LoadByList() : Load());
  if (ours_there && head->number == ours.number) return Published::kWon;
  Standing standing = StandingOf(ours.metadata, base ? &base->metadata : nullptr, head->metadata);
  if (standing == Standing::kUnsaid) {
    DS_ASSIGN_OR_RETURN(standing, StandingByNames(prepared, base, {.ours_there = ours_there, .head = *head}));
  }
  if (standing == Standing::kUnsaid) {
    return CommitUnknown("{}/{} was published by a writer that was then stopped for so long that the table's history no "
                         "longer says whether it counts; keep every file and look for the rows",
                         store_->root_uri(), ours.key);
  }
  if (standing == Standing::kIncluded) return Published::kWon;
  if (ours_there) {
    DS_RETURN_IF_ERROR(store_->Delete(ours.key));
    outside_.metrics.Add("datashard_stray_versions_total", 1);
  } else {
    outside_.metrics.Add("datashard_foreign_replacements_total", 1);
  }
  return Published::kLost;
}

/// What the head's window does not tell: from the archive behind it, then from names.
Result<Standing> DirectoryCatalog::StandingByNames(const Prepared& prepared, const VersionPtr& base, Sight sight) const {
  const Version& ours = *prepared.version;
  if (const Snapshot* const added = AddedSnapshot(ours.metadata, base ? &base->metadata : nullptr)) {
    DS_ASSIGN_OR_RETURN(const std::optional<Snapshot> archived,
                        FindSnapshotById(*store_, sight.head.metadata, added->snapshot_id));
    if (archived) return Standing::kIncluded;
  }
  if (!sight.ours_there) {
    const Result<ObjectInfo> under_our_name = store_->Head(ours.key);
    if (!under_our_name.ok() && under_our_name.kind() != ErrorKind::kNotFound) return under_our_name.error();
    // A body that is not ours: a Hadoop catalog's, renamed over it.
    if (under_our_name.ok() && !IsTombstone(*under_our_name)) return Standing::kExcluded;
    // Whose body it was that has been dropped since, no name tells.
    if (prepared.beside_others) return Standing::kUnsaid;
  }
  // Names are removed in ascending order.
  bool base_named = true;
  if (base) {
    DS_ASSIGN_OR_RETURN(base_named, remote_ ? BatchStands(*base) : Exists(base->number));
  }
  const int64_t ahead = sight.head.number - ours.number;
  if (base_named && ahead >= 0 && ahead < old_versions_.limits().names / 2) return Standing::kIncluded;
  return !base_named && sight.ours_there ? Standing::kExcluded : Standing::kUnsaid;
}

namespace {

void RaiseTo(std::atomic<int64_t>& due, int64_t number) {
  for (int64_t seen = due; seen < number && !due.compare_exchange_weak(seen, number);) {
  }
}

}  // namespace

void DirectoryCatalog::AdvanceHint(int64_t number) {
  if (!remote_) return WriteHint(number);
  RaiseTo(hint_due_, number);
  follow_up_.Wake();
}

void DirectoryCatalog::DropOldVersions(int64_t head) {
  if (!remote_) return DropNow(head);
  if (head % old_versions_.limits().every != 0) return;
  RaiseTo(drop_due_, head);
  follow_up_.Wake();
}

void DirectoryCatalog::DropUnnamed(const std::string& key) {
  if (!remote_) {
    static_cast<void>(store_->Delete(key));
    return;
  }
  unnamed_due_.Lock()->push_back(key);
  follow_up_.Wake();
}

void DirectoryCatalog::FollowUp() {
  if (const int64_t number = hint_due_.exchange(0); number != 0) WriteHint(number);
  if (const int64_t head = drop_due_.exchange(0); head != 0) DropNow(head);
  const std::vector<std::string> unnamed = std::exchange(*unnamed_due_.Lock(), {});
  if (!unnamed.empty()) static_cast<void>(store_->DeleteMany(unnamed));
}

void DirectoryCatalog::DropNow(int64_t head) {
  const Status dropped = old_versions_.Drop(head);
  if (dropped.ok()) return;
  outside_.log.Write(LogLevel::kWarning, fmt::format("old versions of {} stay for now: {}", store_->root_uri(),
                                                     dropped.error().ToString()));
}

void DirectoryCatalog::WriteHint(int64_t number) {
  for (;;) {
    const Status written = store_->ReplaceHint(kHintKey, std::to_string(number));
    if (!written.ok()) {
      outside_.log.Write(LogLevel::kWarning, fmt::format("the hint of {} stays behind version {}: {}", store_->root_uri(),
                                                         number, written.error().ToString()));
      return;
    }
    if (remote_) return;  // a look costs more than a reader whose hint is old
    // A slower writer may have put its older number over a newer one; whoever writes last looks again.
    const Result<int64_t> head = HeadFrom(number);
    if (!head.ok() || *head == number) return;
    number = *head;
  }
}

}  // namespace datashard::catalog
