// A store in memory that forgets what was not synced, as disks do when the power fails.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "storage/object_store.h"

namespace datashard::sim {

/// Behaves as the contract says until PowerLoss. Durable are: objects of a group after its Sync, objects of PutIfAbsent, and
/// with their names what was replaced, dropped or deleted in that directory before (not what a replaced body holds).
/// Everything else (Put without Sync, Replace, DropBody, Delete) is not. Callable from several threads.
class PowerLossStore final : public ObjectStore {
 public:
  PowerLossStore(std::string name, Clock& clock);

  /// Each key falls back, independently of the others, to its last durable state or to any later one, in whatever order
  /// POSIX leaves open; bodies that were not synced may survive whole, cut off or with zeros at the end. As on a file system
  /// without a journal, a name may be gone where its body was never synced (the name reached the disk, the file did not), or
  /// where a new file was put in the place of an old one without a sync of the directory (the old file was freed first). What
  /// is left is durable. Groups, writers and readers from before are dead (kUnavailable).
  void PowerLoss(Random& random);
  /// Keys whose state a power loss could change.
  int64_t unsynced_count() const;
  /// The next `count` calls of PutIfAbsent create the object with a durable body, but the sync of its name fails:
  /// kCommitUnknown, and a power loss may take the name away again. No later sync makes up for it, neither for this name nor
  /// for others of its directory that waited for it: the kernel reports an error once and takes the pages for written.
  void FailNameSyncs(int count);
  /// The same, but nobody has tried to sync the name yet: the next sync of another name in its directory makes it durable.
  void KillBeforeNameSyncs(int count);

  const std::string& root_uri() const override { return root_uri_; }
  bool durable_when_visible() const override { return false; }
  std::unique_ptr<WriteGroup> NewWriteGroup() override;
  Status PutIfAbsent(std::string_view key, ByteView body) override;
  Status Replace(std::string_view key, ByteView body) override;
  Status DropBody(std::string_view key, ByteView tombstone) override;
  Result<Bytes> Get(std::string_view key) override;
  Result<Bytes> GetRange(std::string_view key, ByteRange range) override;
  Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) override;
  Result<ObjectInfo> Head(std::string_view key) override;
  Result<std::vector<ObjectInfo>> List(std::string_view prefix) override;
  Status Delete(std::string_view key) override;
  std::unique_ptr<NameWatch> WatchNames(std::string_view, NameFilter) override { return nullptr; }
  Result<Instant> ServerTime() override { return clock_.Now(); }

 private:
  friend class PowerLossGroup;
  friend class PowerLossWriter;
  friend class PowerLossReader;
  friend class PowerLossUnnamed;

  /// What a key may hold: an object, or nothing (no body).
  struct State {
    std::shared_ptr<const Bytes> body;
    Instant modified;
    bool body_durable = false;
    bool name_settles = false;  // any later sync of the directory makes it durable: not so where one has failed before
  };
  struct Entry {
    State durable;
    std::vector<State> later;  // not durable, oldest first; the last one is what readers see
    const State& seen() const { return later.empty() ? durable : later.back(); }
  };

  State NewState(ByteView body, bool body_durable) const;
  /// Adds an object that no sync covers yet. Errors: kAlreadyExists.
  Status Add(std::string_view key, State state);
  /// PutIfAbsent of a state whose body is durable.
  Status PublishState(std::string_view key, State state);
  Status ReplaceState(std::string_view key, State state);
  /// The sync of the directory of `key` has failed.
  void LoseNamesBeside(std::string_view key);
  /// The directory of `key` is synced: names in it that were replaced, dropped or deleted are so for good.
  void SyncNamesBeside(std::string_view key);
  /// The object `body` of `key` becomes durable, if it is still there.
  void MakeDurable(const std::string& key, const std::shared_ptr<const Bytes>& body);
  Result<State> Find(std::string_view key) const;
  bool Leads(std::string_view key, const std::shared_ptr<const Bytes>& body) const;
  Status CheckAlive(int64_t epoch) const;
  int64_t epoch() const;

  const std::string root_uri_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
  int64_t epoch_ = 0;  // power losses so far
  int failing_name_syncs_ = 0;
  int killed_before_name_syncs_ = 0;
};

}  // namespace datashard::sim
