#include "commit/marks.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/error.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kPrefix = "datashard.ring.";

/// A non-negative number off the front of `text`; the character behind it stays.
std::optional<int64_t> TakeNumber(std::string_view& text) {
  int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(rest - text.data()));
  return number;
}

bool Take(std::string_view& text, char expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

/// "1764000000000;0:17,3:9@4711": milliseconds of the last commit, then slot:seq, some with a snapshot's sequence number.
std::optional<std::pair<int64_t, Marks::BySlot>> Marks::Parse(std::string_view text) {
  const auto time_ms = TakeNumber(text);
  if (!time_ms) return std::nullopt;
  BySlot marks;
  for (char separator = ';'; !text.empty(); separator = ',') {
    if (!Take(text, separator)) return std::nullopt;
    const auto slot = TakeNumber(text);
    if (!slot || *slot > INT32_MAX || !Take(text, ':')) return std::nullopt;
    const auto seq = TakeNumber(text);
    std::optional<int64_t> sequence_number = 0;
    if (Take(text, '@')) sequence_number = TakeNumber(text);
    if (!seq || !sequence_number) return std::nullopt;
    if (!marks.try_emplace(static_cast<int>(*slot), *seq, *sequence_number).second) return std::nullopt;
  }
  return std::pair(*time_ms, std::move(marks));
}

/// The rings with marks in `metadata` and when they got their last, the most silent first.
std::vector<std::pair<int64_t, std::string>> Marks::ByTime(const iceberg::TableMetadata& metadata) {
  std::vector<std::pair<int64_t, std::string>> rings;
  for (auto it = metadata.properties.lower_bound(std::string(kPrefix));
       it != metadata.properties.end() && it->first.starts_with(kPrefix); ++it) {
    if (const auto parsed = Parse(it->second)) rings.emplace_back(parsed->first, it->first);
  }
  std::sort(rings.begin(), rings.end());
  return rings;
}

int64_t NextMarksTime(const iceberg::TableMetadata& metadata, int64_t clock_ms) {
  const auto rings = Marks::ByTime(metadata);
  if (rings.empty()) return clock_ms;
  const int64_t newest = rings.back().first;
  return std::clamp(clock_ms, newest, newest + kMarksTimeStep.count());
}

void ForgetSilentRings(iceberg::TableMetadata& metadata, int64_t now_ms) {
  const auto rings = Marks::ByTime(metadata);
  for (size_t i = 0; i < rings.size(); ++i) {
    const int64_t silence_ms = now_ms - rings[i].first;
    const bool too_many = rings.size() - i > kRingsKept && silence_ms > kRingSilenceMin.count();
    // Another one may be written after this, so one less stays.
    if (too_many || rings.size() - i >= kRingsMax || silence_ms > kRingSilenceMax.count()) metadata.properties.erase(rings[i].second);
  }
}

Result<std::optional<Marks>> Marks::Read(const iceberg::TableMetadata& metadata, std::string_view ring_id) {
  const auto found = metadata.properties.find(fmt::format("{}{}", kPrefix, ring_id));
  if (found == metadata.properties.end()) return std::optional<Marks>();
  auto parsed = Parse(found->second);
  if (!parsed) {
    return Corruption("property {} of {} is '{}'; expected '<milliseconds>;<slot>:<seq>,…'. Remove it while no writer runs",
                      found->first, metadata.location, found->second)
        .About(ErrorSubject::kMetadata);
  }
  Marks marks;
  marks.marks_ = std::move(parsed->second);
  return std::optional(std::move(marks));
}

int64_t Marks::Of(int slot) const {
  const auto found = marks_.find(slot);
  return found == marks_.end() ? 0 : found->second.seq;
}

int64_t Marks::SequenceOf(int slot) const {
  const auto found = marks_.find(slot);
  return found == marks_.end() ? 0 : found->second.sequence_number;
}

void Marks::Raise(int slot, int64_t seq, int64_t sequence_number) {
  Mark& mark = marks_[slot];
  if (seq > mark.seq) mark = {seq, sequence_number};
}

void Marks::Write(iceberg::TableMetadata& metadata, std::string_view ring_id, int64_t now_ms) const {
  std::string text = fmt::format("{}", now_ms);
  char separator = ';';
  for (const auto& [slot, mark] : marks_) {
    fmt::format_to(std::back_inserter(text), "{}{}:{}", separator, slot, mark.seq);
    if (mark.sequence_number != 0) fmt::format_to(std::back_inserter(text), "@{}", mark.sequence_number);
    separator = ',';
  }
  metadata.properties[fmt::format("{}{}", kPrefix, ring_id)] = std::move(text);
}

}  // namespace datashard::commit
