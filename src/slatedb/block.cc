#include "slatedb/block.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "slatedb/codec.h"

namespace datashard::slatedb {
namespace {

constexpr size_t kRowsPerRestart = 16;
constexpr size_t kRoomKeptMax = size_t{1} << 20;
constexpr size_t kRowBytesMost = 3 * 5 + 8 + 1;  // of what stands around key and value

size_t CommonPrefix(ByteView a, ByteView b) {
  const size_t limit = std::min(a.size(), b.size());
  size_t common = 0;
  for (; limit - common >= 8; common += 8) {
    uint64_t ours, theirs;
    std::memcpy(&ours, a.data() + common, 8);
    std::memcpy(&theirs, b.data() + common, 8);
    if (ours != theirs) return common + static_cast<size_t>(std::countr_zero(ours ^ theirs)) / 8;  // little-endian, as all machines we build for
  }
  while (common < limit && a[common] == b[common]) ++common;
  return common;
}

// How `ours` stands to `target` behind their common prefix of `common` bytes.
int OrderBehind(ByteView ours, ByteView target, size_t common) {
  if (common < ours.size() && common < target.size()) {
    return static_cast<unsigned char>(ours[common]) < static_cast<unsigned char>(target[common]) ? -1 : 1;
  }
  if (ours.size() == target.size()) return 0;
  return ours.size() < target.size() ? -1 : 1;
}

// LEB128 of up to 32 bits.
bool ReadVarint(ByteView bytes, size_t& at, uint32_t& value) {
  uint64_t read = 0;
  for (int shift = 0; shift < 35 && at < bytes.size(); shift += 7) {
    const unsigned char byte = static_cast<unsigned char>(bytes[at++]);
    read |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      value = static_cast<uint32_t>(read);
      return read <= UINT32_MAX;
    }
  }
  return false;
}

char* WriteVarint(char* out, size_t value) {
  for (; value >= 0x80; value >>= 7) *out++ = static_cast<char>(value | 0x80);
  *out++ = static_cast<char>(value);
  return out;
}

bool Take(ByteView bytes, size_t& at, size_t size, ByteView& taken) {
  if (bytes.size() - at < size) return false;
  taken = bytes.substr(at, size);
  at += size;
  return true;
}

// Sequence, flags and times: the same in both versions.
bool ReadStamp(ByteView bytes, size_t& at, Row& row) {
  ByteView taken;
  if (!Take(bytes, at, 9, taken)) return false;
  row.sequence = BigEndianAt<uint64_t>(taken.data());
  row.flags = static_cast<uint8_t>(taken[8]);
  row.expires_ms = 0;
  if (row.flags & Row::kHasExpiry) {
    if (!Take(bytes, at, 8, taken)) return false;
    row.expires_ms = BigEndianAt<int64_t>(taken.data());
  }
  return !(row.flags & Row::kHasCreation) || Take(bytes, at, 8, taken);
}

}  // namespace

std::optional<BlockView> BlockView::Parse(ByteView bytes, int version) {
  if (bytes.size() < 2) return std::nullopt;
  const size_t count = BigEndianAt<uint16_t>(bytes.data() + bytes.size() - 2);
  if (count == 0 || (bytes.size() - 2) / 2 < count) return std::nullopt;
  const size_t rows_size = bytes.size() - 2 - 2 * count;
  return BlockView(bytes.substr(0, rows_size), bytes.substr(rows_size, 2 * count), version);
}

size_t BlockView::OffsetAt(size_t index) const { return BigEndianAt<uint16_t>(offsets_.data() + 2 * index); }

bool BlockView::ReadRow(size_t& offset, Row& row) const {
  if (offset >= rows_.size()) return false;
  return version_ == 1 ? ReadRowV1(offset, row) : ReadRowV2(offset, row);
}

bool BlockView::ReadRowV1(size_t& offset, Row& row) const {
  ByteView taken;
  if (!Take(rows_, offset, 4, taken)) return false;
  row.shared = BigEndianAt<uint16_t>(taken.data());
  if (!Take(rows_, offset, BigEndianAt<uint16_t>(taken.data() + 2), row.suffix) || !ReadStamp(rows_, offset, row)) return false;
  row.value = {};
  if (row.flags & Row::kTombstone) return true;
  return Take(rows_, offset, 4, taken) && Take(rows_, offset, BigEndianAt<uint32_t>(taken.data()), row.value);
}

bool BlockView::ReadRowV2(size_t& offset, Row& row) const {
  uint32_t suffix_size = 0;
  uint32_t value_size = 0;
  return ReadVarint(rows_, offset, row.shared) && ReadVarint(rows_, offset, suffix_size) && ReadVarint(rows_, offset, value_size) &&
         Take(rows_, offset, suffix_size, row.suffix) && Take(rows_, offset, value_size, row.value) && ReadStamp(rows_, offset, row);
}

Sought BlockView::Find(ByteView key, Row& row) const { return version_ == 1 ? FindV1(key, row) : FindV2(key, row); }

