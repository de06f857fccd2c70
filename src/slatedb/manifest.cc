#include "slatedb/manifest.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crc32.h"
#include "base/error.h"
#include "slatedb/codec.h"
#include "slatedb_generated.h"

namespace datashard::slatedb {
namespace {

// Behind the manifests that we write, where SlateDB ignores it: these letters and the CRC-32 of all in front of the number.
constexpr ByteView kTrailer = "dsm1";
constexpr size_t kTrailerBytes = 4 + kCrcBytes;
constexpr ByteView kManifests = "manifest/";
constexpr ByteView kManifestEnding = ".manifest";

ByteView ViewOf(const flatbuffers::Vector<uint8_t>* bytes) {
  return bytes == nullptr ? ByteView() : ByteView(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

flatbuffers::Verifier VerifierOf(const Bytes& flatbuffer) {
  return {reinterpret_cast<const uint8_t*>(flatbuffer.data()), flatbuffer.size(), /*max_depth=*/32,
          /*max_tables=*/static_cast<flatbuffers::uoffset_t>(flatbuffer.size())};
}

Result<SstLayout> LayoutOf(const fb::SsTableInfo& info, const std::string& uri) {
  if (info.compression_format() < 0 || info.compression_format() > static_cast<int>(Compression::kZstd)) {
    return Unsupported("{}: an SST has codec number {}; 0 (none) to 4 (zstd) are read", uri, info.compression_format());
  }
  if (info.filter_format() < 0 || info.filter_format() > 1) {
    return Unsupported("{}: an SST has filter format {}; 0 (legacy) and 1 (composite) are read", uri, info.filter_format());
  }
  if (info.sst_type() < 0 || info.sst_type() > 1) {
    return Unsupported("{}: an SST is of type {}; 0 (compacted) and 1 (WAL) are read", uri, info.sst_type());
  }
  SstLayout layout;
  layout.first_entry = ViewOf(info.first_entry());
  if (info.last_entry() != nullptr) layout.last_entry = Bytes(ViewOf(info.last_entry()));
  layout.index_offset = info.index_offset();
  layout.index_size = info.index_len();
  layout.filter_offset = info.filter_offset();
  layout.filter_size = info.filter_len();
  layout.stats_offset = info.stats_offset();
  layout.stats_size = info.stats_len();
  layout.compression = static_cast<Compression>(info.compression_format());
  layout.is_wal = info.sst_type() == 1;
  layout.composite_filter = info.filter_format() == 1;
  return layout;
}

flatbuffers::Offset<fb::SsTableInfo> AddLayout(flatbuffers::FlatBufferBuilder& builder, const SstLayout& layout) {
  const auto vector_of = [&](const Bytes& bytes) { return builder.CreateVector(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()); };
  const auto first = vector_of(layout.first_entry);
  const auto last = layout.last_entry ? vector_of(*layout.last_entry) : flatbuffers::Offset<flatbuffers::Vector<uint8_t>>();
  return fb::CreateSsTableInfo(builder, first, layout.index_offset, layout.index_size, layout.filter_offset, layout.filter_size,
                               static_cast<int8_t>(layout.compression), layout.is_wal ? 1 : 0, last, layout.stats_offset, layout.stats_size,
                               layout.composite_filter ? 1 : 0);
}

Result<std::optional<KeyBounds>> BoundsOf(const fb::BytesRange* range, const std::string& uri) {
  if (range == nullptr) return std::optional<KeyBounds>();
  KeyBounds bounds;
  const auto type_of = [](const fb::BytesBound& bound) { return bound.bound_type(); };
  switch (type_of(*range->start_bound())) {
    case fb::BoundType::kUnbounded: break;
    case fb::BoundType::kExcluded: bounds.start_excluded = true; [[fallthrough]];
    case fb::BoundType::kIncluded: bounds.start = ViewOf(range->start_bound()->key()); break;
    default: return Unsupported("{}: a visible range starts with a bound of type {}; 1 to 3 are read", uri, static_cast<int>(type_of(*range->start_bound())));
  }
  switch (type_of(*range->end_bound())) {
    case fb::BoundType::kUnbounded: break;
    case fb::BoundType::kIncluded: bounds.end_included = true; [[fallthrough]];
    case fb::BoundType::kExcluded: bounds.end = Bytes(ViewOf(range->end_bound()->key())); break;
    default: return Unsupported("{}: a visible range ends with a bound of type {}; 1 to 3 are read", uri, static_cast<int>(type_of(*range->end_bound())));
  }
  return std::optional<KeyBounds>(std::move(bounds));
}

template <typename Table>
Result<SstRef> RefOf(const Table& table, const std::string& uri) {
  SstRef ref;
  ref.id = {table.id()->high(), table.id()->low()};
  ref.version = table.format_version();
  if (ref.version != 1 && ref.version != 2) {
    return Unsupported("{}: SST {} has format version {}; 1 and 2 are read", uri, ToText(ref.id), ref.version);
  }
  DS_ASSIGN_OR_RETURN(ref.layout, LayoutOf(*table.info(), uri));
  if (ref.layout.is_wal) return Corruption("{}: SST {} is of the WAL, and named as a part of the database", uri, ToText(ref.id));
  return ref;
}

class PartsV1 {
 public:
  PartsV1(const fb::ManifestV1&, const std::string& uri) : uri_(uri) {}
  Result<SstRef> Of(const fb::CompactedSsTable& table) const {
    DS_ASSIGN_OR_RETURN(SstRef ref, RefOf(table, uri_));
    DS_ASSIGN_OR_RETURN(ref.visible, BoundsOf(table.visible_range(), uri_));
    return ref;
  }

 private:
  const std::string& uri_;
};

class PartsV2 {
 public:
  PartsV2(const fb::ManifestV2& manifest, const std::string& uri) : manifest_(manifest), uri_(uri) {}
  Result<SstRef> Of(const fb::SsTableView& view) const {
    const Ulid id{view.sst_id()->high(), view.sst_id()->low()};
    for (const fb::ListedSsTable* listed : *manifest_.ssts()) {
      if (Ulid{listed->id()->high(), listed->id()->low()} != id) continue;
      DS_ASSIGN_OR_RETURN(SstRef ref, RefOf(*listed, uri_));
      DS_ASSIGN_OR_RETURN(ref.visible, BoundsOf(view.visible_range(), uri_));
      return ref;
    }
    return Corruption("{}: SST {} is used and not listed", uri_, ToText(id));
  }

 private:
  const fb::ManifestV2& manifest_;
  const std::string& uri_;
};

size_t BytesOf(const SstRef& ref) {
  const auto size = [](const std::optional<Bytes>& bytes) { return bytes ? bytes->size() : 0; };
  size_t bytes = sizeof(SstRef) + ref.layout.first_entry.size() + size(ref.layout.last_entry);
  if (ref.visible) bytes += ref.visible->start.size() + size(ref.visible->end);
  return bytes;
}

// A flatbuffer may name one table over and over; what it becomes must not be more than some times its size.
class Budget {
 public:
  Budget(size_t manifest_bytes, const std::string& uri) : left_(kTimes * (manifest_bytes + 1024)), uri_(uri) {}
  Status Spend(size_t bytes) {
    if (bytes > left_) return Corruption("{}: its parts repeat one another without end", uri_);
    left_ -= bytes;
    return {};
  }

 private:
  static constexpr size_t kTimes = 16;
  size_t left_;
  const std::string& uri_;
};

template <typename Parts, typename Fb>
Result<Manifest> ManifestOf(const Fb& read, size_t size_bytes, const std::string& uri) {
  if (!read.initialized()) return Unsupported("{}: the database is not initialized; it is a clone that was not finished", uri);
  if (read.external_dbs() != nullptr && read.external_dbs()->size() > 0) {
    return Unsupported("{}: {} other databases hold parts of it; only databases of their own are read: compact or copy it", uri,
                       read.external_dbs()->size());
  }
  const Parts parts(read, uri);
  Budget budget(size_bytes, uri);
  Manifest manifest;
  manifest.replay_after_wal_id = read.replay_after_wal_id();
  manifest.last_l0_sequence = read.last_l0_seq();
  for (const auto* table : *read.l0()) {
    DS_ASSIGN_OR_RETURN(SstRef ref, parts.Of(*table));
    DS_RETURN_IF_ERROR(budget.Spend(BytesOf(ref)));
    manifest.runs.push_back({std::move(ref)});
  }
  for (const auto* run : *read.compacted()) {
    DS_RETURN_IF_ERROR(budget.Spend(sizeof(manifest.runs.front())));
    std::vector<SstRef> refs;
    for (const auto* table : *run->ssts()) {
      DS_ASSIGN_OR_RETURN(SstRef ref, parts.Of(*table));
      DS_RETURN_IF_ERROR(budget.Spend(BytesOf(ref)));
      refs.push_back(std::move(ref));
    }
    manifest.runs.push_back(std::move(refs));
  }
  return manifest;
}

// The manifest without our trailer, where it has one; kCorruption where that does not fit.
Result<ByteView> WithoutTrailer(ByteView bytes, const std::string& uri) {
  if (bytes.size() < kTrailerBytes || bytes.substr(bytes.size() - kTrailerBytes, 4) != kTrailer) return bytes;
  if (!CheckCrc(bytes)) return Corruption("{}: the checksum at its end does not fit its {} bytes; it is damaged", uri, bytes.size());
  return bytes.substr(0, bytes.size() - kTrailerBytes);
}

bool IsManifestName(ByteView name) {
  if (name.size() != kManifests.size() + 20 + kManifestEnding.size() || !name.starts_with(kManifests) || !name.ends_with(kManifestEnding)) return false;
  return std::all_of(name.begin() + kManifests.size(), name.begin() + kManifests.size() + 20, [](char letter) { return letter >= '0' && letter <= '9'; });
}

}  // namespace

Result<SstLayout> DecodeLayout(ByteView flatbuffer, const std::string& uri) {
  const Bytes aligned(flatbuffer);
  if (!VerifierOf(aligned).VerifyBuffer<fb::SsTableInfo>(nullptr)) return Corruption("{}: the description at its end is damaged", uri);
  return LayoutOf(*flatbuffers::GetRoot<fb::SsTableInfo>(aligned.data()), uri);
}

Bytes EncodeLayout(const SstLayout& layout) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(AddLayout(builder, layout));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

std::string ToText(const Ulid& ulid) {
  constexpr ByteView kLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::string text(26, '0');
  Ulid left = ulid;
  for (size_t i = text.size(); i-- > 0;) {
    text[i] = kLetters[left.low & 31];
    left.low = left.low >> 5 | left.high << 59;
    left.high >>= 5;
  }
  return text;
}

Ulid NewUlid(Clock& clock, Random& random) {
  const uint64_t now_ms = static_cast<uint64_t>(ToMillis(clock.Now())) & ((uint64_t{1} << 48) - 1);
  return {now_ms << 16 | (random.Next() & 0xffff), random.Next()};
}

std::string SstName(const Ulid& ulid) { return "compacted/" + ToText(ulid) + ".sst"; }

Result<Manifest> ReadNewestManifest(const kv::ShardDirectory& directory) {
  DS_ASSIGN_OR_RETURN(std::vector<std::string> names, directory.List(kManifests));
  std::erase_if(names, [](const std::string& name) { return !IsManifestName(name); });
  if (names.empty()) return NotFound("{}: there is no manifest; it is no SlateDB database, or was not written to its end", directory.uri());
  const std::string& newest = *std::max_element(names.begin(), names.end());
  DS_ASSIGN_OR_RETURN(const Bytes bytes, directory.Get(newest));
  return DecodeManifest(bytes, directory.uri() + "/" + newest);
}

Result<Manifest> DecodeManifest(ByteView bytes, const std::string& uri) {
  DS_ASSIGN_OR_RETURN(bytes, WithoutTrailer(bytes, uri));
  if (bytes.size() < 2) return Corruption("{}: {} bytes are no manifest", uri, bytes.size());
  const int version = BigEndianAt<uint16_t>(bytes.data());
  const Bytes aligned(bytes.substr(2));
  flatbuffers::Verifier verifier = VerifierOf(aligned);
  if (version == 1) {
    if (!verifier.VerifyBuffer<fb::ManifestV1>(nullptr)) return Corruption("{}: the manifest is damaged ({} bytes)", uri, bytes.size());
    const auto& read = *flatbuffers::GetRoot<fb::ManifestV1>(aligned.data());
    if (read.wal_object_store_uri() != nullptr && read.wal_object_store_uri()->size() > 0) {
      return Unsupported("{}: its WAL is in another store, {}; flush and compact it first", uri, read.wal_object_store_uri()->string_view());
    }
    return ManifestOf<PartsV1>(read, bytes.size(), uri);
  }
  if (version == 2) {
    if (!verifier.VerifyBuffer<fb::ManifestV2>(nullptr)) return Corruption("{}: the manifest is damaged ({} bytes)", uri, bytes.size());
    const auto& read = *flatbuffers::GetRoot<fb::ManifestV2>(aligned.data());
    if (read.segments() != nullptr && read.segments()->size() > 0) {
      return Unsupported("{}: it is cut into {} segments, which are not read", uri, read.segments()->size());
    }
    return ManifestOf<PartsV2>(read, bytes.size(), uri);
  }
  return Unsupported("{}: manifest version {}; 1 and 2 are read", uri, version);
}

Bytes EncodeManifest(const std::optional<SstRef>& sst, uint64_t rows) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<flatbuffers::Offset<fb::SortedRun>> runs;
  if (sst) {
    const auto id = fb::CreateUlid(builder, sst->id.high, sst->id.low);
    const auto info = AddLayout(builder, sst->layout);
    const auto table = fb::CreateCompactedSsTable(builder, id, info, /*visible_range=*/0, static_cast<uint16_t>(sst->version));
    runs.push_back(fb::CreateSortedRun(builder, /*id=*/0, builder.CreateVector(&table, 1)));
  }
  const auto l0 = builder.CreateVector(std::vector<flatbuffers::Offset<fb::CompactedSsTable>>());
  const auto compacted = builder.CreateVector(runs);
  const auto checkpoints = builder.CreateVector(std::vector<flatbuffers::Offset<fb::Checkpoint>>());
  fb::ManifestV1Builder manifest(builder);
  manifest.add_manifest_id(1);
  manifest.add_initialized(true);
  manifest.add_writer_epoch(1);
  manifest.add_l0(l0);
  manifest.add_compacted(compacted);
  manifest.add_checkpoints(checkpoints);
  manifest.add_last_l0_seq(rows);
  builder.Finish(manifest.Finish());

  Bytes bytes;
  AppendBigEndian(bytes, uint16_t{1});
  bytes.append(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
  bytes += kTrailer;
  AppendBigEndian(bytes, Crc32(bytes));
  return bytes;
}

}  // namespace datashard::slatedb
