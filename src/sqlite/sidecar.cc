// What goes into a sidecar. A database just built may be in a file that is only read from end to end, so it is looked at level by level,
// each time all of it.
#include "sqlite/sidecar.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "base/error.h"
#include "sqlite/file_header.h"
#include "sqlite/node.h"
#include "sqlite/pages.h"
#include "sqlite/schema.h"

namespace datashard::sqlite {
namespace {

const std::string kSubject = "the database of a sidecar";
constexpr int64_t kPieceBytes = 4 << 20;

// The first page alone, which has all of the schema of a shard.
class FirstPageOnly final : public Pages {
 public:
  FirstPageOnly(FileHeader header, ByteView page) : header_(header), page_(page) {}
  const std::string& uri() const override { return kSubject; }
  const FileHeader& header() const override { return header_; }
  bool mapped() const override { return true; }
  Result<Page> Get(uint32_t number, kv::Residency) const override {
    if (number != 1) return Unsupported("{}: its schema takes more than one page", kSubject);
    return Page{page_, nullptr};
  }

 private:
  const FileHeader header_;
  const ByteView page_;
};

using Visit = std::function<Status(uint32_t number, ByteView page)>;

// All pages of a database from the first to the last, as often as asked.
class Source {
 public:
  explicit Source(ByteView bytes) : bytes_(bytes), size_bytes_(static_cast<int64_t>(bytes.size())) {}
  explicit Source(const kv::Output& output)
      : output_(output.in_memory() ? nullptr : &output), bytes_(output.in_memory().value_or(ByteView())), size_bytes_(output.size_bytes()) {}

  Status Open() {
    Bytes start;
    DS_RETURN_IF_ERROR(ForEachPiece([&](ByteView piece) {
      if (start.empty()) start = piece.substr(0, kFileHeaderBytes);
      return Status();
    }));
    DS_ASSIGN_OR_RETURN(header_, ParseFileHeader(kSubject, start, size_bytes_));
    if (header_.usable != header_.page_size) {
      return Unsupported("{}: {} bytes of its pages are reserved; no sidecar has those", kSubject, header_.page_size - header_.usable);
    }
    return {};
  }
  const FileHeader& header() const { return header_; }

  Status VisitAll(const Visit& visit) const {
    uint32_t number = 0;
    return ForEachPiece([&](ByteView piece) -> Status {
      for (; piece.size() >= header_.page_size && number < header_.page_count; piece.remove_prefix(header_.page_size)) {
        DS_RETURN_IF_ERROR(visit(++number, piece.substr(0, header_.page_size)));
      }
      return {};
    });
  }

  // The pages `wanted`, each once, by ascending numbers.
  Status VisitSome(std::vector<uint32_t> wanted, const Visit& visit) const {
    std::sort(wanted.begin(), wanted.end());
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    if (!wanted.empty() && (wanted.front() == 0 || wanted.back() > header_.page_count)) {
      return Corruption("{}: it points to page {}, and it has {} pages", kSubject, wanted.front() == 0 ? 0 : wanted.back(), header_.page_count);
    }
    auto next = wanted.begin();
    return VisitAll([&](uint32_t number, ByteView page) -> Status {
      if (next == wanted.end() || *next != number) return {};
      ++next;
      return visit(number, page);
    });
  }

 private:
  Status ForEachPiece(const std::function<Status(ByteView)>& visit) const {
    return output_ != nullptr ? output_->ForEachPiece(kPieceBytes, visit) : visit(bytes_);
  }

  const kv::Output* output_ = nullptr;
  ByteView bytes_;  // all of them, where they are in memory
  int64_t size_bytes_;
  FileHeader header_;
};

class Collector {
 public:
  explicit Collector(const Source& source) : source_(source), header_(source.header()) {}

