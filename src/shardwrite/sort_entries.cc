#include "shardwrite/sort_entries.h"

#include <algorithm>
#include <array>
#include <utility>

namespace datashard::shardwrite {
namespace {

constexpr size_t kSmall = 48;         // below, comparing is as fast
constexpr size_t kDepthBytesMax = 256;  // keys alike so far are compared whole: recursion stays shallow

using Histogram = std::array<uint32_t, 256>;

void SortByComparing(std::span<SortEntry> entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const SortEntry& a, const SortEntry& b) { return KeyOf(a.pair) < KeyOf(b.pair); });
}

// Stable, by `word` only.
void SortByWord(std::span<SortEntry> entries, std::span<SortEntry> scratch) {
  std::array<Histogram, 8> histograms{};
  for (const SortEntry& entry : entries) {
    for (size_t byte = 0; byte < 8; ++byte) ++histograms[byte][(entry.word >> (8 * byte)) & 0xff];
  }
  std::span<SortEntry> from = entries;
  std::span<SortEntry> to = scratch;
  for (size_t byte = 0; byte < 8; ++byte) {
    Histogram& counts = histograms[byte];
    if (counts[(entries[0].word >> (8 * byte)) & 0xff] == entries.size()) continue;  // the same in all
    uint32_t start = 0;
    for (uint32_t& count : counts) start += std::exchange(count, start);
    for (const SortEntry& entry : from) to[counts[(entry.word >> (8 * byte)) & 0xff]++] = entry;
    std::swap(from, to);
  }
  if (from.data() != entries.data()) std::copy(from.begin(), from.end(), entries.begin());
}

void SortFrom(std::span<SortEntry> entries, std::span<SortEntry> scratch, size_t depth);

// `alike` have equal bytes, or zeros behind a key's end, up to depth + 8.
void SortAlike(std::span<SortEntry> alike, std::span<SortEntry> scratch, size_t depth) {
  const size_t next = depth + 8;
  const auto size_of = [](const SortEntry& entry) -> size_t { return PairHeader::At(entry.pair).key_size_bytes; };
  const size_t first_size = size_of(alike[0]);
  if (first_size <= next && std::all_of(alike.begin(), alike.end(), [&](const SortEntry& entry) { return size_of(entry) == first_size; })) {
    return;  // equal keys
  }
  if (alike.size() < kSmall || next >= kDepthBytesMax) return SortByComparing(alike);
  // Keys that end here are the beginnings of those that go on, with zeros missing.
  const auto longer = std::stable_partition(alike.begin(), alike.end(), [&](const SortEntry& entry) { return size_of(entry) <= next; });
  std::stable_sort(alike.begin(), longer, [&](const SortEntry& a, const SortEntry& b) { return size_of(a) < size_of(b); });
  const std::span<SortEntry> rest(longer, alike.end());
  if (rest.empty()) return;
  for (SortEntry& entry : rest) entry.word = WordAt(KeyOf(entry.pair), next);
  SortFrom(rest, scratch, next);
}

void SortFrom(std::span<SortEntry> entries, std::span<SortEntry> scratch, size_t depth) {
  SortByWord(entries, scratch.first(entries.size()));
  for (size_t begin = 0; begin < entries.size();) {
    size_t end = begin + 1;
    while (end < entries.size() && entries[end].word == entries[begin].word) ++end;
    if (end - begin > 1) SortAlike(entries.subspan(begin, end - begin), scratch, depth);
    begin = end;
  }
}

}  // namespace

void SortEntries(std::span<SortEntry> entries, std::span<SortEntry> scratch) {
  if (entries.size() < kSmall) return SortByComparing(entries);
  SortFrom(entries, scratch, 0);
}

}  // namespace datashard::shardwrite
