// Shards told apart by boundaries: the shard of a key is the number of boundaries that are not above it.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "routing/router_kinds.h"

namespace datashard::routing {
namespace {

class NumberRouter final : public Router {
 public:
  explicit NumberRouter(const std::vector<RangeBoundary>& boundaries) : num_dbs_(static_cast<int32_t>(boundaries.size()) + 1) {
    for (const RangeBoundary& boundary : boundaries) {
      const auto number = SmallestIntFrom(boundary);
      if (!number) break;
      boundaries_.push_back(*number);
    }
  }

  int32_t num_dbs() const override { return num_dbs_; }
  bool needs_context() const override { return false; }

  Result<std::optional<int32_t>> Route(const KeyView& key) const override {
    if (key.kind() == KeyView::Kind::kInt) {
      const auto above = std::ranges::upper_bound(boundaries_, key.as_int());
      return std::optional(static_cast<int32_t>(above - boundaries_.begin()));
    }
    if (key.is_number()) {
      return InvalidArgument("key {}: range sharding takes integers of int64; the largest is {}", ToString(key), INT64_MAX);
    }
    return InvalidArgument("key {}: this snapshot is sharded by ranges of integers", ToString(key));
  }

  Result<std::optional<int32_t>> RouteContext(std::span<const CelValue> columns) const override {
    if (columns.size() == 1) {
      if (const auto* number = std::get_if<int64_t>(&columns[0])) return Route(KeyView::Int(*number));
      if (const auto* number = std::get_if<uint64_t>(&columns[0])) return Route(KeyView::Unsigned(*number));
    }
    return InvalidArgument("this snapshot is sharded by ranges of the column \"key\"; the routing context is one integer");
  }

 private:
  int32_t num_dbs_;
  std::vector<int64_t> boundaries_;
};

class TextRouter final : public Router {
 public:
  explicit TextRouter(const std::vector<RangeBoundary>& boundaries) {
    for (const RangeBoundary& boundary : boundaries) boundaries_.push_back(std::get<std::string>(boundary));
  }

  int32_t num_dbs() const override { return static_cast<int32_t>(boundaries_.size()) + 1; }
  bool needs_context() const override { return false; }

  /// Bytes are taken for the text they are in UTF-8: their order is that of its code points.
  Result<std::optional<int32_t>> Route(const KeyView& key) const override {
    if (key.is_number()) return InvalidArgument("key {}: this snapshot is sharded by ranges of text", ToString(key));
    const auto above = std::upper_bound(boundaries_.begin(), boundaries_.end(), key.bytes(), std::less<std::string_view>());
    return std::optional(static_cast<int32_t>(above - boundaries_.begin()));
  }

  Result<std::optional<int32_t>> RouteContext(std::span<const CelValue> columns) const override {
    if (columns.size() == 1) {
      if (const auto* text = std::get_if<CelText>(&columns[0])) return Route(KeyView::Text(text->text));
      if (const auto* bytes = std::get_if<CelBytes>(&columns[0])) return Route(KeyView::Bytes(bytes->bytes));
    }
    return InvalidArgument("this snapshot is sharded by ranges of the column \"key\"; the routing context is one text");
  }

 private:
  std::vector<std::string> boundaries_;
};

}  // namespace

std::optional<int64_t> SmallestIntFrom(const RangeBoundary& boundary) {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (const auto* number = std::get_if<int64_t>(&boundary)) return *number;
  const double real = std::get<double>(boundary);
  if (real >= kTwoTo63) return std::nullopt;
  return real <= -kTwoTo63 ? INT64_MIN : static_cast<int64_t>(std::ceil(real));
}

RouterPtr MakeRangeRouter(const std::vector<RangeBoundary>& boundaries) {
  if (std::holds_alternative<std::string>(boundaries[0])) return std::make_shared<TextRouter>(boundaries);
  return std::make_shared<NumberRouter>(boundaries);
}

}  // namespace datashard::routing
