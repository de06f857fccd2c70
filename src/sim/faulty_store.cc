#include "sim/faulty_store.h"

#include <algorithm>

#include "base/error.h"

namespace datashard::sim {
namespace {

bool Matches(const Fault& fault, StoreOp op, std::string_view key) {
  return (!fault.op || *fault.op == op) && key.find(fault.key_part) != std::string_view::npos;
}

std::string Describe(StoreOp op, std::string_view key) {
  return key.empty() ? std::string(ToString(op)) : fmt::format("{} {}", ToString(op), key);
}

}  // namespace

std::string_view ToString(StoreOp op) {
  switch (op) {
    case StoreOp::kGroupPut: return "Put";
    case StoreOp::kGroupOpen: return "Open";
    case StoreOp::kGroupPrepare: return "Prepare";
    case StoreOp::kWriterAppend: return "Append";
    case StoreOp::kWriterFinish: return "Finish";
    case StoreOp::kGroupSync: return "Sync";
    case StoreOp::kPutIfAbsent: return "PutIfAbsent";
    case StoreOp::kReplace: return "Replace";
    case StoreOp::kReplaceIf: return "ReplaceIf";
    case StoreOp::kDropBody: return "DropBody";
    case StoreOp::kGet: return "Get";
    case StoreOp::kGetRange: return "GetRange";
    case StoreOp::kOpenReader: return "OpenReader";
    case StoreOp::kReadAt: return "ReadAt";
    case StoreOp::kStillNamed: return "StillNamed";
    case StoreOp::kHead: return "Head";
    case StoreOp::kList: return "List";
    case StoreOp::kDelete: return "Delete";
    case StoreOp::kMatching: return "Matching";
    case StoreOp::kServerTime: return "ServerTime";
    case StoreOp::kRemoveLeftovers: return "RemoveLeftovers";
  }
  return "?";
}

std::string ToString(const StoreCall& call) {
  return fmt::format("{}: {}{}", Describe(call.op, call.key), call.error ? datashard::ToString(*call.error) : "ok",
                     call.injected ? " (injected)" : "");
}

FaultyStore::FaultyStore(std::shared_ptr<ObjectStore> base, FaultPlan plan) : base_(std::move(base)) {
  SetPlan(std::move(plan));
}

void FaultyStore::SetPlan(FaultPlan plan) {
  std::lock_guard lock(mutex_);
  // Requests under way keep their distance from now.
  for (LateRequest& request : late_) request.due_index -= static_cast<int64_t>(calls_.size());
  plan_ = std::move(plan);
  matches_.assign(plan_.faults.size(), 0);
  fired_.assign(plan_.faults.size(), false);
  crash_fired_ = full_fired_ = crashed_ = false;
  body_bytes_ = 0;
  calls_.clear();
}

void FaultyStore::Reopen() {
  std::lock_guard lock(mutex_);
  crashed_ = false;
}

void FaultyStore::FreeSpace() {
  std::lock_guard lock(mutex_);
  plan_.disk_full_after_bytes.reset();
}

void FaultyStore::DeliverLate() { DeliverDue(INT64_MAX); }

int64_t FaultyStore::call_count() const {
  std::lock_guard lock(mutex_);
  return static_cast<int64_t>(calls_.size());
}

std::vector<StoreCall> FaultyStore::calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

bool FaultyStore::crashed() const {
  std::lock_guard lock(mutex_);
  return crash_fired_;
}

int FaultyStore::fired_count() const {
  std::lock_guard lock(mutex_);
  return static_cast<int>(std::ranges::count(fired_, true)) + (crash_fired_ ? 1 : 0) + (full_fired_ ? 1 : 0);
}

bool FaultyStore::all_fired() const {
  std::lock_guard lock(mutex_);
  return std::ranges::count(fired_, false) == 0 && (crash_fired_ || !plan_.crash_after_calls) &&
         (full_fired_ || !plan_.disk_full_after_bytes);
}

FaultyStore::Decision FaultyStore::Fail(Decision decision, StoreOp op, std::string_view key, ErrorKind kind, Effect effect) {
  if ((op == StoreOp::kPutIfAbsent || op == StoreOp::kReplaceIf) && effect != Effect::kNotApplied) kind = ErrorKind::kCommitUnknown;
  decision.error = Error(kind, fmt::format("injected fault in call {}: {}", decision.index, Describe(op, key)));
  decision.effect = effect;
  return decision;
}

void FaultyStore::PassTurn() {
  std::function<void()> others;
  {
    std::lock_guard lock(mutex_);
    others = plan_.before_call;
  }
  if (others) others();
}

FaultyStore::Decision FaultyStore::Decide(StoreOp op, std::string_view key, int64_t body_bytes) {
  std::lock_guard lock(mutex_);
  Decision decision;
  if (crashed_) {
    decision.error = Unavailable("{}: the simulated process is dead; Reopen starts the next one", Describe(op, key));
    return decision;
  }
  decision.index = static_cast<int64_t>(calls_.size());
  calls_.push_back({.op = op, .key = std::string(key)});
  if (plan_.crash_after_calls && !crash_fired_ && decision.index >= *plan_.crash_after_calls) {
    crash_fired_ = true;
    crashed_ = plan_.crash_persists;
    return Fail(std::move(decision), op, key, ErrorKind::kUnavailable, plan_.crash_effect);
  }
  std::optional<size_t> chosen;
  for (size_t i = 0; i < plan_.faults.size(); ++i) {
    const Fault& fault = plan_.faults[i];
    const bool hit = fault.call ? *fault.call == decision.index
                                : Matches(fault, op, key) && matches_[i]++ == fault.occurrence;
    if (hit && !fired_[i] && !chosen) chosen = i;
  }
  if (chosen) {
    const Fault& fault = plan_.faults[*chosen];
    fired_[*chosen] = true;
    decision.late_by_calls = fault.late_by_calls;
    return Fail(std::move(decision), op, key, fault.kind, fault.effect);
  }
  if (plan_.disk_full_after_bytes && body_bytes > 0 && body_bytes_ + body_bytes > *plan_.disk_full_after_bytes) {
    full_fired_ = true;
    decision.error = Unavailable("disk full (injected) in call {}: {}; nothing was published", decision.index,
                                 Describe(op, key));
    return decision;
  }
  body_bytes_ += body_bytes;
  return decision;
}

void FaultyStore::Record(const Decision& decision, const std::optional<ErrorKind>& error, bool injected) {
  std::lock_guard lock(mutex_);
  // Another thread may have started over with SetPlan meanwhile.
  if (decision.index < 0 || decision.index >= static_cast<int64_t>(calls_.size())) return;
  calls_[static_cast<size_t>(decision.index)].error = error;
  calls_[static_cast<size_t>(decision.index)].injected = injected;
}

template <typename T>
Result<T> FaultyStore::Run(StoreOp op, std::string_view key, int64_t body_bytes, const std::function<Result<T>()>& apply,
                           std::function<void()> late) {
  PassTurn();
  Decision decision = Decide(op, key, body_bytes);
  if (decision.index >= 0) DeliverDue(decision.index);
  if (decision.error) {
    if (decision.effect == Effect::kApplied) {
      (void)apply();
    } else if (decision.effect == Effect::kLate && late) {
      std::lock_guard lock(mutex_);
      late_.push_back({.due_index = decision.index + decision.late_by_calls, .apply = std::move(late)});
    }
    Record(decision, decision.error->kind(), true);
    return std::move(*decision.error);
  }
  Result<T> answer = apply();
  Record(decision, answer.ok() ? std::nullopt : std::optional(answer.kind()), false);
  return answer;
}

void FaultyStore::DeliverDue(int64_t now_index) {
  std::vector<LateRequest> due;
  {
    std::lock_guard lock(mutex_);
    const auto split = std::stable_partition(late_.begin(), late_.end(),
                                             [&](const LateRequest& request) { return request.due_index > now_index; });
    due.assign(std::make_move_iterator(split), std::make_move_iterator(late_.end()));
    late_.erase(split, late_.end());
  }
  for (const LateRequest& request : due) request.apply();
}

class FaultyWriter final : public ObjectWriter {
 public:
  FaultyWriter(FaultyStore& store, std::unique_ptr<ObjectWriter> base, std::string key)
      : store_(store), base_(std::move(base)), key_(std::move(key)) {}
  Status Append(ByteView bytes) override {
    return store_.Run<void>(StoreOp::kWriterAppend, key_, static_cast<int64_t>(bytes.size()),
                            [&] { return base_->Append(bytes); });
  }
  int64_t size_bytes() const override { return base_->size_bytes(); }
  Status Finish() override {
    return store_.Run<void>(StoreOp::kWriterFinish, key_, 0, [&] { return base_->Finish(); });
  }

