// One page of an index tree being filled: cells from its end downwards, their places from its start upwards.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "sqlite/format.h"

namespace datashard::sqlite {

class PageBuilder {
 public:
  PageBuilder(uint32_t page_size, PageType type)
      : page_(page_size, '\0'), type_(type), header_bytes_(type == kIndexLeaf ? 8 : 12), content_(page_size) {}

  uint32_t cell_count() const { return count_; }

  /// Room for a cell behind those there are, to be filled by the caller; null where the page is full.
  char* Add(uint32_t cell_bytes) {
    if (header_bytes_ + 2 * (count_ + 1) + cell_bytes > content_) return nullptr;
    content_ -= cell_bytes;
    StoreU16(&page_[header_bytes_ + 2 * count_], content_);
    ++count_;
    return &page_[content_];
  }

  /// Takes the last cell out again; there is one.
  Bytes TakeLast() {
    const uint32_t end = count_ == 1 ? static_cast<uint32_t>(page_.size()) : LoadU16(&page_[header_bytes_ + 2 * (count_ - 2)]);
    Bytes cell = page_.substr(content_, end - content_);
    content_ = end;
    --count_;
    return cell;
  }

  /// The page as it is stored, until the next call. `right_child` is for interior pages.
  ByteView Finished(uint32_t right_child) {
    page_[0] = static_cast<char>(type_);
    StoreU16(&page_[1], 0);  // no free blocks
    StoreU16(&page_[3], count_);
    StoreU16(&page_[5], content_);  // 65,536 is stored as 0
    page_[7] = 0;                   // no fragments
    if (type_ == kIndexInterior) StoreU32(&page_[8], right_child);
    const uint32_t places_end = header_bytes_ + 2 * count_;
    std::memset(&page_[places_end], 0, content_ - places_end);
    return page_;
  }

  void Clear() {
    count_ = 0;
    content_ = static_cast<uint32_t>(page_.size());
  }

 private:
  Bytes page_;
  PageType type_;
  uint32_t header_bytes_;
  uint32_t content_;  // where the cells begin
  uint32_t count_ = 0;
};

}  // namespace datashard::sqlite