Sought BlockView::FindV1(ByteView key, Row& row) const {
  Row first;
  size_t offset = 0;
  if (!ReadRowV1(offset, first) || first.shared != 0) return Sought::kDamaged;
  const size_t common_with_first = CommonPrefix(first.suffix, key);
  size_t low = 0;  // the first row that is not below `key`
  for (size_t high = count(); low < high;) {
    const size_t middle = (low + high) / 2;
    offset = OffsetAt(middle);
    if (!ReadRow(offset, row) || row.shared > first.suffix.size()) return Sought::kDamaged;
    int order;
    if (row.shared > common_with_first) {
      order = OrderBehind(first.suffix.substr(0, row.shared), key, common_with_first);
    } else {
      const ByteView rest = key.substr(row.shared);
      order = OrderBehind(row.suffix, rest, CommonPrefix(row.suffix, rest));
    }
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  if (low == count()) return Sought::kAbsent;
  offset = OffsetAt(low);
  if (!ReadRow(offset, row) || row.shared > first.suffix.size()) return Sought::kDamaged;
  const bool equal = row.shared <= common_with_first && row.suffix == key.substr(row.shared);
  return equal ? Sought::kFound : Sought::kAbsent;
}

bool BlockView::RestartBefore(ByteView key, size_t& offset) const {
  size_t low = 1;  // the first restart point that is not below `key`
  for (size_t high = count(); low < high;) {
    const size_t middle = (low + high) / 2;
    size_t at = OffsetAt(middle);
    Row row;
    if (!ReadRow(at, row) || row.shared != 0) return false;
    if (row.suffix < key) low = middle + 1;
    else high = middle;
  }
  offset = OffsetAt(low - 1);
  return true;
}

Sought BlockView::FindV2(ByteView key, Row& row) const {
  size_t offset = 0;
  if (!RestartBefore(key, offset)) return Sought::kDamaged;
  size_t matched = 0;   // bytes that `key` and the row before have in common; that row was below `key`
  size_t previous = 0;  // the length of its key
  while (offset < rows_.size()) {
    if (!ReadRowV2(offset, row) || row.shared > previous) return Sought::kDamaged;
    previous = row.shared + row.suffix.size();
    if (row.shared > matched) continue;  // it differs from `key` where the row before did
    const ByteView rest = key.substr(row.shared);
    const size_t common = CommonPrefix(row.suffix, rest);
    const int order = OrderBehind(row.suffix, rest, common);
    if (order == 0) return Sought::kFound;
    if (order > 0) return Sought::kAbsent;
    matched = row.shared + common;
  }
  return Sought::kAbsent;
}

BlockRows::BlockRows(BlockView block) : block_(block) {}

Sought BlockRows::Next() {
  if (at_ >= block_.rows_.size()) return Sought::kAbsent;
  if (!block_.ReadRow(at_, row_)) return Sought::kDamaged;
  const Bytes& base = block_.version_ == 1 ? first_key_ : key_;
  if (row_.shared > base.size()) return Sought::kDamaged;
  if (block_.version_ == 1) {
    key_.assign(base, 0, row_.shared).append(row_.suffix);
    if (first_key_.empty()) first_key_ = key_;
  } else {
    key_.resize(row_.shared);
    key_ += row_.suffix;
  }
  return Sought::kFound;
}

bool BlockBuilder::Fits(ByteView key, ByteView value) const {
  return empty() || rows_bytes_ + offsets_.size() + key.size() + value.size() + kRowBytesMost + 4 <= block_size_bytes_;
}

void BlockBuilder::Add(ByteView before, ByteView key, ByteView value, uint64_t sequence) {
  size_t shared = 0;
  if (count_ % kRowsPerRestart == 0) {
    AppendBigEndian(offsets_, static_cast<uint16_t>(rows_bytes_));
  } else {
    shared = CommonPrefix(before, key);
  }
  if (empty() && room_.size() > kRoomKeptMax) Bytes().swap(room_);  // of a value that was larger than others
  const ByteView suffix = key.substr(shared);
  const size_t row_bytes_most = suffix.size() + value.size() + kRowBytesMost;
  if (room_.size() - rows_bytes_ < row_bytes_most) room_.resize(std::max(block_size_bytes_, rows_bytes_ + row_bytes_most));
  char* out = room_.data() + rows_bytes_;
  out = WriteVarint(out, shared);
  out = WriteVarint(out, suffix.size());
  out = WriteVarint(out, value.size());
  out = std::copy(suffix.begin(), suffix.end(), out);
  out = std::copy(value.begin(), value.end(), out);
  for (int shift = 56; shift >= 0; shift -= 8) *out++ = static_cast<char>(sequence >> shift);
  *out++ = '\0';
  rows_bytes_ = static_cast<size_t>(out - room_.data());
  ++count_;
}

ByteView BlockBuilder::Finish() {
  AppendBigEndian(offsets_, static_cast<uint16_t>(offsets_.size() / 2));
  const size_t size = rows_bytes_ + offsets_.size();
  if (room_.size() < size) room_.resize(size);
  std::copy(offsets_.begin(), offsets_.end(), room_.begin() + static_cast<ptrdiff_t>(rows_bytes_));
  rows_bytes_ = 0;
  offsets_.clear();
  count_ = 0;
  return ByteView(room_).substr(0, size);
}

}  // namespace datashard::slatedb
