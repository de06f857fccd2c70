// A directory table's versions: metadata/v{N}.metadata.json, numbered from 1 without gaps. Creating v{N+1} exclusively is
// the commit; the hint file only saves readers a search. Bodies never change, so a loaded version is shared freely.
// Source: docs/design/0002-numbered-versions.md.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/background_thread.h"
#include "base/bytes.h"
#include "base/fork.h"
#include "base/outside.h"
#include "catalog/foreign_writers.h"
#include "catalog/old_versions.h"
#include "catalog/version_names.h"
#include "datashard/result.h"
#include "iceberg/metadata.h"
#include "storage/object_store.h"

namespace datashard::catalog {

/// One version of a table. Immutable.
struct Version {
  int64_t number = 0;
  std::string key;  // "metadata/v7.metadata.json"
  iceberg::TableMetadata metadata;
  /// The body it was read from or published as: tells whether the name still leads to it. Null: only the name is known.
  /// On a directory it keeps the file open. Must not outlive the catalog's store.
  std::shared_ptr<NamedObject> object;
  /// When it was last known to be the newest, by the machine's monotonic clock, in microseconds: no later name existed then.
  mutable std::atomic<int64_t> seen_us = 0;
  /// The hint led to it in a bucket and it is old: it may be one of those that are being removed, and no look proves anything.
  mutable std::atomic<bool> doubtful = false;
};
using VersionPtr = std::shared_ptr<const Version>;

enum class Published { kWon, kLost };

/// Callable from several threads. Borrows `outside`; shares the store.
class DirectoryCatalog {
 public:
  DirectoryCatalog(std::shared_ptr<ObjectStore> store, Outside outside, VersionLimits limits = {});

  /// The newest version, found from the hint (a list of the directory where it does not help).
  /// Errors: kNotFound (kTable): no table; kUnsupported (kLegacyLayout): only a table of releases before 0.10;
  /// kCorruption (kMetadata): the newest version cannot be read.
  Result<VersionPtr> Load() const;
  /// The newest version, given that `known` was one: one look at each spelling of the next name when it still is.
  /// Errors as Load; also kCorruption if the table at this place is another one by now.
  Result<VersionPtr> Refresh(const VersionPtr& known) const;
  /// For whoever has just lost the number after `known`: the version that took it, which is likely the newest. On a remote
  /// store one request, elsewhere and where that was lost once more, Refresh.
  Result<VersionPtr> RefreshAfterLoss(const VersionPtr& known) const;
  /// The newest version, given that `known` was one and very likely still is: on a remote store one request then, and the next
  /// version comes with it where there is one. Errors as Refresh.
  Result<VersionPtr> Next(const VersionPtr& known) const;
  /// Was `known` seen so lately that publishing on it without a look is the better bet? Only ever on a remote store.
  bool MayBeNewest(const VersionPtr& known) const;

  /// Is what was found the table `table_uuid`? Errors: kCorruption (kTable).
  Status CheckSameTable(std::string_view table_uuid, const Version& found) const;

  /// The next version, whole but without its name.
  struct Prepared {
    VersionPtr version;
    Bytes body;
    std::shared_ptr<UnnamedObject> object;
    bool beside_others = true;  // property datashard.foreign-writers; never on a remote store
  };
  /// Writes `metadata` as version `number` into `group`; its predecessor (where there is one) was loaded from here.
  /// Errors: kUnsupported (compressed metadata is asked for), kInvalidArgument (a property of ours), those of storage;
  /// nothing is visible.
  Result<Prepared> Prepare(int64_t number, iceberg::TableMetadata metadata, WriteGroup& group);
  /// Gives a prepared version its name. Its group, and so everything the version names, must be synced. A lost answer is
  /// settled by reading the version back. May wait for foreign writers, some 5 s at most for each (ForeignWriters::Await).
  /// \param base  what it was planned on; null for the first version.
  /// \param alive  called now and then while it waits for them.
  /// \return kWon: prepared.version is published, durably; kLost: another writer has that number, or the base was an old
  /// one and its successor's name had been removed: plan again, nothing of ours is visible.
  /// Errors: kCommitUnknown: delete nothing; any other: certainly not published.
  Result<Published> Publish(const Prepared& prepared, const VersionPtr& base, const std::function<void()>& alive = {});
  /// Does the name of `base` still lead to the body that was read or published: neither dropped, removed nor replaced?
  /// On a remote store, where names are removed in batches: can its successor not have been removed either?
  /// Cost: one look at the name; on a remote store, where versions stay for an hour, none if it was the newest within the last
  /// ten minutes, else one at the first name of its batch, and one at its own where it is ours.
  Result<bool> BaseStillThere(const Version& base) const;

