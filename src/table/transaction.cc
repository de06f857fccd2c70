// Transactions: rows are written to data files as they come, and named by one snapshot at Commit.
#include <unistd.h>

#include "base/error.h"
#include "commit/append_files.h"
#include "commit/lease.h"
#include "data/data_file.h"
#include "table/schema_for_rows.h"
#include "table/table_impl.h"

namespace datashard {

struct Transaction::Staged {
  catalog::VersionPtr base;
  std::optional<Schema> schema;  // of the files
  std::unique_ptr<WriteGroup> group;
  std::vector<std::string> keys;
  std::vector<DataFile> files;
  std::unique_ptr<commit::Lease> lease;  // from the first file on
  pid_t owner = ::getpid();  // a fork child shares the files, which are its parent's to name or to remove
};

Transaction::Transaction(std::shared_ptr<TableImpl> impl) : impl_(std::move(impl)) {}
Transaction::~Transaction() { Rollback(); }

void Transaction::Begin() {
  Rollback();
  staged_ = std::make_unique<Staged>();
  staged_->group = impl_->store->NewWriteGroup();
}

bool Transaction::is_active() const { return staged_ != nullptr && staged_->owner == ::getpid(); }

Status Transaction::Append(ArrowStream rows, const std::optional<Schema>& schema) {
  if (!is_active()) return InvalidArgument("Transaction is not active: call Begin first");
  DS_ASSIGN_OR_RETURN(staged_->base, impl_->Current());
  const iceberg::TableMetadata& metadata = staged_->base->metadata;
  DS_ASSIGN_OR_RETURN(Schema own, SchemaForRows(metadata, staged_->schema, schema, rows));
  DS_ASSIGN_OR_RETURN(ArrowStream conformed, data::ConformRows(std::move(rows), own));
  if (staged_->lease == nullptr) {
    DS_ASSIGN_OR_RETURN(staged_->lease, commit::Lease::Take(*impl_->store, impl_->outside.random));
  } else {
    DS_RETURN_IF_ERROR(staged_->lease->Hold());
  }
  const std::string key = fmt::format("data/auto_{}.parquet", RandomHex(impl_->outside.random, 16));
  DS_ASSIGN_OR_RETURN(std::optional<DataFile> file,
                      data::WriteDataFile(std::move(conformed), own, *staged_->group, key,
                                          fmt::format("{}/{}", impl_->store->root_uri(), key)));
  if (!file) return {};
  staged_->schema = std::move(own);
  staged_->keys.push_back(key);
  staged_->files.push_back(std::move(*file));
  return {};
}

Result<std::optional<CommittedSnapshot>> Transaction::Commit(const Interrupted& interrupted) {
  if (!is_active()) return InvalidArgument("Transaction is not active: call Begin first");
  const InterruptScope scope(interrupted, kCommitGrace);
  if (staged_->files.empty()) {
    Rollback();
    return std::optional<CommittedSnapshot>();
  }
  if (Status held = staged_->lease->Hold(); !held.ok()) {
    Rollback();
    return std::move(held).error();
  }
  Result<commit::Until> until = commit::UntilOf(staged_->base->metadata, impl_->outside.clock, interrupted);
  Result<CommittedSnapshot> committed =
      !until.ok() ? Result<CommittedSnapshot>(std::move(until).error())
                  : impl_->CommitFiles({.files = std::move(staged_->files), .schema = std::move(*staged_->schema),
                                        .base = staged_->base},
                                       *staged_->group, commit::PayloadKind::kTransaction, *until);
  if (!committed.ok()) {
    // An open outcome keeps every file, and the lease until it is old; in all other cases nothing names them and nothing
    // ever will.
    if (committed.kind() == ErrorKind::kCommitUnknown) {
      staged_.reset();
    } else {
      Rollback();
    }
    return std::move(committed).error();
  }
  staged_->lease->Release();
  staged_.reset();
  return std::optional(*committed);
}

bool Transaction::Rollback() {
  if (!is_active()) {
    staged_.reset();
    return false;
  }
  for (const std::string& key : staged_->keys) {
    if (const Status deleted = impl_->store->Delete(key); !deleted.ok()) {
      impl_->outside.log.Write(LogLevel::kWarning, fmt::format("a data file that nothing names stays behind: {}",
                                                               deleted.error().ToString()));
    }
  }
  if (staged_->lease != nullptr) staged_->lease->Release();
  staged_.reset();
  return true;
}

}  // namespace datashard
