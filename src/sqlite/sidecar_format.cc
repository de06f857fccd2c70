// The bytes of a sidecar: a prefix, then one zstd frame around page numbers, chains and pages without their gaps.
#include <zstd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "sqlite/format.h"
#include "sqlite/little_endian.h"
#include "sqlite/sidecar.h"

namespace datashard::sqlite {
namespace {

constexpr std::string_view kMagic = "SQPC";
constexpr char kVersion = 8;
constexpr size_t kPrefixBytes = 4 + 1 + 8 + 4 + 1;
constexpr size_t kTagBytesMax = 255;
constexpr int kLevel = 3;
// Of what a reader of ours unpacks; that of a database of 30 GB with rows of 100 bytes.
constexpr uint64_t kBodyBytesMax = uint64_t{1} << 30;

Error ZstdFailed(std::string_view what, size_t code) { return Internal("zstd: {}: {}", what, ZSTD_getErrorName(code)); }
Error Damaged(std::string_view what) { return Corruption("a sidecar of a SQLite shard: {}", what); }

// The unused bytes between a page's cell places and its cells; nothing where it is no page of a tree, or has none.
struct Gap {
  size_t begin = 0;
  size_t end = 0;
};

std::optional<Gap> GapOf(ByteView page, uint32_t number) {
  const size_t start = number == 1 ? kFileHeaderBytes : 0;
  if (page.size() < start + 12) return std::nullopt;
  const auto type = static_cast<unsigned char>(page[start]);
  const bool interior = type == kIndexInterior || type == kTableInterior;
  if (!interior && type != kIndexLeaf && type != kTableLeaf) return std::nullopt;
  const size_t content = LoadU16(&page[start + 5]);
  const Gap gap{start + (interior ? 12 : 8) + 2 * LoadU16(&page[start + 3]), content == 0 ? kPageSizeMax : content};
  if (gap.begin > gap.end) return std::nullopt;
  return gap;
}

Bytes Stripped(ByteView page, uint32_t number) {
  const std::optional<Gap> gap = GapOf(page, number);
  if (!gap || gap->end > page.size()) return Bytes(page);
  Bytes stripped(page.substr(0, gap->begin));
  return stripped.append(page.substr(gap->end));
}

std::optional<Bytes> Restored(ByteView stored, uint32_t number, uint32_t page_size) {
  Bytes page(stored);
  const std::optional<Gap> gap = GapOf(stored, number);
  if (gap && gap->begin <= stored.size()) page.insert(gap->begin, std::min<size_t>(gap->end - gap->begin, page_size), '\0');
  if (page.size() != page_size) return std::nullopt;
  return page;
}

// Takes numbers off the front of a body.
class Numbers {
 public:
  explicit Numbers(ByteView body) : rest_(body) {}
  ByteView rest() const { return rest_; }
  std::optional<std::vector<uint32_t>> Take(uint64_t count) {
    if (count > rest_.size() / 4) return std::nullopt;
    std::vector<uint32_t> numbers;
    numbers.reserve(count);
    for (; count > 0; --count, rest_.remove_prefix(4)) numbers.push_back(LoadLittle32(rest_.data()));
    return numbers;
  }
  std::optional<uint32_t> TakeOne() {
    const auto one = Take(1);
    return one ? std::optional(one->front()) : std::nullopt;
  }

