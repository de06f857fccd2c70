#include "shardread/merged_scan.h"

#include <algorithm>
#include <utility>

#include "kv/database.h"

namespace datashard::shardread {
namespace {

class MergedScan final : public ShardedScan {
 public:
  MergedScan(std::shared_ptr<const Generation> generation, std::string_view start, std::optional<std::string_view> end,
             std::shared_ptr<Workers> workers)
      : generation_(std::move(generation)), workers_(std::move(workers)), stages_(generation_->Covering(start, end)), start_(start), end_(end) {}

  // To the first pair, which Next then shows.
  Status Start() {
    DS_ASSIGN_OR_RETURN(is_at_first_, Advance());
    has_started_ = true;
    return {};
  }
  Result<bool> Next() override {
    if (has_started_) {
      has_started_ = false;
      return is_at_first_;
    }
    return Advance();
  }
  std::string_view key() const override { return heap_.front()->key(); }
  std::string_view value() const override { return heap_.front()->value(); }

 private:
  // Beneath a heap the greatest is in front.
  static bool IsBehind(const std::unique_ptr<kv::Cursor>& left, const std::unique_ptr<kv::Cursor>& right) { return left->key() > right->key(); }

  Result<bool> Advance() {
    if (!heap_.empty()) {
      std::ranges::pop_heap(heap_, IsBehind);
      DS_ASSIGN_OR_RETURN(const bool has_more, heap_.back()->Next());
      if (has_more) {
        std::ranges::push_heap(heap_, IsBehind);
      } else {
        heap_.pop_back();
      }
    }
    while (heap_.empty() && stage_ < stages_.size()) DS_RETURN_IF_ERROR(OpenStage(stages_[stage_++]));
    return !heap_.empty();
  }

  Status OpenStage(const std::vector<std::shared_ptr<ShardSlot>>& slots) {
    std::vector<std::optional<Result<std::unique_ptr<kv::Cursor>>>> cursors(slots.size());
    const bool is_remote = std::ranges::any_of(slots, [](const auto& slot) { return slot->IsRemote(); });
    workers_->Run(slots.size(), is_remote ? Workers::Kind::kWaits : Workers::Kind::kComputes, [&](size_t i) { cursors[i].emplace(OpenAtFirst(*slots[i])); });
    for (auto& cursor : cursors) {
      if (!cursor->ok()) return std::move(*cursor).error();
      if (cursor->value() != nullptr) heap_.push_back(std::move(cursor->value()));
    }
    std::ranges::make_heap(heap_, IsBehind);
    return {};
  }
  // Null where the shard has no pair of the range.
  Result<std::unique_ptr<kv::Cursor>> OpenAtFirst(ShardSlot& slot) const {
    DS_ASSIGN_OR_RETURN(const OpenedShard* const shard, slot.Open());
    kv::KeyRange range{.start = start_, .end = end_};
    DS_ASSIGN_OR_RETURN(std::unique_ptr<kv::Cursor> cursor, shard->database->Scan(std::move(range)));
    DS_ASSIGN_OR_RETURN(const bool has_pair, cursor->Next());
    if (!has_pair) cursor.reset();
    return cursor;
  }

  const std::shared_ptr<const Generation> generation_;  // before the cursors, which must not outlive its databases
  const std::shared_ptr<Workers> workers_;
  const std::vector<std::vector<std::shared_ptr<ShardSlot>>> stages_;
  const std::string start_;
  const std::optional<std::string> end_;
  size_t stage_ = 0;
  std::vector<std::unique_ptr<kv::Cursor>> heap_;
  bool has_started_ = false;
  bool is_at_first_ = false;
};

}  // namespace

Result<std::unique_ptr<ShardedScan>> OpenMergedScan(std::shared_ptr<const Generation> generation, std::string_view start,
                                                    std::optional<std::string_view> end, std::shared_ptr<Workers> workers) {
  auto scan = std::make_unique<MergedScan>(std::move(generation), start, end, std::move(workers));
  DS_RETURN_IF_ERROR(scan->Start());
  return std::unique_ptr<ShardedScan>(std::move(scan));
}

}  // namespace datashard::shardread
