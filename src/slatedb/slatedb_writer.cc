// Builds a database from ascending pairs: the blocks go out as they fill; filter, index and statistics are kept until Finish.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/crc32.h"
#include "base/error.h"
#include "slatedb/block.h"
#include "slatedb/codec.h"
#include "slatedb/filter.h"
#include "slatedb/manifest.h"
#include "slatedb/slatedb_shard.h"
#include "slatedb_generated.h"

namespace datashard::slatedb {
namespace {

constexpr size_t kKeyBytesMax = 65535;
constexpr size_t kValueBytesMax = (size_t{1} << 31) - 1;
constexpr size_t kIndexBytesMax = size_t{1} << 30;  // a flatbuffer ends at 2 GiB
constexpr uint16_t kSstVersion = 2;
constexpr const char* kContentType = "application/octet-stream";

// The shortest key above `below` that is not above `key`.
ByteView Separator(ByteView below, ByteView key) {
  size_t common = 0;
  while (common < below.size() && below[common] == key[common]) ++common;
  return key.substr(0, common + 1);
}

class IndexBuilder {
 public:
  Status Add(uint64_t offset, ByteView first_key, uint16_t rows) {
    if (index_.GetSize() + first_key.size() > kIndexBytesMax) {
      return InvalidArgument("the index of a SlateDB shard would have more than {} bytes; use more shards, larger blocks or shorter keys", kIndexBytesMax);
    }
    const auto key = index_.CreateVector(reinterpret_cast<const uint8_t*>(first_key.data()), first_key.size());
    metas_.push_back(fb::CreateBlockMeta(index_, offset, key));
    rows_.push_back(rows);
    return {};
  }
  Bytes Index() {
    index_.Finish(fb::CreateSsTableIndex(index_, index_.CreateVector(metas_)));
    return {reinterpret_cast<const char*>(index_.GetBufferPointer()), index_.GetSize()};
  }
  Bytes Stats(uint64_t rows, uint64_t key_bytes, uint64_t value_bytes) const {
    flatbuffers::FlatBufferBuilder builder;
    std::vector<flatbuffers::Offset<fb::BlockStats>> blocks;
    blocks.reserve(rows_.size());
    for (const uint16_t count : rows_) blocks.push_back(fb::CreateBlockStats(builder, count));
    const auto vector = builder.CreateVector(blocks);
    builder.Finish(fb::CreateSstStats(builder, rows, /*num_deletes=*/0, /*num_merges=*/0, key_bytes, value_bytes, vector));
    return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
  }

 private:
  flatbuffers::FlatBufferBuilder index_;
  std::vector<flatbuffers::Offset<fb::BlockMeta>> metas_;
  std::vector<uint16_t> rows_;
};

Status CheckOptions(const SlateDbWriterOptions& options) {
  if (options.block_size_bytes < 128 || options.block_size_bytes > 65535) {
    return InvalidArgument("block_size_bytes is {}; it must be 128 to 65535", options.block_size_bytes);
  }
  if (options.filter_bits_per_key < 1 || options.filter_bits_per_key > 64) {
    return InvalidArgument("filter_bits_per_key is {}; it must be 1 to 64", options.filter_bits_per_key);
  }
  return {};
}

class SlateDbWriter final : public kv::DatabaseWriter {
 public:
  SlateDbWriter(SlateDbWriterOptions options, kv::OutputFactory outputs, Clock& clock, Random& random)
      : options_(options), outputs_(std::move(outputs)), clock_(clock), random_(random), block_(options.block_size_bytes) {}

  Status Add(ByteView key, ByteView value) override {
    if (rows_ == 0) {
      DS_RETURN_IF_ERROR(CheckOptions(options_));
      sst_ = outputs_();
      layout_.first_entry = key;
    }
    DS_RETURN_IF_ERROR(CheckPair(key, value));
    if (!block_.Fits(key, value)) DS_RETURN_IF_ERROR(EndBlock());
    if (block_.empty()) block_first_key_ = rows_ == 0 ? Bytes() : Bytes(Separator(last_key_, key));  // as SlateDB: the first block takes all keys below
    block_.Add(last_key_, key, value, ++rows_);
    last_key_ = key;
    key_bytes_ += key.size();
    value_bytes_ += value.size();
    if (options_.min_filter_keys < INT64_MAX) hashes_.push_back(FilterHash(key));
    return {};
  }

