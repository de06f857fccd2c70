// The directory a local store works in: resolved, and where wanted made with its parents, durably.
#pragma once

#include <string>
#include <string_view>

#include "storage/beneath.h"

namespace datashard {

/// As OpenLocalStore (object_store.h) says.
Result<Beneath> OpenLocalRoot(std::string_view path, bool create);

}  // namespace datashard
