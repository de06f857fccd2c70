// ObjectStore: named objects below one root, on a directory, in memory or in a bucket. Keys as in base/uri.h.
// The contract below is tested by one conformance suite for all stores (conformance.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "datashard/result.h"

namespace datashard {

struct ObjectInfo {
  std::string key;
  int64_t size_bytes = 0;
  Instant modified;  // by the store's clock
  bool is_link = false;  // in listings: a symbolic link to an object, whose size and time these are
};

struct LeftoverOptions {
  Instant older_than;    // by the store's clock
  bool only_list = false;
};

struct ByteRange {
  int64_t offset_bytes = 0;
  int64_t size_bytes = 0;
};

/// What holds on to one object and can tell whether a key still leads to it.
class NamedObject {
 public:
  virtual ~NamedObject() = default;
  /// Does the key it was opened or published under still lead to this very object? Not so once that was replaced (by an
  /// equal body too), dropped or deleted, or before it was published.
  virtual Result<bool> StillNamed() = 0;
};

/// An object opened for repeated ranged reads. It goes on reading the object that was opened, also after that was
/// replaced or deleted where the store can do so (memory, local); in a bucket ReadAt then answers kCorruption or kNotFound.
/// Callable from several threads. Must not outlive its store.
class ObjectReader : public NamedObject {
 public:
  /// The size when it was opened.
  virtual int64_t size_bytes() const = 0;
  /// Reads up to `size` bytes at `offset` into `out`; fewer than `size` only where the object ends (at opening) first.
  /// Errors: kInvalidArgument for a negative offset or size; kCorruption where the object became shorter since.
  virtual Result<int64_t> ReadAt(int64_t offset, int64_t size, void* out) = 0;
  /// Each range as ReadAt gives it; all in one round trip where the store is remote.
  virtual std::vector<Result<Bytes>> ReadRanges(std::span<const ByteRange> ranges);
  /// From here to its end the object came with its opening: reading that costs no request. size_bytes() where nothing did.
  virtual int64_t at_hand_offset() const { return size_bytes(); }
  /// Tells this object from every other that its key leads to at another time; "" where the store cannot.
  virtual std::string identity() const { return {}; }
};

/// An object being written piece by piece; it has no visible name before Finish.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  virtual Status Append(ByteView bytes) = 0;
  virtual int64_t size_bytes() const = 0;
  /// The object appears under its key, whole. Durable only after WriteGroup::Sync. Errors: as WriteGroup::Put.
  virtual Status Finish() = 0;
};

/// A whole object that has no name yet: the second wave of a commit. Destroyed unpublished, it leaves nothing behind.
class UnnamedObject : public NamedObject {
 public:
  /// Gives it its name durably if that is free, once, after the group it was prepared in was synced. Errors: as
  /// ObjectStore::PutIfAbsent; kInternal before that Sync.
  virtual Status Publish() = 0;
};

/// New objects that become durable together: the first wave of a commit. Names must be new (they carry random ids).
/// Destroying a group neither syncs nor removes anything. One thread at a time. Must not outlive its store.
class WriteGroup {
 public:
  virtual ~WriteGroup() = default;
  /// Writes a whole object and starts its write-back. Directories are made as needed. Errors: kAlreadyExists: the name
  /// was not new, and what has it is untouched; kUnavailable (disk full, say): the object is not there.
  /// In a bucket the object may be sent, seen and refused only at Sync, together with the others.
  virtual Status Put(std::string_view key, ByteView body) = 0;
  /// The writer must be finished or destroyed before Sync.
  virtual Result<std::unique_ptr<ObjectWriter>> Open(std::string_view key) = 0;
  /// Writes a whole object whose content becomes durable with the others, so that naming it later is one sync more.
  virtual Result<std::unique_ptr<UnnamedObject>> Prepare(std::string_view key, ByteView body) = 0;
  /// Returns when every object put or finished since the last Sync, and the directories that name them, are durable. Errors:
  /// kUnavailable, kDenied; in a bucket also as Put.
  /// After an error the group is useless and its objects must be written anew under other names.
  virtual Status Sync() = 0;
  /// From now on Sync and Publish wait for no disk: what they did survives the death of processes, and a loss of power only
  /// as far as the operating system got. Without effect where nothing is gained by it.
  virtual void LeaveToOs() {}
};

