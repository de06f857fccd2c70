// The rows of kv from a key on, in order.
#pragma once

#include <cstdint>
#include <memory>

#include "datashard/result.h"
#include "kv/database.h"
#include "sqlite/pages.h"

namespace datashard::sqlite {

/// `pages` is borrowed. Errors: as kv::Database::Scan.
Result<std::unique_ptr<kv::Cursor>> ScanFrom(const Pages& pages, uint32_t root, kv::KeyRange range);

}  // namespace datashard::sqlite
