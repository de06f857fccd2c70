// Transactions: rows are written to data files as they come, and named by one snapshot at Commit.
#include <algorithm>

#include "base/error.h"
#include "commit/append_files.h"
#include "data/data_file.h"
#include "datashard/rows.h"
#include "table/table_impl.h"

namespace datashard {
namespace {

/// Same names, types and nullability, in whatever order.
bool SameColumns(const Schema& table, const Schema& given) {
  return table.fields.size() == given.fields.size() &&
         std::all_of(given.fields.begin(), given.fields.end(), [&](const Field& field) {
           const Field* own = table.Find(field.name);
           return own != nullptr && own->type == field.type && own->required == field.required;
         });
}

std::string ColumnsOf(const Schema& schema) {
  std::string text;
  for (const Field& field : schema.fields) {
    text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", field.name, field.type.ToString(),
                        field.required ? " required" : "");
  }
  return text;
}

/// The schema the rows are written in: the table's, or what a schema-less table is to adopt.
Result<Schema> SchemaForRows(const iceberg::TableMetadata& metadata, const std::optional<Schema>& staged,
                             const std::optional<Schema>& given, ArrowStream& rows) {
  if (given) DS_RETURN_IF_ERROR(given->Validate());
  const bool schemaless = commit::IsSchemaless(metadata);
  if (!schemaless || staged) {
    const Schema& own = staged ? *staged : metadata.current_schema();
    if (given && !SameColumns(own, *given)) {
      return InvalidArgument("the schema given differs from the table's. Table: {}. Given: {}. Nothing was appended",
                             ColumnsOf(own), ColumnsOf(*given))
          .About(ErrorSubject::kSchema);
    }
    return own;
  }
  if (given) return *given;
  ArrowSchemaHandle columns;
  const int code = rows->get_schema(rows.get(), columns.get());
  if (code != 0) return data::StreamError(*rows.get(), code);
  DS_ASSIGN_OR_RETURN(Schema inferred, InferSchema(*columns.get()));
  if (inferred.fields.empty()) {
    return InvalidArgument("{} has no schema yet and the rows have no columns to take one from", metadata.location)
        .About(ErrorSubject::kSchema);
  }
  DS_RETURN_IF_ERROR(inferred.Validate());
  return inferred;
}

}  // namespace

struct Transaction::Staged {
  catalog::VersionPtr base;
  std::optional<Schema> schema;  // of the files
  std::unique_ptr<WriteGroup> group;
  std::vector<std::string> keys;
  std::vector<DataFile> files;
};

Transaction::Transaction(std::shared_ptr<TableImpl> impl) : impl_(std::move(impl)) {}
Transaction::~Transaction() { Rollback(); }

void Transaction::Begin() {
  Rollback();
  staged_ = std::make_unique<Staged>();
  staged_->group = impl_->store->NewWriteGroup();
}

bool Transaction::is_active() const { return staged_ != nullptr; }

Status Transaction::Append(ArrowStream rows, const std::optional<Schema>& schema) {
  if (!is_active()) return InvalidArgument("Transaction is not active: call Begin first");
  DS_ASSIGN_OR_RETURN(staged_->base, impl_->Current());
  const iceberg::TableMetadata& metadata = staged_->base->metadata;
  DS_ASSIGN_OR_RETURN(Schema own, SchemaForRows(metadata, staged_->schema, schema, rows));
  DS_ASSIGN_OR_RETURN(ArrowStream conformed, data::ConformRows(std::move(rows), own));
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

Result<std::optional<Snapshot>> Transaction::Commit(const Interrupted& interrupted) {
  if (!is_active()) return InvalidArgument("Transaction is not active: call Begin first");
  if (staged_->files.empty()) {
    Rollback();
    return std::optional<Snapshot>();
  }
  const commit::AppendFiles change(std::move(staged_->files), std::move(*staged_->schema));
  Result<catalog::VersionPtr> published = impl_->committer.Commit(change, staged_->base, *staged_->group, interrupted);
  if (!published.ok()) {
    // An open outcome keeps every file; in all other cases nothing names them and nothing ever will.
    if (published.kind() == ErrorKind::kCommitUnknown) staged_->keys.clear();
    Rollback();
    return std::move(published).error();
  }
  staged_.reset();
  impl_->Remember(*published);
  return std::optional(*(*published)->metadata.current_snapshot());
}

bool Transaction::Rollback() {
  if (!is_active()) return false;
  for (const std::string& key : staged_->keys) {
    if (const Status deleted = impl_->store->Delete(key); !deleted.ok()) {
      impl_->outside.log.Write(LogLevel::kWarning, fmt::format("a data file that nothing names stays behind: {}",
                                                               deleted.error().ToString()));
    }
  }
  staged_.reset();
  return true;
}

}  // namespace datashard
