#include "cache/cached_reader.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "storage/keys.h"

namespace datashard::cache {
namespace {

// Small enough that a column of a few KiB does not bring much besides, large enough that a GiB is a few thousand files.
constexpr int64_t kBlockBytes = 256 << 10;
// Of neighbouring blocks that are fetched together.
constexpr int64_t kBlocksPerRange = 16;

/// What an object's opening brought: enough to open it again without a request.
struct End {
  int64_t size_bytes = 0;  // of the object
  int64_t offset = 0;      // where `bytes` begin
  std::string identity;
  Bytes bytes;
};

Bytes Encoded(const End& end) {
  Bytes encoded;
  for (const int64_t number : {end.size_bytes, end.offset, static_cast<int64_t>(end.identity.size())})
    encoded.append(reinterpret_cast<const char*>(&number), sizeof number);
  return encoded.append(end.identity).append(end.bytes);
}

std::optional<End> Decoded(const Bytes& encoded) {
  int64_t numbers[3];
  if (encoded.size() < sizeof numbers) return std::nullopt;
  std::memcpy(numbers, encoded.data(), sizeof numbers);
  const ByteView rest = ByteView(encoded).substr(sizeof numbers);
  if (numbers[2] < 0 || static_cast<uint64_t>(numbers[2]) > rest.size()) return std::nullopt;
  const auto identity_size = static_cast<size_t>(numbers[2]);
  End end{.size_bytes = numbers[0], .offset = numbers[1], .identity = std::string(rest.substr(0, identity_size)),
          .bytes = Bytes(rest.substr(identity_size))};
  if (end.offset < 0 || end.size_bytes - end.offset != static_cast<int64_t>(end.bytes.size())) return std::nullopt;
  return end;
}

std::string BlockName(const CachedObject& object, const End& end, int64_t block) {
  return object.EntryName(fmt::format("block {} of {} bytes {}", block, end.size_bytes, end.identity));
}

class CachedReader final : public ObjectReader {
 public:
  CachedReader(CachedObject object, End end, std::unique_ptr<ObjectReader> opened)
      : object_(std::move(object)), end_(std::move(end)), opened_(std::move(opened)) {}

  int64_t size_bytes() const override { return end_.size_bytes; }
  int64_t at_hand_offset() const override { return end_.offset; }
  std::string identity() const override { return end_.identity; }
  Result<bool> StillNamed() override {
    DS_ASSIGN_OR_RETURN(ObjectReader* const opened, Opened());
    return opened->StillNamed();
  }
  Result<int64_t> ReadAt(int64_t offset, int64_t size, void* out) override {
    const ByteRange range{.offset_bytes = offset, .size_bytes = size};
    DS_ASSIGN_OR_RETURN(const Bytes bytes, std::move(ReadRanges({&range, 1}).front()));
    std::memcpy(out, bytes.data(), bytes.size());
    return static_cast<int64_t>(bytes.size());
  }
  std::vector<Result<Bytes>> ReadRanges(std::span<const ByteRange> ranges) override;

 private:
  using Blocks = std::map<int64_t, Bytes>;  // by number
  Result<ObjectReader*> Opened();
  std::string NameOf(int64_t block) const { return BlockName(object_, end_, block); }
  int64_t BlockSize(int64_t block) const { return std::min(kBlockBytes, end_.offset - block * kBlockBytes); }
  Result<Blocks> Bring(std::span<const ByteRange> ranges);
  Status Fetch(std::span<const int64_t> numbers, Blocks& blocks);
  Bytes Assembled(const ByteRange& range, const Blocks& blocks) const;

  const CachedObject object_;
  const End end_;
  std::mutex mutex_;
  std::unique_ptr<ObjectReader> opened_;  // null until something is missing
};

/// The object itself, which must still be the one whose end is kept.
Result<ObjectReader*> CachedReader::Opened() {
  const std::lock_guard lock(mutex_);
  if (opened_ == nullptr) {
    DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> opened, object_.base.OpenReader(object_.key));
    if (opened->size_bytes() != end_.size_bytes || opened->identity() != end_.identity)
      return Corruption("{}/{} was replaced: it had {} bytes (identity {}) when it was read before, and has {} ({}) now; the files of a "
                        "table must not be written to", object_.base.root_uri(), object_.key, end_.size_bytes, end_.identity,
                        opened->size_bytes(), opened->identity());
    opened_ = std::move(opened);
  }
  return opened_.get();
}

std::vector<Result<Bytes>> CachedReader::ReadRanges(std::span<const ByteRange> ranges) {
  std::vector<Result<Bytes>> read;
  std::vector<ByteRange> usable;
  for (const ByteRange& range : ranges) {
    const Status checked = CheckRange(object_.key, range.offset_bytes, range.size_bytes);
    read.push_back(checked.ok() ? Result<Bytes>(Bytes()) : Result<Bytes>(checked.error()));
    if (checked.ok()) usable.push_back(range);
  }
  const Result<Blocks> blocks = Bring(usable);
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (read[i].ok()) read[i] = blocks.ok() ? Result<Bytes>(Assembled(ranges[i], *blocks)) : Result<Bytes>(blocks.error());
  }
  return read;
}

