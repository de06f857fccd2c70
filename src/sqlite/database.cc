#include <atomic>
#include <utility>
#include <vector>

#include "sqlite/cursor.h"
#include "sqlite/leaf_index.h"
#include "sqlite/page_checksums.h"
#include "sqlite/schema.h"
#include "sqlite/search.h"
#include "sqlite/sqlite_shard.h"

namespace datashard::sqlite {
namespace {

// What is read first of a file that is not mapped: its header and, of pages up to this size, the schema; of most files the root too.
constexpr int64_t kStartBytes = 8192;
// Of the rows that FindMany holds pages of at once.
constexpr uint64_t kChainBytesMax = 16 << 20;

class SqliteDatabase final : public kv::Database {
 public:
  SqliteDatabase(std::unique_ptr<Pages> pages, uint32_t root, int64_t memory_bytes)
      : pages_(std::move(pages)), root_(root), memory_bytes_(memory_bytes) {}

  Result<kv::Lookup> Find(ByteView key, kv::Residency residency) const override {
    if (pages_->mapped()) {
      if (const std::optional<kv::Lookup> quick = FindByIndex(key)) return *quick;
    }
    PagesAhead ahead(*pages_);
    uint32_t number = root_;
    for (int depth = 0; depth < kDepthMax; ++depth) {
      DS_ASSIGN_OR_RETURN(Page page, pages_->Get(number, residency));
      if (!page.resident()) return kv::Lookup::NotResident();
      DS_ASSIGN_OR_RETURN(const HeldNode held, ParseNode(*pages_, number, std::move(page)));
      DS_ASSIGN_OR_RETURN(const Position found, Search(ahead, held, key, residency));
      if (!found.resident) return kv::Lookup::NotResident();
      if (found.equal) return ValueOf(ahead, held, found.cell, residency);
      if (held.node.leaf) return kv::Lookup::Absent();
      DS_ASSIGN_OR_RETURN(number, ChildOf(*pages_, held, found.index));
    }
    return TooDeep();
  }

  Status FindMany(std::span<const ByteView> keys, std::span<kv::Lookup> found) const override {
    if (keys.size() != found.size()) return Internal("FindMany with {} keys and room for {} answers", keys.size(), found.size());
    if (!pages_->mapped()) return FindLevelByLevel(keys, found);
    for (size_t i = 0; i < keys.size(); ++i) {
      DS_ASSIGN_OR_RETURN(found[i], Find(keys[i], kv::Residency::kAnywhere));
    }
    return {};
  }

  Result<std::unique_ptr<kv::Cursor>> Scan(kv::KeyRange range) const override { return ScanFrom(*pages_, root_, std::move(range)); }
  int64_t memory_bytes() const override {
    const LeafIndex* index = index_.load(std::memory_order_acquire);
    return memory_bytes_ + (index == nullptr ? 0 : index->memory_bytes());
  }

 private:
  // Keys that lead to the same page: `begin` .. `end` of those asked for.
  struct Group {
    uint32_t page = 0;
    size_t begin = 0;
    size_t end = 0;
  };
  // A value that goes on in a chain of pages.
  struct LongValue {
    size_t index = 0;
    HeldNode held;
    Cell cell;
  };

  // The answer where the index and one leaf tell it. What is damaged is for the way from the root, which reports it.
  std::optional<kv::Lookup> FindByIndex(ByteView key) const {
    const LeafIndex* index = Index();
    const uint32_t leaf = index == nullptr ? 0 : index->LeafOf(key);
    if (leaf == 0) return std::nullopt;
    const Result<Page> page = pages_->Get(leaf, kv::Residency::kAnywhere);
    if (!page.ok()) return std::nullopt;
    const Node node = Node::Parse(page->bytes, leaf, pages_->header().usable, kIndexInterior, kIndexLeaf);
    if (node.wrong != nullptr || !node.leaf) return std::nullopt;
    const QuickPosition found = QuickSearch(node, key);
    if (!found.sure || found.cell.payload.overflow_page != 0) return std::nullopt;
    if (!found.equal) return kv::Lookup::Absent();
    return kv::Lookup::Found(LocalPart(found.cell.payload, found.cell.value_offset, found.cell.value_bytes));
  }