/// A small object as it was at one moment.
struct TaggedBody {
  Bytes body;
  std::string tag;  ///< for ReplaceIf on the same store; never empty
};

using NameFilter = std::function<bool(std::string_view name)>;

struct NameEvent {
  enum class Kind { kNone, kAppeared, kDeleted, kRenamed };
  Kind kind = Kind::kNone;
  int64_t number = 0;  // how many there have been
};

/// The names directly in one directory that a filter accepts, followed by the directory's events instead of listings.
/// Callable from several threads, also after a fork. Must not outlive its store.
class NameWatch {
 public:
  virtual ~NameWatch() = default;
  /// Keys of the objects that are there now, sorted. What this machine created before the call began is seen, and what it
  /// removed is not. Cost: the first call looks through the directory, later ones read what has happened since.
  virtual Result<std::vector<std::string>> Matching() = 0;
  /// The last thing that is known to have happened to an accepted name, as of the last call of Matching. Events that were
  /// lost, and those before the first call, are not known.
  virtual NameEvent Last() const = 0;
};

/// Callable from several threads. Errors of all calls: kInvalidArgument for a bad key (names that start with ".datashard-"
/// and end in ".tmp", or start with ".datashard-tombstone-", are the stores' own, and never listed), kDenied, kUnavailable.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  /// URI of the root, without trailing '/': "file:///data/t", "memory://x".
  virtual const std::string& root_uri() const = 0;
  /// Is an object that can be read back durable? In a bucket it is; in a directory its name may still be lost with the
  /// power, so that reading it back does not settle a publication whose sync has failed.
  virtual bool durable_when_visible() const = 0;
  /// Does every call cost a round trip over a network? Then a table on it is published without looks beforehand, and no
  /// Hadoop catalog is waited for.
  virtual bool is_remote() const { return false; }

  virtual std::unique_ptr<WriteGroup> NewWriteGroup() = 0;
  /// Creates the object with this body, whole and durable (its name too), if its name is free.
  /// Errors: kAlreadyExists: the name was taken, by whomever; kCommitUnknown: it may or may not be there, or be there
  /// and not be durable; kUnsupported: this store cannot do it safely; any other kind: it is certainly not there.
  virtual Status PutIfAbsent(std::string_view key, ByteView body) = 0;
  /// Creates or replaces the object atomically: readers see the old or the new body. Not necessarily durable.
  virtual Status Replace(std::string_view key, ByteView body) = 0;
  /// The whole object, and what tells it from others that its key leads to at other times. For small ones. Errors: as Get.
  virtual Result<TaggedBody> GetTagged(std::string_view key) {
    DS_ASSIGN_OR_RETURN(Bytes body, Get(key));
    std::string tag = "=" + body;
    return TaggedBody{.body = std::move(body), .tag = std::move(tag)};
  }
  /// Compare-and-swap: replaces the object atomically and durably if it is still the one with this tag; with "" creates it if its name
  /// is free. What other calls than ReplaceIf and PutIfAbsent write at the same moment may be lost in a directory.
  /// Errors: kConflict: it is another one, or gone, and nothing was changed; kCommitUnknown: it may or may not have been replaced, or
  /// not durably; kUnsupported: this store cannot compare (a server was seen to ignore the condition): nothing was changed, and Replace is
  /// what there is; any other kind: it is certainly not replaced.
  virtual Status ReplaceIf(std::string_view key, ByteView body, std::string_view tag);
  /// Replace for a few bytes that are written over and over, and where being a little newer does no harm: who has opened the
  /// object may read a later body from it.
  virtual Status ReplaceHint(std::string_view key, ByteView body) { return Replace(key, body); }
  /// Replace with a small body that many objects share, for names that must stay taken while what they named goes. On a
  /// directory with hard links it uses neither an inode nor a block. Repeating it is no error. Not necessarily durable.
  virtual Status DropBody(std::string_view key, ByteView tombstone) = 0;

  /// Errors: kNotFound; kUnsupported for more than 2 GiB, here and in GetRange.
  virtual Result<Bytes> Get(std::string_view key) = 0;
  /// Get of many, in the order of the keys; a bucket is asked for all at once.
  virtual std::vector<Result<Bytes>> GetMany(std::span<const std::string> keys) {
    std::vector<Result<Bytes>> got;
    for (const std::string& key : keys) got.push_back(Get(key));
    return got;
  }
  /// The bytes of `range` cut at the object's end. Errors: kNotFound; kInvalidArgument for a negative range.
  virtual Result<Bytes> GetRange(std::string_view key, ByteRange range) = 0;
  /// Errors: kNotFound.
  virtual Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) = 0;
  /// Errors: kNotFound (also for a directory).
  virtual Result<ObjectInfo> Head(std::string_view key) = 0;
  /// Head of many, in the order of the keys; a bucket is asked for all at once.
  virtual std::vector<Result<ObjectInfo>> HeadMany(std::span<const std::string> keys) {
    std::vector<Result<ObjectInfo>> found;
    for (const std::string& key : keys) found.push_back(Head(key));
    return found;
  }
  /// Every object whose key starts with `prefix` ("" or ending in '/'), in byte order of the keys; none is no error. What
  /// is added or removed meanwhile may or may not be there. A directory that cannot be read fails the call.
  virtual Result<std::vector<ObjectInfo>> List(std::string_view prefix) = 0;
  /// Removing what is not there is no error.
  virtual Status Delete(std::string_view key) = 0;
  /// Delete of many, in order where one by one; a bucket takes them a thousand at a time. An error leaves some of them.
  virtual Status DeleteMany(std::span<const std::string> keys) {
    for (const std::string& key : keys) {
      if (Status deleted = Delete(key); !deleted.ok()) return deleted;
    }
    return {};
  }
  /// Removes temporary files that processes left behind when they were killed, or only lists them. They have names of the
  /// store's own, which List does not show. One that a live process holds for longer than this is lost to it: the call that
  /// uses it fails. \return what was found, in byte order of the keys; empty where the store has no such thing.
  virtual Result<std::vector<ObjectInfo>> RemoveLeftovers(const LeftoverOptions&) { return std::vector<ObjectInfo>(); }
  /// What was read of an object turned out to be damaged: copies of it that are kept on this machine are not used again.
  virtual void Forget(std::string_view /*key*/) {}
  /// Follows the names that `accept` accepts directly in `directory_key`, which need not be there yet. Null where the
  /// store has no such thing (memory, buckets).
  virtual std::unique_ptr<NameWatch> WatchNames(std::string_view directory_key, NameFilter accept) = 0;
  /// The time by the clock that stamps objects.
  virtual Result<Instant> ServerTime() = 0;
};

