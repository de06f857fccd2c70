#include "sqlite/pages.h"

#include <utility>

#include "base/crc32c.h"
#include "kv/joined_read.h"

namespace datashard::sqlite {
namespace {

// A chain is fetched ahead in steps of these.
constexpr uint32_t kRunBytesMax = 4 << 20;

class FilePages : public Pages {
 public:
  FilePages(std::unique_ptr<kv::ShardFile> file, FileHeader header) : file_(std::move(file)), header_(header) {}
  const std::string& uri() const override { return file_->uri(); }
  const FileHeader& header() const override { return header_; }

 protected:
  const kv::ShardFile& file() const { return *file_; }
  bool Known(uint32_t number) const { return number >= 1 && number <= header_.page_count; }
  Error NoSuchPage(uint32_t number) const {
    return Corruption("{}: it points to page {}, and it has {} pages", uri(), number, header_.page_count);
  }
  int64_t OffsetOf(uint32_t number) const { return int64_t{number - 1} * header_.page_size; }

 private:
  const std::unique_ptr<kv::ShardFile> file_;
  const FileHeader header_;
};

class PagesOfMappedFile final : public FilePages {
 public:
  PagesOfMappedFile(std::unique_ptr<kv::ShardFile> file, FileHeader header)
      : FilePages(std::move(file), header), start_(this->file().mapped()->data()) {}
  bool mapped() const override { return true; }
  Result<Page> Get(uint32_t number, kv::Residency) const override {
    if (!Known(number)) return NoSuchPage(number);
    return Page{ByteView(start_ + OffsetOf(number), header().page_size), nullptr};
  }

 private:
  const char* const start_;
};

class PagesOfStoredFile final : public FilePages {
 public:
  PagesOfStoredFile(std::unique_ptr<kv::ShardFile> file, kv::BlockCache& cache, FileHeader header, std::vector<uint32_t> checksums)
      : FilePages(std::move(file), header), cache_(cache), checksums_(std::move(checksums)) {}
  bool mapped() const override { return false; }

  Result<Page> Get(uint32_t number, kv::Residency residency) const override {
    if (!Known(number)) return NoSuchPage(number);
    if (Page page = Cached(number); page.resident() || residency == kv::Residency::kResidentOnly) return page;
    DS_ASSIGN_OR_RETURN(std::vector<Page> pages, GetMany(std::span(&number, 1)));
    return std::move(pages[0]);
  }

  Result<std::vector<Page>> GetMany(std::span<const uint32_t> numbers) const override {
    std::vector<Page> pages;
    std::vector<uint32_t> missing;
    pages.reserve(numbers.size());
    for (const uint32_t number : numbers) {
      if (!Known(number)) return NoSuchPage(number);
      pages.push_back(Cached(number));
      if (!pages.back().resident()) missing.push_back(number);
    }
    if (missing.empty()) return pages;
    DS_ASSIGN_OR_RETURN(const auto fetched, FetchMissing(std::move(missing)));
    for (size_t i = 0; i < numbers.size(); ++i) {
      if (!pages[i].resident()) pages[i] = fetched.at(numbers[i]);
    }
    return pages;
  }

  /// Checks the pages in `bytes`, from page `number` on, and puts them into the cache; what is no whole page at the end is left out.
  Status KeepAll(uint32_t number, ByteView bytes) const {
    const uint32_t page_size = header().page_size;
    for (; bytes.size() >= page_size && number <= header().page_count; bytes.remove_prefix(page_size), ++number) {
      DS_RETURN_IF_ERROR(Take(number, bytes.substr(0, page_size), /*is_kept=*/true));
    }
    return {};
  }

 private:
  kv::BlockCache::Id IdOf(uint32_t number) const { return {file().cache_id(), OffsetOf(number)}; }
  Page Cached(uint32_t number) const {
    std::shared_ptr<const Bytes> block = cache_.Find(IdOf(number));
    if (block == nullptr) return {};
    const ByteView bytes = *block;
    return {bytes, std::move(block)};
  }

  /// Checks page `number` and puts it into the cache where it is to be kept.
  Result<Page> Take(uint32_t number, ByteView bytes, bool is_kept) const {
    auto block = std::make_shared<const Bytes>(bytes);
    if (!checksums_.empty()) {
      const uint32_t found = Crc32c(*block);
      if (found != checksums_[number - 1]) {
        return Damaged(number, fmt::format("its checksum is {:08x} by {}, and its bytes give {:08x}", checksums_[number - 1],
                                           kPageChecksumsName, found));
      }
    }
    if (is_kept) cache_.Put(IdOf(number), block);
    const ByteView page = *block;
    return Page{page, std::move(block)};
  }

  Result<std::unordered_map<uint32_t, Page>> FetchMissing(std::vector<uint32_t> numbers) const {
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    std::vector<ByteRange> ranges;
    for (const uint32_t number : numbers) ranges.push_back({OffsetOf(number), header().page_size});
    std::unordered_map<uint32_t, Page> fetched;
    int64_t left_to_keep = cache_.share_bytes();
    DS_RETURN_IF_ERROR(kv::ReadJoined(file(), ranges, [&](size_t i, ByteView bytes) -> Status {
      left_to_keep -= static_cast<int64_t>(bytes.size());
      DS_ASSIGN_OR_RETURN(fetched[numbers[i]], Take(numbers[i], bytes, /*is_kept=*/left_to_keep >= 0));
      return {};
    }));
    return fetched;
  }

