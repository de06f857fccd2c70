#include "iceberg/history_segment.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/error.h"
#include "iceberg/avro_container.h"
#include "iceberg/avro_reader.h"
#include "iceberg/avro_writer.h"
#include "iceberg/manifest_ids.h"
#include "iceberg/manifest_records.h"

namespace datashard::iceberg {
namespace {

constexpr std::string_view kKindKey = "datashard.history";
constexpr std::string_view kBlocksKey = "datashard.history.blocks";
constexpr std::string_view kIdsKey = "datashard.history.ids";
constexpr std::string_view kSegmentsKey = "datashard.history.segments";

constexpr size_t kBlockSnapshotsMax = 64;
// Snapshots with long summaries get smaller blocks: a reader inflates whole ones.
constexpr size_t kBlockBytes = 1 << 20;

enum SnapshotId : int32_t {
  kSnapshot = 1, kParent = 2, kSequence = 3, kTimestamp = 4, kList = 5, kSchemaId = 6, kSummary = 7, kExtra = 8, kLog = 9,
};
enum LineId : int32_t { kIds = 1 };

constexpr std::string_view kSegmentSchema =
    R"({"type":"record","name":"archived_snapshot","fields":[)"
    R"({"name":"snapshot_id","field-id":1,"type":"long"},)"
    R"({"name":"parent_snapshot_id","field-id":2,"type":["null","long"],"default":null},)"
    R"({"name":"sequence_number","field-id":3,"type":"long"},)"
    R"({"name":"timestamp_ms","field-id":4,"type":"long"},)"
    R"({"name":"manifest_list","field-id":5,"type":"string"},)"
    R"({"name":"schema_id","field-id":6,"type":["null","int"],"default":null},)"
    R"({"name":"summary","field-id":7,"type":{"type":"array","items":{"type":"record","name":"pair","fields":[)"
    R"({"name":"key","type":"string"},{"name":"value","type":"string"}]}}},)"
    R"({"name":"extra","field-id":8,"type":{"type":"array","items":"pair"}},)"
    R"({"name":"log","field-id":9,"type":{"type":"array","items":{"type":"record","name":"point","fields":[)"
    R"({"name":"timestamp_ms","type":"long"},{"name":"snapshot_id","type":"long"}]}}}]})";

constexpr std::string_view kIndexSchema =
    R"({"type":"record","name":"history_line","fields":[)"
    R"({"name":"ids","field-id":1,"type":"bytes"}]})";

using Pairs = std::vector<std::pair<std::string, std::string>>;

template <typename Items, typename Write>
void WriteArray(AvroEncoder& record, const Items& items, Write&& write) {
  if (!items.empty()) record.Long(static_cast<int64_t>(items.size()));
  for (const auto& item : items) write(item);
  record.Long(0);
}

void WritePairs(AvroEncoder& record, const Pairs& pairs) {
  WriteArray(record, pairs, [&](const auto& pair) {
    record.Text(pair.first);
    record.Text(pair.second);
  });
}

template <typename Number>
void WriteOptional(AvroEncoder& record, const std::optional<Number>& value) {
  if (!value) return record.Null();
  record.Some();
  record.Long(*value);
}

Bytes EncodeSnapshot(const ArchivedSnapshot& archived) {
  const Snapshot& snapshot = archived.snapshot;
  AvroEncoder record;
  record.Long(snapshot.snapshot_id);
  WriteOptional(record, snapshot.parent_snapshot_id);
  record.Long(snapshot.sequence_number);
  record.Long(snapshot.timestamp_ms);
  record.Text(snapshot.manifest_list);
  WriteOptional(record, snapshot.schema_id);
  WritePairs(record, snapshot.summary);
  WritePairs(record, snapshot.extra);
  WriteArray(record, archived.log, [&](const HistoryPoint& point) {
    record.Long(point.timestamp_ms);
    record.Long(point.snapshot_id);
  });
  return record.bytes();
}

Bytes PackIds(std::span<const uint32_t> ids) {
  Bytes packed;
  packed.reserve(ids.size() * 4);
  for (const uint32_t id : ids) {
    for (int shift = 0; shift < 32; shift += 8) packed += static_cast<char>(id >> shift);
  }
  return packed;
}

uint32_t IdAt(const char* packed) {
  uint32_t id = 0;
  for (int byte = 0; byte < 4; ++byte) id |= uint32_t{static_cast<uint8_t>(packed[byte])} << (byte * 8);
  return id;
}

/// `packed` holds whole ids.
std::vector<uint32_t> UnpackIds(ByteView packed) {
  std::vector<uint32_t> ids(packed.size() / 4);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = IdAt(packed.data() + i * 4);
  return ids;
}

bool HasId(ByteView packed, uint32_t wanted) {
  bool found = false;
  for (size_t i = 0; i < packed.size(); i += 4) found |= IdAt(packed.data() + i) == wanted;
  return found;
}

void ReadPairs(AvroReader& reader, const AvroField& field, Pairs& pairs) {
  const AvroType* array = reader.Enter(*field.type);
  if (array == nullptr) return reader.Fail(fmt::format("'{}' is null", field.name));
  reader.ForEach(*array, [&](const AvroType& item) {
    const AvroType* pair = reader.Enter(item);
    if (pair == nullptr || pair->kind != AvroKind::kRecord || pair->fields.size() != 2)
      return reader.Fail("a pair that is no record of two texts");
    std::string texts[2];
    for (size_t i = 0; i < 2; ++i) {
      const AvroType* text = reader.Enter(*pair->fields[i].type);
      if (text == nullptr) return reader.Fail("a text that is null");
      texts[i] = reader.Text(*text);
    }
    pairs.emplace_back(std::move(texts[0]), std::move(texts[1]));
  });
}

void ReadLog(AvroReader& reader, const AvroField& field, std::vector<HistoryPoint>& log) {
  const AvroType* array = reader.Enter(*field.type);
  if (array == nullptr) return reader.Fail("'log' is null");
  reader.ForEach(*array, [&](const AvroType& item) {
    const AvroType* point = reader.Enter(item);
    if (point == nullptr || point->kind != AvroKind::kRecord || point->fields.size() != 2)
      return reader.Fail("a line of the log that is no record of two numbers");
    HistoryPoint& line = log.emplace_back();
    line.timestamp_ms = ItemInteger(reader, *point->fields[0].type);
    line.snapshot_id = ItemInteger(reader, *point->fields[1].type);
  });
}

void ReadSnapshot(AvroReader& reader, const AvroType& record, ArchivedSnapshot& archived) {
  Snapshot& snapshot = archived.snapshot;
  for (const AvroField& field : record.fields) {
    switch (field.field_id) {
      case kSnapshot: snapshot.snapshot_id = RequiredCount(reader, field); break;
      case kParent: snapshot.parent_snapshot_id = OptionalInteger(reader, field); break;
      case kSequence: snapshot.sequence_number = RequiredCount(reader, field); break;
      case kTimestamp: snapshot.timestamp_ms = OptionalInteger(reader, field).value_or(0); break;
      case kList:
        if (const AvroType* type = reader.Enter(*field.type)) snapshot.manifest_list = reader.Text(*type);
        break;
      case kSchemaId:
        if (const AvroType* type = reader.Enter(*field.type)) snapshot.schema_id = reader.Integer32(*type);
        break;
      case kSummary: ReadPairs(reader, field, snapshot.summary); break;
      case kExtra: ReadPairs(reader, field, snapshot.extra); break;
      case kLog: ReadLog(reader, field, archived.log); break;
      default: reader.Skip(*field.type);
    }
    if (!reader.ok()) return;
  }
}

Error Damaged(std::string_view object, std::string_view what) {
  return Corruption("{}: {}", object, what).About(ErrorSubject::kMetadata);
}

Status CheckKind(const AvroFile& file, std::string_view kind, std::string_view object) {
  const std::string_view found = file.Header(kKindKey).value_or("nothing");
  if (found == kind) return {};
  return Damaged(object, fmt::format("header key '{}': expected {}, found {}", kKindKey, kind, found.substr(0, 20)));
}

Result<std::vector<HistoryBlock>> BlocksOf(const AvroFile& file, std::string_view object) {
  DS_RETURN_IF_ERROR(CheckKind(file, "segment", object));
  const std::string where = fmt::format("{}: header key '{}'", object, kBlocksKey);
  std::string_view rest = file.Header(kBlocksKey).value_or("");
  std::string_view packed_ids = file.Header(kIdsKey).value_or("");
  std::vector<HistoryBlock> blocks;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(';'), rest.size());
    HistoryBlock& block = blocks.emplace_back();
    DS_ASSIGN_OR_RETURN(block.range, ParseRange(rest.substr(0, end), where));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (block.range.count > static_cast<int64_t>(packed_ids.size() / 4)) {
      return Damaged(object, fmt::format("its header counts more snapshots than it has ids ('{}')", kIdsKey));
    }
    const size_t bytes = static_cast<size_t>(block.range.count) * 4;
    block.id_prints = UnpackIds(packed_ids.substr(0, bytes));
    packed_ids.remove_prefix(bytes);
  }
  if (blocks.empty() || !packed_ids.empty()) return Damaged(object, "its header does not say what its blocks hold");
  return blocks;
}

