// Scans: every source gives its rows in ascending order; of one key the row with the highest sequence counts.
#include <algorithm>
#include <deque>
#include <utility>

#include "base/error.h"
#include "slatedb/run.h"

namespace datashard::slatedb {
namespace {

// Stored bytes that are read at once: little for a scan that ends soon, four times as much with each step of one that goes on.
constexpr int64_t kReadAheadMin = int64_t{16} << 10;
constexpr int64_t kReadAheadMax = int64_t{4} << 20;
constexpr size_t kReadAheadBlocksMax = 1024;  // what they take decompressed counts too

class Source {
 public:
  virtual ~Source() = default;
  virtual Result<bool> Next() = 0;
  virtual ByteView key() const = 0;
  virtual const Row& row() const = 0;
  virtual const std::string& uri() const = 0;
};

class WalSource final : public Source {
 public:
  WalSource(const Contents& contents, const kv::KeyRange& range) : range_(range), end_(contents.wal.end()), uri_(contents.wal_uri) {
    next_ = std::lower_bound(contents.wal.begin(), contents.wal.end(), range.start, [](const WalRow& row, ByteView key) { return row.key < key; });
  }
  Result<bool> Next() override {
    if (next_ == end_ || (range_.end && next_->key >= *range_.end)) return false;
    row_ = next_->row();
    ++next_;
    return true;
  }
  ByteView key() const override { return row_.suffix; }
  const Row& row() const override { return row_; }
  const std::string& uri() const override { return uri_; }

 private:
  const kv::KeyRange& range_;
  std::vector<WalRow>::const_iterator next_;
  const std::vector<WalRow>::const_iterator end_;
  Row row_;
  const std::string& uri_;
};

class RunSource final : public Source {
 public:
  RunSource(const Run& run, const kv::KeyRange& range) : run_(run), range_(range), next_sst_(run.SstsOf(range.start).first) {
    if (run.SstsOf(range.start).last < next_sst_) next_sst_ = 0;  // it starts below the run
  }

  Result<bool> Next() override {
    while (true) {
      if (rows_) {
        const Sought sought = rows_->Next();
        if (sought == Sought::kDamaged) return sst_->RowsDamaged(next_block_ - ahead_.size() - 1);
        if (sought == Sought::kFound) {
          const std::optional<KeyBounds>& visible = run_.sst(next_sst_ - 1).ref().visible;
          if (key() < range_.start || (visible && visible->IsBelow(key()))) continue;
          if (range_.end && key() >= *range_.end) return false;
          if (!visible || !visible->IsAbove(key())) return true;
          sst_ = nullptr;
        }
      }
      DS_ASSIGN_OR_RETURN(const bool more, NextBlock());
      if (!more) return false;
    }
  }
  ByteView key() const override { return rows_->key(); }
  const Row& row() const override { return rows_->row(); }
  const std::string& uri() const override { return sst_->uri(); }

 private:
  // Moves to the next block, of the next SST too; false behind the last that can hold keys of the range.
  Result<bool> NextBlock() {
    while (true) {
      if (sst_ != nullptr) {
        if (ahead_.empty()) DS_RETURN_IF_ERROR(ReadAhead());
        if (!ahead_.empty()) {
          current_ = std::move(ahead_.front());
          ahead_.pop_front();
          rows_.emplace(current_->view);
          return true;
        }
      }
      if (next_sst_ >= run_.size()) return false;
      const Sst& next = run_.sst(next_sst_++);
      if (range_.end && *range_.end <= next.ref().layout.first_entry) return false;
      if (next.ref().layout.last_entry && *next.ref().layout.last_entry < range_.start) continue;
      DS_ASSIGN_OR_RETURN(sst_, next.Open(kv::Residency::kAnywhere));
      const BlockSpan span = sst_->BlocksOf(range_.start);
      next_block_ = span.first > span.last ? 0 : span.first;
      ahead_.clear();
    }
  }

  Status ReadAhead() {
    std::vector<size_t> blocks;
    const size_t count_max = sst_->is_mapped() ? 1 : kReadAheadBlocksMax;
    for (int64_t bytes = 0; blocks.size() < count_max && bytes < read_ahead_bytes_; ++next_block_) {
      if (next_block_ >= sst_->block_count() || (range_.end && sst_->FirstKey(next_block_) >= *range_.end)) break;
      blocks.push_back(next_block_);
      bytes += sst_->StoredBytes(next_block_);
    }
    if (blocks.empty()) return {};
    const Keeping keeping = read_ahead_bytes_ < kReadAheadMax ? Keeping::kAShare : Keeping::kNothing;  // a long scan would drive out all else
    read_ahead_bytes_ = std::min(kReadAheadMax, read_ahead_bytes_ * 4);
    DS_ASSIGN_OR_RETURN(std::vector<PinnedBlock> read, sst_->Blocks(blocks, keeping));
    ahead_.assign(std::make_move_iterator(read.begin()), std::make_move_iterator(read.end()));
    return {};
  }

  const Run& run_;
  const kv::KeyRange& range_;
  size_t next_sst_;
  const OpenedSst* sst_ = nullptr;
  size_t next_block_ = 0;
  int64_t read_ahead_bytes_ = kReadAheadMin;
  std::deque<PinnedBlock> ahead_;
  std::optional<PinnedBlock> current_;
  std::optional<BlockRows> rows_;
};

class MergedCursor final : public kv::Cursor {
 public:
  MergedCursor(const Contents& contents, kv::KeyRange range) : contents_(contents), range_(std::move(range)) {
    if (range_.end && *range_.end <= range_.start) return;
    if (!contents.wal.empty()) sources_.push_back(std::make_unique<WalSource>(contents, range_));
    for (const std::unique_ptr<Run>& run : contents.runs) sources_.push_back(std::make_unique<RunSource>(*run, range_));
  }

  Result<bool> Next() override {
    while (true) {
      DS_RETURN_IF_ERROR(PassKey());
      const Source* const newest = Newest();
      if (newest == nullptr) return false;
      key_ = newest->key();
      DS_ASSIGN_OR_RETURN(const bool has_value, HasValue(newest->row(), contents_.clock, newest->uri()));
      if (!has_value) continue;
      value_ = newest->row().value;
      return true;
    }
  }
  ByteView key() const override { return key_; }
  ByteView value() const override { return value_; }

 private:
  // Moves every source behind the key that was given last; sources without a further row go.
  Status PassKey() {
    for (size_t i = 0; i < sources_.size();) {
      bool more = true;
      while (more && (!started_ || sources_[i]->key() == key_)) {
        DS_ASSIGN_OR_RETURN(more, sources_[i]->Next());
        if (!started_) break;
      }
      if (more) ++i;
      else sources_.erase(sources_.begin() + static_cast<ptrdiff_t>(i));
    }
    started_ = true;
    return {};
  }

  const Source* Newest() const {
    const Source* newest = nullptr;
    for (const std::unique_ptr<Source>& source : sources_) {
      if (newest != nullptr) {
        const int order = source->key().compare(newest->key());
        if (order > 0 || (order == 0 && source->row().sequence <= newest->row().sequence)) continue;
      }
      newest = source.get();
    }
    return newest;
  }

  const Contents& contents_;
  const kv::KeyRange range_;
  std::vector<std::unique_ptr<Source>> sources_;  // the newest first
  bool started_ = false;
  Bytes key_;
  ByteView value_;
};

}  // namespace

std::unique_ptr<kv::Cursor> NewMergedCursor(const Contents& contents, kv::KeyRange range) {
  return std::make_unique<MergedCursor>(contents, std::move(range));
}

}  // namespace datashard::slatedb
