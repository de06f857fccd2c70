#include "generation/remove_attempt.h"

#include <vector>

#include "base/error.h"
#include "generation/shard_path.h"

namespace datashard::generation {

Result<int64_t> RemoveAttempt(SnapshotPlace& place, const std::string& db_url) {
  const std::optional<std::string> key = place.KeyOf(db_url);
  const std::string directory = key.value_or("") + "/";
  if (!key || AttemptOf(directory) != *key)
    return InvalidArgument("{} is no attempt's directory below {}; nothing was removed", db_url, place.url());
  DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place.ToRead());
  DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, store->List(directory));
  std::vector<std::string> keys;
  for (const ObjectInfo& object : objects) keys.push_back(object.key);
  DS_RETURN_IF_ERROR(store->DeleteMany(keys));
  return static_cast<int64_t>(keys.size());
}

}  // namespace datashard::generation
