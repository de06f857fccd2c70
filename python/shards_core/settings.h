// Settings between Python and the core: plain dicts by the names of the C++ fields, made in shardyfusion/_settings.py.
#pragma once

#include <nanobind/nanobind.h>

#include "datashard/sharded_manifest.h"
#include "datashard/sharded_reader.h"
#include "datashard/sharded_writer.h"
#include "python_key.h"

namespace datashard::python {

/// All throw ContextError (Doing::kConfigure), or TypeError where a field is of another type. Fields that a dict lacks keep their defaults.
SnapshotS3Options S3OptionsOf(nb::handle options);
ShardedReaderSettings ReaderSettingsOf(nb::dict fields);
ShardedWriteSettings WriteSettingsOf(nb::dict fields);
ShardFormatOptions ShardFormatOf(nb::dict fields);
std::vector<RangeBoundary> BoundariesOf(nb::handle boundaries);
/// A manifest's `sharding` object.
ShardingSpec ShardingSpecOf(nb::dict fields);

/// Microseconds since 1970.
inline int64_t Micros(UtcTime time) { return time.time_since_epoch().count(); }
inline UtcTime UtcOf(int64_t micros) { return UtcTime(std::chrono::microseconds(micros)); }

/// As the fields of RequiredShardMeta, RequiredBuildMeta (created_at as `created_at_us`, microseconds).
nb::dict ToPython(const ShardMeta& shard);
nb::dict ToPython(const BuildMeta& build);
/// (ref, run_id, microseconds)
nb::tuple ToPython(const ManifestRef& ref);
nb::object ToPython(const std::optional<Key>& key);

}  // namespace datashard::python
