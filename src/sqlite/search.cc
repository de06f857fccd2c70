#include "sqlite/search.h"

#include <bit>
#include <cstring>
#include <utility>

namespace datashard::sqlite {
namespace {

// kShort: the bytes at hand do not decide, as the key of the cell begins with them and goes on in other pages.
enum class Order { kBelow, kEqual, kAbove, kShort };

uint64_t First8(const char* at) {
  uint64_t word = 0;
  std::memcpy(&word, at, 8);
  return std::endian::native == std::endian::little ? __builtin_bswap64(word) : word;
}

// Of the cell's key, whose first bytes are `part` of `part_of_bytes`, against `key`.
Order Compare(ByteView part, uint64_t part_of_bytes, ByteView key) {
  const size_t common = std::min(part.size(), key.size());
  int order = 0;
  if (common >= 8) {
    const uint64_t left = First8(part.data());
    const uint64_t right = First8(key.data());
    if (left != right) return left < right ? Order::kBelow : Order::kAbove;
    order = std::memcmp(part.data() + 8, key.data() + 8, common - 8);
  } else {
    order = common == 0 ? 0 : std::memcmp(part.data(), key.data(), common);
  }
  if (order != 0) return order < 0 ? Order::kBelow : Order::kAbove;
  if (part.size() < part_of_bytes && key.size() > part.size()) return Order::kShort;
  if (part_of_bytes == key.size()) return Order::kEqual;
  return part_of_bytes < key.size() ? Order::kBelow : Order::kAbove;
}

// Has the cells fetched from memory that the next three steps between `low` and `high` can meet: one wait instead of three.
void PrefetchSteps(const Node& node, uint32_t low, uint32_t high, int steps) {
  if (steps == 0 || low >= high) return;
  const uint32_t middle = low + (high - low) / 2;
  __builtin_prefetch(node.page + LoadU16(node.page + node.places + 2 * middle) % node.usable);
  PrefetchSteps(node, low, middle, steps - 1);
  PrefetchSteps(node, middle + 1, high, steps - 1);
}

}  // namespace

QuickPosition QuickSearch(const Node& node, ByteView key, uint32_t from) {
  constexpr int kStepsAhead = 3;
  const LocalRule rule = LocalRule::OfIndex(node.usable);
  QuickPosition position;
  uint32_t low = from;
  uint32_t high = node.cell_count;
  for (int step = 0; low < high; ++step) {
    if (step % kStepsAhead == 0) PrefetchSteps(node, low, high, kStepsAhead);
    const uint32_t middle = low + (high - low) / 2;
    const Cell cell = node.CellAt(middle, rule);
    if (cell.wrong != nullptr) return position;
    switch (Compare(LocalPart(cell.payload, cell.key_offset, cell.key_bytes), cell.key_bytes, key)) {
      case Order::kShort: return position;
      case Order::kEqual: return {.sure = true, .equal = true, .index = middle, .cell = cell};
      case Order::kBelow: low = middle + 1; break;
      case Order::kAbove: high = middle; break;
    }
  }
  position.sure = true;
  position.index = low;
  return position;
}

Result<HeldNode> ParseNode(const Pages& pages, uint32_t number, Page page) {
  const Node node = Node::Parse(page.bytes, number, pages.header().usable, kIndexInterior, kIndexLeaf);
  if (node.wrong != nullptr) return pages.Damaged(number, node.wrong);
  return HeldNode{number, std::move(page), node};
}

Result<Position> Search(PagesAhead& pages, const HeldNode& held, ByteView key, kv::Residency residency, uint32_t from) {
  Position position;
  if (const QuickPosition quick = QuickSearch(held.node, key, from); quick.sure) {
    position.index = quick.index;
    position.equal = quick.equal;
    position.cell = quick.cell;
    return position;
  }
  const LocalRule rule = LocalRule::OfIndex(held.node.usable);
  uint32_t low = from;
  uint32_t high = held.node.cell_count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    const Cell cell = held.node.CellAt(middle, rule);
    if (cell.wrong != nullptr) return pages.pages().Wrong(held.number, cell);
    Order order = Compare(LocalPart(cell.payload, cell.key_offset, cell.key_bytes), cell.key_bytes, key);
    if (order == Order::kShort) {
      DS_ASSIGN_OR_RETURN(const std::optional<Bytes> whole, ReadPayload(pages, cell.payload, cell.key_offset, cell.key_bytes, residency));
      if (!whole) {
        position.resident = false;
        return position;
      }
      order = Compare(*whole, whole->size(), key);
    }
    if (order == Order::kEqual) {
      position.index = middle;
      position.equal = true;
      position.cell = cell;
      return position;
    }
    if (order == Order::kBelow) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  position.index = low;
  return position;
}

Result<Cell> CellOf(const Pages& pages, const HeldNode& held, uint32_t index) {
  const Cell cell = held.node.CellAt(index, LocalRule::OfIndex(held.node.usable));
  if (cell.wrong != nullptr) return pages.Wrong(held.number, cell);
  return cell;
}

Result<uint32_t> ChildOf(const Pages& pages, const HeldNode& held, uint32_t index) {
  if (index == held.node.cell_count) return held.node.right_child;
  const ByteView bytes = held.node.CellBytes(index);
  if (bytes.empty()) return pages.Damaged(held.number, "a cell is outside of it");
  return LoadU32(bytes.data());
}

Result<kv::Lookup> ValueOf(PagesAhead& pages, const HeldNode& held, const Cell& cell, kv::Residency residency) {
  const ByteView local = LocalPart(cell.payload, cell.value_offset, cell.value_bytes);
  if (local.size() == cell.value_bytes) return kv::Lookup::Found(local, held.page.owner);
  DS_ASSIGN_OR_RETURN(std::optional<Bytes> whole, ReadPayload(pages, cell.payload, cell.value_offset, cell.value_bytes, residency));
  if (!whole) return kv::Lookup::NotResident();
  auto owner = std::make_shared<const Bytes>(*std::move(whole));
  const ByteView bytes = *owner;
  return kv::Lookup::Found(bytes, std::move(owner));
}

}  // namespace datashard::sqlite
