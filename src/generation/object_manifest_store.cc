#include "generation/object_manifest_store.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/uri.h"
#include "generation/pointer.h"
#include "storage/keys.h"

namespace datashard::generation {
namespace {

constexpr int kTriesMax = 64;
constexpr int kStoreTriesMax = 4;
constexpr std::chrono::microseconds kPauseMax{100'000};
constexpr std::string_view kManifests = "manifests/";

Error MayBeCurrent(const std::string& ref, std::string_view why) { return CommitUnknown("{} may have become current: {}", ref, why); }

class ObjectManifestStore final : public ManifestStore {
 public:
  ObjectManifestStore(std::shared_ptr<SnapshotPlace> place, ManifestNames names, const Outside& outside)
      : place_(std::move(place)), names_(std::move(names)), outside_(outside) {}

  Result<std::string> Store(const ShardedManifest& manifest) override;
  Status SetCurrent(const std::string& ref, const CurrentGuard& guard) override;
  Result<std::optional<ManifestRef>> LoadCurrent() override;
  Result<ShardedManifest> LoadManifest(const std::string& ref) override;
  Result<std::vector<ManifestRef>> ListManifests(int64_t limit) override;

 private:
  struct Seen {
    TaggedBody raw;                  // no tag: there is none
    std::optional<Pointer> pointer;  // none: there is none, or it is damaged
  };
  std::string UrlOf(std::string_view key) const { return fmt::format("{}/{}", place_->url(), key); }
  Result<ManifestRef> RefOf(const Pointer& pointer) const;
  Result<Seen> LookAtPointer(ObjectStore& store, const CurrentGuard& guard) const;
  Status PutManifest(ObjectStore& store, const std::string& key, ByteView body) const;
  Status ReplacePointer(ObjectStore& store, ByteView body, const std::string& tag) const;
  Status MustExist(ObjectStore& store, const std::string& ref) const;
  void Pause(int attempt) const;

  const std::shared_ptr<SnapshotPlace> place_;
  const ManifestNames names_;
  const Outside outside_;
};

Result<std::string> ObjectManifestStore::Store(const ShardedManifest& manifest) {
  DS_ASSIGN_OR_RETURN(const std::string bytes, EncodeManifest(manifest));
  DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place_->ToWrite());
  UtcTime time = outside_.clock.Now();
  Status stored;
  for (int attempt = 0; attempt < kStoreTriesMax; ++attempt) {
    const std::string key = fmt::format("{}{}/{}", kManifests, DirectoryName(time, manifest.build.run_id), names_.manifest);
    stored = PutManifest(*store, key, bytes);
    if (stored.ok()) return UrlOf(key);
    if (stored.kind() != ErrorKind::kAlreadyExists && stored.kind() != ErrorKind::kCommitUnknown) break;
    time = std::max<UtcTime>(outside_.clock.Now(), time + std::chrono::microseconds(1));
  }
  return stored.error();
}

/// Errors: kAlreadyExists: another manifest has the name; kCommitUnknown: this one may be there, or be lost with the power.
Status ObjectManifestStore::PutManifest(ObjectStore& store, const std::string& key, ByteView body) const {
  Status put;
  for (int attempt = 0; attempt < kStoreTriesMax; ++attempt) {
    put = store.PutIfAbsent(key, body);
    if (put.ok()) return {};
    // A name with a time and a run in it is hardly anybody else's.
    if (put.kind() == ErrorKind::kUnsupported) return store.Replace(key, body);
    if (put.kind() != ErrorKind::kAlreadyExists && put.kind() != ErrorKind::kCommitUnknown) return put;
    const bool unknown_before = attempt > 0 || put.kind() == ErrorKind::kCommitUnknown;
    const Result<Bytes> there = store.Get(key);
    if (there.ok() && *there == body && unknown_before) return store.durable_when_visible() ? Status() : put;
    if (there.ok()) return AlreadyExists("{} is another manifest", UrlOf(key));
    if (there.kind() != ErrorKind::kNotFound) return put;
  }
  return put;
}

Status ObjectManifestStore::MustExist(ObjectStore& store, const std::string& ref) const {
  const std::optional<std::string> key = place_->KeyOf(ref);
  if (!key || !RunOfRef(ref)) return InvalidArgument("{} is no manifest below {}/{}", ref, place_->url(), kManifests);
  const Result<ObjectInfo> found = store.Head(*key);
  if (!found.ok() && found.kind() == ErrorKind::kNotFound) return NotFound("there is no manifest {}", ref);
  if (!found.ok()) return found.error();
  return {};
}

Status ObjectManifestStore::SetCurrent(const std::string& ref, const CurrentGuard& guard) {
  DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place_->ToWrite());
  std::vector<Bytes> sent;  // whose answers were lost
  for (int attempt = 0; attempt < kTriesMax; ++attempt) {
    Result<Seen> seen = LookAtPointer(*store, guard);
    if (!seen.ok()) return sent.empty() ? seen.error() : MayBeCurrent(ref, seen.error().message());
    if (std::ranges::count(sent, seen->raw.body) > 0 && store->durable_when_visible()) return {};
    // After the look: clean-up removes a manifest and then touches the pointer, so that either this finds no manifest or the tag is an old one.
    if (const Status there = MustExist(*store, ref); !there.ok()) return sent.empty() ? there : Status(MayBeCurrent(ref, there.error().message()));
    if (guard) {
      std::optional<ManifestRef> current;
      if (seen->pointer) {
        DS_ASSIGN_OR_RETURN(current, RefOf(*seen->pointer));
      }
      const Status allowed = guard(current);
      if (!allowed.ok()) return sent.empty() ? allowed : Status(MayBeCurrent(ref, allowed.error().message()));
    }
    UtcTime now = outside_.clock.Now();
    // No two pointers that follow each other are equal, whatever the clocks say: an old tag never fits a new one.
    if (seen->pointer && seen->pointer->updated_at >= now) now = seen->pointer->updated_at + std::chrono::microseconds(1);
    const Bytes body = PointerText({.manifest_ref = ref, .run_id = RunOfRef(ref)->run_id, .updated_at = now});
    const Status replaced = ReplacePointer(*store, body, seen->raw.tag);
    if (replaced.ok()) return {};
    if (replaced.kind() == ErrorKind::kCommitUnknown) sent.push_back(body);
    if (replaced.kind() != ErrorKind::kCommitUnknown && replaced.kind() != ErrorKind::kConflict)
      return sent.empty() ? replaced : Status(MayBeCurrent(ref, replaced.error().message()));
    Pause(attempt);
  }
  if (!sent.empty()) return MayBeCurrent(ref, "too many answers were lost");
  return Unavailable("{} was replaced by others {} times while {} was to become current; try again", UrlOf(names_.current), kTriesMax, ref);
}

/// What stands in the pointer's place. A damaged one may be replaced where nobody asks what it says.
Result<ObjectManifestStore::Seen> ObjectManifestStore::LookAtPointer(ObjectStore& store, const CurrentGuard& guard) const {
  Result<TaggedBody> raw = store.GetTagged(names_.current);
  if (!raw.ok() && raw.kind() == ErrorKind::kNotFound) return Seen{};
  if (!raw.ok()) return std::move(raw).error();
  Result<Pointer> pointer = ReadPointer(raw->body);
  if (pointer.ok()) return Seen{.raw = std::move(raw).value(), .pointer = std::move(pointer).value()};
  if (guard) return std::move(pointer).error().In(UrlOf(names_.current));
  outside_.log.Write(LogLevel::kWarning, fmt::format("{} is replaced although it cannot be read: {}", UrlOf(names_.current),
                                                     pointer.error().message()));
  return Seen{.raw = std::move(raw).value(), .pointer = std::nullopt};
}

Status ObjectManifestStore::ReplacePointer(ObjectStore& store, ByteView body, const std::string& tag) const {
  const Status replaced = store.ReplaceIf(names_.current, body, tag);
  if (replaced.ok() || replaced.kind() != ErrorKind::kUnsupported) return replaced;
  outside_.log.Write(LogLevel::kWarning, fmt::format("{} is replaced without comparing, so that publishers must take turns: {}",
                                                     UrlOf(names_.current), replaced.error().message()));
  return store.Replace(names_.current, body);
}

void ObjectManifestStore::Pause(int attempt) const {
  if (attempt == 0) return;
  const auto longest = std::min<std::chrono::microseconds>(std::chrono::microseconds(1'000) * (1 << std::min(attempt, 7)), kPauseMax);
  outside_.clock.Sleep(std::chrono::microseconds(static_cast<int64_t>(RandomUnit(outside_.random) * static_cast<double>(longest.count()))));
}

/// Published when its manifest was stored, also after a rollback.
Result<ManifestRef> ObjectManifestStore::RefOf(const Pointer& pointer) const {
  const std::optional<NamedRun> named = RunOfRef(pointer.manifest_ref);
  return ManifestRef{.ref = pointer.manifest_ref, .run_id = pointer.run_id, .published_at = named ? named->time : pointer.updated_at};
}

Result<std::optional<ManifestRef>> ObjectManifestStore::LoadCurrent() {
  const Result<std::shared_ptr<ObjectStore>> store = place_->ToRead();
  const Result<Bytes> text = store.ok() ? (*store)->Get(names_.current) : Result<Bytes>(store.error());
  if (!text.ok() && text.kind() == ErrorKind::kNotFound) return std::optional<ManifestRef>();
  if (!text.ok()) return text.error();
  Result<Pointer> pointer = ReadPointer(*text);
  if (!pointer.ok()) return std::move(pointer).error().In(UrlOf(names_.current));
  DS_ASSIGN_OR_RETURN(ManifestRef ref, RefOf(*pointer));
  return std::optional(std::move(ref));
}

Result<ShardedManifest> ObjectManifestStore::LoadManifest(const std::string& ref) {
  DS_ASSIGN_OR_RETURN(const Located at, place_->Locate(ref));
  Result<Bytes> bytes = at.store->Get(at.key);
  if (!bytes.ok() && bytes.kind() == ErrorKind::kNotFound) return NotFound("there is no manifest {}", ref);
  if (!bytes.ok()) return std::move(bytes).error();
  Result<ShardedManifest> manifest = DecodeManifest(*bytes);
  if (!manifest.ok()) return std::move(manifest).error().In(ref);
  return manifest;
}

Result<std::vector<ManifestRef>> ObjectManifestStore::ListManifests(int64_t limit) {
  std::vector<ManifestRef> refs;
  const Result<std::shared_ptr<ObjectStore>> store = place_->ToRead();
  if (!store.ok() && store.kind() == ErrorKind::kNotFound) return refs;
  if (!store.ok()) return store.error();
  DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, (*store)->List(kManifests));
  for (auto it = objects.rbegin(); it != objects.rend() && static_cast<int64_t>(refs.size()) < limit; ++it) {
    const auto [directory, name] = SplitKey(std::string_view(it->key).substr(kManifests.size()));
    const std::optional<NamedRun> named = name == names_.manifest ? ReadDirectoryName(directory) : std::nullopt;
    if (named) refs.push_back({.ref = UrlOf(it->key), .run_id = named->run_id, .published_at = named->time});
  }
  return refs;
}

}  // namespace

Result<std::unique_ptr<ManifestStore>> NewObjectManifestStore(std::shared_ptr<SnapshotPlace> place, ManifestNames names, const Outside& outside) {
  DS_RETURN_IF_ERROR(CheckObjectKey(names.current));
  DS_RETURN_IF_ERROR(CheckObjectKey(names.manifest));
  if (names.manifest.find('/') != std::string::npos) return InvalidArgument("'{}' is no name of a manifest: it has a '/'", names.manifest);
  return std::unique_ptr<ManifestStore>(std::make_unique<ObjectManifestStore>(std::move(place), std::move(names), outside));
}

}  // namespace datashard::generation

namespace datashard {

Result<std::unique_ptr<ManifestStore>> OpenManifestStore(const std::string& prefix, const SnapshotS3Options& options,
                                                         const std::string& manifest_name, const std::string& current_key) {
  const Outside& outside = generation::ProcessOutside();
  DS_ASSIGN_OR_RETURN(std::shared_ptr<generation::SnapshotPlace> place,
                      generation::SnapshotPlace::Open(prefix, options, ProcessEnvironment(), outside));
  return generation::NewObjectManifestStore(std::move(place), {.manifest = manifest_name, .current = current_key}, outside);
}

}  // namespace datashard
