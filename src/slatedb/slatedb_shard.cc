// A database as its readers see it: the WAL in memory, then the runs, the newest first.
#include "slatedb/slatedb_shard.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "slatedb/manifest.h"
#include "slatedb/run.h"
#include "slatedb/wal.h"

namespace datashard::slatedb {
namespace {

using kv::Lookup;
using kv::Residency;

class SlateDb final : public kv::Database {
 public:
  explicit SlateDb(Contents contents) : contents_(std::move(contents)) {
    for (const WalRow& row : contents_.wal) wal_bytes_ += static_cast<int64_t>(sizeof(row) + row.key.capacity() + row.value.capacity());
    for (const auto& run : contents_.runs) sst_count_ += run->size();
  }

  Result<Lookup> Find(ByteView key, Residency residency) const override {
    if (const WalRow* row = InWal(key)) return Answer(row->row(), nullptr, contents_.wal_uri);
    for (const std::unique_ptr<Run>& run : contents_.runs) {
      const BlockSpan span = run->SstsOf(key);
      for (size_t i = span.first; i <= span.last; ++i) {
        DS_ASSIGN_OR_RETURN(std::optional<Lookup> found, FindIn(run->sst(i), key, residency));
        if (found) return std::move(*found);
      }
    }
    return Lookup::Absent();
  }

  Status FindMany(std::span<const ByteView> keys, std::span<Lookup> found) const override {
    std::vector<size_t> open;  // keys that no source has answered yet
    for (size_t i = 0; i < keys.size(); ++i) {
      found[i] = Lookup::Absent();
      if (const WalRow* row = InWal(keys[i])) {
        DS_ASSIGN_OR_RETURN(found[i], Answer(row->row(), nullptr, contents_.wal_uri));
      } else {
        open.push_back(i);
      }
    }
    for (const std::unique_ptr<Run>& run : contents_.runs) {
      if (open.empty()) break;
      DS_RETURN_IF_ERROR(FindManyIn(*run, keys, open, found));
    }
    return {};
  }

  Result<std::unique_ptr<kv::Cursor>> Scan(kv::KeyRange range) const override { return NewMergedCursor(contents_, std::move(range)); }

  int64_t memory_bytes() const override {
    int64_t bytes = static_cast<int64_t>(sizeof(*this)) + wal_bytes_;
    for (const std::unique_ptr<Run>& run : contents_.runs) {
      for (size_t i = 0; i < run->size(); ++i) bytes += run->sst(i).memory_bytes();
    }
    return bytes;
  }

 private:
  const WalRow* InWal(ByteView key) const {
    if (contents_.wal.empty()) return nullptr;
    const auto row = std::lower_bound(contents_.wal.begin(), contents_.wal.end(), key, [](const WalRow& at, ByteView sought) { return at.key < sought; });
    return row != contents_.wal.end() && row->key == key ? &*row : nullptr;
  }

  Result<Lookup> Answer(const Row& row, std::shared_ptr<const Bytes> owner, const std::string& uri) const {
    DS_ASSIGN_OR_RETURN(const bool has_value, HasValue(row, contents_.clock, uri));
    return has_value ? Lookup::Found(row.value, std::move(owner)) : Lookup::Absent();
  }

  // The filter's six probes cost more than the block of a mapped file that will mostly hold the key; where a request or other sources
  // are to be saved it is asked first.
  bool FilterExcludes(const OpenedSst& sst, ByteView key) const {
    if (sst.is_mapped() && sst_count_ == 1) return false;
    return !sst.MayContain(FilterHash(key));
  }

  // None where this SST has no row of the key.
  Result<std::optional<Lookup>> FindIn(const Sst& sst, ByteView key, Residency residency) const {
    if (sst.Excludes(key)) return std::optional<Lookup>();
    DS_ASSIGN_OR_RETURN(const OpenedSst* const opened, sst.Open(residency));
    if (opened == nullptr) return std::optional<Lookup>(Lookup::NotResident());
    if (FilterExcludes(*opened, key)) return std::optional<Lookup>();
    const BlockSpan span = opened->BlocksOf(key);
    for (size_t block = span.first; block <= span.last; ++block) {
      DS_ASSIGN_OR_RETURN(std::optional<PinnedBlock> pinned, opened->Block(block, residency));
      if (!pinned) return std::optional<Lookup>(Lookup::NotResident());
      DS_ASSIGN_OR_RETURN(std::optional<Lookup> found, FindIn(*opened, block, *pinned, key));
      if (found) return found;
    }
    return std::optional<Lookup>();
  }

