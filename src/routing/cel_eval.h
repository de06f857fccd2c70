// Evaluation of a checked expression.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "datashard/sharding.h"
#include "routing/cel.h"
#include "routing/cel_program.h"

namespace datashard::routing::cel {

class Evaluation {
 public:
  Evaluation(const Program& program, std::span<const CelValue> columns, CelScratch& scratch)
      : program_(program), columns_(columns), scratch_(scratch) {}

  /// The value of the expression, or the fault that kept it from having one.
  Value Run() { return Eval(program_.root); }

 private:
  Value Eval(uint32_t id);
  Value Column(const Node& node, uint32_t id) const;
  Value Either(const Node& node);
  Value Member(const Node& node);
  Value Unary(const Node& node, uint32_t id);
  Value Binary(const Node& node, uint32_t id);
  Value Concat(const Value& left, const Value& right, uint32_t id);
  Value Convert(const Value& value, ValueType to, uint32_t id);
  Value ToText(const Value& value, uint32_t id);

  const Program& program_;
  std::span<const CelValue> columns_;
  CelScratch& scratch_;
};

/// Why `fault` came about, with its place.
Error Describe(const Program& program, const Value& fault, const std::vector<std::pair<std::string, CelType>>& columns,
               std::span<const CelValue> values);

}  // namespace datashard::routing::cel
