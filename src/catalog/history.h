// The whole history of a table: the snapshots its metadata still carries (the window) and those archived behind it.
// Expired snapshots are not part of it. Files of the archive are looked for below the table's root only; one that is missing
// or damaged is kCorruption (kMetadata) that names it, for every call here. Source: docs/formats/history.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "datashard/result.h"
#include "datashard/snapshot.h"
#include "iceberg/history_root.h"
#include "iceberg/history_segment.h"
#include "iceberg/metadata.h"
#include "storage/object_store.h"

namespace datashard::catalog {

/// The bytes of a segment or index, or a part of them.
Result<Bytes> ReadHistoryFile(ObjectStore& store, const iceberg::HistoryEntry& entry, std::optional<ByteRange> part = std::nullopt);
/// What errors call it.
std::string HistoryObject(const ObjectStore& store, const iceberg::HistoryEntry& entry);
/// The lines of an index, checked against its entry. `file` is what ReadHistoryFile gave.
Result<std::vector<iceberg::HistoryLine>> LinesOf(const ObjectStore& store, const iceberg::HistoryEntry& index, ByteView file);
/// The snapshots of a segment (those of the blocks that are `wanted`), checked against its entry.
Result<std::vector<iceberg::ArchivedSnapshot>> SnapshotsOf(
    const ObjectStore& store, const iceberg::HistoryEntry& segment, ByteView file,
    const std::function<bool(const iceberg::HistoryBlock&)>& wanted = {});

/// The snapshot with this id; none where the table does not have it. Cost: nothing for one of the window; else the files of
/// the archive from new to old (some thirty for a million snapshots) until one says that it has the id. 4 bytes each are
/// looked through.
Result<std::optional<Snapshot>> FindSnapshotById(ObjectStore& store, const iceberg::TableMetadata& metadata,
                                                 int64_t snapshot_id);

/// The snapshot that was current at `timestamp_ms`: that of the last line of the snapshot-log with this time or an earlier
/// one; none before the first. Errors also: kInvalidArgument (kSnapshot) where it was expired. Cost: nothing for a time in
/// the window; else the head of an index, a segment, and one block of that to unpack.
Result<std::optional<Snapshot>> FindSnapshotAsOf(ObjectStore& store, const iceberg::TableMetadata& metadata,
                                                 int64_t timestamp_ms);

/// Calls `visit` with every snapshot, in commit order, until it answers false or an error. Holds a few segments in memory,
/// however long the history is.
/// \param after_sequence  archived snapshots up to this sequence number are left out, and their files not read.
Status ForEachSnapshot(ObjectStore& store, const iceberg::TableMetadata& metadata,
                       const std::function<Result<bool>(const Snapshot&)>& visit, int64_t after_sequence = -1);

/// The newest `limit` snapshots (fewer where there are not as many), in commit order. Reads only the files that hold them.
Result<std::vector<Snapshot>> NewestSnapshots(ObjectStore& store, const iceberg::TableMetadata& metadata, int64_t limit);

}  // namespace datashard::catalog
