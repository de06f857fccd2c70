// Databases that our writer does not make: tombstones, several versions of a key, old formats, level 0, views, a WAL. Only tests
// include this.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "slatedb/block.h"
#include "slatedb/codec.h"
#include "slatedb/filter.h"
#include "slatedb/manifest.h"
#include "slatedb_generated.h"

namespace datashard::slatedb {

struct TestRow {
  Bytes key;
  Bytes value;
  uint64_t sequence = 1;
  uint8_t flags = 0;
  int64_t expires_ms = 0;
};

inline TestRow Put(Bytes key, Bytes value, uint64_t sequence) { return {std::move(key), std::move(value), sequence}; }
inline TestRow Tombstone(Bytes key, uint64_t sequence) { return {std::move(key), "", sequence, Row::kTombstone}; }

struct SstShape {
  int version = 2;
  Compression compression = Compression::kNone;
  size_t rows_per_block = 3;
  enum class Filter { kNone, kLegacy, kComposite, kUnknownPolicy } filter = Filter::kNone;
  bool is_wal = false;
};

inline void AppendTestVarint(Bytes& out, size_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

inline void AppendStamp(Bytes& out, const TestRow& row) {
  AppendBigEndian(out, row.sequence);
  out.push_back(static_cast<char>(row.flags));
  if (row.flags & Row::kHasExpiry) AppendBigEndian(out, row.expires_ms);
  if (row.flags & Row::kHasCreation) AppendBigEndian(out, int64_t{1234});
}

inline size_t CommonStart(const Bytes& a, const Bytes& b) {
  size_t common = 0;
  while (common < a.size() && common < b.size() && a[common] == b[common]) ++common;
  return common;
}

/// A block as version 1 and 2 have it; restart points of version 2 every second row.
inline Bytes MakeBlock(const std::vector<TestRow>& rows, int version) {
  Bytes block;
  std::vector<size_t> offsets;
  for (size_t i = 0; i < rows.size(); ++i) {
    const TestRow& row = rows[i];
    const bool restart = version == 1 ? i == 0 : i % 2 == 0;
    if (version == 1 || restart) offsets.push_back(block.size());
    const size_t shared = restart ? 0 : CommonStart(rows[version == 1 ? 0 : i - 1].key, row.key);
    if (version == 1) {
      AppendBigEndian(block, static_cast<uint16_t>(shared));
      AppendBigEndian(block, static_cast<uint16_t>(row.key.size() - shared));
      block += row.key.substr(shared);
      AppendStamp(block, row);
      if (row.flags & Row::kTombstone) continue;
      AppendBigEndian(block, static_cast<uint32_t>(row.value.size()));
      block += row.value;
    } else {
      AppendTestVarint(block, shared);
      AppendTestVarint(block, row.key.size() - shared);
      AppendTestVarint(block, row.value.size());
      block += row.key.substr(shared) + row.value;
      AppendStamp(block, row);
    }
  }
  for (const size_t offset : offsets) AppendBigEndian(block, static_cast<uint16_t>(offset));
  AppendBigEndian(block, static_cast<uint16_t>(offsets.size()));
  return block;
}

inline Bytes FinishedBytes(flatbuffers::FlatBufferBuilder& builder) {
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

class SstMaker {
 public:
  explicit SstMaker(SstShape shape) : shape_(shape) {}

  /// The object; `layout` says where its parts lie.
  Bytes Make(const std::vector<TestRow>& rows, SstLayout& layout) {
    layout = {.first_entry = rows.front().key, .last_entry = rows.back().key, .compression = shape_.compression, .is_wal = shape_.is_wal};
    if (shape_.version == 1) layout.last_entry.reset();
    for (size_t at = 0; at < rows.size(); at += shape_.rows_per_block) AddBlock(rows, at);
    layout.filter_offset = object_.size();
    if (shape_.filter != SstShape::Filter::kNone) AddFilter(rows, layout);
    index_.Finish(fb::CreateSsTableIndex(index_, index_.CreateVector(metas_)));
    layout.index_offset = object_.size();
    layout.index_size = Add(FinishedBytes(index_));
    const uint64_t info_offset = object_.size();
    object_ += *Seal(EncodeLayout(layout), Compression::kNone);
    AppendBigEndian(object_, info_offset);
    AppendBigEndian(object_, static_cast<uint16_t>(shape_.version));
    return object_;
  }

 private:
  size_t Add(const Bytes& plain) {
    const Bytes sealed = *Seal(plain, shape_.compression);
    object_ += sealed;
    return sealed.size();
  }
  void AddBlock(const std::vector<TestRow>& rows, size_t at) {
    const size_t end = std::min(rows.size(), at + shape_.rows_per_block);
    Bytes first_key = rows[at].key;
    if (shape_.is_wal) {
      first_key.clear();
      AppendBigEndian(first_key, rows[at].sequence);
    }
    const auto key = index_.CreateVector(reinterpret_cast<const uint8_t*>(first_key.data()), first_key.size());
    metas_.push_back(fb::CreateBlockMeta(index_, object_.size(), key));
    Add(MakeBlock({rows.begin() + static_cast<ptrdiff_t>(at), rows.begin() + static_cast<ptrdiff_t>(end)}, shape_.version));
  }
  void AddFilter(const std::vector<TestRow>& rows, SstLayout& layout) {
    std::vector<uint64_t> hashes;
    for (const TestRow& row : rows) hashes.push_back(FilterHash(row.key));
    Bytes block = BuildFilter(hashes, 10);
    layout.composite_filter = shape_.filter != SstShape::Filter::kLegacy;
    if (layout.composite_filter) block = CompositeOf(block);
    if (shape_.filter == SstShape::Filter::kUnknownPolicy) block[4] = 'X';  // in the name
    layout.filter_size = Add(block);
  }

  const SstShape shape_;
  Bytes object_;
  flatbuffers::FlatBufferBuilder index_;
  std::vector<flatbuffers::Offset<fb::BlockMeta>> metas_;
};

/// What a test says of a database; Objects() makes it.
class TestDatabase {
 public:
  struct Extras {
    int version = 1;
    uint64_t replay_after_wal_id = 0;
    uint64_t last_l0_sequence = 0;
    bool initialized = true;
    bool has_external = false;
    bool has_segments = false;
    std::string wal_store;
  };
  Extras extras;

  /// Level 0; the first is the newest.
  TestDatabase& L0(const std::vector<TestRow>& rows, SstShape shape = {}, std::optional<KeyBounds> visible = {}) {
    l0_.push_back(AddSst(rows, shape, std::move(visible)));
    return *this;
  }
  /// A run of one SST for each element.
  TestDatabase& SortedRun(const std::vector<std::vector<TestRow>>& ssts, SstShape shape = {}) {
    runs_.emplace_back();
    for (const std::vector<TestRow>& rows : ssts) runs_.back().push_back(AddSst(rows, shape, {}));
    return *this;
  }
  TestDatabase& Wal(uint64_t number, const std::vector<TestRow>& rows, SstShape shape = {}) {
    SstLayout layout;
    shape.is_wal = true;
    objects_.emplace_back(fmt::format("wal/{:020}.sst", number), rows.empty() ? Bytes() : SstMaker(shape).Make(rows, layout));
    return *this;
  }
  std::vector<std::pair<std::string, Bytes>> Objects() const {
    auto objects = objects_;
    objects.emplace_back("manifest/00000000000000000007.manifest", ManifestBytes());
    return objects;
  }
  Bytes ManifestBytes() const { return extras.version == 1 ? ManifestOne() : ManifestTwo(); }

 private:
  using Builder = flatbuffers::FlatBufferBuilder;

  SstRef AddSst(const std::vector<TestRow>& rows, SstShape shape, std::optional<KeyBounds> visible) {
    SstRef ref{.id = {1, ++ids_}, .version = shape.version, .visible = std::move(visible)};
    objects_.emplace_back(SstName(ref.id), SstMaker(shape).Make(rows, ref.layout));
    return ref;
  }
  static auto VectorOf(Builder& builder, const Bytes& bytes) { return builder.CreateVector(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()); }
  static flatbuffers::Offset<fb::SsTableInfo> InfoOf(Builder& builder, const SstLayout& layout) {
    const auto first = VectorOf(builder, layout.first_entry);
    const auto last = layout.last_entry ? VectorOf(builder, *layout.last_entry) : flatbuffers::Offset<flatbuffers::Vector<uint8_t>>();
    return fb::CreateSsTableInfo(builder, first, layout.index_offset, layout.index_size, layout.filter_offset, layout.filter_size,
                                 static_cast<int8_t>(layout.compression), 0, last, 0, 0, layout.composite_filter);
  }
  static flatbuffers::Offset<fb::BytesRange> RangeOf(Builder& builder, const std::optional<KeyBounds>& bounds) {
    if (!bounds) return 0;
    const auto start = fb::CreateBytesBound(builder, VectorOf(builder, bounds->start), bounds->start_excluded ? fb::BoundType::kExcluded : fb::BoundType::kIncluded);
    const auto end_key = VectorOf(builder, bounds->end.value_or(""));
    const auto end_type = !bounds->end ? fb::BoundType::kUnbounded : bounds->end_included ? fb::BoundType::kIncluded : fb::BoundType::kExcluded;
    return fb::CreateBytesRange(builder, start, fb::CreateBytesBound(builder, end_key, end_type));
  }
  template <typename Manifest>
  Bytes Finish(Builder& builder, Manifest&& manifest) const {
    manifest.add_initialized(extras.initialized);
    manifest.add_replay_after_wal_id(extras.replay_after_wal_id);
    manifest.add_last_l0_seq(extras.last_l0_sequence);
    builder.Finish(manifest.Finish());
    Bytes bytes;
    AppendBigEndian(bytes, static_cast<uint16_t>(extras.version));
    return bytes + FinishedBytes(builder);
  }
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<fb::ExternalDb>>> Externals(Builder& builder) const {
    if (!extras.has_external) return 0;
    const auto external = fb::CreateExternalDbDirect(builder, "elsewhere");
    return builder.CreateVector(&external, 1);
  }

  Bytes ManifestOne() const {
    Builder builder;
    const auto table = [&](const SstRef& ref) {
      const auto id = fb::CreateUlid(builder, ref.id.high, ref.id.low);
      const auto info = InfoOf(builder, ref.layout);
      return fb::CreateCompactedSsTable(builder, id, info, RangeOf(builder, ref.visible), static_cast<uint16_t>(ref.version));
    };
    std::vector<flatbuffers::Offset<fb::CompactedSsTable>> l0;
    for (const SstRef& ref : l0_) l0.push_back(table(ref));
    std::vector<flatbuffers::Offset<fb::SortedRun>> runs;
    for (const std::vector<SstRef>& refs : runs_) {
      std::vector<flatbuffers::Offset<fb::CompactedSsTable>> tables;
      for (const SstRef& ref : refs) tables.push_back(table(ref));
      runs.push_back(fb::CreateSortedRunDirect(builder, 1, &tables));
    }
    const auto l0_vector = builder.CreateVector(l0);
    const auto runs_vector = builder.CreateVector(runs);
    const auto checkpoints = builder.CreateVector(std::vector<flatbuffers::Offset<fb::Checkpoint>>());
    const auto externals = Externals(builder);
    const auto wal_store = builder.CreateString(extras.wal_store);
    fb::ManifestV1Builder manifest(builder);
    manifest.add_l0(l0_vector);
    manifest.add_compacted(runs_vector);
    manifest.add_checkpoints(checkpoints);
    manifest.add_external_dbs(externals);
    manifest.add_wal_object_store_uri(wal_store);
    return Finish(builder, manifest);
  }

  Bytes ManifestTwo() const {
    Builder builder;
    std::vector<flatbuffers::Offset<fb::ListedSsTable>> listed;
    const auto view = [&](const SstRef& ref) {
      const auto info = InfoOf(builder, ref.layout);
      listed.push_back(fb::CreateListedSsTable(builder, fb::CreateUlid(builder, ref.id.high, ref.id.low), info, static_cast<uint16_t>(ref.version)));
      const auto own_id = fb::CreateUlid(builder, 99, ref.id.low);
      return fb::CreateSsTableView(builder, own_id, fb::CreateUlid(builder, ref.id.high, ref.id.low), RangeOf(builder, ref.visible));
    };
    std::vector<flatbuffers::Offset<fb::SsTableView>> l0;
    for (const SstRef& ref : l0_) l0.push_back(view(ref));
    std::vector<flatbuffers::Offset<fb::SortedRunOfViews>> runs;
    for (const std::vector<SstRef>& refs : runs_) {
      std::vector<flatbuffers::Offset<fb::SsTableView>> views;
      for (const SstRef& ref : refs) views.push_back(view(ref));
      runs.push_back(fb::CreateSortedRunOfViewsDirect(builder, 1, &views));
    }
    const auto listed_vector = builder.CreateVector(listed);
    const auto l0_vector = builder.CreateVector(l0);
    const auto runs_vector = builder.CreateVector(runs);
    const auto externals = Externals(builder);
    std::vector<flatbuffers::Offset<fb::Segment>> segments;
    if (extras.has_segments) segments.push_back(fb::CreateSegment(builder));
    const auto segments_vector = builder.CreateVector(segments);
    fb::ManifestV2Builder manifest(builder);
    manifest.add_ssts(listed_vector);
    manifest.add_l0(l0_vector);
    manifest.add_compacted(runs_vector);
    manifest.add_external_dbs(externals);
    manifest.add_segments(segments_vector);
    return Finish(builder, manifest);
  }

  std::vector<std::pair<std::string, Bytes>> objects_;
  std::vector<SstRef> l0_;
  std::vector<std::vector<SstRef>> runs_;
  uint64_t ids_ = 0;
};

}  // namespace datashard::slatedb
