#include "slatedb/sst.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "kv/joined_read.h"
#include "slatedb/codec.h"
#include "slatedb_generated.h"

namespace datashard::slatedb {
namespace {

constexpr size_t kFooterBytes = 10;

ByteView KeyOf(const fb::BlockMeta& meta) {
  return {reinterpret_cast<const char*>(meta.first_key()->data()), meta.first_key()->size()};
}

Result<Bytes> ReadOne(const kv::ShardFile& file, ByteRange range) { return std::move(file.Read(std::span(&range, 1)).front()); }

bool Within(uint64_t offset, uint64_t size, uint64_t end) { return offset <= end && size <= end - offset; }

Status CheckFooter(ByteView footer, int version, const std::string& uri) {
  const int found = BigEndianAt<uint16_t>(footer.data() + 8);
  if (found != 1 && found != 2) return Unsupported("{}: SST version {}; 1 and 2 are read", uri, found);
  if (found != version) return Corruption("{}: SST version {}, and its manifest says {}", uri, found, version);
  return {};
}

// What the file says of itself, of which `end` are the last bytes.
Result<SstLayout> LayoutAtEnd(ByteView end, uint64_t end_offset, const std::string& uri) {
  const uint64_t offset = BigEndianAt<uint64_t>(end.data() + end.size() - kFooterBytes);
  const uint64_t limit = end_offset + end.size() - kFooterBytes;
  if (offset < end_offset || offset > limit) return Corruption("{}: its description starts at {}, not between {} and {}", uri, offset, end_offset, limit);
  const std::optional<ByteView> plain = CheckCrc(end.substr(offset - end_offset, limit - offset));
  if (!plain) return Corruption("{}: the checksum of its description at {} is wrong; it is damaged", uri, offset);
  return DecodeLayout(*plain, uri);
}

}  // namespace

OpenedSst::OpenedSst(std::unique_ptr<kv::ShardFile> file, kv::BlockCache& cache, SstLayout layout, int version)
    : file_(std::move(file)), cache_(cache), mapped_(file_->mapped()), layout_(std::move(layout)), version_(version) {}

Result<std::unique_ptr<OpenedSst>> OpenedSst::Open(std::unique_ptr<kv::ShardFile> file, kv::BlockCache& cache, const SstLayout* layout, int version) {
  std::unique_ptr<OpenedSst> sst(new OpenedSst(std::move(file), cache, layout == nullptr ? SstLayout() : *layout, version));
  DS_RETURN_IF_ERROR(sst->Load(layout != nullptr));
  return sst;
}

Status OpenedSst::Load(bool layout_is_given) {
  const int64_t size = file_->size_bytes();
  if (size < static_cast<int64_t>(kFooterBytes)) return Corruption("{}: {} bytes are no SST", uri(), size);
  const int64_t offset = layout_is_given ? static_cast<int64_t>(std::min<uint64_t>(PartsOffset(), INT64_MAX)) : 0;
  if (offset > size - static_cast<int64_t>(kFooterBytes)) {
    return Corruption("{}: its parts start at {}, and it has {} bytes; it is cut off or damaged", uri(), offset, size);
  }
  Bytes read;
  if (!mapped_) {
    DS_ASSIGN_OR_RETURN(read, ReadOne(*file_, {offset, size - offset}));
  }
  const ByteView tail = mapped_ ? mapped_->substr(static_cast<size_t>(offset)) : ByteView(read);
  const uint64_t tail_offset = static_cast<uint64_t>(offset);
  const ByteView footer = tail.substr(tail.size() - kFooterBytes);
  if (!layout_is_given) version_ = BigEndianAt<uint16_t>(footer.data() + 8);
  DS_RETURN_IF_ERROR(CheckFooter(footer, version_, uri()));
  DS_ASSIGN_OR_RETURN(SstLayout own, LayoutAtEnd(tail, tail_offset, uri()));
  if (layout_is_given && own != layout_) return Corruption("{}: its description differs from its manifest's", uri());
  layout_ = std::move(own);
  DS_RETURN_IF_ERROR(CheckEnd(tail, tail_offset));
  const auto part = [&](uint64_t offset, uint64_t part_size) { return tail.substr(offset - tail_offset, part_size); };
  if (layout_.filter_size > 0) DS_RETURN_IF_ERROR(LoadFilter(part(layout_.filter_offset, layout_.filter_size)));
  return LoadIndex(part(layout_.index_offset, layout_.index_size));
}

// Without a filter its offset is the index's, except where somebody left it at 0.
uint64_t OpenedSst::PartsOffset() const {
  return layout_.filter_size == 0 ? layout_.index_offset : std::min(layout_.filter_offset, layout_.index_offset);
}

Status OpenedSst::CheckEnd(ByteView tail, uint64_t tail_offset) {
  const uint64_t end = tail_offset + tail.size() - kFooterBytes;
  if ((layout_.filter_size > 0 && !Within(layout_.filter_offset, layout_.filter_size, end)) || !Within(layout_.index_offset, layout_.index_size, end)) {
    return Corruption("{}: filter or index end behind it ({} bytes)", uri(), file_->size_bytes());
  }
  if (!Within(layout_.stats_offset, layout_.stats_size, end)) return Corruption("{}: the statistics end behind it", uri());
  if (layout_.stats_size > 0 && layout_.stats_offset >= tail_offset &&
      !CheckCrc(tail.substr(layout_.stats_offset - tail_offset, layout_.stats_size))) {
    return Corruption("{}: the checksum of the statistics at {} is wrong; it is damaged", uri(), layout_.stats_offset);
  }
  return {};
}

Status OpenedSst::LoadFilter(ByteView stored) {
  const auto damaged = [&](const char* what) { return Corruption("{}: the filter at {} {}; it is damaged", uri(), layout_.filter_offset, what); };
  const std::optional<ByteView> checked = CheckCrc(stored);
  if (!checked) return damaged("has a wrong checksum");
  ByteView plain = *checked;
  if (layout_.compression != Compression::kNone || !mapped_) {
    std::optional<Bytes> decompressed = Decompress(*checked, layout_.compression);
    if (!decompressed) return damaged("cannot be decompressed");
    filter_bytes_ = std::move(*decompressed);
    plain = filter_bytes_;
  }
  if (!layout_.composite_filter) {
    filter_ = FilterView::Parse(plain);
    return filter_ ? Status() : damaged("is none");
  }
  const Composite composite = ParseComposite(plain);
  if (!composite.valid) return damaged("is none");
  if (!composite.bloom) return {};  // of policies we do not know: every key may be there
  filter_ = FilterView::Parse(*composite.bloom);
  return filter_ ? Status() : damaged("is none");
}

Status OpenedSst::LoadIndex(ByteView stored) {
  const auto damaged = [&](const char* what) { return Corruption("{}: the index at {} {}; it is damaged", uri(), layout_.index_offset, what); };
  const std::optional<ByteView> checked = CheckCrc(stored);
  if (!checked) return damaged("has a wrong checksum");
  std::optional<Bytes> plain = Decompress(*checked, layout_.compression);
  if (!plain) return damaged("cannot be decompressed");
  index_bytes_ = std::move(*plain);
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(index_bytes_.data()), index_bytes_.size(), /*max_depth=*/8,
                                 /*max_tables=*/static_cast<flatbuffers::uoffset_t>(index_bytes_.size() / 4 + 8));
  if (!verifier.VerifyBuffer<fb::SsTableIndex>(nullptr)) return damaged("is no flatbuffer of this kind");
  index_ = flatbuffers::GetRoot<fb::SsTableIndex>(index_bytes_.data());
  block_count_ = index_->block_meta()->size();
  uint64_t next = PartsOffset();
  for (size_t block = block_count_; block-- > 0;) {
    const uint64_t offset = index_->block_meta()->Get(static_cast<flatbuffers::uoffset_t>(block))->offset();
    if (offset >= next) return damaged("has blocks that do not ascend");
    next = offset;
  }
  if (mapped_) verified_ = std::make_unique<std::atomic<uint64_t>[]>(block_count_ / 64 + 1);
  return {};
}

