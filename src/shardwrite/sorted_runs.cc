#include "shardwrite/sorted_runs.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "shardwrite/sort_entries.h"

namespace datashard::shardwrite {
namespace {

class RunReader {
 public:
  RunReader(SortedRun run, int64_t buffer_bytes) : run_(std::move(run)), buffer_bytes_(buffer_bytes) {}

  /// The pair before becomes invalid.
  Result<bool> Next() {
    pair_at_ += pair_bytes_;
    pair_bytes_ = 0;
    DS_RETURN_IF_ERROR(Have(sizeof(PairHeader)));
    if (pair_at_ == filled_) return false;
    DS_RETURN_IF_ERROR(Have(PairHeader::At(pair()).pair_bytes()));
    pair_bytes_ = PairHeader::At(pair()).pair_bytes();
    return true;
  }
  const char* pair() const { return buffer_.data() + pair_at_; }

 private:
  // At least `size` bytes from pair_at_ on, or none at the run's end.
  Status Have(int64_t size) {
    const int64_t at_hand = filled_ - pair_at_;
    if (at_hand >= size) return {};
    const int64_t left = run_.size_bytes - read_;
    if (at_hand == 0 && left == 0) return {};
    if (at_hand + left < size) return Internal("a pair of {} bytes where a sorted run has {} left", size, at_hand + left);
    if (const int64_t wanted = std::max(size, buffer_bytes_); static_cast<int64_t>(buffer_.size()) < wanted) {
      buffer_.resize(static_cast<size_t>(std::max(size, std::min(wanted, at_hand + left))));
    }
    std::copy(buffer_.begin() + pair_at_, buffer_.begin() + filled_, buffer_.begin());
    pair_at_ = 0;
    filled_ = at_hand;
    const int64_t more = std::min(left, static_cast<int64_t>(buffer_.size()) - filled_);
    DS_RETURN_IF_ERROR(run_.file->ReadAt(run_.offset + read_, more, buffer_.data() + filled_));
    read_ += more;
    filled_ += more;
    return {};
  }

  const SortedRun run_;
  const int64_t buffer_bytes_;
  Bytes buffer_;
  int64_t read_ = 0;  // of the run
  int64_t filled_ = 0, pair_at_ = 0, pair_bytes_ = 0;
};

// A heap of the runs that have a pair left, smallest key on top; of equal keys that of the later run.
class MergeCursor final : public kv::Cursor {
 public:
  MergeCursor(const std::vector<SortedRun>& runs, int64_t buffer_bytes) {
    readers_.reserve(runs.size());
    for (const SortedRun& run : runs) readers_.emplace_back(run, buffer_bytes);
  }

  Result<bool> Next() override {
    if (!started_) {
      started_ = true;
      for (size_t run = 0; run < readers_.size(); ++run) DS_RETURN_IF_ERROR(Advance(run));
    } else if (current_) {
      DS_RETURN_IF_ERROR(Advance(*std::exchange(current_, std::nullopt)));
    }
    if (heads_.empty()) return false;
    const Head first = Pop();
    current_ = first.run;
    while (!heads_.empty() && heads_.front().word == first.word && heads_.front().key == first.key) {
      DS_RETURN_IF_ERROR(Advance(Pop().run));
    }
    return true;
  }
  ByteView key() const override { return KeyOf(readers_[*current_].pair()); }
  ByteView value() const override { return ValueOf(readers_[*current_].pair()); }

 private:
  struct Head {
    uint64_t word = 0;
    ByteView key;
    size_t run = 0;
  };
  static bool IsBehind(const Head& a, const Head& b) {
    if (a.word != b.word) return a.word > b.word;
    if (const int order = a.key.compare(b.key); order != 0) return order > 0;
    return a.run < b.run;
  }

  Status Advance(size_t run) {
    DS_ASSIGN_OR_RETURN(const bool more, readers_[run].Next());
    if (!more) return {};
    const ByteView key = KeyOf(readers_[run].pair());
    heads_.push_back({WordAt(key, 0), key, run});
    std::push_heap(heads_.begin(), heads_.end(), IsBehind);
    return {};
  }
  Head Pop() {
    std::pop_heap(heads_.begin(), heads_.end(), IsBehind);
    const Head head = heads_.back();
    heads_.pop_back();
    return head;
  }

  std::vector<RunReader> readers_;
  std::vector<Head> heads_;
  std::optional<size_t> current_;
  bool started_ = false;
};

}  // namespace

Status RunWriter::Add(ByteView key, ByteView value) {
  const PairHeader header{0, static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size())};
  if (static_cast<int64_t>(buffer_.size()) + header.pair_bytes() > buffer_bytes_) DS_RETURN_IF_ERROR(Flush());
  buffer_.append(reinterpret_cast<const char*>(&header), sizeof header).append(key).append(value);
  return {};
}

Status RunWriter::Flush() {
  DS_RETURN_IF_ERROR(file_->WriteAt(start_ + written_, buffer_));
  written_ += static_cast<int64_t>(buffer_.size());
  buffer_.clear();
  return {};
}

Result<SortedRun> RunWriter::Finish() {
  DS_RETURN_IF_ERROR(Flush());
  return SortedRun{file_, start_, written_};
}

std::unique_ptr<kv::Cursor> MergeRuns(const std::vector<SortedRun>& runs, int64_t buffer_bytes) {
  return std::make_unique<MergeCursor>(runs, buffer_bytes);
}

}  // namespace datashard::shardwrite