Result<std::vector<HistoryEntry>> SegmentsOf(const AvroFile& file, std::string_view object) {
  DS_RETURN_IF_ERROR(CheckKind(file, "index", object));
  DS_ASSIGN_OR_RETURN(HistoryRoot root, ParseHistory(file.Header(kSegmentsKey).value_or(""),
                                                     fmt::format("{}: header key '{}'", object, kSegmentsKey)));
  const std::vector<HistoryEntry>& segments = root.entries;
  if (segments.empty() || root.has_expired()) return Damaged(object, "an index without segments, or with expired ones");
  for (const HistoryEntry& segment : segments) {
    if (segment.is_index()) return Damaged(object, "an index that lists an index");
  }
  return std::move(root.entries);
}

/// Calls `visit` with every segment of an index and its packed ids.
Status ForEachLine(ByteView avro, std::string_view object,
                   const std::function<void(const HistoryEntry& segment, ByteView packed_ids)>& visit) {
  DS_ASSIGN_OR_RETURN(AvroFile file, AvroFile::Open(avro, object));
  DS_ASSIGN_OR_RETURN(const std::vector<HistoryEntry> segments, SegmentsOf(file, object));
  if (!file.Header(kRecordCountKey)) return Damaged(object, "its header does not say how many lines it has");
  const AvroType& root = file.schema().root();
  DS_RETURN_IF_ERROR(RequireFields(root, {{kIds, "ids"}}, object));
  auto segment = segments.begin();
  DS_RETURN_IF_ERROR(ReadRecords(file, object, [&](AvroReader& reader) {
    if (segment == segments.end()) return reader.Fail("more lines than segments");
    for (const AvroField& field : root.fields) {
      if (field.field_id != kIds) {
        reader.Skip(*field.type);
        continue;
      }
      const AvroType* const type = reader.Enter(*field.type);
      const ByteView packed = type == nullptr ? ByteView() : reader.Binary(*type);
      if (!reader.ok()) return;
      if (static_cast<int64_t>(packed.size()) != segment->range.count * 4)
        return reader.Fail("ids that are not as many as the segment's snapshots");
      visit(*segment, packed);
    }
    ++segment;
  }));
  if (segment != segments.end()) return Damaged(object, "fewer lines than segments");
  return {};
}

}  // namespace