int64_t OpenedSst::memory_bytes() const {
  const size_t bits = verified_ ? (block_count_ / 64 + 1) * sizeof(uint64_t) : 0;
  return static_cast<int64_t>(sizeof(*this) + index_bytes_.capacity() + filter_bytes_.capacity() + bits);
}

ByteView OpenedSst::FirstKey(size_t block) const { return KeyOf(*index_->block_meta()->Get(static_cast<flatbuffers::uoffset_t>(block))); }

BlockSpan OpenedSst::BlocksOf(ByteView key) const {
  size_t below = 0;  // blocks whose first key is below `key`
  for (size_t high = block_count_; below < high;) {
    const size_t middle = (below + high) / 2;
    if (FirstKey(middle) < key) below = middle + 1;
    else high = middle;
  }
  // Versions of `key` may start at the end of the block before the first that starts with it.
  size_t behind = below;
  while (behind < block_count_ && FirstKey(behind) == key) ++behind;
  if (behind == 0) return {1, 0};
  return {below == 0 ? 0 : below - 1, behind - 1};
}

ByteRange OpenedSst::RangeOf(size_t block) const {
  const auto offset_of = [&](size_t at) { return index_->block_meta()->Get(static_cast<flatbuffers::uoffset_t>(at))->offset(); };
  const uint64_t start = offset_of(block);
  const uint64_t end = block + 1 < block_count_ ? offset_of(block + 1) : PartsOffset();
  return {static_cast<int64_t>(start), static_cast<int64_t>(end - start)};
}

