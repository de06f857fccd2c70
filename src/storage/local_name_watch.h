// NameWatch on a local directory: inotify, after one look through the directory.
#pragma once

#include <memory>
#include <string>

#include "storage/beneath.h"
#include "storage/object_store.h"

namespace datashard {

/// Opens nothing before it is asked. Where the kernel gives no queue (fs.inotify.max_user_instances), every call looks
/// through the directory. `beneath` must outlive it.
std::unique_ptr<NameWatch> NewLocalNameWatch(const Beneath& beneath, std::string directory_key, NameFilter accept);

}  // namespace datashard