  // Null before it is worth its making: a shard that is asked little should be open at once and take no memory.
  const LeafIndex* Index() const {
    const LeafIndex* index = index_.load(std::memory_order_acquire);
    if (index != nullptr) return index;
    const uint32_t finds_before = pages_->header().page_count / 8 + 32;
    if (finds_.load(std::memory_order_relaxed) >= finds_before) return nullptr;  // being made, or there can be none
    if (finds_.fetch_add(1, std::memory_order_relaxed) + 1 != finds_before) return nullptr;
    owned_index_ = LeafIndex::Build(*pages_, root_);
    index_.store(owned_index_.get(), std::memory_order_release);
    return owned_index_.get();
  }

  Error TooDeep() const { return Corruption("{}: its tree is deeper than {} pages, or leads back into itself", pages_->uri(), kDepthMax); }

  Status FindLevelByLevel(std::span<const ByteView> keys, std::span<kv::Lookup> found) const {
    std::vector<Group> groups;
    if (!keys.empty()) groups.push_back({root_, 0, keys.size()});
    std::vector<LongValue> long_values;
    for (int depth = 0; !groups.empty(); ++depth) {
      if (depth == kDepthMax) return TooDeep();
      std::vector<uint32_t> numbers;
      for (const Group& group : groups) numbers.push_back(group.page);
      DS_ASSIGN_OR_RETURN(std::vector<Page> pages, pages_->GetMany(numbers));
      std::vector<Group> below;
      for (size_t i = 0; i < groups.size(); ++i) {
        DS_ASSIGN_OR_RETURN(const HeldNode held, ParseNode(*pages_, groups[i].page, std::move(pages[i])));
        DS_RETURN_IF_ERROR(FindInNode(held, groups[i], keys, found, &below, &long_values));
      }
      groups = std::move(below);
    }
    return FindLongValues(long_values, found);
  }

  Status FindInNode(const HeldNode& held, const Group& group, std::span<const ByteView> keys, std::span<kv::Lookup> found,
                    std::vector<Group>* below, std::vector<LongValue>* long_values) const {
    PagesAhead ahead(*pages_);
    uint32_t from = 0;
    for (size_t i = group.begin; i < group.end; ++i) {
      DS_ASSIGN_OR_RETURN(const Position position, Search(ahead, held, keys[i], kv::Residency::kAnywhere, from));
      from = position.index;
      if (position.equal) {
        if (position.cell.payload.overflow_page != 0) {
          long_values->push_back({i, held, position.cell});
        } else {
          DS_ASSIGN_OR_RETURN(found[i], ValueOf(ahead, held, position.cell, kv::Residency::kAnywhere));
        }
      } else if (held.node.leaf) {
        found[i] = kv::Lookup::Absent();
      } else {
        DS_ASSIGN_OR_RETURN(const uint32_t child, ChildOf(*pages_, held, position.index));
        if (!below->empty() && below->back().page == child && below->back().end == i) {
          below->back().end = i + 1;
        } else {
          below->push_back({child, i, i + 1});
        }
      }
    }
    return {};
  }