Error OpenedSst::Damaged(size_t block, const char* what) const {
  const ByteRange range = RangeOf(block);
  return Corruption("{}: block {} at bytes {} to {} {}; it is damaged", uri(), block, range.offset_bytes, range.offset_bytes + range.size_bytes, what);
}

Result<PinnedBlock> OpenedSst::Parse(size_t block, ByteView bytes, std::shared_ptr<const Bytes> owner) const {
  const std::optional<BlockView> view = BlockView::Parse(bytes, version_);
  if (!view) return Damaged(block, "has no rows");
  return PinnedBlock{*view, std::move(owner)};
}

Result<PinnedBlock> OpenedSst::Mapped(size_t block) const {
  const ByteRange range = RangeOf(block);
  const ByteView stored = mapped_->substr(static_cast<size_t>(range.offset_bytes), static_cast<size_t>(range.size_bytes));
  if (layout_.compression != Compression::kNone) {
    if (std::optional<PinnedBlock> cached = Cached(block)) return std::move(*cached);
    return Take(block, stored, /*is_kept=*/true);
  }
  std::atomic<uint64_t>& word = verified_[block / 64];
  const uint64_t bit = uint64_t{1} << (block % 64);
  if ((word.load(std::memory_order_relaxed) & bit) == 0) {
    if (!CheckCrc(stored)) return Damaged(block, "has a wrong checksum");
    word.fetch_or(bit, std::memory_order_relaxed);
  }
  return Parse(block, stored.substr(0, stored.size() - kCrcBytes), nullptr);
}

std::optional<PinnedBlock> OpenedSst::Cached(size_t block) const {
  std::shared_ptr<const Bytes> bytes = cache_.Find({file_->cache_id(), RangeOf(block).offset_bytes});
  if (!bytes) return std::nullopt;
  const std::optional<BlockView> view = BlockView::Parse(*bytes, version_);
  if (!view) return std::nullopt;
  return PinnedBlock{*view, std::move(bytes)};
}

