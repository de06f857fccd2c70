#include "ring/layout.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "base/crc32.h"

namespace datashard::ring {
namespace {

uint32_t Crc(std::initializer_list<uint64_t> numbers) {
  return Crc32(ByteView(reinterpret_cast<const char*>(numbers.begin()), numbers.size() * sizeof(uint64_t)));
}

}  // namespace

SlotState StateOf(uint64_t word) {
  const uint64_t state = word & 0xffff & ~kReplyBit;
  return state <= static_cast<uint64_t>(SlotState::kUnknown) ? static_cast<SlotState>(state) : SlotState::kUnknown;
}

SharedWord* PayloadOf(Shared& shared, int slot) {
  const auto number = static_cast<size_t>(slot);
  const size_t offset = slot < kLargeSlotCount ? number * kLargeWords
                                               : kLargeSlotCount * kLargeWords + (number - kLargeSlotCount) * kSmallWords;
  return &shared.payloads[offset];
}

void CopyIn(ByteView from, SharedWord* to) {
  while (!from.empty()) {
    uint64_t word = 0;
    const size_t count = std::min(from.size(), sizeof word);
    std::memcpy(&word, from.data(), count);
    // Release and acquire word by word instead of fences: the same instructions on x86, and thread sanitizers understand it.
    (to++)->store(word, std::memory_order_release);
    from.remove_prefix(count);
  }
}

Bytes CopyOut(const SharedWord* from, size_t size_bytes) {
  Bytes bytes(size_bytes, '\0');
  for (size_t at = 0; at < size_bytes; at += sizeof(uint64_t)) {
    const uint64_t word = (from++)->load(std::memory_order_acquire);
    std::memcpy(bytes.data() + at, &word, std::min(size_bytes - at, sizeof word));
  }
  return bytes;
}

uint32_t SubmissionCrc(const Submission& submission, ByteView payload) {
  const Label& label = submission.label;
  const uint32_t head = Crc({static_cast<uint64_t>(submission.seq), static_cast<uint64_t>(submission.arrival),
                             static_cast<uint64_t>(label.kind), static_cast<uint64_t>(label.schema_id),
                             static_cast<uint64_t>(label.spec_id), static_cast<uint64_t>(label.rows)});
  return Crc32(payload, head);
}

uint64_t ReplyCrc(int64_t seq, SlotState state, const Reply& reply) {
  return Crc({static_cast<uint64_t>(seq), static_cast<uint64_t>(state), static_cast<uint64_t>(reply.version),
              static_cast<uint64_t>(reply.snapshot_id), static_cast<uint64_t>(reply.sequence_number),
              static_cast<uint64_t>(reply.timestamp_ms)});
}

uint32_t BlobCrc(ByteView blob) { return Crc32(blob); }

uint32_t BaseHeaderCrc(uint64_t generation, int64_t version, uint64_t length, uint32_t blob_crc) {
  return Crc({generation, static_cast<uint64_t>(version), length, blob_crc});
}

}  // namespace datashard::ring
