// Which ring the writers of a table meet in: all processes of one host that may trust each other, see the same directory,
// and make files of the same owner and mode, and no others.
#pragma once

#include <string_view>

#include "datashard/result.h"
#include "ring/ring.h"

namespace datashard::ring {

/// The ring of the table `table_uuid` whose metadata lies in directory `metadata_path`. Names the directory by device and
/// inode, so that every path to it leads to one ring, and a table made anew in its place to another.
/// Errors: kNotFound, kDenied, kUnavailable: there is no ring for it.
Result<RingPlace> PlaceOf(std::string_view table_uuid, std::string_view metadata_path);

/// The ring of the table `table_uuid` in a bucket. `identity` tells the place in it, and whose credentials are used.
RingPlace PlaceOfBucket(std::string_view table_uuid, std::string_view identity);

}  // namespace datashard::ring