inline Status ObjectStore::ReplaceIf(std::string_view key, ByteView, std::string_view) {
  return Error(ErrorKind::kUnsupported, root_uri() + "/" + std::string(key) + ": this store cannot compare and replace");
}

inline std::vector<Result<Bytes>> ObjectReader::ReadRanges(std::span<const ByteRange> ranges) {
  std::vector<Result<Bytes>> read;
  for (const ByteRange& range : ranges) {
    Bytes bytes(static_cast<size_t>(range.size_bytes), '\0');
    const Result<int64_t> count = ReadAt(range.offset_bytes, range.size_bytes, bytes.data());
    if (count.ok()) bytes.resize(static_cast<size_t>(*count));
    read.push_back(count.ok() ? Result<Bytes>(std::move(bytes)) : Result<Bytes>(count.error()));
  }
  return read;
}

/// Objects in memory, durable at once: for tests and as the simulation's ground.
/// \param remote  what is_remote() says.
std::unique_ptr<ObjectStore> OpenMemoryStore(std::string name, Clock& clock, bool remote = false);

/// Directory `path`, made with its parents, durably, when `create`; symbolic links in `path` itself are resolved here,
/// later ones below it must stay below it. Errors: kNotFound (no such directory, and not `create`), kInvalidArgument (a
/// file, a dangling link), kDenied. A file system without exclusive create can be read; PutIfAbsent answers kUnsupported.
Result<std::unique_ptr<ObjectStore>> OpenLocalStore(std::string_view path, bool create);

}  // namespace datashard
