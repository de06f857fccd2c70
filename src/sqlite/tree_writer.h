// An index tree from entries in ascending order, from its leaves to its root in one pass, every page full.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"
#include "sqlite/page_builder.h"
#include "sqlite/page_stream.h"

namespace datashard::sqlite {

/// Holds one page for each level. Not thread safe. Errors of all calls: those of PageStream.
class TreeWriter {
 public:
  /// `pages` is borrowed. `root` was appended to it already and is written over at the end.
  TreeWriter(PageStream& pages, uint32_t root);
  ~TreeWriter();

  /// An entry above all before. Its payload is `header`, `key` and `value` one behind the other.
  Status Add(ByteView header, ByteView key, ByteView value);
  /// Called once.
  Status Finish();

 private:
  struct Level;
  struct Cell;
  Status WriteOverflow(const Cell& cell);
  Status Flush(size_t level, uint32_t right_child, Bytes divider);
  Status AddToInterior(size_t level, uint32_t left_child, ByteView entry);
  Result<uint32_t> FinishLevel(size_t level, uint32_t last_child);

  PageStream& pages_;
  const uint32_t root_;
  const LocalRule rule_;
  std::vector<std::unique_ptr<Level>> levels_;  // the leaves first
  Bytes overflow_page_;
};

}  // namespace datashard::sqlite
