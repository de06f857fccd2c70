#include "sqlite/file_header.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "sqlite/format.h"

namespace datashard::sqlite {
namespace {

constexpr std::string_view kMagic("SQLite format 3\0", 16);
// The engine has counted two changes when it has made the table and filled it, and stores its version beside them.
constexpr uint32_t kChangeCounter = 2;
constexpr uint32_t kEngineVersion = 3'040'001;

// The cell of the schema's row (type, name, tbl_name, rootpage, sql); its rowid is 1.
Bytes SchemaCell(uint32_t root) {
  Bytes header(1, '\0');
  char size[9];
  for (const size_t text_bytes : {size_t{5}, size_t{2}, size_t{2}}) header.push_back(static_cast<char>(13 + 2 * text_bytes));
  header.push_back(1);  // an integer of one byte
  header.append(size, static_cast<size_t>(WriteVarint(size, 13 + 2 * kSchemaSql.size()) - size));
  header[0] = static_cast<char>(header.size());
  Bytes row = header + "table" + "kv" + "kv" + static_cast<char>(root);
  row.append(kSchemaSql);
  return Bytes{static_cast<char>(row.size()), '\1'} + row;
}

// Lower case, one space between words, none of the quotes that names may have.
std::string Normalized(std::string_view sql) {
  std::string words;
  bool gap = false;
  for (const char c : sql) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::string_view("\"`[]").find(c) != std::string_view::npos) continue;
    const bool word = std::isalnum(byte) != 0 || c == '_' || byte >= 0x80;
    if (std::isspace(byte) != 0) {
      gap = true;
      continue;
    }
    const bool after_word = !words.empty() && (std::isalnum(static_cast<unsigned char>(words.back())) != 0 || words.back() == '_');
    if (word && after_word && gap) words.push_back(' ');
    words.push_back(static_cast<char>(std::tolower(byte)));
    gap = false;
  }
  return words;
}

}  // namespace

Bytes FirstPage(uint32_t page_size, uint32_t page_count, uint32_t root) {
  Bytes page(page_size, '\0');
  page.replace(0, kMagic.size(), kMagic);
  StoreU16(&page[16], page_size == kPageSizeMax ? 1 : page_size);
  page[18] = page[19] = 1;  // written and read without a write-ahead log
  page[21] = 64;            // fixed fractions of a page
  page[22] = page[23] = 32;
  StoreU32(&page[24], kChangeCounter);
  StoreU32(&page[28], page_count);
  StoreU32(&page[40], 1);  // schema cookie
  StoreU32(&page[44], 4);  // schema format
  StoreU32(&page[56], 1);  // UTF-8
  StoreU32(&page[92], kChangeCounter);
  StoreU32(&page[96], kEngineVersion);
  const Bytes cell = SchemaCell(root);
  const auto content = static_cast<uint32_t>(page_size - cell.size());
  page[100] = static_cast<char>(kTableLeaf);
  StoreU16(&page[103], 1);
  StoreU16(&page[105], content);
  StoreU16(&page[108], content);
  page.replace(content, cell.size(), cell);
  return page;
}

Result<FileHeader> ParseFileHeader(const std::string& uri, ByteView start, int64_t file_bytes) {
  if (start.size() < kFileHeaderBytes || start.substr(0, kMagic.size()) != kMagic) {
    return Corruption("{} ({} bytes) is not a SQLite database: it does not begin with \"SQLite format 3\" and a header of 100 bytes", uri,
                      file_bytes);
  }
  FileHeader header;
  header.page_size = LoadU16(&start[16]) == 1 ? kPageSizeMax : LoadU16(&start[16]);
  if (!IsPageSize(header.page_size)) return Corruption("{}: its pages would have {} bytes, which is no page size", uri, header.page_size);
  if (start[18] == 2 || start[19] == 2) {
    return Unsupported("{} is in WAL mode: part of it may be in a file beside it; run PRAGMA journal_mode=DELETE on it first", uri);
  }
  if (start[18] != 1 || start[19] != 1) {
    return Unsupported("{}: format versions {} (write) and {} (read); this reader knows 1", uri, int{start[18]}, int{start[19]});
  }
  header.usable = header.page_size - static_cast<unsigned char>(start[20]);
  if (header.usable < 480) return Corruption("{}: {} bytes of a page are usable; at least 480 are", uri, header.usable);
  if (LoadU32(&start[44]) > 4) return Unsupported("{}: schema format {}; this reader knows up to 4", uri, LoadU32(&start[44]));
  if (LoadU32(&start[56]) > 1) return Unsupported("{}: text encoding {}; this reader knows 1, UTF-8", uri, LoadU32(&start[56]));
  const auto pages_there = static_cast<uint32_t>(std::min<int64_t>(file_bytes / header.page_size, 0xfffffffe));
  // Engines before 3.7.0 do not keep the count, and do not copy the change counter to where the version is.
  const bool counted = LoadU32(&start[28]) != 0 && LoadU32(&start[24]) == LoadU32(&start[92]);
  header.page_count = counted ? LoadU32(&start[28]) : pages_there;
  if (header.page_count > pages_there || header.page_count == 0) {
    return Corruption("{}: {} pages of {} bytes are expected, and it has {} bytes; it is cut off or damaged", uri, header.page_count,
                      header.page_size, file_bytes);
  }
  return header;
}

bool IsSqlOfKv(std::string_view sql) {
  const std::string words = Normalized(sql);
  return words == Normalized(kSchemaSql) || words == Normalized("CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID");
}

}  // namespace datashard::sqlite
