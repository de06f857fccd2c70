// In an index tree an entry between two pages of a level is stored in the level above only, as their divider. So a level holds its page
// until it is full, then the entry that did not fit until the next one comes: only then is it known that a page follows, and that
// this entry divides the two. Where none comes, the last entry of the full page becomes the divider and the one held the last page's only one.
#include "sqlite/tree_writer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace datashard::sqlite {

// An entry of a leaf, in pieces that lie where the caller has them.
struct TreeWriter::Cell {
  std::array<ByteView, 3> payload;
  uint64_t payload_bytes = 0;
  uint32_t local_bytes = 0;
  uint32_t overflow_page = 0;  // 0: none
  char size_varint[9] = {};
  uint32_t size_varint_bytes = 0;

  uint32_t stored_bytes() const { return size_varint_bytes + local_bytes + (overflow_page != 0 ? 4 : 0); }

  // Copies bytes from..to of the payload.
  void CopyPayload(uint64_t from, uint64_t to, char* out) const {
    uint64_t start = 0;
    for (const ByteView piece : payload) {
      const uint64_t end = start + piece.size();
      if (from < end && start < to) {
        const uint64_t first = std::max(from, start);
        const auto count = static_cast<size_t>(std::min(to, end) - first);
        std::memcpy(out + (first - from), piece.data() + (first - start), count);
      }
      start = end;
    }
  }

  void Store(char* out) const {
    std::memcpy(out, size_varint, size_varint_bytes);
    CopyPayload(0, local_bytes, out + size_varint_bytes);
    if (overflow_page != 0) StoreU32(out + size_varint_bytes + local_bytes, overflow_page);
  }
};

struct TreeWriter::Level {
  Level(uint32_t page_size, PageType type) : page(page_size, type) {}
  // What did not fit into the page any more: an entry, and on interior levels the child on its left.
  struct Held {
    uint32_t left_child = 0;
    Bytes entry;
  };
  PageBuilder page;
  std::optional<Held> held;

  bool Fits(uint32_t left_child, ByteView entry) {
    char* place = page.Add(static_cast<uint32_t>(4 + entry.size()));
    if (place == nullptr) return false;
    StoreU32(place, left_child);
    std::memcpy(place + 4, entry.data(), entry.size());
    return true;
  }
};

TreeWriter::TreeWriter(PageStream& pages, uint32_t root)
    : pages_(pages), root_(root), rule_(LocalRule::OfIndex(pages.page_size())), overflow_page_(pages.page_size(), '\0') {
  levels_.push_back(std::make_unique<Level>(pages.page_size(), kIndexLeaf));
}
TreeWriter::~TreeWriter() = default;

Status TreeWriter::Add(ByteView header, ByteView key, ByteView value) {
  Cell cell{.payload = {header, key, value}, .payload_bytes = header.size() + key.size() + value.size()};
  cell.size_varint_bytes = static_cast<uint32_t>(WriteVarint(cell.size_varint, cell.payload_bytes) - cell.size_varint);
  cell.local_bytes = rule_.LocalBytes(cell.payload_bytes);
  Level& leaves = *levels_[0];
  if (leaves.held) {
    Bytes divider = std::move(leaves.held->entry);
    leaves.held.reset();
    DS_RETURN_IF_ERROR(Flush(0, /*right_child=*/0, std::move(divider)));
  }
  if (cell.local_bytes < cell.payload_bytes) {
    cell.overflow_page = pages_.next();
    DS_RETURN_IF_ERROR(WriteOverflow(cell));
  }
  char* place = leaves.page.Add(cell.stored_bytes());
  if (place == nullptr) {
    leaves.held.emplace().entry.resize(cell.stored_bytes());
    place = leaves.held->entry.data();
  }
  cell.Store(place);
  return {};
}

Status TreeWriter::WriteOverflow(const Cell& cell) {
  const uint32_t page_payload = pages_.page_size() - 4;
  for (uint64_t from = cell.local_bytes; from < cell.payload_bytes; from += page_payload) {
    const uint64_t to = std::min(from + page_payload, cell.payload_bytes);
    const bool last = to == cell.payload_bytes;
    StoreU32(overflow_page_.data(), last ? 0 : pages_.After(pages_.next()));
    cell.CopyPayload(from, to, overflow_page_.data() + 4);
    std::fill(overflow_page_.begin() + static_cast<int64_t>(4 + (to - from)), overflow_page_.end(), '\0');
    DS_RETURN_IF_ERROR(pages_.Append(overflow_page_));
  }
  return {};
}

// Writes the page of `level` and begins the next; `divider` goes between the two, one level up.
Status TreeWriter::Flush(size_t level, uint32_t right_child, Bytes divider) {
  const uint32_t number = pages_.next();
  DS_RETURN_IF_ERROR(pages_.Append(levels_[level]->page.Finished(right_child)));
  levels_[level]->page.Clear();
  if (level + 1 == levels_.size()) levels_.push_back(std::make_unique<Level>(pages_.page_size(), kIndexInterior));
  return AddToInterior(level + 1, number, divider);
}

Status TreeWriter::AddToInterior(size_t level, uint32_t left_child, ByteView entry) {
  Level& interior = *levels_[level];
  if (interior.held) {
    Level::Held held = *std::exchange(interior.held, std::nullopt);
    DS_RETURN_IF_ERROR(Flush(level, held.left_child, std::move(held.entry)));
  }
  if (!interior.Fits(left_child, entry)) interior.held = Level::Held{left_child, Bytes(entry)};
  return {};
}

// Writes what is left of `level`, whose last child is `last_child`, and gives its last page.
Result<uint32_t> TreeWriter::FinishLevel(size_t level, uint32_t last_child) {
  Level& last = *levels_[level];
  if (last.held) {
    const Level::Held held = *std::exchange(last.held, std::nullopt);
    const Bytes taken = last.page.TakeLast();
    if (level == 0) {
      DS_RETURN_IF_ERROR(Flush(level, 0, taken));
      std::memcpy(last.page.Add(static_cast<uint32_t>(held.entry.size())), held.entry.data(), held.entry.size());
    } else {
      DS_RETURN_IF_ERROR(Flush(level, LoadU32(taken.data()), taken.substr(4)));
      last.Fits(held.left_child, held.entry);  // into an empty page anything does
    }
  }
  const ByteView page = last.page.Finished(last_child);
  if (level + 1 == levels_.size()) {
    DS_RETURN_IF_ERROR(pages_.Rewrite(root_, page));
    return root_;
  }
  const uint32_t number = pages_.next();
  DS_RETURN_IF_ERROR(pages_.Append(page));
  return number;
}

Status TreeWriter::Finish() {
  uint32_t last_child = 0;
  for (size_t level = 0; level < levels_.size(); ++level) {
    DS_ASSIGN_OR_RETURN(last_child, FinishLevel(level, last_child));
  }
  return {};
}

}  // namespace datashard::sqlite
