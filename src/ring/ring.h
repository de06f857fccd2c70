// The meeting place of one host's writers on one table: slots in shared memory, a leader's lock, and the newest base. It
// moves bytes and wakes waiters; what a payload means and what is published is the commit room's business. Nothing here is
// needed for correctness: leadership only saves work, and whoever doubts the ring goes without it.
// Source: docs/design/0003-group-commit.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"

namespace datashard::ring {

inline constexpr int kSlotCount = 1024;
/// The first kLargeSlotCount slots carry payloads of up to kLargePayloadBytes, the others of up to kSmallPayloadBytes.
inline constexpr int kLargeSlotCount = 64;
inline constexpr int64_t kLargePayloadBytes = 32 << 10;
inline constexpr int64_t kSmallPayloadBytes = 2 << 10;
/// The largest base a ring keeps.
inline constexpr int64_t kBaseBytesMax = 256 << 10;

/// Where and for whom. A ring made for other values of these is never joined.
struct RingPlace {
  std::string directory;  // "/dev/shm/datashard-<euid>"; made 0700 where it is missing
  std::string key;        // lower-case hexadecimal digits; the file's name
};

enum class SlotState : uint16_t {
  kFree = 0,
  kFill,     // its owner copies a payload in
  kWait,     // a leader may take it
  kAck,      // in a durable version
  kReplan,   // the table's schema is another one now: validate again, then submit again
  kRetry,    // the leader could not; publish it yourself
  kUnknown,  // it may or may not be in the table
};

/// What a leader tells with an acknowledgement.
struct Reply {
  int64_t version = 0;
  int64_t snapshot_id = 0;
  int64_t sequence_number = 0;
  int64_t timestamp_ms = 0;
  bool operator==(const Reply&) const = default;
};

/// What the leader decides by, beside the payload.
struct Label {
  int32_t kind = 0;       // of payload; the commit room's numbers
  int32_t schema_id = 0;
  int32_t spec_id = 0;
  int32_t rows = 0;
  bool operator==(const Label&) const = default;
};

/// A copy of what waits in a slot.
struct Submission {
  int slot = 0;
  int64_t seq = 0;      // 1 … 2^48 - 1, rises by one with each use of the slot
  int64_t arrival = 0;  // ring-wide order of Submit
  Label label;
  Bytes payload;
};

/// The newest version that a leader has published, as it left it.
struct RingBase {
  int64_t version = 0;
  Bytes blob;  // the commit room's
};

class Ring;

/// One slot, owned by one thread of one process until destroyed. A slot given up in any state is usable at once.
class Slot {
 public:
  Slot(Slot&& other) noexcept;
  Slot& operator=(Slot&&) = delete;
  ~Slot();

  int index() const { return index_; }
  /// Of the last Submit; before the first one, of the slot's former owner (0: it never had one).
  int64_t seq() const { return seq_; }
  /// Copies `payload` in under a new seq and lets leaders see it. kInvalidArgument where it does not fit, or in a fork child;
  /// kUnavailable where the slot's seqs are used up, which takes garbage in the memory: acquire another one.
  Status Submit(const Label& label, ByteView payload);
  /// kUnknown also where somebody wrote garbage over the state.
  SlotState state() const;
  /// With kAck. Zeros where it was overwritten by a leader that was deposed twice and went on.
  Reply reply() const;
  /// Sleeps until the state is no longer kWait, the lead was passed on to this slot, the leader was deposed, or `timeout` is
  /// over. Whoever still waits after it calls Ring::TryLead before the next Wait: nobody else was woken to do it.
  void Wait(std::chrono::microseconds timeout);
  /// kWait becomes kFill: no leader that has not copied the payload yet will see it. False where it was too late.
  bool Withdraw();

 private:
  friend class Ring;
  Slot(Ring& ring, int index, int64_t seq);
  bool IsOurs() const;
  Ring* ring_;
  int index_;
  int64_t seq_;
  uint64_t fork_count_;        // a slot that a fork child inherits is its parent's
  bool lead_offered_ = false;  // by the last Wait, to be passed on if we give up instead
};

/// The lead, until destroyed; then one waiting slot is woken to take it over.
class Leadership {
 public:
  Leadership(Leadership&& other) noexcept;
  Leadership& operator=(Leadership&&) = delete;
  ~Leadership();