Result<PinnedBlock> OpenedSst::Take(size_t block, ByteView stored, bool is_kept) const {
  const std::optional<ByteView> checked = CheckCrc(stored);
  if (!checked) return Damaged(block, "has a wrong checksum");
  std::optional<Bytes> plain = Decompress(*checked, layout_.compression);
  if (!plain) return Damaged(block, "cannot be decompressed");
  auto owner = std::make_shared<const Bytes>(std::move(*plain));
  if (is_kept) cache_.Put({file_->cache_id(), RangeOf(block).offset_bytes}, owner);
  const ByteView bytes = *owner;
  return Parse(block, bytes, std::move(owner));
}

Result<std::optional<PinnedBlock>> OpenedSst::Block(size_t block, kv::Residency residency) const {
  if (mapped_) {
    DS_ASSIGN_OR_RETURN(PinnedBlock pinned, Mapped(block));
    return std::optional<PinnedBlock>(std::move(pinned));
  }
  if (std::optional<PinnedBlock> cached = Cached(block)) return cached;
  if (residency == kv::Residency::kResidentOnly) return std::optional<PinnedBlock>();
  DS_ASSIGN_OR_RETURN(const Bytes stored, ReadOne(*file_, RangeOf(block)));
  DS_ASSIGN_OR_RETURN(PinnedBlock taken, Take(block, stored, /*is_kept=*/true));
  return std::optional<PinnedBlock>(std::move(taken));
}

Result<std::vector<PinnedBlock>> OpenedSst::Blocks(std::span<const size_t> blocks, Keeping keeping) const {
  std::vector<std::optional<PinnedBlock>> found(blocks.size());
  std::vector<size_t> missing;
  std::vector<ByteRange> ranges;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (mapped_) {
      DS_ASSIGN_OR_RETURN(found[i], Mapped(blocks[i]));
    } else if (!(found[i] = Cached(blocks[i]))) {
      missing.push_back(i);
      ranges.push_back(RangeOf(blocks[i]));
    }
  }
  int64_t left_to_keep = keeping == Keeping::kAShare ? cache_.share_bytes() : 0;
  DS_RETURN_IF_ERROR(kv::ReadJoined(*file_, ranges, [&](size_t i, ByteView stored) -> Status {
    left_to_keep -= static_cast<int64_t>(stored.size());
    DS_ASSIGN_OR_RETURN(found[missing[i]], Take(blocks[missing[i]], stored, /*is_kept=*/left_to_keep >= 0));
    return {};
  }));
  std::vector<PinnedBlock> pinned;
  for (std::optional<PinnedBlock>& block : found) pinned.push_back(std::move(*block));
  return pinned;
}

Result<const OpenedSst*> Sst::Open(kv::Residency residency) const {
  if (const OpenedSst* opened = opened_.load(std::memory_order_acquire)) return opened;
  if (residency == kv::Residency::kResidentOnly) return static_cast<const OpenedSst*>(nullptr);
  const auto opening = opening_.Lock();
  if (const OpenedSst* opened = opened_.load(std::memory_order_acquire)) return opened;
  DS_ASSIGN_OR_RETURN(std::unique_ptr<kv::ShardFile> file, directory_.Open(SstName(ref_.id)));
  DS_ASSIGN_OR_RETURN(std::unique_ptr<const OpenedSst> made, OpenedSst::Open(std::move(file), directory_.cache(), &ref_.layout, ref_.version));
  opened_.store(made.get(), std::memory_order_release);
  return static_cast<const OpenedSst*>(made.release());
}

int64_t Sst::memory_bytes() const {
  const OpenedSst* const opened = opened_.load(std::memory_order_acquire);
  return static_cast<int64_t>(sizeof(*this)) + (opened == nullptr ? 0 : opened->memory_bytes());
}

}  // namespace datashard::slatedb
