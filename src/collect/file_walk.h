// Visits every file that a table's metadata needs, reading each manifest list and each manifest once. Everything is verified on
// the way, and the first thing that is missing, damaged or outside the root ends the walk.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/random.h"
#include "datashard/result.h"
#include "datashard/snapshot.h"
#include "iceberg/history_root.h"
#include "iceberg/metadata.h"
#include "storage/object_store.h"

namespace datashard::collect {

class FileWalk {
 public:
  /// Called with keys, some of them more than once.
  using Visit = std::function<Status(const std::string& key)>;

  FileWalk(ObjectStore& store, Random& random) : store_(store), salt_(random.Next()) {}

  /// The list of one snapshot, and the manifests not yet seen with their live files. Errors: as ReadManifestListOf and
  /// ReadManifestOf.
  Status VisitSnapshot(const iceberg::TableMetadata& metadata, const Snapshot& snapshot, const Visit& visit);
  /// The files of an archive; of an index its segments too. Errors: of the archive.
  Status VisitHistory(const iceberg::HistoryRoot& root, const Visit& visit);
  /// Statistics. Errors: kCorruption, kInvalidArgument (outside the root).
  Status VisitStatistics(const iceberg::TableMetadata& metadata, const Visit& visit);

  int64_t snapshots_read() const { return snapshots_read_; }

 private:
  struct Print {
    uint64_t a = 0;
    uint64_t b = 0;
    bool operator==(const Print&) const = default;
  };
  struct PrintHash {
    size_t operator()(const Print& print) const { return static_cast<size_t>(print.a); }
  };
  Print PrintOf(const std::string& key) const;

  ObjectStore& store_;
  const uint64_t salt_;  // nobody can make two manifests look alike who does not know it
  std::unordered_set<Print, PrintHash> manifests_;  // some 50 bytes each
  std::unordered_set<std::string> indexes_;         // uuids of those read
  int64_t snapshots_read_ = 0;
};

/// A set of keys in 8 bytes each, and at times as much again. Two keys may look alike: then a file counts as contained that
/// is not, which is harmless here.
class KeySet {
 public:
  void Add(std::string_view key);
  /// After the last Add.
  void Seal() { Compact(); }
  bool Contains(std::string_view key) const;
  int64_t size() const { return static_cast<int64_t>(prints_.size()); }
  /// What of this is not in `other`. Both sealed.
  KeySet Without(const KeySet& other) const;

 private:
  void Compact();

  std::vector<uint64_t> prints_;
  size_t compact_at_ = 1 << 16;
};

}  // namespace datashard::collect
