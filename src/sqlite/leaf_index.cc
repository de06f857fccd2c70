#include "sqlite/leaf_index.h"

#include <algorithm>
#include <bit>

#include "sqlite/search.h"

namespace datashard::sqlite {
namespace {

constexpr size_t kFirstBytes = 8;

// The first 8 bytes, or all and zeros behind them.
uint64_t First8(ByteView bytes) {
  uint64_t word = 0;
  if (!bytes.empty()) std::memcpy(&word, bytes.data(), std::min(bytes.size(), kFirstBytes));
  return std::endian::native == std::endian::little ? __builtin_bswap64(word) : word;
}

// How many levels are below the root on the way to the first leaf; -1 where that is no way.
int DepthOf(const Pages& pages, uint32_t root) {
  uint32_t number = root;
  for (int depth = 0; depth < kDepthMax; ++depth) {
    Result<Page> page = pages.Get(number, kv::Residency::kAnywhere);
    if (!page.ok()) return -1;
    const Result<HeldNode> held = ParseNode(pages, number, *std::move(page));
    if (!held.ok()) return -1;
    if (held->node.leaf) return depth;
    const Result<uint32_t> child = ChildOf(pages, *held, 0);
    if (!child.ok()) return -1;
    number = *child;
  }
  return -1;
}

}  // namespace

std::unique_ptr<const LeafIndex> LeafIndex::Build(const Pages& pages, uint32_t root) {
  const int depth = DepthOf(pages, root);
  if (depth < 1) return nullptr;
  std::unique_ptr<LeafIndex> index(new LeafIndex);
  std::vector<ByteView> dividers;
  uint32_t pages_left = pages.header().page_count;
  if (!index->Add(pages, root, depth, &pages_left, &dividers) || dividers.empty()) return nullptr;
  const ByteView first = dividers.front();
  const ByteView last = dividers.back();
  const auto differ = std::mismatch(first.begin(), first.end(), last.begin(), last.end());
  index->prefix_ = first.substr(0, static_cast<size_t>(differ.first - first.begin()));
  const size_t skipped = index->prefix_.size();
  index->firsts_.reserve(dividers.size());
  for (const ByteView divider : dividers) {
    if (divider.substr(0, skipped) != index->prefix_) return nullptr;
    index->firsts_.push_back(First8(divider.substr(skipped)));
  }
  if (!std::is_sorted(index->firsts_.begin(), index->firsts_.end())) return nullptr;
  return index;
}

// Of the tree below page `number`. `dividers` are where they lie in the pages, without what is in overflow pages.
bool LeafIndex::Add(const Pages& pages, uint32_t number, int levels_below, uint32_t* pages_left, std::vector<ByteView>* dividers) {
  if (levels_below == 0) {
    leaves_.push_back(number);
    return true;
  }
  if (*pages_left == 0) return false;
  --*pages_left;
  Result<Page> page = pages.Get(number, kv::Residency::kAnywhere);
  if (!page.ok()) return false;
  const Result<HeldNode> held = ParseNode(pages, number, *std::move(page));
  if (!held.ok() || held->node.leaf) return false;
  const LocalRule rule = LocalRule::OfIndex(held->node.usable);
  for (uint32_t i = 0; i < held->node.cell_count; ++i) {
    const Cell cell = held->node.CellAt(i, rule);
    if (cell.wrong != nullptr || !Add(pages, cell.left_child, levels_below - 1, pages_left, dividers)) return false;
    const ByteView key = LocalPart(cell.payload, cell.key_offset, cell.key_bytes);
    if (key.size() < cell.key_bytes) return false;
    dividers->push_back(key);
  }
  return Add(pages, held->node.right_child, levels_below - 1, pages_left, dividers);
}

uint32_t LeafIndex::LeafOf(ByteView key) const {
  const size_t skipped = prefix_.size();
  if (key.size() < skipped || std::memcmp(key.data(), prefix_.data(), skipped) != 0) return 0;
  const uint64_t wanted = First8(key.substr(skipped));
  // The first that is not below. Without branches: those would be guessed wrong every other time.
  const uint64_t* first = firsts_.data();
  for (size_t count = firsts_.size(); count > 1;) {
    const size_t half = count / 2;
    first = first[half - 1] < wanted ? first + half : first;
    count -= half;
  }
  auto index = static_cast<size_t>(first - firsts_.data());
  if (*first < wanted) ++index;
  if (index < firsts_.size() && firsts_[index] == wanted) return 0;  // the key that divides, or one like it
  return leaves_[index];
}

}  // namespace datashard::sqlite
