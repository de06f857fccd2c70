#include "sqlite/cursor.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "sqlite/search.h"

namespace datashard::sqlite {
namespace {

constexpr uint32_t kAheadPagesMax = 1024;
constexpr uint32_t kAheadBytesMax = 4 << 20;

class TreeCursor final : public kv::Cursor {
 public:
  TreeCursor(const Pages& pages, kv::KeyRange range) : pages_(pages), range_(std::move(range)), chains_(pages) {}

  // Puts the way to the first row on the stack.
  Status Start(uint32_t root) {
    DS_ASSIGN_OR_RETURN(Page page, pages_.Get(root, kv::Residency::kAnywhere));
    DS_RETURN_IF_ERROR(Push(root, std::move(page)));
    for (;;) {
      Frame& frame = stack_.back();
      DS_ASSIGN_OR_RETURN(const Position found, Search(chains_, frame.held, range_.start, kv::Residency::kAnywhere));
      frame.index = found.index;
      if (found.equal) frame.below_first = false;  // all rows left of it are before the range
      if (frame.held.node.leaf || found.equal) return {};
      ahead_count_ = 1;  // on the way down it is one page of each level
      DS_RETURN_IF_ERROR(PushChild());
    }
  }

  Result<bool> Next() override {
    while (!stack_.empty()) {
      Frame& frame = stack_.back();
      if (!frame.held.node.leaf && frame.below_first) {
        DS_RETURN_IF_ERROR(PushChild());
        continue;
      }
      if (frame.index == frame.held.node.cell_count) {
        stack_.pop_back();
        continue;
      }
      DS_RETURN_IF_ERROR(Take(frame));
      ++frame.index;
      frame.below_first = true;
      if (range_.end && key_ >= *range_.end) stack_.clear();
      return !stack_.empty();
    }
    return false;
  }
  ByteView key() const override { return key_; }
  ByteView value() const override { return value_.bytes; }

 private:
  struct Frame {
    HeldNode held;
    uint32_t index = 0;       // of the next cell
    bool below_first = true;  // what is below and left of that cell comes before it
    std::vector<Page> ahead;  // children that were fetched, from `ahead_first` on
    uint32_t ahead_first = 0;
  };

  Status Push(uint32_t number, Page page) {
    // Each page of a sound tree comes once; a tree that leads back into itself would go on for ever.
    if (++pages_seen_ > pages_.header().page_count || stack_.size() == kDepthMax) {
      return pages_.Damaged(number, "the tree leads back into itself");
    }
    DS_ASSIGN_OR_RETURN(HeldNode held, ParseNode(pages_, number, std::move(page)));
    stack_.push_back({.held = std::move(held)});
    return {};
  }

  Status PushChild() {
    Frame& frame = stack_.back();
    frame.below_first = false;
    DS_ASSIGN_OR_RETURN(const uint32_t child, ChildOf(pages_, frame.held, frame.index));
    if (pages_.mapped()) {
      DS_ASSIGN_OR_RETURN(Page page, pages_.Get(child, kv::Residency::kAnywhere));
      return Push(child, std::move(page));
    }
    if (frame.index < frame.ahead_first || frame.index >= frame.ahead_first + frame.ahead.size()) DS_RETURN_IF_ERROR(FetchAhead(frame));
    return Push(child, frame.ahead[frame.index - frame.ahead_first]);
  }

  // Fetches the child before the next cell and some behind it, as long as they can hold rows of the range.
  Status FetchAhead(Frame& frame) {
    uint32_t last = frame.held.node.cell_count;
    if (range_.end) {
      DS_ASSIGN_OR_RETURN(const Position end, Search(chains_, frame.held, *range_.end, kv::Residency::kAnywhere, frame.index));
      last = end.index;
    }
    std::vector<uint32_t> children;
    for (uint32_t i = frame.index; i <= last && children.size() < ahead_count_; ++i) {
      DS_ASSIGN_OR_RETURN(const uint32_t child, ChildOf(pages_, frame.held, i));
      children.push_back(child);
    }
    DS_ASSIGN_OR_RETURN(frame.ahead, pages_.GetMany(children));
    frame.ahead_first = frame.index;
    const uint32_t count_max = std::clamp(kAheadBytesMax / pages_.header().page_size, 1u, kAheadPagesMax);
    ahead_count_ = std::min(ahead_count_ * 4, count_max);
    return {};
  }

  // The row of the frame's next cell becomes the current one.
  Status Take(const Frame& frame) {
    DS_ASSIGN_OR_RETURN(const Cell cell, CellOf(pages_, frame.held, frame.index));
    const ByteView part = LocalPart(cell.payload, cell.key_offset, cell.key_bytes);
    Bytes key(part);
    if (part.size() < cell.key_bytes) {
      DS_ASSIGN_OR_RETURN(std::optional<Bytes> whole, ReadPayload(chains_, cell.payload, cell.key_offset, cell.key_bytes, kv::Residency::kAnywhere));
      key = *std::move(whole);
    }
    if (any_ ? key <= key_ : key < range_.start) return pages_.Damaged(frame.held.number, "its keys are not in order");
    any_ = true;
    key_.swap(key);
    DS_ASSIGN_OR_RETURN(kv::Lookup value, ValueOf(chains_, frame.held, cell, kv::Residency::kAnywhere));
    value_ = std::move(value.value);
    return {};
  }

  const Pages& pages_;
  const kv::KeyRange range_;
  PagesAhead chains_;
  std::vector<Frame> stack_;
  uint32_t ahead_count_ = 1;  // children to fetch at once; grows while the scan goes on, from one page of the tree to the next
  uint64_t pages_seen_ = 0;
  bool any_ = false;
  Bytes key_;
  kv::PinnedBytes value_;
};

}  // namespace

Result<std::unique_ptr<kv::Cursor>> ScanFrom(const Pages& pages, uint32_t root, kv::KeyRange range) {
  auto cursor = std::make_unique<TreeCursor>(pages, std::move(range));
  DS_RETURN_IF_ERROR(cursor->Start(root));
  return std::unique_ptr<kv::Cursor>(std::move(cursor));
}

}  // namespace datashard::sqlite
