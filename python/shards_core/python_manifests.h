// A ManifestStore that is code of the user's, behind shardyfusion/_bridges.py.
#pragma once

#include <string>

#include "context_error.h"
#include "datashard/sharded_manifest.h"

namespace datashard::python {

/// Takes the GIL for every call. `callbacks` outlives it. Made and destroyed with the GIL.
class PythonManifests final : public ManifestStore {
 public:
  PythonManifests(nb::object bridge, Callbacks& callbacks) : bridge_(std::move(bridge)), callbacks_(callbacks) {}

  const nb::object& bridge() const { return bridge_; }

  Result<std::string> Store(const ShardedManifest& manifest) override;
  Status SetCurrent(const std::string& ref, const CurrentGuard& guard) override;
  Result<std::optional<ManifestRef>> LoadCurrent() override;
  Result<ShardedManifest> LoadManifest(const std::string& ref) override;
  Result<std::vector<ManifestRef>> ListManifests(int64_t limit) override;

 private:
  nb::object bridge_;
  Callbacks& callbacks_;
};

}  // namespace datashard::python
