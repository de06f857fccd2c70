// A store that fails as planned: calls refused, answers lost, requests that arrive late, a disk that fills up, a process
// that dies after any of its calls.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/object_store.h"

namespace datashard::sim {

enum class StoreOp {
  kGroupPut, kGroupOpen, kGroupPrepare, kWriterAppend, kWriterFinish, kGroupSync,
  kPutIfAbsent, kReplace, kReplaceIf, kDropBody, kGet, kGetRange, kOpenReader, kReadAt, kStillNamed, kHead, kList, kDelete, kMatching,
  kServerTime, kRemoveLeftovers,
};
std::string_view ToString(StoreOp op);

/// What becomes of a call that fails. For calls that change nothing it makes no difference.
enum class Effect {
  kNotApplied,
  kApplied,  ///< everything was done, only the answer is lost
  kLate,     ///< done after `late_by_calls` further calls: PutIfAbsent, Replace, ReplaceIf, DropBody and Delete; others are not applied
};

/// One call that fails: the call number `call` (0 is the first), or else the `occurrence`-th (0 is the first) of those with
/// this `op` (any, where absent) whose key contains `key_part`.
struct Fault {
  std::optional<int64_t> call;
  std::optional<StoreOp> op;
  std::string key_part;
  int64_t occurrence = 0;

  /// What the caller is told. PutIfAbsent (and publishing a prepared object, which counts as one) and
  /// ReplaceIf always answer kCommitUnknown when it was or will be applied: their contract.
  ErrorKind kind = ErrorKind::kUnavailable;
  Effect effect = Effect::kNotApplied;
  int64_t late_by_calls = 1;
};

struct FaultPlan {
  /// The process dies in the call after this many: that call fails with `crash_effect`, and every later one until Reopen.
  std::optional<int64_t> crash_after_calls;
  Effect crash_effect = Effect::kNotApplied;
  /// False: only that one call fails, as in a short outage.
  bool crash_persists = true;
  std::vector<Fault> faults;
  /// Called before every call, without locks held: the moment when other processes get on while this one stands still.
  std::function<void()> before_call;
  /// Bodies beyond this many bytes in total are refused as by a full disk, until FreeSpace.
  std::optional<int64_t> disk_full_after_bytes;
};

/// A call that reached the store (calls of a dead process do not), in order.
struct StoreCall {
  StoreOp op;
  std::string key;                 ///< empty for calls without one
  std::optional<ErrorKind> error;  ///< what the caller was told
  bool injected = false;           ///< by this class, not by the store
  bool operator==(const StoreCall&) const = default;
};
/// "PutIfAbsent metadata/v1.metadata.json: commit unknown (injected)"
std::string ToString(const StoreCall& call);

/// Wraps `base`; several may share one, as processes share a disk. Callable from several threads.
class FaultyStore final : public ObjectStore {
 public:
  explicit FaultyStore(std::shared_ptr<ObjectStore> base, FaultPlan plan = {});

  /// Starts over with another plan: no calls, nothing fired, not crashed. Late requests stay under way.
  void SetPlan(FaultPlan plan);
  /// A new process after a crash: calls work again.
  void Reopen();
  void FreeSpace();
  /// Applies late requests that are still under way.
  void DeliverLate();

  int64_t call_count() const;
  std::vector<StoreCall> calls() const;
  bool crashed() const;
  /// How many faults of the plan (crash and full disk are one each) have happened; a fault test asserts it.
  int fired_count() const;
  /// Did everything planned happen?
  bool all_fired() const;

  const std::string& root_uri() const override { return base_->root_uri(); }
  bool durable_when_visible() const override { return base_->durable_when_visible(); }
  bool is_remote() const override { return base_->is_remote(); }
  std::unique_ptr<WriteGroup> NewWriteGroup() override;
  Status PutIfAbsent(std::string_view key, ByteView body) override;
  Status Replace(std::string_view key, ByteView body) override;
  Result<TaggedBody> GetTagged(std::string_view key) override;  // a kGet
  Status ReplaceIf(std::string_view key, ByteView body, std::string_view tag) override;
  Status DropBody(std::string_view key, ByteView tombstone) override;
  Result<Bytes> Get(std::string_view key) override;
  Result<Bytes> GetRange(std::string_view key, ByteRange range) override;
  Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) override;
  Result<ObjectInfo> Head(std::string_view key) override;
  Result<std::vector<ObjectInfo>> List(std::string_view prefix) override;
  Status Delete(std::string_view key) override;
  std::unique_ptr<NameWatch> WatchNames(std::string_view directory_key, NameFilter accept) override;
  Result<Instant> ServerTime() override;
  Result<std::vector<ObjectInfo>> RemoveLeftovers(const LeftoverOptions& options) override;

 private:
  friend class FaultyGroup;
  friend class FaultyWriter;
  friend class FaultyReader;
  friend class FaultyUnnamed;
  friend class FaultyNameWatch;

  struct Decision {
    int64_t index = -1;  // in calls_; -1 for a call of a dead process
    std::optional<Error> error;
    Effect effect = Effect::kNotApplied;
    int64_t late_by_calls = 0;
  };
  void PassTurn();
  Decision Decide(StoreOp op, std::string_view key, int64_t body_bytes);
  Decision Fail(Decision decision, StoreOp op, std::string_view key, ErrorKind kind, Effect effect);
  void Record(const Decision& decision, const std::optional<ErrorKind>& error, bool injected);
  /// Runs `apply` (a call of the base) as the plan wants; `late` where it can be done later.
  template <typename T>
  Result<T> Run(StoreOp op, std::string_view key, int64_t body_bytes, const std::function<Result<T>()>& apply,
                std::function<void()> late = {});
  void DeliverDue(int64_t now_index);

  struct LateRequest {
    int64_t due_index = 0;
    std::function<void()> apply;
  };

  const std::shared_ptr<ObjectStore> base_;
  mutable std::mutex mutex_;
  FaultPlan plan_;
  std::vector<int64_t> matches_;  // per fault of the plan: calls that matched so far
  std::vector<bool> fired_;       // per fault of the plan
  bool crash_fired_ = false;
  bool full_fired_ = false;
  bool crashed_ = false;
  int64_t body_bytes_ = 0;
  std::vector<StoreCall> calls_;
  std::vector<LateRequest> late_;
};

}  // namespace datashard::sim