  /// Moves the hint to `number`, and on to any later version that appeared meanwhile. Only a hint: failures are logged. On a
  /// remote store a thread does so soon, at most every 100 ms, and before this object ends.
  void AdvanceHint(int64_t number);
  /// Removes what nothing names, nor ever will. On a remote store soon, in that thread. What cannot be removed is litter that
  /// collection finds.
  void DropUnnamed(const std::string& key);
  /// OldVersions::Drop; failures are logged. To be called when nobody waits any more. On a remote store in that thread.
  void DropOldVersions(int64_t head);

 private:
  Result<VersionPtr> LoadFrom(int64_t hinted) const;
  Result<VersionPtr> LoadByList() const;
  Result<std::optional<ObjectInfo>> Find(int64_t number) const;
  Result<bool> Exists(int64_t number) const;
  Result<int64_t> HeadFrom(int64_t number) const;
  Result<int64_t> RemoteHeadFrom(int64_t number) const;
  Result<std::optional<int64_t>> HeadByList() const;
  bool GoesOnFrom(int64_t before_gap, int64_t after_gap) const;
  Result<VersionPtr> Read(int64_t number, Spellings spellings = Spellings::kBoth) const;
  Result<Bytes> ReadBody(Version& version) const;
  /// Reads version `head`, or a later one where the table has gone on so far meanwhile that its body was dropped.
  /// \param looked  a moment before the look that found no later one.
  Result<VersionPtr> ReadHead(int64_t head, std::chrono::microseconds looked) const;
  Result<Published> Settle(const Prepared& prepared) const;
  /// Does a version that was just created count?
  Result<Published> Confirm(const Prepared& prepared, const VersionPtr& base, const std::function<void()>& alive);
  /// The same where the base or our own version is not in its place any more: looks for it in the newest version, and
  /// takes it back where it is a stray.
  Result<Published> Trace(const Prepared& prepared, const VersionPtr& base);
  struct Sight {
    bool ours_there = false;
    const Version& head;
  };
  Result<Standing> StandingByNames(const Prepared& prepared, const VersionPtr& base, Sight sight) const;
  bool IsSettled(const Version& version) const;
  void WriteHint(int64_t number);
  void DropNow(int64_t head);
  void FollowUp();
  bool WasSeenWithin(const Version& version, std::chrono::microseconds span) const;
  /// `looked`: a moment before it was seen that no later one exists.
  void NoteNewest(const Version& version, std::chrono::microseconds looked) const;
  /// `next` was read after `known`: how long it has been there, and whether it is the newest, nobody knows, but it came after the
  /// moment at which `known` was the newest.
  void FollowsOn(const Version& known, const Version& next) const;
  /// Does its batch of names stand untouched?
  Result<bool> BatchStands(const Version& version) const;

  std::shared_ptr<ObjectStore> store_;
  Outside outside_;
  OldVersions old_versions_;
  ForeignWriters foreign_writers_;
  const bool remote_;
  /// Were versions in the other spelling seen? A remote store is not asked for them otherwise.
  mutable std::atomic<bool> gzip_seen_ = false;
  PerProcess<std::vector<std::string>> unnamed_due_;
  std::atomic<int64_t> hint_due_ = 0;  // a version the remote hint is to be moved to, and one to drop old ones after;
  std::atomic<int64_t> drop_due_ = 0;  // 0: none
  /// Our own last version: no foreign writer can replace it any more, so it is a base that needs no look.
  mutable PerProcess<std::shared_ptr<NamedObject>> settled_;
  BackgroundThread follow_up_;  // last, so that it ends first
};

}  // namespace datashard::catalog
