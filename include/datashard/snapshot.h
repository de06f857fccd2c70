// A snapshot: the complete state of a table after one change. Source: Iceberg spec, "Snapshots".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace datashard {

struct Snapshot {
  int64_t snapshot_id = 0;  ///< positive, random
  std::optional<int64_t> parent_snapshot_id;
  int64_t sequence_number = 0;  ///< 0 for snapshots of format v1
  int64_t timestamp_ms = 0;     ///< since 1970-01-01 UTC
  std::string manifest_list;    ///< URI as written in the metadata
  std::optional<int32_t> schema_id;
  /// Key and value in file order; "operation" is among them.
  std::vector<std::pair<std::string, std::string>> summary;
  /// Keys we do not interpret, in file order: key, JSON text.
  std::vector<std::pair<std::string, std::string>> extra;

  /// "append", "replace", "overwrite" or "delete"; empty where the writer gave none.
  std::string_view operation() const {
    for (const auto& [key, value] : summary)
      if (key == "operation") return value;
    return {};
  }
  bool operator==(const Snapshot&) const = default;
};

/// What an append is told: the snapshot its rows are in. Rows of several appends may share one.
struct CommittedSnapshot {
  int64_t version = 0;          ///< number of the metadata file
  int64_t snapshot_id = 0;      ///< this and what follows: 0 where only the version is known (another process committed it
                                ///< while this one was stopped)
  int64_t sequence_number = 0;
  int64_t timestamp_ms = 0;
  bool operator==(const CommittedSnapshot&) const = default;
};

}  // namespace datashard