 private:
  ByteView rest_;
};

// From offsets 0 = o0 <= o1 <= … <= `end`, or not.
bool AreOffsets(const std::vector<uint32_t>& offsets, uint64_t end) {
  return offsets.front() == 0 && std::is_sorted(offsets.begin(), offsets.end()) && offsets.back() == end;
}
bool Ascend(const std::vector<uint32_t>& numbers) {
  return std::adjacent_find(numbers.begin(), numbers.end(), std::greater_equal<>()) == numbers.end();
}

Status ParseChains(Numbers& numbers, Sidecar* sidecar) {
  const auto count = numbers.TakeOne();
  const auto heads = count ? numbers.Take(*count) : std::nullopt;
  const auto offsets = heads ? numbers.Take(uint64_t{*count} + 1) : std::nullopt;
  const auto pages = offsets ? numbers.Take(offsets->back()) : std::nullopt;
  if (!pages || !AreOffsets(*offsets, pages->size()) || !Ascend(*heads)) return Damaged("its chains are not in order, or are cut off");
  for (uint32_t i = 0; i < *count; ++i) {
    std::vector<uint32_t> chain(pages->begin() + (*offsets)[i], pages->begin() + (*offsets)[i + 1]);
    if (chain.empty() || chain.front() != (*heads)[i]) return Damaged("a chain does not begin with its head");
    sidecar->chains.push_back(std::move(chain));
  }
  return {};
}

Status ParseBody(ByteView body, Sidecar* sidecar) {
  Numbers numbers(body);
  const auto count = numbers.TakeOne();
  const auto page_numbers = count ? numbers.Take(*count) : std::nullopt;
  const auto offsets = page_numbers ? numbers.Take(uint64_t{*count} + 1) : std::nullopt;
  if (!offsets || !Ascend(*page_numbers)) return Damaged("its page numbers are not in order, or are cut off");
  DS_RETURN_IF_ERROR(ParseChains(numbers, sidecar));
  if (!AreOffsets(*offsets, numbers.rest().size())) return Damaged("its pages are not where their offsets say");
  for (uint32_t i = 0; i < *count; ++i) {
    const ByteView stored = numbers.rest().substr((*offsets)[i], (*offsets)[i + 1] - (*offsets)[i]);
    std::optional<Bytes> page = Restored(stored, (*page_numbers)[i], sidecar->page_size);
    if (!page) return Damaged("a page of it has not the size of one");
    sidecar->pages.push_back({(*page_numbers)[i], *std::move(page)});
  }
  return {};
}

}  // namespace

Result<SidecarFrame> EncodeSidecarFrame(const Sidecar& sidecar) {
  Bytes pages;
  Bytes body;
  AppendLittle32(body, static_cast<uint32_t>(sidecar.pages.size()));
  for (const Sidecar::Page& page : sidecar.pages) AppendLittle32(body, page.number);
  for (const Sidecar::Page& page : sidecar.pages) {
    AppendLittle32(body, static_cast<uint32_t>(pages.size()));
    pages += Stripped(page.bytes, page.number);
    if (pages.size() > UINT32_MAX) return Unsupported("a sidecar of more than 4 GiB of pages; publish without sidecars, or in more shards");
  }
  AppendLittle32(body, static_cast<uint32_t>(pages.size()));
  AppendLittle32(body, static_cast<uint32_t>(sidecar.chains.size()));
  for (const auto& chain : sidecar.chains) AppendLittle32(body, chain.front());
  uint32_t offset = 0;
  for (const auto& chain : sidecar.chains) {
    AppendLittle32(body, offset);
    offset += static_cast<uint32_t>(chain.size());
  }
  AppendLittle32(body, offset);
  for (const auto& chain : sidecar.chains) {
    for (const uint32_t number : chain) AppendLittle32(body, number);
  }
  body += pages;

  const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  SidecarFrame frame{.frame = Bytes(ZSTD_compressBound(body.size()), '\0'), .body_bytes = body.size(), .page_size = sidecar.page_size};
  const size_t size = ZSTD_compress2(context.get(), frame.frame.data(), frame.frame.size(), body.data(), body.size());
  if (ZSTD_isError(size) != 0) return ZstdFailed("packing a sidecar", size);
  frame.frame.resize(size);
  return frame;
}

Bytes FrameToSidecar(const SidecarFrame& frame, std::string_view tag) {
  if (tag.size() > kTagBytesMax) tag = {};
  Bytes bytes(kMagic);
  bytes.push_back(kVersion);
  AppendLittle32(bytes, static_cast<uint32_t>(frame.body_bytes));
  AppendLittle32(bytes, static_cast<uint32_t>(frame.body_bytes >> 32));
  AppendLittle32(bytes, frame.page_size);
  bytes.push_back(static_cast<char>(tag.size()));
  return bytes.append(tag).append(frame.frame);
}

Result<Sidecar> ParseSidecar(ByteView bytes) {
  if (bytes.size() < kPrefixBytes || bytes.substr(0, 4) != kMagic) return Damaged("it does not begin with \"SQPC\" and a prefix of 18 bytes");
  if (bytes[4] != kVersion) return Unsupported("a sidecar of version {}; this reader knows {}", int{bytes[4]}, int{kVersion});
  const uint64_t body_bytes = LoadLittle32(&bytes[5]) | uint64_t{LoadLittle32(&bytes[9])} << 32;
  Sidecar sidecar{.page_size = LoadLittle32(&bytes[13])};
  const size_t tag_bytes = static_cast<unsigned char>(bytes[17]);
  if (!IsPageSize(sidecar.page_size) || bytes.size() - kPrefixBytes < tag_bytes) return Damaged("its prefix says what cannot be");
  sidecar.tag = bytes.substr(kPrefixBytes, tag_bytes);
  const ByteView frame = bytes.substr(kPrefixBytes + tag_bytes);
  if (body_bytes > kBodyBytesMax || body_bytes != ZSTD_getFrameContentSize(frame.data(), frame.size())) {
    return Damaged("prefix and frame do not say the same size, or one above 1 GiB");
  }
  Bytes body(body_bytes, '\0');
  const size_t size = ZSTD_decompress(body.data(), body.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) != 0 || size != body_bytes) return Damaged("its frame cannot be unpacked");
  DS_RETURN_IF_ERROR(ParseBody(body, &sidecar));
  return sidecar;
}

}  // namespace datashard::sqlite
