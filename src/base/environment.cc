#include "base/environment.h"

#include <cstdlib>

namespace datashard {
namespace {

class Process final : public Environment {
 public:
  std::string Get(std::string_view name) const override {
    const char* const value = std::getenv(std::string(name).c_str());
    return value == nullptr ? "" : value;
  }
};

}  // namespace

const Environment& ProcessEnvironment() {
  static const Process environment;
  return environment;
}

std::string GivenEnvironment::Get(std::string_view name) const {
  const auto found = variables_.find(name);
  return found == variables_.end() ? "" : found->second;
}

}  // namespace datashard
