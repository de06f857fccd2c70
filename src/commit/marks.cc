#include "commit/marks.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/error.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kPrefix = "datashard.ring.";

/// A non-negative number off the front of `text`, with `end` behind it (or the end of the text).
std::optional<int64_t> TakeNumber(std::string_view& text, char end) {
  int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(rest - text.data()));
  if (text.empty()) return number;
  if (text.front() != end) return std::nullopt;
  text.remove_prefix(1);
  return number;
}

/// "1764000000000;0:17,3:9": milliseconds of the last commit, then slot:seq.
std::optional<std::pair<int64_t, std::map<int, int64_t>>> Parse(std::string_view text) {
  const auto time_ms = TakeNumber(text, ';');
  if (!time_ms) return std::nullopt;
  std::map<int, int64_t> seqs;
  while (!text.empty()) {
    const auto slot = TakeNumber(text, ':');
    if (!slot || *slot > INT32_MAX || text.empty()) return std::nullopt;
    const auto seq = TakeNumber(text, ',');
    if (!seq || !seqs.emplace(static_cast<int>(*slot), *seq).second) return std::nullopt;
  }
  return std::pair(*time_ms, std::move(seqs));
}

/// Stamps ahead of the clock (of a host whose clock is) count as new.
void ForgetSilent(iceberg::TableMetadata& metadata, int64_t now_ms) {
  std::vector<std::pair<int64_t, std::string>> rings;  // by the time of their last commit
  for (auto it = metadata.properties.lower_bound(std::string(kPrefix));
       it != metadata.properties.end() && it->first.starts_with(kPrefix); ++it) {
    if (const auto parsed = Parse(it->second)) rings.emplace_back(parsed->first, it->first);
  }
  std::sort(rings.begin(), rings.end());
  for (size_t i = 0; i < rings.size(); ++i) {
    const int64_t silence_ms = now_ms - rings[i].first;
    const bool too_many = rings.size() - i > kRingsKept && silence_ms > kRingSilenceMin.count();
    // Its own ring is written after this, so one less stays.
    if (too_many || rings.size() - i >= kRingsMax || silence_ms > kRingSilenceMax.count()) metadata.properties.erase(rings[i].second);
  }
}

}  // namespace

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
  marks.seq_of_slot_ = std::move(parsed->second);
  return std::optional(std::move(marks));
}

int64_t Marks::Of(int slot) const {
  const auto found = seq_of_slot_.find(slot);
  return found == seq_of_slot_.end() ? 0 : found->second;
}

void Marks::Raise(int slot, int64_t seq) {
  int64_t& mark = seq_of_slot_[slot];
  mark = std::max(mark, seq);
}

void Marks::Write(iceberg::TableMetadata& metadata, std::string_view ring_id, int64_t now_ms) const {
  ForgetSilent(metadata, now_ms);
  std::string text = fmt::format("{}", now_ms);
  char separator = ';';
  for (const auto& [slot, seq] : seq_of_slot_) {
    fmt::format_to(std::back_inserter(text), "{}{}:{}", separator, slot, seq);
    separator = ',';
  }
  metadata.properties[fmt::format("{}{}", kPrefix, ring_id)] = std::move(text);
}

}  // namespace datashard::commit
