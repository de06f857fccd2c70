// The first wave of a commit on a directory: files whose write-back starts at once and that become durable together.
#pragma once

#include <memory>

#include "storage/directory_tree.h"
#include "storage/object_store.h"

namespace datashard {

/// A write group on `tree`, which must outlive it; `beneath` is the tree's and names files in messages.
std::unique_ptr<WriteGroup> NewLocalWriteGroup(const Beneath& beneath, DirectoryTree& tree);

}  // namespace datashard
