// Hash, stored keys, the rule of a snapshot, CEL expressions.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "context_error.h"
#include "datashard/sharding_functions.h"
#include "faces.h"
#include "python_key.h"
#include "settings.h"

namespace datashard::python {
namespace {

KeyView KeyFrom(nb::handle key) { return OrThrow(Doing::kKey, KeyOf(key.ptr())); }

KeyEncoding EncodingNamed(const std::string& name) { return OrThrow(Doing::kConfigure, KeyEncodingOf(name)); }

nb::bytes AsBytes(const std::string& bytes) { return nb::bytes(bytes.data(), bytes.size()); }

/// A rule with the columns its contexts are read by.
struct Rule {
  std::shared_ptr<const ShardRule> rule;
  CelColumns columns;

  std::optional<int32_t> Route(nb::handle key) const { return OrThrow(Doing::kKey, rule->Route(KeyFrom(key))); }
  std::optional<int32_t> RouteContext(nb::handle context) const {
    std::vector<nb::object> held;
    const std::vector<CelValue> row = OrThrow(Doing::kKey, CelRowOf(context.ptr(), columns, held));
    return OrThrow(Doing::kKey, rule->RouteContext(row));
  }
};

Rule RuleOf(nb::dict sharding, int32_t num_dbs, nb::object boundaries) {
  std::optional<std::vector<RangeBoundary>> given;
  if (!boundaries.is_none()) given = BoundariesOf(boundaries);
  const ShardingSpec spec = ShardingSpecOf(sharding);
  return {OrThrow(Doing::kConfigure, ShardRule::Make(spec, num_dbs, given)), spec.cel_columns.value_or(CelColumns())};
}

struct Expression {
  std::shared_ptr<const CelExpression> expression;
  CelColumns columns;

  nb::object Evaluate(nb::handle context) const {
    std::vector<nb::object> held;
    const std::vector<CelValue> row = OrThrow(Doing::kConfigure, CelRowOf(context.ptr(), columns, held));
    return ToPython(OrThrow(Doing::kConfigure, expression->Evaluate(row)));
  }
};

Expression Compiled(const std::string& expr, nb::dict columns) {
  CelColumns made = CelColumnsOf(columns);
  auto expression = OrThrow(Doing::kConfigure, CelExpression::Compile(expr, made));
  return {std::move(expression), std::move(made)};
}

}  // namespace

void BindRouting(nb::module_& module) {
  using namespace nb::literals;
  module.def("routing_hash", [](nb::handle key) { return OrThrow(Doing::kKey, RoutingHash(KeyFrom(key))); }, "key"_a.none(),
             "xxh3_64 of a key as routing has it.");
  module.def(
      "stored_key",
      [](nb::handle key, const std::string& encoding) { return AsBytes(OrThrow(Doing::kKey, StoredKey(KeyFrom(key), EncodingNamed(encoding)))); },
      "key"_a.none(), "encoding"_a, "A key's bytes in a shard.");
  module.def(
      "stored_lookup_key",
      [](nb::handle key, const std::string& encoding) {
        return AsBytes(OrThrow(Doing::kKey, StoredLookupKey(KeyFrom(key), EncodingNamed(encoding))));
      },
      "key"_a.none(), "encoding"_a, "The same for a reader: bytes of a number's size pass.");
  nb::class_<Rule>(module, "ShardRule", "The rule that gives keys their shard.")
      .def_static("make", &RuleOf, "sharding"_a, "num_dbs"_a, "boundaries"_a.none(), "Of a manifest's `sharding`.")
      .def_prop_ro("needs_context", [](const Rule& rule) { return rule.rule->needs_context(); })
      .def("route", &Rule::Route, "key"_a.none(), "The shard; None where the value is no routing value.")
      .def("route_context", &Rule::RouteContext, "context"_a, "The same for a mapping of the rule's columns.");
  nb::class_<Expression>(module, "CelExpression", "A compiled CEL expression.")
      .def_static("compile", &Compiled, "expr"_a, "columns"_a)
      .def("evaluate", &Expression::Evaluate, "context"_a);
}

}  // namespace datashard::python