 private:
  FaultyStore& store_;
  std::unique_ptr<ObjectWriter> base_;
  std::string key_;
};

class FaultyUnnamed final : public UnnamedObject {
 public:
  FaultyUnnamed(FaultyStore& store, std::unique_ptr<UnnamedObject> base, std::string key)
      : store_(store), base_(std::move(base)), key_(std::move(key)) {}
  Status Publish() override {
    return store_.Run<void>(
        StoreOp::kPutIfAbsent, key_, 0, [&] { return base_->Publish(); }, [base = base_] { (void)base->Publish(); });
  }
  Result<bool> StillNamed() override {
    return store_.Run<bool>(StoreOp::kStillNamed, key_, 0, [&] { return base_->StillNamed(); });
  }

 private:
  FaultyStore& store_;
  std::shared_ptr<UnnamedObject> base_;
  std::string key_;
};

class FaultyGroup final : public WriteGroup {
 public:
  FaultyGroup(FaultyStore& store, std::unique_ptr<WriteGroup> base) : store_(store), base_(std::move(base)) {}
  Status Put(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(CheckUsable());
    return store_.Run<void>(StoreOp::kGroupPut, key, static_cast<int64_t>(body.size()),
                            [&] { return base_->Put(key, body); });
  }
  Result<std::unique_ptr<ObjectWriter>> Open(std::string_view key) override {
    DS_RETURN_IF_ERROR(CheckUsable());
    DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectWriter> writer,
                        store_.Run<std::unique_ptr<ObjectWriter>>(StoreOp::kGroupOpen, key, 0,
                                                                  [&] { return base_->Open(key); }));
    return std::unique_ptr<ObjectWriter>(std::make_unique<FaultyWriter>(store_, std::move(writer), std::string(key)));
  }
  Result<std::unique_ptr<UnnamedObject>> Prepare(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(CheckUsable());
    DS_ASSIGN_OR_RETURN(std::unique_ptr<UnnamedObject> prepared,
                        store_.Run<std::unique_ptr<UnnamedObject>>(StoreOp::kGroupPrepare, key,
                                                                   static_cast<int64_t>(body.size()),
                                                                   [&] { return base_->Prepare(key, body); }));
    return std::unique_ptr<UnnamedObject>(std::make_unique<FaultyUnnamed>(store_, std::move(prepared), std::string(key)));
  }
  void LeaveToOs() override { base_->LeaveToOs(); }
  Status Sync() override {
    DS_RETURN_IF_ERROR(CheckUsable());
    Status synced = store_.Run<void>(StoreOp::kGroupSync, "", 0, [&] { return base_->Sync(); });
    sync_failed_ = !synced.ok();
    return synced;
  }