  kv::BlockCache& cache_;
  const std::vector<uint32_t> checksums_;
};

// Walks the chain of a payload page by page.
class ChainWalk {
 public:
  ChainWalk(PagesAhead& pages, const Payload& payload, kv::Residency residency)
      : pages_(pages), residency_(residency), page_payload_(pages.pages().header().usable - 4), next_(payload.overflow_page),
        left_bytes_(payload.size_bytes - payload.local.size()) {}

  bool done() const { return left_bytes_ == 0; }

  /// The payload in the next page. None where it is not resident.
  Result<std::optional<ByteView>> Next() {
    const Pages& pages = pages_.pages();
    if (residency_ == kv::Residency::kAnywhere && !pages_.Has(next_)) DS_RETURN_IF_ERROR(FetchAhead());
    DS_ASSIGN_OR_RETURN(page_, pages_.Get(next_, residency_));
    if (!page_.resident()) return std::optional<ByteView>();
    const uint32_t here = next_;
    const auto size = static_cast<size_t>(std::min<uint64_t>(left_bytes_, page_payload_));
    left_bytes_ -= size;
    next_ = LoadU32(page_.bytes.data());
    // A chain that bites its own tail never ends, so this finds it too.
    if (done() != (next_ == 0)) return pages.Damaged(here, done() ? "a chain goes on behind the end of its row" : "a chain ends before its row");
    return std::optional<ByteView>(page_.bytes.substr(4, size));
  }

 private:
  Status FetchAhead() {
    const Payload rest{.local = {}, .size_bytes = left_bytes_, .overflow_page = next_};
    pages_.Clear();
    return pages_.Fetch(ChainExpected(pages_.pages(), rest, kRunBytesMax / pages_.pages().header().page_size));
  }

  PagesAhead& pages_;
  const kv::Residency residency_;
  const uint64_t page_payload_;
  uint32_t next_;
  uint64_t left_bytes_;
  Page page_;
};

}  // namespace

std::unique_ptr<Pages> MappedPages(std::unique_ptr<kv::ShardFile> file, FileHeader header) {
  return std::make_unique<PagesOfMappedFile>(std::move(file), header);
}

Result<std::unique_ptr<Pages>> CachedPages(std::unique_ptr<kv::ShardFile> file, kv::BlockCache& cache, CachedPagesOptions options) {
  auto pages = std::make_unique<PagesOfStoredFile>(std::move(file), cache, options.header, std::move(options.checksums));
  DS_RETURN_IF_ERROR(pages->KeepAll(1, options.start));
  return std::unique_ptr<Pages>(std::move(pages));
}

Status PagesAhead::Fetch(std::vector<uint32_t> numbers) {
  if (pages_.mapped()) return {};
  std::erase_if(numbers, [&](uint32_t number) { return ahead_.contains(number); });
  DS_ASSIGN_OR_RETURN(std::vector<Page> fetched, pages_.GetMany(numbers));
  for (size_t i = 0; i < numbers.size(); ++i) ahead_.insert_or_assign(numbers[i], std::move(fetched[i]));
  return {};
}

Result<Page> PagesAhead::Get(uint32_t number, kv::Residency residency) const {
  if (!ahead_.empty()) {
    if (const auto found = ahead_.find(number); found != ahead_.end()) return found->second;
  }
  return pages_.Get(number, residency);
}

std::vector<uint32_t> ChainExpected(const Pages& pages, const Payload& payload, uint32_t count_max) {
  const FileHeader& header = pages.header();
  const uint64_t rest = payload.size_bytes - payload.local.size();
  uint64_t count = std::min<uint64_t>((rest + header.usable - 5) / (header.usable - 4), count_max);
  const auto lock_page = static_cast<uint32_t>(kLockByte / header.page_size + 1);
  std::vector<uint32_t> numbers;
  for (uint64_t number = payload.overflow_page; count > 0 && number <= header.page_count; ++number) {
    if (number == lock_page) continue;
    numbers.push_back(static_cast<uint32_t>(number));
    --count;
  }
  if (numbers.empty()) numbers.push_back(payload.overflow_page);  // no such page; who fetches it is told so
  return numbers;
}

Result<std::optional<Bytes>> ReadPayload(PagesAhead& pages, const Payload& payload, uint64_t offset, uint64_t size_bytes, kv::Residency residency) {
  const FileHeader& header = pages.pages().header();
  if (payload.size_bytes - payload.local.size() > uint64_t{header.page_count} * (header.usable - 4)) {
    return Corruption("{}: a row of {} bytes is larger than the file, which has {} pages", pages.pages().uri(), payload.size_bytes,
                      header.page_count);
  }
  Bytes bytes(LocalPart(payload, offset, size_bytes));
  uint64_t at = payload.local.size();
  // The rest is appended as it comes: no memory is set aside for what may not be there.
  for (ChainWalk walk(pages, payload, residency); bytes.size() < size_bytes && !walk.done();) {
    DS_ASSIGN_OR_RETURN(const std::optional<ByteView> part, walk.Next());
    if (!part) return std::optional<Bytes>();
    if (at + part->size() > offset) {
      const uint64_t skipped = offset > at ? offset - at : 0;
      bytes.append(part->substr(skipped, size_bytes - bytes.size()));
    }
    at += part->size();
  }
  return std::optional<Bytes>(std::move(bytes));
}

}  // namespace datashard::sqlite
