// Manifests in this process only: for tests of users, and for snapshots that nobody else reads.
#include <map>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/fork.h"
#include "generation/manifest_columns.h"

namespace datashard {
namespace {

struct Locked {
  explicit Locked(std::mutex& mutex) : lock(mutex) {}
  ForkHold hold;
  std::lock_guard<std::mutex> lock;
};

class MemoryManifestStore final : public ManifestStore {
 public:
  Result<std::string> Store(const ShardedManifest& manifest) override {
    // The rules are those of every store, and so is what a reader gets back.
    DS_ASSIGN_OR_RETURN(const generation::ManifestRows rows, generation::RowsOf(manifest));
    DS_ASSIGN_OR_RETURN(ShardedManifest kept, generation::ManifestOf(rows));
    const Locked lock(mutex_);
    const std::string ref = "mem://manifests/run_id=" + manifest.build.run_id + "/manifest";
    stored_.insert_or_assign(ref, Stored{.manifest = std::move(kept), .published_at = SystemClock().Now(), .number = ++last_number_});
    return ref;
  }
  Status SetCurrent(const std::string& ref, const CurrentGuard& guard) override {
    for (;;) {
      DS_ASSIGN_OR_RETURN(const std::optional<ManifestRef> seen, LoadCurrent());
      if (guard) DS_RETURN_IF_ERROR(guard(seen));
      const Locked lock(mutex_);
      if (!stored_.contains(ref)) return NotFound("there is no manifest {}", ref);
      if (CurrentLocked() != seen) continue;
      current_ = ref;
      return {};
    }
  }
  Result<std::optional<ManifestRef>> LoadCurrent() override {
    const Locked lock(mutex_);
    return CurrentLocked();
  }
  Result<ShardedManifest> LoadManifest(const std::string& ref) override {
    const Locked lock(mutex_);
    const auto it = stored_.find(ref);
    if (it == stored_.end()) return NotFound("there is no manifest {}", ref);
    return it->second.manifest;
  }
  Result<std::vector<ManifestRef>> ListManifests(int64_t limit) override {
    const Locked lock(mutex_);
    std::map<int64_t, ManifestRef, std::greater<>> newest_first;
    for (const auto& [ref, stored] : stored_) newest_first.emplace(stored.number, RefOf(ref, stored));
    std::vector<ManifestRef> refs;
    for (auto it = newest_first.begin(); it != newest_first.end() && static_cast<int64_t>(refs.size()) < limit; ++it) refs.push_back(it->second);
    return refs;
  }

 private:
  struct Stored {
    ShardedManifest manifest;
    UtcTime published_at;
    int64_t number = 0;
  };
  static ManifestRef RefOf(const std::string& ref, const Stored& stored) {
    return {.ref = ref, .run_id = stored.manifest.build.run_id, .published_at = stored.published_at};
  }
  std::optional<ManifestRef> CurrentLocked() const {
    const auto it = stored_.find(current_);
    return it == stored_.end() ? std::nullopt : std::optional(RefOf(it->first, it->second));
  }

  std::mutex mutex_;  // with a ForkHold: a child finds it free, and everything in its place
  std::map<std::string, Stored> stored_;
  std::string current_;
  int64_t last_number_ = 0;
};

}  // namespace

std::unique_ptr<ManifestStore> NewMemoryManifestStore() { return std::make_unique<MemoryManifestStore>(); }

}  // namespace datashard