  /// Copies of everything that waits, by arrival. A payload that changed while it was copied or fails its checksum is
  /// left for the next leader. A deposed leader takes nothing: what it copied before, it copied in its term.
  std::vector<Submission> Take();
  /// How many wait now (a count of states, no copies).
  int CountWaiting() const;
  /// Tells the owner, if the slot still waits with this seq, and wakes it. `state` is kAck or one after it.
  void Answer(const Submission& submission, SlotState state, const Reply& reply = {});
  /// Waiters see that somebody gets on: after each group, and in between where one takes long.
  void ShowLife();

 private:
  friend class Ring;
  Leadership(Ring& ring, uint64_t term);
  bool IsOurs() const;
  Ring* ring_;
  uint64_t term_;
  uint64_t fork_count_;
};

/// The chores of the table on this host (merging small files), until destroyed: work that is wasted if two do it at once, and
/// that nobody waits for.
class Chores {
 public:
  Chores(Chores&& other) noexcept;
  Chores& operator=(Chores&&) = delete;
  ~Chores();

 private:
  friend class Ring;
  explicit Chores(Ring& ring);
  Ring* ring_;
  uint64_t fork_count_;
};

/// Callable from several threads; after fork the child opens its own view on first use, and the parent's locks end with the
/// parent. Must outlive its slots and leaderships.
class Ring {
 public:
  /// Joins the ring at `place`, or makes it. Errors: kDenied, kUnavailable (no space, no /dev/shm), kUnsupported (another
  /// layout, or a file that is not ours to trust: owner, mode, type, links), kCorruption (garbage), kInvalidArgument (the
  /// key). Callers warn once and go without a ring.
  static Result<std::unique_ptr<Ring>> Open(const RingPlace& place);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /// 32 lower-case hexadecimal digits; another one for every ring file ever made.
  const std::string& id() const;
  /// Has a version with marks of this ring been published? Then a table without them means that this ring was fenced.
  bool registered() const;
  void MarkRegistered();
  /// True after a leader closed it (a name whose sync failed); then nothing may be acknowledged through it any more. Whoever
  /// opens the place after that finds or makes another ring, and those who have this one open should do so at their next use.
  bool closed() const;
  void Close();

  /// A free slot whose payload area holds `payload_bytes`: a small one where that will do, and of few different ones, because
  /// leaders look at all that were ever used. kUnavailable where
  /// all are taken; kInvalidArgument where no slot is that large.
  Result<Slot> Acquire(int64_t payload_bytes);
  /// Is there a slot for so many bytes that says it is free? Cheap: only then is Acquire worth a repetition. (Slots of killed
  /// owners do not say so; Acquire finds them.)
  bool MayHaveRoom(int64_t payload_bytes) const;
  /// Takes the lead if nobody has it. Never waits.
  std::optional<Leadership> TryLead();
  /// Takes the chores if nobody has them. Never waits.
  std::optional<Chores> TryChores();
  /// Rises with every group that any leader publishes, and while one shows that it lives.
  uint64_t groups() const;
  /// The present term. A waiter that has seen no progress for seconds deposes the leader of that term: others may lead from
  /// now on beside it, which is safe. No effect where the term has changed already.
  uint64_t term() const;
  void Depose(uint64_t term);

  /// Rises before a leader shows copies of what waits to other hosts, which may publish them at any time later.
  uint64_t exposures() const;
  void NoteExposure();

  /// The newest base a leader left here; none where there is none, or it is just being replaced.
  std::optional<RingBase> base() const;
  /// Of base(), without a look at its bytes: is the one I have still the newest?
  std::optional<int64_t> base_version() const;
  /// Leaves `blob`; ignored where it is too large, or where a newer version is there already. For the holder of the lead; a
  /// deposed one may do it too.
  void SetBase(int64_t version, ByteView blob);

 private:
  friend class Slot;
  friend class Leadership;
  friend class Chores;
  struct View;
  Ring();
  std::unique_ptr<View> view_;
};

}  // namespace datashard::ring
