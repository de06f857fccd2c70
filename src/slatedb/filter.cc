#include "slatedb/filter.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "slatedb/codec.h"

namespace datashard::slatedb {
namespace {

constexpr ByteView kBloomName = "_bf";
constexpr uint32_t kProbesMax = 1024;  // a hostile count would be a slow look-up

struct SipState {
  uint64_t v0 = 0x736f6d6570736575, v1 = 0x646f72616e646f6d, v2 = 0x6c7967656e657261, v3 = 0x7465646279746573;
  void Round() {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32) + v3;
    v2 += v1;
    v3 = std::rotl(v3, 21) ^ v0;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void Word(uint64_t word) {
    v3 ^= word;
    Round();
    v0 ^= word;
  }
};

// Enhanced double hashing: visits the bits of one hash until `visit` says false.
template <typename Visit>
bool ForEachProbe(uint64_t hash, uint32_t probes, uint64_t bits, const Visit& visit) {
  uint64_t at = (hash & 0xffffffff) % bits;
  uint64_t delta = (hash >> 32) % bits;
  for (uint32_t i = 0; i < probes; ++i) {
    delta += i;  // both are below bits + probes, so one subtraction is mostly enough
    if (delta >= bits) delta %= bits;
    if (!visit(at)) return false;
    at += delta;
    if (at >= bits) at -= bits;
  }
  return true;
}

}  // namespace

uint64_t FilterHash(ByteView key) {
  SipState state;
  size_t at = 0;
  for (; at + 8 <= key.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, key.data() + at, 8);  // little-endian, as all machines we build for
    state.Word(word);
  }
  uint64_t last = static_cast<uint64_t>(key.size()) << 56;
  for (size_t i = 0; at + i < key.size(); ++i) last |= static_cast<uint64_t>(static_cast<unsigned char>(key[at + i])) << (8 * i);
  state.Word(last);
  state.v2 ^= 0xff;
  for (int i = 0; i < 3; ++i) state.Round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

std::optional<FilterView> FilterView::Parse(ByteView data) {
  if (data.size() < 3) return std::nullopt;
  const uint32_t probes = BigEndianAt<uint16_t>(data.data());
  if (probes > kProbesMax) return std::nullopt;
  return FilterView(probes, data.substr(2));
}

bool FilterView::MayContain(uint64_t hash) const {
  return ForEachProbe(hash, probes_, bits_.size() * 8, [&](uint64_t bit) { return (static_cast<unsigned char>(bits_[bit / 8]) >> (bit % 8) & 1) != 0; });
}

Bytes BuildFilter(const std::vector<uint64_t>& hashes, int32_t bits_per_key) {
  const uint16_t probes = static_cast<uint16_t>(std::max(1, static_cast<int>(bits_per_key * 0.69)));
  Bytes data;
  AppendBigEndian(data, probes);
  data.resize(2 + std::max<size_t>(1, (hashes.size() * static_cast<size_t>(bits_per_key) + 7) / 8), '\0');
  char* const bits = data.data() + 2;
  for (const uint64_t hash : hashes) {
    ForEachProbe(hash, probes, (data.size() - 2) * 8, [&](uint64_t bit) {
      bits[bit / 8] = static_cast<char>(bits[bit / 8] | 1 << (bit % 8));
      return true;
    });
  }
  return data;
}

Bytes CompositeOf(ByteView filter_data) {
  Bytes block;
  AppendBigEndian(block, uint16_t{1});
  AppendBigEndian(block, static_cast<uint16_t>(kBloomName.size()));
  block += kBloomName;
  AppendBigEndian(block, static_cast<uint64_t>(filter_data.size()));
  block += filter_data;
  return block;
}

Composite ParseComposite(ByteView block) {
  const auto take = [&block](uint64_t size) {
    const ByteView taken = block.substr(0, size);
    block.remove_prefix(size);
    return taken;
  };
  if (block.size() < 2) return {};
  Composite found;
  for (uint32_t left = BigEndianAt<uint16_t>(take(2).data()); left > 0; --left) {
    if (block.size() < 2) return {};
    const uint16_t name_size = BigEndianAt<uint16_t>(take(2).data());
    if (block.size() < name_size + size_t{8}) return {};
    const ByteView name = take(name_size);
    const uint64_t size = BigEndianAt<uint64_t>(take(8).data());
    if (block.size() < size) return {};
    const ByteView data = take(size);
    if (name == kBloomName) found.bloom = data;
  }
  found.valid = block.empty();
  return found;
}

}  // namespace datashard::slatedb