 private:
  /// The contract: a file whose sync failed must be written anew, for a second sync may claim success.
  Status CheckUsable() const {
    if (!sync_failed_) return {};
    return Unavailable("this group's sync failed before; write its objects anew, under other names, in another group");
  }

  FaultyStore& store_;
  std::unique_ptr<WriteGroup> base_;
  bool sync_failed_ = false;
};

class FaultyReader final : public ObjectReader {
 public:
  FaultyReader(FaultyStore& store, std::unique_ptr<ObjectReader> base, std::string key)
      : store_(store), base_(std::move(base)), key_(std::move(key)) {}
  int64_t size_bytes() const override { return base_->size_bytes(); }
  Result<int64_t> ReadAt(int64_t offset, int64_t size, void* out) override {
    return store_.Run<int64_t>(StoreOp::kReadAt, key_, 0, [&] { return base_->ReadAt(offset, size, out); });
  }
  Result<bool> StillNamed() override {
    return store_.Run<bool>(StoreOp::kStillNamed, key_, 0, [&] { return base_->StillNamed(); });
  }

 private:
  FaultyStore& store_;
  std::unique_ptr<ObjectReader> base_;
  std::string key_;
};

class FaultyNameWatch final : public NameWatch {
 public:
  FaultyNameWatch(FaultyStore& store, std::unique_ptr<NameWatch> base, std::string key)
      : store_(store), base_(std::move(base)), key_(std::move(key)) {}
  Result<std::vector<std::string>> Matching() override {
    return store_.Run<std::vector<std::string>>(StoreOp::kMatching, key_, 0, [&] { return base_->Matching(); });
  }
  NameEvent Last() const override { return base_->Last(); }