  Result<std::optional<Lookup>> FindIn(const OpenedSst& sst, size_t block, const PinnedBlock& pinned, ByteView key) const {
    Row row;
    switch (pinned.view.Find(key, row)) {
      case Sought::kAbsent: return std::optional<Lookup>();
      case Sought::kDamaged: return sst.RowsDamaged(block);
      case Sought::kFound: break;
    }
    DS_ASSIGN_OR_RETURN(Lookup answer, Answer(row, pinned.owner, sst.uri()));
    return std::optional<Lookup>(std::move(answer));
  }

  // Keys of `open` that this run answers leave it.
  Status FindManyIn(const Run& run, std::span<const ByteView> keys, std::vector<size_t>& open, std::span<Lookup> found) const {
    std::vector<std::vector<size_t>> of_sst(run.size());
    for (const size_t key : open) {
      const BlockSpan span = run.SstsOf(keys[key]);
      for (size_t i = span.first; i <= span.last; ++i) of_sst[i].push_back(key);
    }
    std::vector<bool> answered(keys.size());
    for (size_t i = 0; i < run.size(); ++i) {
      std::erase_if(of_sst[i], [&](size_t key) { return answered[key] || run.sst(i).Excludes(keys[key]); });
      if (!of_sst[i].empty()) DS_RETURN_IF_ERROR(FindManyIn(run.sst(i), keys, of_sst[i], found, answered));
    }
    std::erase_if(open, [&](size_t key) { return answered[key]; });
    return {};
  }

  struct Wanted {
    size_t key;
    BlockSpan blocks;
  };

  Status FindManyIn(const Sst& sst, std::span<const ByteView> keys, const std::vector<size_t>& wanted_keys, std::span<Lookup> found,
                    std::vector<bool>& answered) const {
    DS_ASSIGN_OR_RETURN(const OpenedSst* const opened, sst.Open(Residency::kAnywhere));
    std::vector<Wanted> wanted;
    for (const size_t key : wanted_keys) {
      if (FilterExcludes(*opened, keys[key])) continue;
      const BlockSpan blocks = opened->BlocksOf(keys[key]);
      if (blocks.first <= blocks.last) wanted.push_back({key, blocks});
    }
    while (!wanted.empty()) {  // mostly once: again for keys with versions in more than two blocks
      const std::vector<size_t> blocks = FirstTwoOf(wanted);
      DS_ASSIGN_OR_RETURN(const std::vector<PinnedBlock> pinned, opened->Blocks(blocks, Keeping::kAShare));
      std::vector<Wanted> again;
      for (Wanted& want : wanted) {
        std::optional<Lookup> answer;
        size_t at = static_cast<size_t>(std::lower_bound(blocks.begin(), blocks.end(), want.blocks.first) - blocks.begin());
        for (; !answer && want.blocks.first <= want.blocks.last && at < blocks.size() && blocks[at] == want.blocks.first; ++at, ++want.blocks.first) {
          DS_ASSIGN_OR_RETURN(answer, FindIn(*opened, blocks[at], pinned[at], keys[want.key]));
        }
        if (answer) {
          found[want.key] = std::move(*answer);
          answered[want.key] = true;
        } else if (want.blocks.first <= want.blocks.last) {
          again.push_back(want);
        }
      }
      wanted = std::move(again);
    }
    return {};
  }

  // The block a key is mostly in, and the one it may start in where its block starts with it.
  static std::vector<size_t> FirstTwoOf(const std::vector<Wanted>& wanted) {
    std::vector<size_t> blocks;
    for (const Wanted& want : wanted) {
      blocks.push_back(want.blocks.first);
      if (want.blocks.first < want.blocks.last) blocks.push_back(want.blocks.first + 1);
    }
    std::sort(blocks.begin(), blocks.end());
    blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
    return blocks;
  }

  const Contents contents_;
  int64_t wal_bytes_ = 0;
  size_t sst_count_ = 0;
};

}  // namespace

Result<std::unique_ptr<kv::Database>> OpenSlateDbShard(const kv::ShardDirectory& directory, Clock& clock) {
  DS_ASSIGN_OR_RETURN(Manifest manifest, ReadNewestManifest(directory));
  DS_ASSIGN_OR_RETURN(std::vector<WalRow> wal, ReplayWal(directory, manifest));
  std::vector<std::unique_ptr<Run>> runs;
  for (std::vector<SstRef>& refs : manifest.runs) {
    if (!refs.empty()) runs.push_back(std::make_unique<Run>(directory, std::move(refs)));
  }
  return std::unique_ptr<kv::Database>(std::make_unique<SlateDb>(Contents{std::move(wal), directory.uri() + "/wal", std::move(runs), clock}));
}

}  // namespace datashard::slatedb
