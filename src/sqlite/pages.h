// The pages of one opened shard.db: where they lie in a mapped file; through the block cache, by ranged reads, elsewhere.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "datashard/result.h"
#include "kv/database.h"
#include "kv/shard_directory.h"
#include "sqlite/file_header.h"
#include "sqlite/node.h"

namespace datashard::sqlite {

struct Page {
  ByteView bytes;  ///< all of it; none where it is not resident and only that was asked for
  std::shared_ptr<const Bytes> owner;  ///< null where the file is mapped

  bool resident() const { return !bytes.empty(); }
};

/// Callable from several threads. Errors of all calls: kCorruption for a page number that is none, for a checksum that differs;
/// those of kv::ShardFile.
class Pages {
 public:
  virtual ~Pages() = default;
  virtual const std::string& uri() const = 0;
  virtual const FileHeader& header() const = 0;
  virtual bool mapped() const = 0;
  virtual Result<Page> Get(uint32_t number, kv::Residency residency) const = 0;
  /// In the order asked. What is not resident is fetched by joined requests; it is there whatever the cache keeps of it.
  virtual Result<std::vector<Page>> GetMany(std::span<const uint32_t> numbers) const {
    std::vector<Page> pages;
    for (const uint32_t number : numbers) {
      DS_ASSIGN_OR_RETURN(Page page, Get(number, kv::Residency::kAnywhere));
      pages.push_back(std::move(page));
    }
    return pages;
  }

  Error Damaged(uint32_t number, std::string_view what) const {
    return Corruption("{}: page {} (at byte {}): {}", uri(), number, int64_t{number - 1} * header().page_size, what);
  }
  Error Wrong(uint32_t number, const Cell& cell) const {
    if (!cell.unsupported) return Damaged(number, cell.wrong);
    return Unsupported("{}: page {}: {}; a shard's table kv holds nothing else", uri(), number, cell.wrong);
  }
};

std::unique_ptr<Pages> MappedPages(std::unique_ptr<kv::ShardFile> file, FileHeader header);

struct CachedPagesOptions {
  FileHeader header;
  std::vector<uint32_t> checksums;  ///< of all pages; empty: pages are not checked
  Bytes start;                      ///< the first bytes of the file, read already
};
/// `cache` is borrowed. Errors: kCorruption where the whole pages in `start` are not as their checksums say.
Result<std::unique_ptr<Pages>> CachedPages(std::unique_ptr<kv::ShardFile> file, kv::BlockCache& cache, CachedPagesOptions options);

/// Pages fetched ahead by one call, whatever the cache keeps. One thread at a time.
class PagesAhead {
 public:
  explicit PagesAhead(const Pages& pages) : pages_(pages) {}

  const Pages& pages() const { return pages_; }
  /// The pages `numbers`, at once; numbers may repeat. Does nothing where the file is mapped.
  Status Fetch(std::vector<uint32_t> numbers);
  void Clear() { ahead_.clear(); }
  Result<Page> Get(uint32_t number, kv::Residency residency) const;
  bool Has(uint32_t number) const { return pages_.mapped() || ahead_.contains(number); }

 private:
  const Pages& pages_;
  std::unordered_map<uint32_t, Page> ahead_;
};

/// The numbers of the pages that the rest of `payload` is expected in, at most `count_max`: a chain usually lies one behind the other.
std::vector<uint32_t> ChainExpected(const Pages& pages, const Payload& payload, uint32_t count_max);

/// Bytes `offset` .. `offset + size_bytes` of a payload, which has them, put together from its page and its chain. None where
/// a page is not resident. A chain that is longer, shorter or elsewhere than the payload's size says is kCorruption.
Result<std::optional<Bytes>> ReadPayload(PagesAhead& pages, const Payload& payload, uint64_t offset, uint64_t size_bytes, kv::Residency residency);

}  // namespace datashard::sqlite
