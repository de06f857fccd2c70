#include "shardwrite/run_shards.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/quiet_thread.h"
#include "shardwrite/publish_run.h"

namespace datashard::shardwrite {
namespace {

constexpr std::chrono::duration<double> kBackoffMost = std::chrono::hours(24);  // what is multiplied for long fits no clock

class ShardRun {
 public:
  ShardRun(PairSorter& sorter, const ShardBuildSettings& common, const std::optional<ShardRetry>& retry, const ShardBuildParts& parts)
      : sorter_(sorter), common_(common), retry_(retry), parts_(parts) {}

  void Run(const ShardTask& task) {
    if (failed_) return;
    const InterruptScope with_the_others([&]() -> Status { return failed_ ? Status(Unavailable("another shard failed")) : Status(); });
    Result<ShardMeta> built = TryAll(task);
    const std::lock_guard lock(mutex_);
    if (built.ok()) {
      results_.push_back(std::move(*built));
    } else if (!error_) {
      error_ = std::move(built).error();
      failed_ = true;
      parts_.events.Emit("write.shard.failed", {{"db_id", task.db_id}}, error_->message());
    }
  }

  Result<std::vector<ShardMeta>> Results() {
    if (!error_) return std::move(results_);
    std::vector<std::string> urls;
    for (const ShardMeta& result : results_) {
      if (result.db_url) urls.push_back(*result.db_url);
    }
    RemoveAttempts(parts_.place, urls, parts_.outside.log, parts_.events);
    return *error_;
  }

 private:
  Result<ShardMeta> Try(const ShardTask& task, int64_t attempt) {
    ShardBuildSettings settings = common_;
    settings.db_id = task.db_id;
    settings.attempt = attempt;
    DS_ASSIGN_OR_RETURN(const std::unique_ptr<kv::Cursor> pairs, sorter_.Read(task.partition));
    return BuildShardAttempt(settings, *pairs, parts_);
  }

  Result<ShardMeta> TryAll(const ShardTask& task) {
    std::chrono::duration<double> backoff = retry_ ? retry_->initial_backoff : std::chrono::milliseconds(0);
    for (int attempt = 0;; ++attempt, backoff *= retry_->backoff_multiplier) {
      Result<ShardMeta> built = Try(task, attempt);
      if (built.ok() || !retry_ || built.kind() != ErrorKind::kUnavailable || !AskInterrupted().ok()) return built;
      if (attempt == retry_->max_retries) {
        parts_.events.Emit("write.shard.retry_exhausted", {{"db_id", task.db_id}, {"attempts", attempt + 1}});
        return std::move(built).error().In(fmt::format("after {} attempts", attempt + 1));
      }
      parts_.events.Emit("write.shard.retried", {{"db_id", task.db_id}, {"attempt", attempt}, {"backoff_s", backoff.count()}}, built.error().message());
      parts_.outside.log.Write(LogLevel::kWarning, fmt::format("shard {} is tried again: {}", task.db_id, built.error().message()));
      DS_RETURN_IF_ERROR(SleepInterruptibly(parts_.outside.clock, std::chrono::ceil<std::chrono::microseconds>(std::min(backoff, kBackoffMost))));
    }
  }

  PairSorter& sorter_;
  const ShardBuildSettings& common_;
  const std::optional<ShardRetry>& retry_;
  const ShardBuildParts& parts_;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  std::vector<ShardMeta> results_;
  std::optional<Error> error_;
};

}  // namespace

Result<std::vector<ShardMeta>> BuildShards(PairSorter& sorter, const std::vector<ShardTask>& tasks, const ShardBuildSettings& common,
                                           const std::optional<ShardRetry>& retry, int threads, const ShardBuildParts& parts) {
  std::vector<ShardTask> order = tasks;
  std::sort(order.begin(), order.end(), [&](const ShardTask& a, const ShardTask& b) {  // the largest first, so that threads end together
    return std::pair(-sorter.pairs_added(a.partition), a.db_id) < std::pair(-sorter.pairs_added(b.partition), b.db_id);
  });
  ShardRun run(sorter, common, retry, parts);
  RunAll(order.size(), static_cast<size_t>(threads), [&](size_t i) { run.Run(order[i]); });
  return run.Results();
}

}  // namespace datashard::shardwrite
