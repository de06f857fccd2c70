// ReadDataFiles: the row groups of a scan as one stream of batches.
#include <arrow/api.h>

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "data/arrow_support.h"
#include "data/arrow_types.h"
#include "data/data_file.h"
#include "data/row_source.h"
#include "data/scan_work.h"

namespace datashard::data {
namespace {

// Starting a thread costs about as much as decoding this many bytes.
constexpr int64_t kBytesPerThreadMin = 128 << 10;

class ScanRows final : public RowSource {
 public:
  ScanRows(std::shared_ptr<const ScanJob> job, std::shared_ptr<arrow::Schema> schema, std::unique_ptr<UnitQueue> queue)
      : job_(std::move(job)), schema_(std::move(schema)), queue_(std::move(queue)) {}

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    for (;;) {
      if (slices_ != nullptr) {
        std::shared_ptr<arrow::RecordBatch> batch;
        DS_RETURN_IF_ERROR(Lift(slices_->ReadNext(&batch), ErrorKind::kInternal));
        if (batch != nullptr) return batch;
        slices_.reset();
        table_.reset();
      }
      if (queue_ == nullptr) return std::shared_ptr<arrow::RecordBatch>();
      DS_ASSIGN_OR_RETURN(const auto unit, queue_->Next());
      if (unit == nullptr) {
        queue_.reset();  // its threads end with the rows
        continue;
      }
      Slice(*unit);
    }
  }

 private:
  void Slice(Unit& unit) {
    unit.columns.resize(job_->wanted);
    table_ = arrow::Table::Make(schema_, std::move(unit.columns), unit.rows);
    slices_ = std::make_unique<arrow::TableBatchReader>(*table_);
    if (job_->plan.batch_rows > 0) slices_->set_chunksize(job_->plan.batch_rows);
  }

  std::shared_ptr<const ScanJob> job_;
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<UnitQueue> queue_;
  std::shared_ptr<arrow::Table> table_;
  std::unique_ptr<arrow::TableBatchReader> slices_;
};

Result<std::shared_ptr<const ScanJob>> MakeJob(std::shared_ptr<ObjectStore> store, ReadPlan plan) {
  auto job = std::make_shared<ScanJob>();
  for (const int32_t id : plan.column_ids) {
    const Field* field = plan.schema.FindById(id);
    DS_CHECK(field != nullptr);
    job->fields.push_back(*field);
  }
  job->wanted = job->fields.size();
  for (const Predicate& predicate : plan.filter.all_of) {
    const auto found = std::find_if(job->fields.begin(), job->fields.end(),
                                    [&](const Field& field) { return field.name == predicate.column; });
    job->filter_fields.push_back(static_cast<size_t>(found - job->fields.begin()));
    if (found != job->fields.end()) continue;
    const Field* field = plan.schema.Find(predicate.column);
    DS_CHECK(field != nullptr);
    job->fields.push_back(*field);
  }
  job->store = std::move(store);
  job->plan = std::move(plan);
  return std::shared_ptr<const ScanJob>(std::move(job));
}

int UsefulThreads(const ReadPlan& plan) {
  int64_t bytes = 0;
  for (const ScanFile& file : plan.files) bytes += std::max<int64_t>(file.file.file_size_in_bytes, 0);
  return static_cast<int>(std::clamp<int64_t>(bytes / kBytesPerThreadMin, 1, std::max(plan.threads, 1)));
}

}  // namespace

Result<ArrowStream> ReadDataFiles(std::shared_ptr<ObjectStore> store, ReadPlan plan) {
  DS_RETURN_IF_ERROR(StartCompute());
  return Guarded(ErrorKind::kInternal, [&]() -> Result<ArrowStream> {
    DS_ASSIGN_OR_RETURN(const auto job, MakeJob(std::move(store), std::move(plan)));
    Schema wanted;
    wanted.fields.assign(job->fields.begin(), job->fields.begin() + static_cast<std::ptrdiff_t>(job->wanted));
    DS_ASSIGN_OR_RETURN(auto schema, ArrowSchemaOf(wanted));
    const int threads = UsefulThreads(job->plan);
    auto files = std::make_shared<ReadAhead>(job);
    auto queue = threads > 1 ? ThreadedQueue(job, std::move(files), threads) : InlineQueue(job, std::move(files));
    return ExportRows(std::make_unique<ScanRows>(job, std::move(schema), std::move(queue)));
  });
}

}  // namespace datashard::data