  Result<std::vector<kv::BuiltObject>> Finish() override {
    DS_RETURN_IF_ERROR(CheckOptions(options_));
    std::vector<kv::BuiltObject> objects;
    std::optional<SstRef> ref;
    if (rows_ > 0) {
      DS_RETURN_IF_ERROR(EndBlock());
      DS_RETURN_IF_ERROR(EndSst());
      ref = SstRef{NewUlid(clock_, random_), kSstVersion, layout_, std::nullopt};
      objects.push_back({SstName(ref->id), kContentType, std::move(sst_)});
    }
    std::unique_ptr<kv::Output> manifest = outputs_();
    DS_RETURN_IF_ERROR(manifest->Append(EncodeManifest(ref, rows_)));
    objects.push_back({kFirstManifestName, kContentType, std::move(manifest)});
    return objects;
  }

 private:
  Status CheckPair(ByteView key, ByteView value) const {
    if (key.empty() || key.size() > kKeyBytesMax) return InvalidArgument("a key has {} bytes; SlateDB takes 1 to {}", key.size(), kKeyBytesMax);
    if (value.size() > kValueBytesMax) return InvalidArgument("a value has {} bytes; at most {} are taken", value.size(), kValueBytesMax);
    if (rows_ > 0 && key <= last_key_) return InvalidArgument("pair {} is out of order: its key is not above the one before", rows_);
    return {};
  }

  Status Append(ByteView plain, uint64_t& offset, uint64_t& size) {
    Bytes compressed;
    if (options_.compression != Compression::kNone) {
      DS_ASSIGN_OR_RETURN(compressed, Compress(plain, options_.compression));
      plain = compressed;
    }
    Bytes crc;
    AppendBigEndian(crc, Crc32(plain));
    offset = static_cast<uint64_t>(sst_->size_bytes());
    size = plain.size() + crc.size();
    DS_RETURN_IF_ERROR(sst_->Append(plain));
    return sst_->Append(crc);
  }

  Status EndBlock() {
    uint64_t offset = 0;
    uint64_t size = 0;
    const uint16_t count = block_.count();
    DS_RETURN_IF_ERROR(Append(block_.Finish(), offset, size));
    return index_.Add(offset, block_first_key_, count);
  }

  Status EndSst() {
    layout_.last_entry = last_key_;
    layout_.compression = options_.compression;
    layout_.composite_filter = true;
    layout_.filter_offset = static_cast<uint64_t>(sst_->size_bytes());  // readers end the last block here, filter or not
    if (static_cast<int64_t>(rows_) >= options_.min_filter_keys) {
      DS_RETURN_IF_ERROR(Append(CompositeOf(BuildFilter(hashes_, options_.filter_bits_per_key)), layout_.filter_offset, layout_.filter_size));
    }
    DS_RETURN_IF_ERROR(Append(index_.Index(), layout_.index_offset, layout_.index_size));
    DS_RETURN_IF_ERROR(Append(index_.Stats(rows_, key_bytes_, value_bytes_), layout_.stats_offset, layout_.stats_size));
    const uint64_t info_offset = static_cast<uint64_t>(sst_->size_bytes());
    DS_ASSIGN_OR_RETURN(Bytes end, Seal(EncodeLayout(layout_), Compression::kNone));
    AppendBigEndian(end, info_offset);
    AppendBigEndian(end, kSstVersion);
    return sst_->Append(end);
  }

  const SlateDbWriterOptions options_;
  const kv::OutputFactory outputs_;
  Clock& clock_;
  Random& random_;
  std::unique_ptr<kv::Output> sst_;
  BlockBuilder block_;
  IndexBuilder index_;
  SstLayout layout_;
  Bytes block_first_key_;
  Bytes last_key_;
  std::vector<uint64_t> hashes_;  // of all keys: the filter's size is known at the end
  uint64_t rows_ = 0;
  uint64_t key_bytes_ = 0;
  uint64_t value_bytes_ = 0;
};

}  // namespace

std::unique_ptr<kv::DatabaseWriter> NewSlateDbWriter(SlateDbWriterOptions options, kv::OutputFactory outputs, Clock& clock, Random& random) {
  return std::make_unique<SlateDbWriter>(options, std::move(outputs), clock, random);
}

}  // namespace datashard::slatedb
