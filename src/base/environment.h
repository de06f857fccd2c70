// Environment variables arrive through this interface: whoever reads settings is given one, components are given settings.
// Not part of Outside, so that no component looks at the environment in the middle of its work.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace datashard {

class Environment {
 public:
  virtual ~Environment() = default;
  /// The variable's value; empty where it is not set, which every setting of ours takes for the same.
  virtual std::string Get(std::string_view name) const = 0;
};

/// Names to values.
using Variables = std::map<std::string, std::string, std::less<>>;

/// The process's own. Threads: as getenv, so not while another thread changes variables; Python holds its lock for both.
const Environment& ProcessEnvironment();

/// These variables and no others.
class GivenEnvironment final : public Environment {
 public:
  explicit GivenEnvironment(Variables variables) : variables_(std::move(variables)) {}
  std::string Get(std::string_view name) const override;

 private:
  Variables variables_;
};

}  // namespace datashard