bool IsBefore(const Snapshot& a, const Snapshot& b) {
  return std::pair(a.sequence_number, a.timestamp_ms) < std::pair(b.sequence_number, b.timestamp_ms);
}

HistoryRange RangeOf(std::span<const ArchivedSnapshot> snapshots) {
  HistoryRange range;
  for (const ArchivedSnapshot& archived : snapshots) {
    const int64_t sequence = archived.snapshot.sequence_number;
    const int64_t time = archived.snapshot.timestamp_ms;
    range.Add({1, sequence, sequence, time, time});
    for (const HistoryPoint& point : archived.log) {
      range.first_timestamp_ms = std::min(range.first_timestamp_ms, point.timestamp_ms);
      range.last_timestamp_ms = std::max(range.last_timestamp_ms, point.timestamp_ms);
    }
  }
  return range;
}

Result<Bytes> EncodeHistorySegment(std::span<const ArchivedSnapshot> snapshots) {
  DS_CHECK(!snapshots.empty());
  std::vector<Bytes> records;
  std::vector<uint32_t> ids;
  for (const ArchivedSnapshot& archived : snapshots) {
    records.push_back(EncodeSnapshot(archived));
    ids.push_back(IdPrint(archived.snapshot.snapshot_id));
  }
  std::vector<size_t> ends;
  size_t begin = 0;
  size_t bytes = 0;
  std::string ranges;
  for (size_t i = 0; i < records.size(); ++i) {
    bytes += records[i].size();
    if (i + 1 < records.size() && i + 1 - begin < kBlockSnapshotsMax && bytes < kBlockBytes) continue;
    if (!ranges.empty()) ranges += ';';
    ranges += PrintRange(RangeOf(snapshots.subspan(begin, i + 1 - begin)));
    ends.push_back(i + 1);
    begin = i + 1;
    bytes = 0;
  }
  AvroFileWriter file({{std::string(kKindKey), "segment"},
                       {std::string(kRecordCountKey), fmt::format("{}", records.size())},
                       {std::string(kBlocksKey), std::move(ranges)},
                       {std::string(kIdsKey), PackIds(ids)}},
                      std::string(kSegmentSchema), AvroCodec::kDeflate, AvroBlocks::kByCaller);
  auto end = ends.begin();
  for (size_t i = 0; i < records.size(); ++i) {
    file.record().Fixed(records[i]);
    DS_RETURN_IF_ERROR(file.EndRecord());
    if (i + 1 != *end) continue;
    DS_RETURN_IF_ERROR(file.EndBlock());
    ++end;
  }
  return std::move(file).Finish();
}

Result<std::vector<HistoryBlock>> ReadHistoryBlocks(ByteView avro, std::string_view object) {
  DS_ASSIGN_OR_RETURN(const AvroFile file, AvroFile::Open(avro, object));
  return BlocksOf(file, object);
}

