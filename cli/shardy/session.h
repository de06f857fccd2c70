// One snapshot that commands look into: its manifests, and a reader that is opened when first needed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/shardy/config.h"
#include "datashard/sharded_manifest.h"
#include "datashard/sharded_reader.h"

namespace datashard::cli::shardy {

class Session {
 public:
  explicit Session(Config config) : config_(std::move(config)) {}

  const Config& config() const { return config_; }
  Config& config() { return config_; }
  /// Reads this manifest instead of the current one from now on; none: the current one.
  void Pin(std::optional<std::string> ref);
  bool pinned() const { return config_.reader.pinned_ref.has_value(); }
  Result<ManifestStore*> Manifests();
  Result<ShardedReader*> Reader();
  /// The ref of the manifest that is `offset` older than the newest. Errors: kNotFound: there are fewer.
  Result<ManifestRef> AtOffset(int64_t offset);

 private:
  Config config_;
  std::unique_ptr<ManifestStore> manifests_;
  std::unique_ptr<ShardedReader> reader_;
};

/// A key as it is typed: a number where the snapshot's keys are numbers. `text` must outlive it. Errors: kInvalidArgument.
Result<KeyView> KeyOf(const std::string& text, KeyEncoding encoding);

}  // namespace datashard::cli::shardy
