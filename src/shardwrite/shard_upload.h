// A finished database goes into the store.
#pragma once

#include <string>
#include <vector>

#include "datashard/sharded_manifest.h"
#include "kv/database_writer.h"
#include "storage/object_store.h"

namespace datashard::shardwrite {

/// Writes `objects` below `directory_key`, in their order, and makes them durable; says what was written. Errors: those of WriteGroup.
Result<std::vector<ShardObject>> UploadObjects(ObjectStore& store, const std::string& directory_key, const std::vector<kv::BuiltObject>& objects);

/// Then the sidecar of the database `shard.db`, which is among `objects` and was uploaded: it carries the object's identity.
Result<ShardObject> UploadSidecar(ObjectStore& store, const std::string& directory_key, const kv::Output& database);

}  // namespace datashard::shardwrite
