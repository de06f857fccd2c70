// Finding keys among the cells of one page, and the rows of cells.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "datashard/result.h"
#include "kv/database.h"
#include "sqlite/pages.h"

namespace datashard::sqlite {

/// A page of kv's tree and what keeps it in memory.
struct HeldNode {
  uint32_t number = 0;
  Page page;
  Node node;
};

/// Errors: kCorruption where page `number` is no page of an index tree.
Result<HeldNode> ParseNode(const Pages& pages, uint32_t number, Page page);

/// Where a key is among the cells of a node.
struct Position {
  uint32_t index = 0;  ///< of the first cell whose key is not below it; cell_count where all are
  bool equal = false;
  bool resident = true;  ///< false: a page of a long key would have to be fetched; nothing else counts
  Cell cell;             ///< where `equal`
};

/// Search by what is in the page alone, without a way to report anything: `sure` is false where it takes more than that.
struct QuickPosition {
  bool sure = false;
  bool equal = false;
  uint32_t index = 0;
  Cell cell;  ///< where `equal`
};
QuickPosition QuickSearch(const Node& node, ByteView key, uint32_t from = 0);

/// Looks from cell `from` on, for keys that ascend.
Result<Position> Search(PagesAhead& pages, const HeldNode& held, ByteView key, kv::Residency residency, uint32_t from = 0);

/// Errors: kCorruption, kUnsupported for a cell that is no entry of kv.
Result<Cell> CellOf(const Pages& pages, const HeldNode& held, uint32_t index);
/// The page below `held` left of cell `index`, or right of all cells.
Result<uint32_t> ChildOf(const Pages& pages, const HeldNode& held, uint32_t index);
/// The value of `cell`, which is in `held`; kNotResident where a page of it is not.
Result<kv::Lookup> ValueOf(PagesAhead& pages, const HeldNode& held, const Cell& cell, kv::Residency residency);

}  // namespace datashard::sqlite
