// A store that counts what is asked of another: calls, bytes and seconds by operation.
#pragma once

#include <memory>

#include "base/outside.h"
#include "storage/object_store.h"

namespace datashard {

/// Adds to datashard_store_<operation>_calls_total, …_failures_total (any error but kNotFound and kAlreadyExists), …_bytes_total
/// and …_seconds, where <operation> is one of group_put, group_prepare, group_sync, writer_append, writer_finish, publish,
/// put_if_absent, replace, replace_hint, drop_body, get, get_many, get_range, open_reader, read_at, read_ranges, still_named, head, head_many, list,
/// delete, delete_many, server_time.
/// Bytes are those of bodies written or read. `outside` is borrowed.
std::unique_ptr<ObjectStore> MeteredStore(std::shared_ptr<ObjectStore> base, const Outside& outside);

}  // namespace datashard
