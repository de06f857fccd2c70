// The first page: what a database file says about itself, and the tree of its schema.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "datashard/result.h"

namespace datashard::sqlite {

/// The whole first page of a database with nothing but the table kv, whose tree's root is page `root`.
Bytes FirstPage(uint32_t page_size, uint32_t page_count, uint32_t root);

struct FileHeader {
  uint32_t page_size = 0;
  uint32_t usable = 0;      ///< bytes of a page without those reserved at its end
  uint32_t page_count = 0;  ///< all of them are within the file
};

/// \param start  the first 100 bytes at least, or all of a shorter file.
/// Errors: as OpenSqliteShard; `uri` is what messages call the file.
Result<FileHeader> ParseFileHeader(const std::string& uri, ByteView start, int64_t file_bytes);

/// Does the text of a CREATE TABLE statement say what ours says, but for spaces, case, quotes around names and NOT NULL?
bool IsSqlOfKv(std::string_view sql);

}  // namespace datashard::sqlite
