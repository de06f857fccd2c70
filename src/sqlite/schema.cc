#include "sqlite/schema.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace datashard::sqlite {
namespace {

// A shard has one row here. What has many more is not one, and is not worth the requests.
constexpr size_t kSchemaPagesMax = 1'000;

struct SchemaRow {
  std::string_view type;
  std::string_view name;
  uint64_t root = 0;
  std::string_view sql;
};

// A record's columns as (type, bytes): 5 of them, or none where it is damaged.
std::optional<SchemaRow> ParseRow(ByteView row) {
  const char* at = row.data();
  const char* const end = at + row.size();
  uint64_t header_bytes = 0;
  if (!ReadVarint(&at, end, &header_bytes) || header_bytes > row.size()) return std::nullopt;
  constexpr std::array<uint64_t, 7> kSizes = {0, 1, 2, 3, 4, 6, 8};
  std::array<ByteView, 5> columns;
  uint64_t offset = header_bytes;
  for (ByteView& column : columns) {
    uint64_t type = 0;
    if (!ReadVarint(&at, row.data() + header_bytes, &type)) return std::nullopt;
    const uint64_t size = type >= 12 ? (type - 12) / 2 : type < kSizes.size() ? kSizes[type] : 0;
    if (size > row.size() - offset) return std::nullopt;
    column = row.substr(offset, size);
    offset += size;
  }
  SchemaRow parsed{.type = columns[0], .name = columns[1], .sql = columns[4]};
  for (const char byte : columns[3]) parsed.root = parsed.root << 8 | static_cast<unsigned char>(byte);
  return parsed;
}

bool IsKv(std::string_view name) { return name.size() == 2 && (name[0] | 0x20) == 'k' && (name[1] | 0x20) == 'v'; }

Result<uint32_t> RootOf(const Pages& pages, const SchemaRow& row) {
  if (row.type != "table" || !IsSqlOfKv(row.sql)) {
    return Unsupported("{}: kv is \"{}\"; a shard's is \"{}\"", pages.uri(), row.sql.substr(0, 200), kSchemaSql);
  }
  if (row.root < 2 || row.root > pages.header().page_count) {
    return Corruption("{}: the root of kv is page {}, and it has {} pages", pages.uri(), row.root, pages.header().page_count);
  }
  return static_cast<uint32_t>(row.root);
}

// The root of kv where one of this page's rows says it.
Result<std::optional<uint32_t>> LookAtLeaf(PagesAhead& ahead, uint32_t number, const Node& node) {
  const Pages& pages = ahead.pages();
  const LocalRule rule = LocalRule::OfTableLeaf(node.usable);
  for (uint32_t i = 0; i < node.cell_count; ++i) {
    const ByteView cell = node.CellBytes(i);
    const char* at = cell.data();
    const char* const end = at + cell.size();
    Payload payload;
    uint64_t rowid = 0;
    if (cell.empty() || !ReadVarint(&at, end, &payload.size_bytes) || !ReadVarint(&at, end, &rowid) ||
        !Node::TakeLocal(at, end, rule, &payload)) {
      return pages.Damaged(number, "a row of the schema reaches beyond its end");
    }
    DS_ASSIGN_OR_RETURN(const std::optional<Bytes> bytes, ReadPayload(ahead, payload, 0, payload.size_bytes, kv::Residency::kAnywhere));
    const std::optional<SchemaRow> row = ParseRow(*bytes);
    if (!row) return pages.Damaged(number, "a row of the schema is not one");
    if (!IsKv(row->name)) continue;
    DS_ASSIGN_OR_RETURN(const uint32_t root, RootOf(pages, *row));
    return std::optional(root);
  }
  return std::optional<uint32_t>();
}

Status AddChildren(const Pages& pages, uint32_t number, const Node& node, std::vector<uint32_t>* todo) {
  todo->push_back(node.right_child);
  for (uint32_t i = node.cell_count; i-- > 0;) {
    const ByteView cell = node.CellBytes(i);
    if (cell.empty()) return pages.Damaged(number, "a cell is outside of it");
    todo->push_back(LoadU32(cell.data()));
  }
  return {};
}

}  // namespace

Result<uint32_t> FindRootOfKv(const Pages& pages) {
  PagesAhead ahead(pages);
  std::vector<uint32_t> todo = {1};
  for (size_t looked_at = 0; !todo.empty(); ++looked_at) {
    if (looked_at == kSchemaPagesMax) return Unsupported("{}: its schema has more than {} pages", pages.uri(), kSchemaPagesMax);
    const uint32_t number = todo.back();
    todo.pop_back();
    DS_ASSIGN_OR_RETURN(const Page page, pages.Get(number, kv::Residency::kAnywhere));
    const Node node = Node::Parse(page.bytes, number, pages.header().usable, kTableInterior, kTableLeaf);
    if (node.wrong != nullptr) return pages.Damaged(number, node.wrong);
    if (!node.leaf) {
      DS_RETURN_IF_ERROR(AddChildren(pages, number, node, &todo));
      continue;
    }
    DS_ASSIGN_OR_RETURN(const std::optional<uint32_t> root, LookAtLeaf(ahead, number, node));
    if (root) return *root;
  }
  return Unsupported("{}: it has no table kv; a shard's is \"{}\"", pages.uri(), kSchemaSql);
}

}  // namespace datashard::sqlite
