// The shared memory of a ring, byte by byte, and how bytes get in and out of it. Any process of this user may write here, at
// any time and anything: fields are atomics, every length is checked before it is used, content counts only with its checksum.
// Source: docs/formats/ring.md.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "ring/ring.h"

namespace datashard::ring {

inline constexpr std::array<char, 8> kMagic = {'D', 'S', 'R', 'I', 'N', 'G', '\r', '\n'};
/// Raised with every change of this file's structs; rings of different layouts never meet.
inline constexpr uint32_t kLayout = 2;
inline constexpr size_t kIdDigits = 32;

/// Of a slot's word: the seq above, 16 bits of state below. Bits 0-7 of those are a SlotState, bit 8 says which of the two
/// replies belongs to it.
inline constexpr int64_t kSeqMax = (int64_t{1} << 48) - 1;
inline constexpr uint64_t kReplyBit = 1 << 8;
constexpr uint64_t MakeWord(int64_t seq, SlotState state) {
  return static_cast<uint64_t>(seq) << 16 | static_cast<uint64_t>(state);
}
constexpr int64_t SeqOf(uint64_t word) { return static_cast<int64_t>(word >> 16); }
constexpr bool IsWaiting(uint64_t word) { return (word & 0xffff) == static_cast<uint64_t>(SlotState::kWait); }
/// kUnknown for what no version of this code writes.
SlotState StateOf(uint64_t word);

/// The fixed part that Open reads before it trusts anything.
struct Preamble {
  std::array<char, 8> magic;
  uint32_t layout;
  uint32_t zero;
  uint64_t size_bytes;
  std::array<char, kIdDigits> id;
};

// What different processes hammer at lies on different cache lines.
struct alignas(4096) Header {
  Preamble preamble;
  alignas(64) std::atomic<uint32_t> registered;
  std::atomic<uint32_t> closed;
  std::atomic<uint64_t> term;
  std::atomic<uint64_t> base_generation;  // base number generation % 2 is the newest; 0: none yet
  std::atomic<uint64_t> exposures;
  alignas(64) std::atomic<uint64_t> groups;
  alignas(64) std::atomic<uint64_t> arrivals;
  alignas(64) std::atomic<uint32_t> slots_used;  // no slot from this number on was ever acquired
  std::atomic<uint32_t> pass_next;               // where the next search for a heir of the lead starts
};

/// Leaders of even and odd terms write to different ones, so that a deposed leader does not scribble over its successor's.
struct ReplyCell {
  std::atomic<int64_t> version;
  std::atomic<int64_t> snapshot_id;
  std::atomic<int64_t> sequence_number;
  std::atomic<int64_t> timestamp_ms;
  std::atomic<uint64_t> crc;  // of seq, state and the above
};

struct alignas(128) SlotHeader {
  std::atomic<uint64_t> word;
  // The futex: raised after anything its owner waits for has happened. The word would not do, a passed lead does not change it.
  std::atomic<uint32_t> event;
  std::atomic<uint32_t> lead_passed;
  std::atomic<uint32_t> length;
  std::atomic<uint32_t> crc;
  std::atomic<int32_t> kind, schema_id, spec_id, rows;
  std::atomic<int64_t> arrival;
  std::array<ReplyCell, 2> replies;
};

struct alignas(64) BaseHeader {
  std::atomic<uint64_t> generation;
  std::atomic<int64_t> version;
  std::atomic<uint64_t> length;
  std::atomic<uint32_t> blob_crc;
  std::atomic<uint32_t> crc;  // of the above
};

using SharedWord = std::atomic<uint64_t>;
inline constexpr size_t kLargeWords = kLargePayloadBytes / sizeof(SharedWord);
inline constexpr size_t kSmallWords = kSmallPayloadBytes / sizeof(SharedWord);
inline constexpr size_t kBaseWords = kBaseBytesMax / sizeof(SharedWord);

struct Shared {
  Header header;
  std::array<SlotHeader, kSlotCount> slots;
  std::array<SharedWord, kLargeSlotCount * kLargeWords + (kSlotCount - kLargeSlotCount) * kSmallWords> payloads;
  std::array<BaseHeader, 2> bases;
  std::array<std::array<SharedWord, kBaseWords>, 2> blobs;
};

static_assert(sizeof(Preamble) == 56 && sizeof(Header) == 4096 && sizeof(SlotHeader) == 128 && sizeof(BaseHeader) == 64);
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(SharedWord) == 8 && sizeof(std::atomic<uint32_t>) == 4);

constexpr int64_t CapacityOf(int slot) { return slot < kLargeSlotCount ? kLargePayloadBytes : kSmallPayloadBytes; }
/// Where the payload of `slot` starts.
SharedWord* PayloadOf(Shared& shared, int slot);

/// Word by word, so that a copy that races with a writer is torn but defined. What is read before CopyOut was read before the
/// bytes, what is read after it after them; likewise for writes and CopyIn.
void CopyIn(ByteView from, SharedWord* to);
Bytes CopyOut(const SharedWord* from, size_t size_bytes);

/// Of everything but the slot; its own payload is not looked at, `payload` stands for it.
uint32_t SubmissionCrc(const Submission& submission, ByteView payload);
uint64_t ReplyCrc(int64_t seq, SlotState state, const Reply& reply);
uint32_t BlobCrc(ByteView blob);
uint32_t BaseHeaderCrc(uint64_t generation, int64_t version, uint64_t length, uint32_t blob_crc);

}  // namespace datashard::ring
