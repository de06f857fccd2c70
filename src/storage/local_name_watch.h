// NameWatch on a local directory: inotify, after one look through the directory.
#pragma once

#include <memory>
#include <string>

#include "storage/beneath.h"
#include "storage/object_store.h"

namespace datashard {

/// Opens nothing before it is asked. All watches of a process share one queue of events, so that any number of tables may be
/// open. Where the kernel gives none (fs.inotify.max_user_instances) or follows no more directories (max_user_watches), every
/// call looks through the directory. `beneath` must outlive it.
std::unique_ptr<NameWatch> NewLocalNameWatch(const Beneath& beneath, std::string directory_key, NameFilter accept);

}  // namespace datashard