  Status FindLongValues(const std::vector<LongValue>& long_values, std::span<kv::Lookup> found) const {
    PagesAhead ahead(*pages_);
    for (size_t begin = 0; begin < long_values.size();) {
      std::vector<uint32_t> numbers;
      size_t end = begin;
      for (uint64_t bytes = 0; end < long_values.size() && bytes < kChainBytesMax; ++end) {
        bytes += long_values[end].cell.payload.size_bytes;
        const std::vector<uint32_t> chain = ChainExpected(*pages_, long_values[end].cell.payload, kChainBytesMax / pages_->header().page_size);
        numbers.insert(numbers.end(), chain.begin(), chain.end());
      }
      ahead.Clear();
      DS_RETURN_IF_ERROR(ahead.Fetch(std::move(numbers)));
      for (; begin < end; ++begin) {
        const LongValue& value = long_values[begin];
        DS_ASSIGN_OR_RETURN(found[value.index], ValueOf(ahead, value.held, value.cell, kv::Residency::kAnywhere));
      }
    }
    return {};
  }

  const std::unique_ptr<Pages> pages_;
  const uint32_t root_;
  const int64_t memory_bytes_;
  mutable std::atomic<uint32_t> finds_ = 0;
  mutable std::unique_ptr<const LeafIndex> owned_index_;  // of the one thread whose find was the one to make it
  mutable std::atomic<const LeafIndex*> index_ = nullptr;
};

// The checksums of all pages, where they are to be used.
Result<PageChecksums> ReadChecksums(const kv::ShardDirectory& directory) {
  const std::string name(kPageChecksumsName);
  DS_ASSIGN_OR_RETURN(const Bytes bytes, directory.Get(name));
  return DecodePageChecksums(directory.uri() + "/" + name, bytes);
}

Result<std::unique_ptr<Pages>> OpenPages(const kv::ShardDirectory& directory, SqliteReaderOptions options) {
  DS_ASSIGN_OR_RETURN(std::unique_ptr<kv::ShardFile> file, directory.Open(kDatabaseName));
  const std::string uri = file->uri();
  const int64_t size_bytes = file->size_bytes();
  if (const std::optional<ByteView> mapped = file->mapped()) {
    DS_ASSIGN_OR_RETURN(const FileHeader header, ParseFileHeader(uri, *mapped, size_bytes));
    return MappedPages(std::move(file), header);
  }
  PageChecksums checksums;
  if (options.use_page_checksums) {
    DS_ASSIGN_OR_RETURN(checksums, ReadChecksums(directory));
  }
  const ByteRange start{0, std::min(size_bytes, std::max<int64_t>(kStartBytes, checksums.page_size))};
  std::vector<Result<Bytes>> read = file->Read(std::span(&start, 1));
  if (!read[0].ok()) return std::move(read[0]).error();
  CachedPagesOptions cached{.start = *std::move(read[0])};
  DS_ASSIGN_OR_RETURN(cached.header, ParseFileHeader(uri, cached.start, size_bytes));
  if (options.use_page_checksums) {
    const FileHeader& header = cached.header;
    if (checksums.page_size != header.page_size || checksums.of_pages.size() != header.page_count) {
      return Corruption("{}: {} pages of {} bytes, and {} is of {} pages of {} bytes; one of the two is damaged or not of this snapshot", uri,
                        header.page_count, header.page_size, kPageChecksumsName, checksums.of_pages.size(), checksums.page_size);
    }
    cached.checksums = std::move(checksums.of_pages);
  }
  return CachedPages(std::move(file), directory.cache(), std::move(cached));
}

}  // namespace

Result<std::unique_ptr<kv::Database>> OpenSqliteShard(const kv::ShardDirectory& directory, SqliteReaderOptions options) {
  DS_ASSIGN_OR_RETURN(std::unique_ptr<Pages> pages, OpenPages(directory, options));
  DS_ASSIGN_OR_RETURN(const uint32_t root, FindRootOfKv(*pages));
  const bool checked = options.use_page_checksums && !pages->mapped();
  const auto memory_bytes = static_cast<int64_t>(sizeof(SqliteDatabase) + (checked ? 4 * size_t{pages->header().page_count} : 0));
  return std::unique_ptr<kv::Database>(std::make_unique<SqliteDatabase>(std::move(pages), root, memory_bytes));
}

}  // namespace datashard::sqlite