 private:
  FaultyStore& store_;
  std::unique_ptr<NameWatch> base_;
  std::string key_;
};

std::unique_ptr<NameWatch> FaultyStore::WatchNames(std::string_view directory_key, NameFilter accept) {
  std::unique_ptr<NameWatch> watch = base_->WatchNames(directory_key, std::move(accept));
  if (watch == nullptr) return nullptr;
  return std::make_unique<FaultyNameWatch>(*this, std::move(watch), std::string(directory_key));
}

std::unique_ptr<WriteGroup> FaultyStore::NewWriteGroup() {
  return std::make_unique<FaultyGroup>(*this, base_->NewWriteGroup());
}

Status FaultyStore::PutIfAbsent(std::string_view key, ByteView body) {
  return Run<void>(
      StoreOp::kPutIfAbsent, key, static_cast<int64_t>(body.size()), [&] { return base_->PutIfAbsent(key, body); },
      [base = base_, key = std::string(key), body = Bytes(body)] { (void)base->PutIfAbsent(key, body); });
}

Status FaultyStore::Replace(std::string_view key, ByteView body) {
  return Run<void>(
      StoreOp::kReplace, key, static_cast<int64_t>(body.size()), [&] { return base_->Replace(key, body); },
      [base = base_, key = std::string(key), body = Bytes(body)] { (void)base->Replace(key, body); });
}

Status FaultyStore::ReplaceIf(std::string_view key, ByteView body, std::string_view tag) {
  return Run<void>(
      StoreOp::kReplaceIf, key, static_cast<int64_t>(body.size()), [&] { return base_->ReplaceIf(key, body, tag); },
      [base = base_, key = std::string(key), body = Bytes(body), tag = std::string(tag)] { (void)base->ReplaceIf(key, body, tag); });
}

Result<TaggedBody> FaultyStore::GetTagged(std::string_view key) {
  return Run<TaggedBody>(StoreOp::kGet, key, 0, [&] { return base_->GetTagged(key); });
}

Status FaultyStore::DropBody(std::string_view key, ByteView tombstone) {
  return Run<void>(
      StoreOp::kDropBody, key, static_cast<int64_t>(tombstone.size()), [&] { return base_->DropBody(key, tombstone); },
      [base = base_, key = std::string(key), tombstone = Bytes(tombstone)] { (void)base->DropBody(key, tombstone); });
}

Status FaultyStore::Delete(std::string_view key) {
  return Run<void>(
      StoreOp::kDelete, key, 0, [&] { return base_->Delete(key); },
      [base = base_, key = std::string(key)] { (void)base->Delete(key); });
}

Result<Bytes> FaultyStore::Get(std::string_view key) {
  return Run<Bytes>(StoreOp::kGet, key, 0, [&] { return base_->Get(key); });
}

Result<Bytes> FaultyStore::GetRange(std::string_view key, ByteRange range) {
  return Run<Bytes>(StoreOp::kGetRange, key, 0, [&] { return base_->GetRange(key, range); });
}

Result<std::unique_ptr<ObjectReader>> FaultyStore::OpenReader(std::string_view key) {
  DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> reader,
                      Run<std::unique_ptr<ObjectReader>>(StoreOp::kOpenReader, key, 0, [&] { return base_->OpenReader(key); }));
  return std::unique_ptr<ObjectReader>(std::make_unique<FaultyReader>(*this, std::move(reader), std::string(key)));
}

Result<ObjectInfo> FaultyStore::Head(std::string_view key) {
  return Run<ObjectInfo>(StoreOp::kHead, key, 0, [&] { return base_->Head(key); });
}

Result<std::vector<ObjectInfo>> FaultyStore::List(std::string_view prefix) {
  return Run<std::vector<ObjectInfo>>(StoreOp::kList, prefix, 0, [&] { return base_->List(prefix); });
}

Result<std::vector<ObjectInfo>> FaultyStore::RemoveLeftovers(const LeftoverOptions& options) {
  return Run<std::vector<ObjectInfo>>(StoreOp::kRemoveLeftovers, "", 0, [&] { return base_->RemoveLeftovers(options); });
}

Result<Instant> FaultyStore::ServerTime() {
  return Run<Instant>(StoreOp::kServerTime, "", 0, [&] { return base_->ServerTime(); });
}

}  // namespace datashard::sim
