#include "slatedb/wal.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "slatedb/sst.h"

namespace datashard::slatedb {
namespace {

constexpr int64_t kWalBytesMax = int64_t{1} << 30;
constexpr ByteView kWal = "wal/";
constexpr ByteView kEnding = ".sst";

// A file that was read as a whole.
class BytesFile final : public kv::ShardFile {
 public:
  BytesFile(std::string uri, Bytes bytes, uint64_t cache_id) : uri_(std::move(uri)), bytes_(std::move(bytes)), cache_id_(cache_id) {}
  const std::string& uri() const override { return uri_; }
  int64_t size_bytes() const override { return static_cast<int64_t>(bytes_.size()); }
  std::optional<ByteView> mapped() const override { return bytes_; }
  std::vector<Result<Bytes>> Read(std::span<const ByteRange> ranges) const override {
    std::vector<Result<Bytes>> read;
    for (const ByteRange& range : ranges) read.push_back(bytes_.substr(static_cast<size_t>(range.offset_bytes), static_cast<size_t>(range.size_bytes)));
    return read;
  }
  uint64_t cache_id() const override { return cache_id_; }

 private:
  const std::string uri_;
  const Bytes bytes_;
  const uint64_t cache_id_;
};

std::optional<uint64_t> NumberOf(ByteView name) {
  if (!name.starts_with(kWal) || !name.ends_with(kEnding) || name.size() != kWal.size() + 20 + kEnding.size()) return std::nullopt;
  const ByteView digits = name.substr(kWal.size(), 20);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

Result<std::vector<uint64_t>> NumbersBehind(const kv::ShardDirectory& directory, uint64_t replay_after) {
  DS_ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List(kWal));
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    const std::optional<uint64_t> number = NumberOf(name);
    if (number && *number > replay_after) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  uint64_t expected = replay_after + 1;
  for (const uint64_t number : numbers) {
    if (number != expected) return Corruption("{}/wal: number {} is missing, and {} is there; what was written in it is lost", directory.uri(), expected, number);
    ++expected;
  }
  return numbers;
}

Result<std::unique_ptr<kv::ShardFile>> Whole(std::unique_ptr<kv::ShardFile> file) {
  if (file->mapped()) return file;
  const ByteRange all{0, file->size_bytes()};
  DS_ASSIGN_OR_RETURN(Bytes bytes, std::move(file->Read(std::span(&all, 1)).front()));
  return std::unique_ptr<kv::ShardFile>(std::make_unique<BytesFile>(file->uri(), std::move(bytes), file->cache_id()));
}

Status AppendRows(const OpenedSst& sst, uint64_t last_l0_sequence, std::vector<WalRow>& rows) {
  for (size_t block = 0; block < sst.block_count(); ++block) {
    DS_ASSIGN_OR_RETURN(const std::optional<PinnedBlock> pinned, sst.Block(block, kv::Residency::kAnywhere));
    BlockRows read(pinned->view);
    Sought sought;
    while ((sought = read.Next()) == Sought::kFound) {
      if (read.row().sequence <= last_l0_sequence) continue;
      rows.push_back({Bytes(read.key()), Bytes(read.row().value), read.row().sequence, read.row().flags, read.row().expires_ms});
    }
    if (sought == Sought::kDamaged) return sst.RowsDamaged(block);
  }
  return {};
}

}  // namespace

Result<std::vector<WalRow>> ReplayWal(const kv::ShardDirectory& directory, const Manifest& manifest) {
  DS_ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, NumbersBehind(directory, manifest.replay_after_wal_id));
  std::vector<WalRow> rows;
  int64_t left = kWalBytesMax;
  for (const uint64_t number : numbers) {
    DS_ASSIGN_OR_RETURN(std::unique_ptr<kv::ShardFile> file, directory.Open(fmt::format("wal/{:020}.sst", number)));
    if (file->size_bytes() == 0) continue;  // a writer's fence: it took the number and had nothing to write
    left -= file->size_bytes();
    if (left < 0) {
      return Unsupported("{}/wal: more than {} bytes are to be replayed; let its writer flush the database", directory.uri(), kWalBytesMax);
    }
    DS_ASSIGN_OR_RETURN(file, Whole(std::move(file)));
    DS_ASSIGN_OR_RETURN(const std::unique_ptr<OpenedSst> sst, OpenedSst::Open(std::move(file), directory.cache(), /*layout=*/nullptr, /*version=*/0));
    DS_RETURN_IF_ERROR(AppendRows(*sst, manifest.last_l0_sequence, rows));
  }
  std::sort(rows.begin(), rows.end(), [](const WalRow& a, const WalRow& b) { return std::tie(a.key, b.sequence) < std::tie(b.key, a.sequence); });
  rows.erase(std::unique(rows.begin(), rows.end(), [](const WalRow& a, const WalRow& b) { return a.key == b.key; }), rows.end());
  return rows;
}

}  // namespace datashard::slatedb
