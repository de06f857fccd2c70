#include "commit/group_committer.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/stopwatch.h"
#include "commit/base_blob.h"

namespace datashard::commit {
namespace {

constexpr int kNoSlot = -1;
// Leads of a waiter that left its own slot unanswered, before it publishes for itself.
constexpr int kFruitlessLeadsMax = 3;

/// Waits where all slots are taken, as long as that is wiser than to race with the leader.
class WaitForRoom {
 public:
  WaitForRoom(Outside outside, const GroupSettings& settings, const ring::Ring& ring)
      : outside_(outside), settings_(settings), ring_(ring), start_(outside_.clock.Monotonic()), progressed_(start_), groups_(ring.groups()) {}

  /// Sleeps for a moment. \return whether to look for a slot or the lead again.
  bool GoOn() {
    outside_.clock.Sleep(std::chrono::microseconds(1 + static_cast<int64_t>(
        RandomUnit(outside_.random) * static_cast<double>(settings_.room_interval.count()))));
    const auto now = outside_.clock.Monotonic();
    if (const uint64_t groups = ring_.groups(); groups != groups_) {
      groups_ = groups;
      progressed_ = now;
    }
    return now - progressed_ < settings_.patience && now - start_ < settings_.room_patience;
  }

 private:
  const Outside outside_;
  const GroupSettings& settings_;
  const ring::Ring& ring_;
  const std::chrono::microseconds start_;
  std::chrono::microseconds progressed_;
  uint64_t groups_;
};

Error AnswerUnknown(const ObjectStore& store) {
  return CommitUnknown("append to {}: the process that was committing it for this one could not find out whether the version "
                       "was published; read the table before appending the rows again", store.root_uri());
}

}  // namespace

GroupCommitter::GroupCommitter(std::shared_ptr<ObjectStore> store, Committer& committer, Outside outside,
                               OpenRing open_ring, bool across_hosts, GroupSettings settings)
    : store_(std::move(store)),
      committer_(committer),
      outside_(outside),
      open_ring_(std::move(open_ring)),
      settings_(settings),
      ring_(JoinRing()) {
  if (across_hosts && store_->is_remote()) across_hosts_ = std::make_unique<AcrossHosts>(*store_, committer_, outside_);
}

GroupCommitter::RingPtr GroupCommitter::JoinRing() const {
  if (!open_ring_) return nullptr;
  Result<std::unique_ptr<ring::Ring>> opened = open_ring_();
  if (opened.ok()) return *std::move(opened);
  outside_.log.Write(LogLevel::kWarning, fmt::format("appends to {} are committed one by one, which is slower: {}",
                                                     store_->root_uri(), opened.error().ToString()));
  return nullptr;
}

GroupCommitter::RingPtr GroupCommitter::UsableRing() {
  std::lock_guard lock(mutex_);
  // Whoever is still in the closed one has it until its append ends; rows of one ring are never put into another.
  if (ring_ != nullptr && ring_->closed()) ring_ = JoinRing();
  return ring_;
}

std::optional<HeldChores> GroupCommitter::TryChores() {
  RingPtr ring = UsableRing();
  if (ring == nullptr) return std::nullopt;
  std::optional<ring::Chores> chores = ring->TryChores();
  if (!chores) return std::nullopt;
  return HeldChores{.ring = std::move(ring), .chores = *std::move(chores)};
}

catalog::VersionPtr GroupCommitter::newest() const {
  std::lock_guard lock(mutex_);
  return newest_;
}

void GroupCommitter::Remember(const catalog::VersionPtr& version) {
  std::lock_guard lock(mutex_);
  if (newest_ == nullptr || version->number > newest_->number) newest_ = version;
}

Result<Appended> GroupCommitter::Append(const ring::Label& label, const Bytes& payload, const catalog::VersionPtr& known,
                                        const Until& until) {
  ring::Submission own{.slot = kNoSlot, .label = label, .payload = payload};
  const RingPtr ring = UsableRing();
  if (ring == nullptr) return PublishAlone(nullptr, std::move(own), known, until);
  const auto payload_bytes = static_cast<int64_t>(payload.size());
  WaitForRoom room(outside_, settings_, *ring);
  for (bool look = true;; look = ring->MayHaveRoom(payload_bytes)) {
    // Who gets the lead at once never shows its rows to others, and so needs no mark: a writer on its own leaves none. In a
    // crowd of hosts they will be shown.
    if (!look || !IsCrowded()) {
      DS_ASSIGN_OR_RETURN(const std::optional<Appended> led, TryLeadWith(*ring, own, known, until));
      if (led) return *led;
    }
    if (look) {
      Result<ring::Slot> slot = ring->Acquire(payload_bytes);
      if (slot.ok()) return AppendThrough(*ring, *slot, label, payload, known, until);
      if (slot.kind() != ErrorKind::kUnavailable) return PublishAlone(ring.get(), std::move(own), known, until);
      outside_.metrics.Add("datashard_ring_full_total", 1);
    }
    if (until.interrupted) DS_RETURN_IF_ERROR(until.interrupted());
    const bool late = outside_.clock.Monotonic() >= until.deadline;
    if (ring->closed() || late || !room.GoOn()) return PublishAlone(ring.get(), std::move(own), known, until);
  }
}

Result<std::optional<Appended>> GroupCommitter::TryLeadWith(ring::Ring& ring, const ring::Submission& own,
                                                            const catalog::VersionPtr& known, const Until& until) {
  std::optional<ring::Leadership> lead = ring.TryLead();
  if (!lead) return std::optional<Appended>();
  Result<Appended> led = Lead(ring, *lead, known, &own, until);
  lead.reset();
  // The ring is no good any more, but these rows were never in it.
  if (!led.ok() && led.kind() == ErrorKind::kFenced) led = PublishAlone(nullptr, own, known, until);
  if (!led.ok()) return std::move(led).error();
  if (led->crowded) return std::optional<Appended>();
  committer_.Tidy(led->reply.version);
  return std::optional(*led);
}

Result<std::optional<Appended>> GroupCommitter::TryAppend(const ring::Label& label, const Bytes& payload,
                                                          const catalog::VersionPtr& known, const Until& until) {
  const ring::Submission own{.slot = kNoSlot, .label = label, .payload = payload};
  const RingPtr ring = UsableRing();
  if (ring == nullptr) {
    DS_ASSIGN_OR_RETURN(const Appended alone, PublishAlone(nullptr, own, known, until));
    return std::optional(alone);
  }
  if (IsCrowded()) return std::optional<Appended>();
  return TryLeadWith(*ring, own, known, until);
}

Result<Appended> GroupCommitter::AppendThrough(ring::Ring& ring, ring::Slot& slot, const ring::Label& label,
                                               const Bytes& payload, const catalog::VersionPtr& known,
                                               const Until& until) {
  Stopwatch watch(outside_);
  uint64_t term = ring.term();
  const uint64_t term_at_submit = term;
  const uint64_t exposures_at_submit = ring.exposures();
  DS_RETURN_IF_ERROR(slot.Submit(label, payload));
  auto looked_for_signals = outside_.clock.Monotonic();
  auto progressed = looked_for_signals;
  uint64_t groups = ring.groups();
  int fruitless_leads = 0;
  // "Not committed" is true only if no leader can hold a copy that it will yet publish. Those of the present term have let
  // go of theirs; where a leader was deposed since, or has shown them to other hosts, only a risen mark makes it certain.
  const auto unless_taken = [&](Result<Appended> outcome) -> Result<Appended> {
    const bool open = outcome.ok() ? outcome->replan : outcome.kind() != ErrorKind::kCommitUnknown;
    if (!open || (ring.term() == term_at_submit && ring.exposures() == exposures_at_submit)) return outcome;
    return Withdraw(ring, slot, label, known, until, std::move(outcome));
  };
  const auto publish_alone = [&] {
    outside_.metrics.Add("datashard_ring_retries_total", 1);
    return unless_taken(PublishAlone(&ring, {.slot = slot.index(), .seq = slot.seq(), .label = label, .payload = payload},
                                     known, until));
  };
  for (;;) {
    switch (slot.state()) {
      case ring::SlotState::kAck:
        watch.Lap("datashard_ring_wait_seconds");
        return Appended{.reply = slot.reply()};
      case ring::SlotState::kReplan: return unless_taken(Appended{.replan = true});
      case ring::SlotState::kUnknown: return AnswerUnknown(*store_);
      case ring::SlotState::kWait: break;
      // kRetry; or a slot that somebody has damaged: the marks make it safe to publish it here.
      default: return publish_alone();
    }
    if (std::optional<ring::Leadership> lead = ring.TryLead()) {
      // What goes wrong is told to every slot, this one among them.
      const Result<Appended> led = Lead(ring, *lead, known, nullptr, until);
      lead.reset();
      if (led.ok()) committer_.Tidy(led->reply.version);
      // Deposed meanwhile, or the slot cannot be read: not for ever.
      if (slot.state() == ring::SlotState::kWait && ++fruitless_leads >= kFruitlessLeadsMax) return publish_alone();
      continue;
    }
    slot.Wait(settings_.signal_interval);
    if (slot.state() != ring::SlotState::kWait) continue;

    const auto now = outside_.clock.Monotonic();
    if (ring.groups() != groups || ring.term() != term) {
      groups = ring.groups();
      term = ring.term();
      progressed = now;
    } else if (now - progressed >= settings_.patience) {
      outside_.metrics.Add("datashard_ring_depositions_total", 1);
      ring.Depose(term);
    }
    if (now - looked_for_signals < settings_.signal_interval) continue;
    looked_for_signals = now;
    if (until.interrupted) {
      if (Status go_on = until.interrupted(); !go_on.ok()) {
        return Withdraw(ring, slot, label, known, until, Result<Appended>(std::move(go_on).error()));
      }
    }
    if (now >= until.deadline) {
      return Withdraw(ring, slot, label, known, until, Result<Appended>(
                      Conflict("append to {}: not committed in time; nothing was committed. Try again, or raise table "
                               "property datashard.commit.timeout", store_->root_uri())));
    }
  }
}

/// Ends with `outcome`, which says that the rows are not committed. A leader may hold a copy of them, so that is only certain
/// once the mark has risen without them.
Result<Appended> GroupCommitter::Withdraw(ring::Ring& ring, ring::Slot& slot, const ring::Label& label,
                                          const catalog::VersionPtr& known, const Until& until, Result<Appended> outcome) {
  const bool withdrawn = slot.Withdraw();
  if (!withdrawn && slot.state() == ring::SlotState::kAck) return Appended{.reply = slot.reply()};
  if (!withdrawn && slot.state() == ring::SlotState::kUnknown) return AnswerUnknown(*store_);
  outside_.metrics.Add("datashard_ring_withdrawals_total", 1);
  ring::Label withdrawal = label;
  withdrawal.kind = static_cast<int32_t>(PayloadKind::kWithdrawal);
  const auto now = outside_.clock.Monotonic();
  Until raised_until = {.deadline = std::max(now, until.deadline) + kWithdrawalMax, .interrupted = until.interrupted};
  // Who has heard Ctrl-C hears it at every question: asked again, it would leave the outcome open after one lost race.
  if (until.interrupted && !until.interrupted().ok()) raised_until = {.deadline = now + kWithdrawalMax, .interrupted = {}};
  const Result<Appended> raised =
      PublishAlone(&ring, {.slot = slot.index(), .seq = slot.seq(), .label = withdrawal}, known, raised_until);
  if (!raised.ok()) {
    return CommitUnknown("append to {}: it was given up ({}), and whether a version contains it could not be found out: {}",
                         store_->root_uri(), outcome.ok() ? "the schema has changed" : outcome.error().message(),
                         raised.error().message());
  }
  if (raised->marked_before) return raised;  // a leader was faster: the rows are in
  return outcome;
}

Result<Appended> GroupCommitter::PublishAlone(ring::Ring* ring, ring::Submission item, const catalog::VersionPtr& known,
                                              const Until& until) {
  const auto group = store_->NewWriteGroup();
  AppendGroup change(ring != nullptr ? ring->id() : "", ring != nullptr && ring->registered(), {std::move(item)}, *store_,
                     *group, outside_.random);
  Result<Committed> committed = committer_.Commit(change, known, *group, {.until = until});
  if (!committed.ok()) {
    if (committed.kind() == ErrorKind::kFenced) return AnswerUnknown(*store_);
    if (committed.kind() != ErrorKind::kCommitUnknown) change.DropAll();
    if (committed.kind() == ErrorKind::kCommitUnknown && ring != nullptr) ring->Close();
    return std::move(committed).error();
  }
  Leave(ring, *committed, change.has_marks());
  change.DropUnused();
  committer_.Tidy(committed->version->number);
  return OutcomeOf(change.answers().front());
}

Result<std::optional<Committed>> GroupCommitter::TryCommit(Change& change, const catalog::VersionPtr& known,
                                                           WriteGroup& group, const Until& until, bool beside_the_leader) {
  const RingPtr ring = UsableRing();
  const bool wants_lead = ring != nullptr && !beside_the_leader;
  std::optional<ring::Leadership> lead = wants_lead ? ring->TryLead() : std::nullopt;
  if (wants_lead && !lead) return std::optional<Committed>();
  const BaseGuess base = lead ? GuessBase(*ring, known) : BaseGuess{.version = known};
  CommitOptions options{.known_is_newest = base.is_newest, .until = until};
  if (lead) options.alive = [&] { lead->ShowLife(); };
  Result<Committed> committed = committer_.Commit(change, base.version, group, options);
  if (!committed.ok()) {
    if (ring != nullptr && committed.kind() == ErrorKind::kCommitUnknown) ring->Close();
    return std::move(committed).error();
  }
  Leave(ring.get(), *committed, /*has_marks=*/false);
  lead.reset();
  committer_.Tidy(committed->version->number);
  return std::optional(*std::move(committed));
}

void GroupCommitter::Leave(ring::Ring* ring, const Committed& committed, bool has_marks) {
  Remember(committed.version);
  if (ring == nullptr) return;
  if (has_marks) ring->MarkRegistered();
  if (!committed.metadata_body.empty()) ring->SetBase(committed.version->number, EncodeBase(committed));
}

GroupCommitter::BaseGuess GroupCommitter::GuessBase(ring::Ring& ring, const catalog::VersionPtr& known) {
  BaseGuess guess{.version = newest()};
  if (guess.version == nullptr || guess.version->number < known->number) guess.version = known;
  const std::optional<ring::RingBase> base = ring.base();
  if (!base) return guess;
  if (base->version < guess.version->number) return guess;
  if (base->version == guess.version->number) {
    guess.is_newest = true;
    return guess;
  }
  Result<DecodedBase> decoded = DecodeBase(base->version, base->blob);
  // Anything odd about it: storage knows better.
  if (!decoded.ok() || decoded->version->metadata.table_uuid != known->metadata.table_uuid) return guess;
  if (!IsInPlace(*decoded, base->blob)) return guess;
  if (const Snapshot* current = decoded->version->metadata.current_snapshot()) {
    committer_.RememberManifests(current->manifest_list, std::move(decoded->manifests));
  }
  return {.version = std::move(decoded->version), .is_newest = true};
}

/// Is what the ring says the newest version is what lies under its name? The table may have been removed and another one
/// made in its place, whose version has the same number. Keeps the version's file open for the base check.
bool GroupCommitter::IsInPlace(DecodedBase& base, ByteView blob) const {
  // There the look would cost as much as the commit; a base that is too old for trust is looked at when it is published on.
  if (store_->is_remote()) return true;
  Result<std::unique_ptr<ObjectReader>> reader = store_->OpenReader(base.version->key);
  const ByteView metadata = MetadataOf(blob);
  if (!reader.ok() || (*reader)->size_bytes() != static_cast<int64_t>(metadata.size())) return false;
  std::array<char, 256> head;  // the table's uuid is in it
  const Result<int64_t> count = (*reader)->ReadAt(0, head.size(), head.data());
  if (!count.ok() || !metadata.starts_with(ByteView(head.data(), static_cast<size_t>(*count)))) return false;
  base.version->object = *std::move(reader);
  return true;
}

/// Waits a moment for those who were in the last group: they are likely on their way.
void GroupCommitter::Gather(ring::Leadership& lead, size_t own) {
  size_t expected = 0;
  {
    std::lock_guard lock(mutex_);
    expected = last_group_size_;
  }
  if (expected <= own) return;
  expected -= own;
  const auto start = outside_.clock.Monotonic();
  while (static_cast<size_t>(lead.CountWaiting()) < expected && outside_.clock.Monotonic() - start < settings_.gather) {
    outside_.clock.Sleep(settings_.gather / 5);
  }
}

Result<Appended> GroupCommitter::OutcomeOf(const AppendGroup::Answer& answer) const {
  switch (answer.outcome) {
    case AppendGroup::Outcome::kCommitted: return Appended{.marked_before = answer.marked_before, .reply = answer.reply};
    case AppendGroup::Outcome::kReplan: return Appended{.replan = true};
    case AppendGroup::Outcome::kBad: break;
  }
  return Internal("append to {}: the rows cannot be read back", store_->root_uri());
}

Result<Committed> GroupCommitter::Publish(AppendGroup& change, ring::Ring& ring, ring::Leadership& lead, WriteGroup& group,
                                          const catalog::VersionPtr& known, const Until& until) {
  if (ring.closed()) return Error(ErrorKind::kFenced, "the ring was closed");
  BaseGuess base = GuessBase(ring, known);
  CommitOptions options{.known_is_newest = base.is_newest, .until = until, .alive = [&] { lead.ShowLife(); }};
  if (across_hosts_ == nullptr) return committer_.Commit(change, base.version, group, options);
  options.before_plan = [&](const catalog::VersionPtr& on, int64_t attempt) { across_hosts_->TakeIn(change, on, attempt); };
  if (!across_hosts_->crowded()) {
    options.races_max = across_hosts_->races_max();
    DS_ASSIGN_OR_RETURN(Committed raced, committer_.Commit(change, base.version, group, options));
    if (raced.version != nullptr) {
      across_hosts_->After(change, /*published=*/true);
      return raced;
    }
    across_hosts_->NoteCrowd();
    if (std::ranges::any_of(change.items(), [](const ring::Submission& item) { return item.slot == kNoSlot; })) return raced;
    options.races_max = 0;
  }
  ring.NoteExposure();
  DS_ASSIGN_OR_RETURN(base.version, across_hosts_->HandOver(change, group, base.version, until, options.alive));
  options.known_is_newest = options.known_is_newest || change.handed_over() != nullptr;
  Result<Committed> committed = committer_.Commit(change, base.version, group, options);
  across_hosts_->After(change, committed.ok());
  return committed;
}

Result<Appended> GroupCommitter::Lead(ring::Ring& ring, ring::Leadership& lead, const catalog::VersionPtr& known,
                                      const ring::Submission* own, const Until& until) {
  Gather(lead, own != nullptr ? 1 : 0);
  std::vector<ring::Submission> items = lead.Take();
  if (own != nullptr) items.push_back(*own);
  if (items.empty()) return Appended{};
  {
    std::lock_guard lock(mutex_);
    last_group_size_ = items.size();
  }
  outside_.metrics.Add("datashard_groups_total", 1);
  outside_.metrics.Add("datashard_group_appends_total", static_cast<double>(items.size()));

  const auto group = store_->NewWriteGroup();
  AppendGroup change(ring.id(), ring.registered(), std::move(items), *store_, *group, outside_.random);
  Result<Committed> committed = Publish(change, ring, lead, *group, known, until);
  if (!committed.ok()) {
    const bool unknown = committed.kind() == ErrorKind::kCommitUnknown || committed.kind() == ErrorKind::kFenced;
    if (unknown) {
      ring.Close();
    } else {
      change.DropAll();
    }
    for (const ring::Submission& item : change.items()) {
      if (item.slot != kNoSlot) lead.Answer(item, unknown ? ring::SlotState::kUnknown : ring::SlotState::kRetry);
    }
    return std::move(committed).error();
  }
  if (committed->version == nullptr) {  // what waits in slots still does
    change.DropAll();
    return Appended{.crowded = true};
  }
  Leave(&ring, *committed, change.has_marks());
  Result<Appended> own_outcome = Appended{.reply = {.version = committed->version->number}};
  for (size_t i = 0; i < change.items().size(); ++i) {
    const ring::Submission& item = change.items()[i];
    const Result<Appended> outcome = OutcomeOf(change.answers()[i]);
    if (item.slot == kNoSlot) {
      own_outcome = outcome;
    } else if (!outcome.ok()) {
      lead.Answer(item, ring::SlotState::kRetry);
    } else {
      lead.Answer(item, outcome->replan ? ring::SlotState::kReplan : ring::SlotState::kAck, outcome->reply);
    }
  }
  lead.ShowLife();
  change.DropUnused();
  return own_outcome;
}

}  // namespace datashard::commit
