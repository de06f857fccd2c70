// A group of new objects in a bucket: kept until Sync and put all at once then; large ones go up in parts as they come.
#pragma once

#include <memory>
#include <string>

#include "s3/exclusive_puts.h"
#include "storage/object_store.h"

namespace datashard::s3 {

/// `prefix`: before every key, with its '/'. Borrows client and puts.
std::unique_ptr<WriteGroup> MakeS3WriteGroup(S3Client& client, ExclusivePuts& puts, std::string prefix);

}  // namespace datashard::s3
