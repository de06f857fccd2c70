// Boundaries as a balanced tree of comparisons, which every reader of the format can evaluate.
#include <cmath>

#include "base/error.h"
#include "routing/router_kinds.h"
#include "routing/utf8.h"

namespace datashard::routing {
namespace {

constexpr size_t kBoundariesMax = 4095;

std::string ShownBoundary(const RangeBoundary& boundary) {
  if (const auto* text = std::get_if<std::string>(&boundary)) return ToString(KeyView::Text(*text));
  return std::visit([](const auto& value) { return fmt::format("{}", value); }, boundary);
}

Status CheckBoundary(const RangeBoundary& boundary, size_t index) {
  const auto* number = std::get_if<double>(&boundary);
  if (number != nullptr && !std::isfinite(*number)) {
    return InvalidArgument("range boundary {} is {}; a boundary is a finite number", index, *number);
  }
  const auto* text = std::get_if<std::string>(&boundary);
  if (text != nullptr && !IsUtf8(*text)) {
    return InvalidArgument("range boundary {}, {}, is not UTF-8", index, ToString(KeyView::Bytes(*text)));
  }
  return {};
}

Status CheckBoundaries(const std::vector<RangeBoundary>& boundaries) {
  if (boundaries.size() > kBoundariesMax) {
    return InvalidArgument("{} range boundaries; at most {} are supported. Use hash sharding for more shards", boundaries.size(), kBoundariesMax);
  }
  for (size_t i = 0; i < boundaries.size(); ++i) {
    DS_RETURN_IF_ERROR(CheckBoundary(boundaries[i], i));
    if (i == 0) continue;
    if (boundaries[i].index() != boundaries[0].index()) {
      return InvalidArgument("range boundaries 0 ({}) and {} ({}) have different types; make all of them integers, doubles or text",
                             ShownBoundary(boundaries[0]), i, ShownBoundary(boundaries[i]));
    }
    if (!(boundaries[i - 1] < boundaries[i])) {
      return InvalidArgument("range boundaries {} ({}) and {} ({}) do not ascend", i - 1, ShownBoundary(boundaries[i - 1]), i,
                             ShownBoundary(boundaries[i]));
    }
  }
  return {};
}

std::string Quoted(const std::string& text) {
  std::string literal = "\"";
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      literal += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7F) {
      literal += fmt::format("\\x{:02x}", byte);
    } else {
      literal += c;
    }
  }
  return literal + '"';
}

std::string BelowBoundary(const RangeBoundary& boundary) {
  if (const auto* text = std::get_if<std::string>(&boundary)) return "key<" + Quoted(*text);
  const auto number = SmallestIntFrom(boundary);
  return number ? fmt::format("key<{}", *number) : "true";
}

/// The tree that tells the shards first .. last apart. Without blanks: other readers take 100,000 characters at most.
void AppendTree(const std::vector<RangeBoundary>& boundaries, size_t first, size_t last, std::string& out) {
  if (first == last) {
    out += fmt::format("{}", first);
    return;
  }
  const size_t middle = (first + last) / 2;
  out += '(';
  out += BelowBoundary(boundaries[middle]);
  out += '?';
  AppendTree(boundaries, first, middle, out);
  out += ':';
  AppendTree(boundaries, middle + 1, last, out);
  out += ')';
}

}  // namespace

Result<ShardingSpec> RangeSpec(const std::vector<RangeBoundary>& boundaries) {
  DS_RETURN_IF_ERROR(CheckBoundaries(boundaries));
  const bool is_text = !boundaries.empty() && std::holds_alternative<std::string>(boundaries[0]);
  std::string tree;
  AppendTree(boundaries, 0, boundaries.size(), tree);
  ShardingSpec spec;
  spec.strategy = ShardingStrategy::kCel;
  spec.cel_expr = std::move(tree);
  spec.cel_columns = {{"key", is_text ? CelType::kString : CelType::kInt}};
  return spec;
}

}  // namespace datashard::routing
