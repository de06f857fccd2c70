// A page of a tree and its cells, looked at where they lie. Nothing here trusts a byte: whatever is read lies within the page.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/bytes.h"
#include "sqlite/format.h"

namespace datashard::sqlite {

/// A row as one cell has it: its first bytes in the page, the rest in a chain of pages.
struct Payload {
  ByteView local;
  uint64_t size_bytes = 0;
  uint32_t overflow_page = 0;  ///< 0: there is no rest
};

/// An entry of kv. Where `wrong` says something, nothing else counts.
struct Cell {
  Payload payload;
  uint64_t key_offset = 0;  ///< in the payload, as is the value's
  uint64_t key_bytes = 0;
  uint64_t value_offset = 0;
  uint64_t value_bytes = 0;
  uint32_t left_child = 0;      ///< of an interior page
  const char* wrong = nullptr;  ///< what is damaged, for a message
  bool unsupported = false;     ///< not damaged, but nothing that a shard has
};

/// A page that is part of a tree. Where `wrong` says something, nothing else counts.
struct Node {
  const char* page = nullptr;
  uint32_t usable = 0;
  uint32_t places = 0;  ///< where the cells' places begin
  uint32_t cell_count = 0;
  uint32_t right_child = 0;
  bool leaf = true;
  const char* wrong = nullptr;

  /// \param interior, leaf  the two types it may be of.
  static Node Parse(ByteView page, uint32_t number, uint32_t usable, PageType interior, PageType leaf) {
    Node node{.page = page.data(), .usable = usable};
    const uint32_t start = number == 1 ? kFileHeaderBytes : 0;
    const auto type = static_cast<unsigned char>(page[start]);
    if (type != interior && type != leaf) {
      node.wrong = "it is not a page of the tree that points to it";
      return node;
    }
    node.leaf = type == leaf;
    node.places = start + (node.leaf ? 8 : 12);
    node.cell_count = LoadU16(node.page + start + 3);
    if (node.places + 2 * node.cell_count > usable) node.wrong = "it has more cells than fit into it";
    if (!node.leaf) node.right_child = LoadU32(node.page + start + 8);
    return node;
  }

  /// The bytes of cell `i` up to the end of the page; none where the place given is not one.
  ByteView CellBytes(uint32_t i) const {
    const uint32_t place = LoadU16(page + places + 2 * i);
    if (place < places + 2 * cell_count || place + 4 > usable) return {};
    return {page + place, usable - place};
  }

  /// Cell `i` < cell_count of an index tree that holds kv.
  Cell CellAt(uint32_t i, const LocalRule& rule) const {
    Cell cell;
    const ByteView bytes = CellBytes(i);
    if (bytes.empty()) return Wrong("a cell is outside of it");
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    if (!leaf) {
      cell.left_child = LoadU32(at);
      at += 4;
    }
    if (!ReadPayload(at, end, rule, &cell.payload)) return Wrong("a cell reaches beyond its end");
    ParseRecord(&cell);
    return cell;
  }

  /// Reads the size and the local bytes of a payload at `at`; false where they reach beyond `end`.
  static bool ReadPayload(const char* at, const char* end, const LocalRule& rule, Payload* payload) {
    if (!ReadVarint(&at, end, &payload->size_bytes)) return false;
    return TakeLocal(at, end, rule, payload);
  }
  /// The same where the size is known.
  static bool TakeLocal(const char* at, const char* end, const LocalRule& rule, Payload* payload) {
    if (payload->size_bytes > INT32_MAX) return false;
    const uint32_t local = rule.LocalBytes(payload->size_bytes);
    const bool overflows = local < payload->size_bytes;
    if (local + (overflows ? 4 : 0) > static_cast<size_t>(end - at)) return false;
    payload->local = ByteView(at, local);
    payload->overflow_page = overflows ? LoadU32(at + local) : 0;
    return true;
  }

 private:
  static Cell Wrong(const char* what) {
    Cell cell;
    cell.wrong = what;
    return cell;
  }

  // The record's header: its own size, then one number each for k and v that tells type and size. It is always local.
  static void ParseRecord(Cell* cell) {
    const char* at = cell->payload.local.data();
    const char* const end = at + cell->payload.local.size();
    const char* const start = at;
    uint64_t header_bytes = 0;
    uint64_t key_type = 0;
    uint64_t value_type = 0;
    if (!ReadVarint(&at, end, &header_bytes) || !ReadVarint(&at, end, &key_type) || !ReadVarint(&at, end, &value_type) ||
        header_bytes != static_cast<uint64_t>(at - start)) {
      cell->wrong = "a row is not one of two columns";
      return;
    }
    if (key_type < 12 || key_type % 2 != 0 || value_type < 12) {
      cell->wrong = key_type < 12 || key_type % 2 != 0 ? "a key is not a BLOB" : "a value is neither BLOB nor TEXT";
      cell->unsupported = true;
      return;
    }
    cell->key_offset = header_bytes;
    cell->key_bytes = (key_type - 12) / 2;
    cell->value_offset = header_bytes + cell->key_bytes;
    cell->value_bytes = (value_type - 12) / 2;
    if (cell->value_bytes > cell->payload.size_bytes || cell->value_offset + cell->value_bytes != cell->payload.size_bytes) {
      cell->wrong = "the sizes of a row's key and value do not add up to the row's";
    }
  }
};

/// The part of bytes `offset`.. of a payload that is local, at most `size_bytes`.
inline ByteView LocalPart(const Payload& payload, uint64_t offset, uint64_t size_bytes) {
  if (offset >= payload.local.size()) return {};
  return payload.local.substr(offset, std::min<uint64_t>(size_bytes, payload.local.size() - offset));
}

}  // namespace datashard::sqlite
