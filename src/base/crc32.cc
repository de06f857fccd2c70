#include "base/crc32.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace datashard {
namespace {

static_assert(std::endian::native == std::endian::little);

// All polynomials have their bits reflected: the highest bit of a word is the coefficient of x^0.
constexpr uint32_t kPolynomial = 0xEDB88320;

constexpr uint32_t TimesX(uint32_t polynomial) { return (polynomial >> 1) ^ ((polynomial & 1) != 0 ? kPolynomial : 0); }

// kTables[n][b]: what byte b contributes with n bytes behind it.
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t rest = i;
    for (int bit = 0; bit < 8; ++bit) rest = TimesX(rest);
    tables[0][i] = rest;
  }
  for (size_t table = 1; table < tables.size(); ++table) {
    for (uint32_t i = 0; i < 256; ++i) tables[table][i] = (tables[table - 1][i] >> 8) ^ tables[0][tables[table - 1][i] & 0xff];
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

// The state is the checksum before its last inversion.
uint32_t StateByTables(const char* at, size_t left, uint32_t state) {
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    word ^= state;
    state = 0;
    for (size_t i = 0; i < 8; ++i) state ^= kTables[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (; left > 0; --left, ++at) state = (state >> 8) ^ kTables[0][(state ^ static_cast<unsigned char>(*at)) & 0xff];
  return state;
}

#if defined(__x86_64__)

constexpr size_t kLanes = 4;  // of 16 bytes each: as many multiplications are under way at once
constexpr size_t kLaneBytes = 16;
constexpr size_t kStepBytes = kLanes * kLaneBytes;

// x^exponent, modulo the polynomial, in the place where a multiplication of reflected words needs it.
constexpr int64_t Power(int exponent) {
  uint32_t power = 0x80000000;
  for (int i = 0; i < exponent; ++i) power = TimesX(power);
  return static_cast<int64_t>(uint64_t{power} << 1);
}

// Moves the two halves of 16 bytes `bits` further to the front: what they are there is congruent to what they were.
struct Shift {
  int64_t first_half, second_half;
};
constexpr Shift ShiftBy(int bits) { return {Power(bits + 32), Power(bits - 32)}; }
constexpr Shift kByStep = ShiftBy(8 * static_cast<int>(kStepBytes));
constexpr Shift kByLane = ShiftBy(8 * static_cast<int>(kLaneBytes));

__attribute__((target("pclmul,sse4.1"))) inline __m128i Load(const char* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }

__attribute__((target("pclmul,sse4.1"))) inline __m128i Fold(__m128i lane, __m128i shift, __m128i next) {
  return _mm_xor_si128(next, _mm_xor_si128(_mm_clmulepi64_si128(lane, shift, 0x00), _mm_clmulepi64_si128(lane, shift, 0x11)));
}

// At least kStepBytes of them. Source: Gopal et al., "Fast CRC computation for generic polynomials using PCLMULQDQ", Intel 2009.
__attribute__((target("pclmul,sse4.1"))) uint32_t StateByFolding(const char* at, size_t left, uint32_t state) {
  __m128i lanes[kLanes];
  for (size_t i = 0; i < kLanes; ++i) lanes[i] = Load(at + i * kLaneBytes);
  lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128(static_cast<int>(state)));
  at += kStepBytes;
  left -= kStepBytes;
  const __m128i by_step = _mm_set_epi64x(kByStep.second_half, kByStep.first_half);
  for (; left >= kStepBytes; left -= kStepBytes, at += kStepBytes) {
    for (size_t i = 0; i < kLanes; ++i) lanes[i] = Fold(lanes[i], by_step, Load(at + i * kLaneBytes));
  }
  const __m128i by_lane = _mm_set_epi64x(kByLane.second_half, kByLane.first_half);
  __m128i folded = lanes[0];
  for (size_t i = 1; i < kLanes; ++i) folded = Fold(folded, by_lane, lanes[i]);
  for (; left >= kLaneBytes; left -= kLaneBytes, at += kLaneBytes) folded = Fold(folded, by_lane, Load(at));
  char last[kLaneBytes];
  std::memcpy(last, &folded, kLaneBytes);
  return StateByTables(at, left, StateByTables(last, kLaneBytes, 0));
}

#endif

}  // namespace

uint32_t Crc32ByTables(ByteView bytes, uint32_t before) { return ~StateByTables(bytes.data(), bytes.size(), ~before); }

uint32_t Crc32(ByteView bytes, uint32_t before) {
#if defined(__x86_64__)
  if (bytes.size() >= kStepBytes && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) {
    return ~StateByFolding(bytes.data(), bytes.size(), ~before);
  }
#endif
  return Crc32ByTables(bytes, before);
}

}  // namespace datashard