Result<std::vector<ArchivedSnapshot>> DecodeHistorySegment(ByteView avro, std::string_view object,
                                                           const std::function<bool(const HistoryBlock&)>& wanted) {
  DS_ASSIGN_OR_RETURN(AvroFile file, AvroFile::Open(avro, object));
  DS_ASSIGN_OR_RETURN(const std::vector<HistoryBlock> blocks, BlocksOf(file, object));
  const AvroType& root = file.schema().root();
  DS_RETURN_IF_ERROR(RequireFields(root,
                                   {{kSnapshot, "snapshot_id"}, {kSequence, "sequence_number"},
                                    {kTimestamp, "timestamp_ms"}, {kList, "manifest_list"}, {kLog, "log"}},
                                   object));
  std::vector<ArchivedSnapshot> snapshots;
  AvroReader reader;
  for (const HistoryBlock& block : blocks) {
    if (wanted && !wanted(block)) {
      DS_ASSIGN_OR_RETURN(const bool skipped, file.SkipBlock());
      if (!skipped) return Damaged(object, "fewer blocks than its header says; the file is truncated");
      continue;
    }
    DS_ASSIGN_OR_RETURN(const std::optional<AvroBlock> bytes, file.Next());
    if (!bytes) return Damaged(object, "fewer blocks than its header says; the file is truncated");
    if (bytes->count != block.range.count) {
      return Damaged(object, fmt::format("a block of {} snapshots, but its header says {}", bytes->count, block.range.count));
    }
    const size_t first = snapshots.size();
    reader.Begin(bytes->bytes());
    for (int64_t i = 0; i < bytes->count; ++i) {
      ReadSnapshot(reader, root, snapshots.emplace_back());
      if (!reader.ok()) return Damaged(object, fmt::format("snapshot {} of a block: {}", i, reader.fault()));
      if (IdPrint(snapshots.back().snapshot.snapshot_id) != block.id_prints[static_cast<size_t>(i)]) {
        return Damaged(object, fmt::format("snapshot {} is not the one its header says", snapshots.back().snapshot.snapshot_id));
      }
    }
    if (!reader.at_end()) return Damaged(object, "an Avro block has bytes behind its snapshots");
    const HistoryRange found = RangeOf(std::span(snapshots).subspan(first));
    if (found != block.range) {
      return Damaged(object, fmt::format("a block covers {}, but its header says {}", PrintRange(found), PrintRange(block.range)));
    }
  }
  DS_ASSIGN_OR_RETURN(const bool more, file.SkipBlock());
  if (more) return Damaged(object, "more blocks than its header says");
  return snapshots;
}

Result<Bytes> EncodeHistoryIndex(std::span<const HistoryLine> lines) {
  DS_CHECK(!lines.empty());
  HistoryRoot segments;
  for (const HistoryLine& line : lines) {
    DS_CHECK(static_cast<int64_t>(line.id_prints.size()) == line.segment.range.count && !line.segment.is_index());
    segments.entries.push_back(line.segment);
  }
  // Ids are random: packing them would only cost whoever looks for one.
  AvroFileWriter file({{std::string(kKindKey), "index"},
                       {std::string(kRecordCountKey), fmt::format("{}", lines.size())},
                       {std::string(kSegmentsKey), PrintHistory(segments)}},
                      std::string(kIndexSchema), AvroCodec::kNull);
  for (const HistoryLine& line : lines) {
    file.record().Text(PackIds(line.id_prints));
    DS_RETURN_IF_ERROR(file.EndRecord());
  }
  return std::move(file).Finish();
}

Result<std::vector<HistoryEntry>> ReadHistoryIndex(ByteView avro, std::string_view object) {
  DS_ASSIGN_OR_RETURN(const AvroFile file, AvroFile::Open(avro, object));
  return SegmentsOf(file, object);
}

Result<std::vector<HistoryEntry>> FindInHistoryIndex(ByteView avro, std::string_view object, int64_t snapshot_id) {
  std::vector<HistoryEntry> found;
  DS_RETURN_IF_ERROR(ForEachLine(avro, object, [&](const HistoryEntry& segment, ByteView packed_ids) {
    if (HasId(packed_ids, IdPrint(snapshot_id))) found.push_back(segment);
  }));
  return found;
}

Result<std::vector<HistoryLine>> DecodeHistoryIndex(ByteView avro, std::string_view object) {
  std::vector<HistoryLine> lines;
  DS_RETURN_IF_ERROR(ForEachLine(avro, object, [&](const HistoryEntry& segment, ByteView packed_ids) {
    lines.push_back({.segment = segment, .id_prints = UnpackIds(packed_ids)});
  }));
  return lines;
}

}  // namespace datashard::iceberg