/// All blocks that `ranges` touch before the end that is kept.
Result<CachedReader::Blocks> CachedReader::Bring(std::span<const ByteRange> ranges) {
  Blocks blocks;
  for (const ByteRange& range : ranges) {
    const int64_t count = std::clamp<int64_t>(end_.offset - range.offset_bytes, 0, range.size_bytes);
    if (count == 0) continue;
    for (int64_t block = range.offset_bytes / kBlockBytes; block <= (range.offset_bytes + count - 1) / kBlockBytes; ++block)
      blocks.try_emplace(block);
  }
  std::vector<int64_t> missing;
  for (auto& [block, bytes] : blocks) {
    std::optional<Bytes> found = object_.cache.Find(NameOf(block));
    if (found && static_cast<int64_t>(found->size()) == BlockSize(block)) {
      bytes = *std::move(found);
    } else {
      missing.push_back(block);
    }
  }
  if (!missing.empty()) DS_RETURN_IF_ERROR(Fetch(missing, blocks));
  return blocks;
}

Status CachedReader::Fetch(std::span<const int64_t> numbers, Blocks& blocks) {
  DS_ASSIGN_OR_RETURN(ObjectReader* const opened, Opened());
  std::vector<ByteRange> runs;
  for (const int64_t block : numbers) {
    const int64_t offset = block * kBlockBytes;
    const bool joins = !runs.empty() && runs.back().offset_bytes + runs.back().size_bytes == offset &&
                       runs.back().size_bytes < kBlocksPerRange * kBlockBytes;
    if (!joins) runs.push_back({.offset_bytes = offset});
    runs.back().size_bytes += BlockSize(block);
  }
  const std::vector<Result<Bytes>> read = opened->ReadRanges(runs);
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!read[i].ok()) return read[i].error();
    if (static_cast<int64_t>(read[i]->size()) != runs[i].size_bytes)
      return Corruption("{}/{}: expected {} bytes at {}, got {}", object_.base.root_uri(), object_.key, runs[i].size_bytes,
                        runs[i].offset_bytes, read[i]->size());
    for (int64_t offset = 0; offset < runs[i].size_bytes; offset += kBlockBytes) {
      const int64_t block = (runs[i].offset_bytes + offset) / kBlockBytes;
      Bytes& bytes = blocks[block];
      bytes.assign(*read[i], static_cast<size_t>(offset), static_cast<size_t>(BlockSize(block)));
      object_.cache.Add(NameOf(block), bytes);
    }
  }
  return {};
}

Bytes CachedReader::Assembled(const ByteRange& range, const Blocks& blocks) const {
  const int64_t first = std::min(range.offset_bytes, end_.size_bytes);
  const int64_t last = first + std::clamp<int64_t>(end_.size_bytes - first, 0, range.size_bytes);
  Bytes bytes;
  bytes.reserve(static_cast<size_t>(last - first));
  for (int64_t at = first; at < std::min(last, end_.offset);) {
    const Bytes& block = blocks.at(at / kBlockBytes);
    const int64_t start = at % kBlockBytes;
    const int64_t count = std::min(static_cast<int64_t>(block.size()) - start, last - at);
    bytes.append(block, static_cast<size_t>(start), static_cast<size_t>(count));
    at += count;
  }
  if (last > end_.offset) {
    const int64_t start = std::max(first, end_.offset) - end_.offset;
    bytes.append(end_.bytes, static_cast<size_t>(start), static_cast<size_t>(last - end_.offset - start));
  }
  return bytes;
}

}  // namespace

std::string CachedObject::EntryName(std::string_view kind) const { return fmt::format("{}\n{}\n{}", place, key, kind); }

namespace {

std::optional<End> FindEnd(const CachedObject& object) {
  const std::optional<Bytes> encoded = object.cache.Find(object.EntryName("end"));
  return encoded ? Decoded(*encoded) : std::nullopt;
}

}  // namespace

std::unique_ptr<ObjectReader> ReaderFromCache(const CachedObject& object) {
  std::optional<End> end = FindEnd(object);
  if (!end) return nullptr;
  return std::make_unique<CachedReader>(object, *std::move(end), nullptr);
}

Result<std::unique_ptr<ObjectReader>> ReaderFromStore(const CachedObject& object) {
  DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> opened, object.base.OpenReader(object.key));
  End end{.size_bytes = opened->size_bytes(), .offset = opened->at_hand_offset(), .identity = opened->identity()};
  end.bytes.resize(static_cast<size_t>(end.size_bytes - end.offset));
  DS_RETURN_IF_ERROR(opened->ReadAt(end.offset, end.size_bytes - end.offset, end.bytes.data()));
  object.cache.Add(object.EntryName("end"), Encoded(end));
  return std::unique_ptr<ObjectReader>(std::make_unique<CachedReader>(object, std::move(end), std::move(opened)));
}

void ForgetParts(const CachedObject& object) {
  const std::optional<End> end = FindEnd(object);
  if (!end) return;
  object.cache.Remove(object.EntryName("end"));
  for (int64_t block = 0; block * kBlockBytes < end->offset; ++block) object.cache.Remove(BlockName(object, *end, block));
}

std::unique_ptr<ObjectReader> ReaderOf(const CachedObject& object, Bytes body) {
  End end{.size_bytes = static_cast<int64_t>(body.size()), .bytes = std::move(body)};
  return std::make_unique<CachedReader>(object, std::move(end), nullptr);
}

}  // namespace datashard::cache
