// From the names in a table's metadata to objects of its store, and the manifests behind them. Metadata may come from
// anywhere: a name is followed only below the root the user opened.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "datashard/manifest.h"
#include "datashard/result.h"
#include "datashard/snapshot.h"
#include "iceberg/metadata.h"
#include "storage/object_store.h"

namespace datashard::catalog {

/// The key of `uri` below the root the store was opened at, or below the place the metadata says the table was at when
/// it was written (a moved table). Errors: kInvalidArgument for anything else: the table root must not be left.
Result<std::string> KeyOf(const ObjectStore& store, std::string_view location, std::string_view uri);

/// The lines of a snapshot's manifest list. Errors: kCorruption (kMetadata): missing or unreadable, the table is
/// inconsistent; kInvalidArgument: outside the root.
Result<std::vector<ManifestFile>> ReadManifestListOf(ObjectStore& store, const iceberg::TableMetadata& metadata,
                                                     const Snapshot& snapshot);

/// The live entries of one manifest, with inherited values filled in, checked against the counts of its line.
/// Errors as above.
Result<std::vector<ManifestEntry>> ReadManifestOf(ObjectStore& store, const iceberg::TableMetadata& metadata,
                                                  const ManifestFile& manifest);

}  // namespace datashard::catalog