  Result<Sidecar> Collect() {
    uint32_t root = 0;
    DS_RETURN_IF_ERROR(source_.VisitSome({1}, [&](uint32_t number, ByteView page) -> Status {
      DS_ASSIGN_OR_RETURN(root, FindRootOfKv(FirstPageOnly(header_, page)));
      pages_.emplace(number, page);
      return {};
    }));
    DS_RETURN_IF_ERROR(CollectTree(root));
    Sidecar sidecar{.page_size = header_.page_size};
    DS_ASSIGN_OR_RETURN(sidecar.chains, Chains());
    for (auto& [number, page] : pages_) sidecar.pages.push_back({number, std::move(page)});
    return sidecar;
  }

 private:
  Error Damaged(uint32_t number, std::string_view what) const { return Corruption("{}: page {}: {}", kSubject, number, what); }

  Status CollectTree(uint32_t root) {
    std::vector<uint32_t> level = {root};
    for (int depth = 0; !level.empty(); ++depth) {
      if (depth == kDepthMax) return Corruption("{}: its tree is deeper than {} pages", kSubject, kDepthMax);
      std::vector<uint32_t> below;
      DS_RETURN_IF_ERROR(source_.VisitSome(std::move(level), [&](uint32_t number, ByteView page) { return LookAt(number, page, &below); }));
      level = std::move(below);
    }
    return {};
  }

  Status LookAt(uint32_t number, ByteView page, std::vector<uint32_t>* below) {
    const Node node = Node::Parse(page, number, header_.usable, kIndexInterior, kIndexLeaf);
    if (node.wrong != nullptr) return Damaged(number, node.wrong);
    const LocalRule rule = LocalRule::OfIndex(header_.usable);
    for (uint32_t i = 0; i < node.cell_count; ++i) {
      const Cell cell = node.CellAt(i, rule);
      if (cell.wrong != nullptr) return Damaged(number, cell.wrong);
      const Payload& payload = cell.payload;
      if (payload.overflow_page != 0) chain_bytes_[payload.overflow_page] = payload.size_bytes - payload.local.size();
      if (!node.leaf) below->push_back(cell.left_child);
    }
    if (node.leaf) return {};
    below->push_back(node.right_child);
    if (!pages_.emplace(number, page).second) return Damaged(number, "the tree leads back into itself");
    return {};
  }

  Result<std::vector<std::vector<uint32_t>>> Chains() const {
    std::vector<std::vector<uint32_t>> chains;
    if (chain_bytes_.empty()) return chains;
    std::vector<uint32_t> next_of = {0};  // by page number
    DS_RETURN_IF_ERROR(source_.VisitAll([&](uint32_t, ByteView page) {
      next_of.push_back(LoadU32(page.data()));
      return Status();
    }));
    uint64_t pages_left = header_.page_count;  // no page is in two chains
    for (const auto& [head, bytes] : chain_bytes_) {
      const uint64_t page_payload = header_.usable - 4;
      std::vector<uint32_t>& chain = chains.emplace_back();
      uint32_t number = head;
      for (uint64_t count = (bytes + page_payload - 1) / page_payload; count > 0; --count) {
        if (number == 0 || number >= next_of.size() || pages_left-- == 0) return Damaged(head, "a chain does not end with its row");
        chain.push_back(number);
        number = next_of[number];
      }
      if (number != 0) return Damaged(head, "a chain goes on behind the end of its row");
    }
    return chains;
  }

  const Source& source_;
  const FileHeader header_;
  std::map<uint32_t, Bytes> pages_;
  std::map<uint32_t, uint64_t> chain_bytes_;  // by a chain's head
};

Result<SidecarFrame> BuildFrame(Source source) {
  DS_RETURN_IF_ERROR(source.Open());
  DS_ASSIGN_OR_RETURN(const Sidecar sidecar, Collector(source).Collect());
  return EncodeSidecarFrame(sidecar);
}

}  // namespace

Result<SidecarFrame> BuildSidecarFrame(const kv::Output& database) { return BuildFrame(Source(database)); }
Result<SidecarFrame> BuildSidecarFrame(ByteView database) { return BuildFrame(Source(database)); }

Result<Bytes> BuildSidecar(const kv::Output& database, std::string_view tag) {
  DS_ASSIGN_OR_RETURN(const SidecarFrame frame, BuildSidecarFrame(database));
  return FrameToSidecar(frame, tag);
}

}  // namespace datashard::sqlite
