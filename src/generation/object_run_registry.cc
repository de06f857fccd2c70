#include "generation/object_run_registry.h"

#include <utility>

#include "base/error.h"
#include "base/uri.h"
#include "generation/manifest_rules.h"
#include "generation/pointer.h"
#include "generation/run_record.h"
#include "storage/keys.h"

namespace datashard::generation {
namespace {

constexpr std::string_view kFile = "run.yaml";
constexpr size_t kHexDigits = 32;

class ObjectRunRegistry final : public RunRegistry {
 public:
  ObjectRunRegistry(std::shared_ptr<SnapshotPlace> place, std::string registry_prefix, const Outside& outside)
      : place_(std::move(place)), registry_prefix_(std::move(registry_prefix)), outside_(outside) {}

  Result<std::string> Create(const RunRecord& record) override {
    DS_RETURN_IF_ERROR(CheckRunId(record.run_id));
    DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place_->ToWrite());
    const std::string key = fmt::format("{}/{}_{}/{}", registry_prefix_, DirectoryName(record.started_at, record.run_id),
                                        RandomHex(outside_.random, kHexDigits), kFile);
    // The name is random, so that nothing is replaced.
    DS_RETURN_IF_ERROR(store->Replace(key, RunRecordText(record)));
    return fmt::format("{}/{}", place_->url(), key);
  }
  Status Update(const std::string& ref, const RunRecord& record) override {
    DS_ASSIGN_OR_RETURN(const std::string key, KeyOf(ref));
    DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place_->ToWrite());
    return store->Replace(key, RunRecordText(record));
  }
  Result<RunRecord> Load(const std::string& ref) override {
    DS_ASSIGN_OR_RETURN(const std::string key, KeyOf(ref));
    DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place_->ToRead());
    DS_ASSIGN_OR_RETURN(const Bytes text, store->Get(key));
    Result<RunRecord> record = ReadRunRecord(text);
    if (!record.ok()) return std::move(record).error().In(ref);
    return record;
  }

 private:
  Result<std::string> KeyOf(const std::string& ref) const {
    std::optional<std::string> key = place_->KeyOf(ref);
    if (!key || !RunOfRecordKey(*key)) return InvalidArgument("{} is no run record below {}", ref, place_->url());
    return *std::move(key);
  }

  const std::shared_ptr<SnapshotPlace> place_;
  const std::string registry_prefix_;
  const Outside outside_;
};

}  // namespace

Result<std::unique_ptr<RunRegistry>> NewObjectRunRegistry(std::shared_ptr<SnapshotPlace> place,
                                                          std::string registry_prefix, const Outside& outside) {
  DS_RETURN_IF_ERROR(CheckKey(registry_prefix));
  return std::unique_ptr<RunRegistry>(std::make_unique<ObjectRunRegistry>(std::move(place), std::move(registry_prefix), outside));
}

std::optional<std::string> RunOfRecordKey(std::string_view key) {
  const auto [directory, file] = SplitKey(key);
  if (file != kFile) return std::nullopt;
  const std::optional<NamedRun> named = ReadDirectoryName(SplitKey(directory).second);
  if (!named || named->run_id.size() <= kHexDigits + 1) return std::nullopt;
  const std::string_view both = named->run_id;
  const std::string_view digits = both.substr(both.size() - kHexDigits);
  if (both[both.size() - kHexDigits - 1] != '_' || digits.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
  return std::string(both.substr(0, both.size() - kHexDigits - 1));
}

}  // namespace datashard::generation

namespace datashard {

Result<std::unique_ptr<RunRegistry>> OpenRunRegistry(const std::string& prefix, const std::string& run_registry_prefix, const SnapshotS3Options& s3) {
  const Outside& outside = generation::ProcessOutside();
  DS_ASSIGN_OR_RETURN(std::shared_ptr<generation::SnapshotPlace> place,
                      generation::SnapshotPlace::Open(prefix, s3, ProcessEnvironment(), outside));
  return generation::NewObjectRunRegistry(std::move(place), run_registry_prefix, outside);
}

}  // namespace datashard
