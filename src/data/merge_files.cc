#include "data/merge_files.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>

#include "base/error.h"
#include "data/row_source.h"

namespace datashard::data {
namespace {

/// Rows that stop when they are told to, and end only where all that were promised came.
class PromisedRows final : public RowSource {
 public:
  PromisedRows(std::unique_ptr<RowSource> rows, int64_t promised, std::function<Status()> go_on)
      : rows_(std::move(rows)), left_(promised), go_on_(std::move(go_on)) {}

  const std::shared_ptr<arrow::Schema>& schema() const override { return rows_->schema(); }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    DS_RETURN_IF_ERROR(go_on_());
    DS_ASSIGN_OR_RETURN(auto batch, rows_->Next());
    if (batch != nullptr) left_ -= batch->num_rows();
    if (batch == nullptr ? left_ != 0 : left_ < 0)
      return Corruption("a merge of data files reads {} rows {} than their manifests say", std::abs(left_), left_ > 0 ? "less" : "more");
    return batch;
  }

 private:
  std::unique_ptr<RowSource> rows_;
  int64_t left_;
  std::function<Status()> go_on_;
};

}  // namespace

Result<DataFile> MergeDataFiles(std::shared_ptr<ObjectStore> store, MergePlan plan, WriteGroup& group,
                                std::function<Status()> go_on) {
  int64_t promised = 0;
  for (const ScanFile& file : plan.files) promised += file.file.record_count;
  ReadPlan read{.schema = plan.schema, .files = std::move(plan.files), .requests = plan.requests};
  for (const Field& field : plan.schema.fields) read.column_ids.push_back(field.id);
  DS_ASSIGN_OR_RETURN(ArrowStream rows, ReadDataFiles(std::move(store), std::move(read)));
  DS_ASSIGN_OR_RETURN(std::unique_ptr<RowSource> source, ImportRows(std::move(rows)));
  ArrowStream checked = ExportRows(std::make_unique<PromisedRows>(std::move(source), promised, std::move(go_on)));
  DS_ASSIGN_OR_RETURN(std::optional<DataFile> merged,
                      WriteDataFile(std::move(checked), plan.schema, group, plan.key, std::move(plan.uri)));
  if (!merged || merged->record_count != promised)
    return Internal("{}: {} rows were written, expected {}", plan.key, merged ? merged->record_count : 0, promised);
  return *std::move(merged);
}

Status PrepareToMerge() {
  constexpr int64_t kRows = 2'000;  // more than a small file has, whose writer is another one
  const Schema schema{.fields = {{.id = 1, .name = "n", .type = Type(TypeKind::kLong)},
                                 {.id = 2, .name = "s", .type = Type(TypeKind::kString)}}};
  const auto numbers = arrow::MakeArrayFromScalar(*arrow::MakeScalar(int64_t{1}), kRows);
  const auto texts = arrow::MakeArrayFromScalar(*arrow::MakeScalar(std::string("x")), kRows);
  if (!numbers.ok() || !texts.ok()) return Internal("no memory for {} rows", kRows);
  const auto arrow_schema = arrow::schema({arrow::field("n", arrow::int64()), arrow::field("s", arrow::utf8())});
  const auto reader = arrow::RecordBatchReader::Make({arrow::RecordBatch::Make(arrow_schema, kRows, {*numbers, *texts})});
  ArrowStream rows;
  if (!reader.ok() || !arrow::ExportRecordBatchReader(*reader, rows.get()).ok()) return Internal("rows cannot be exported");
  const std::shared_ptr<ObjectStore> store = OpenMemoryStore("prepare", SystemClock());
  const std::unique_ptr<WriteGroup> group = store->NewWriteGroup();
  DS_ASSIGN_OR_RETURN(ArrowStream conformed, ConformRows(std::move(rows), schema));
  DS_ASSIGN_OR_RETURN(std::optional<DataFile> file, WriteDataFile(std::move(conformed), schema, *group, "a", "memory://prepare/a"));
  const MergePlan plan{.files = {{.key = "a", .file = *std::move(file)}}, .schema = schema, .key = "b", .uri = "memory://prepare/b"};
  DS_RETURN_IF_ERROR(MergeDataFiles(store, plan, *group, [] { return Status(); }));
  return {};
}

}  // namespace datashard::data
