// `datashard scan` and `datashard count`: rows that match, as they were at some moment.
#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/open_table.h"
#include "datashard/table.h"
#include "cli/interrupt.h"
#include "cli/moment.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "cli/where.h"

namespace datashard::cli {
namespace {

// Up to so many rows one thread finds faster than several that read ahead.
constexpr int64_t kLimitForOneThread = 10'000;

Error NoSchema(const std::string& table, std::string_view option) {
  return Error(ErrorKind::kInvalidArgument,
               fmt::format("{} has no schema yet, so {} has no columns to speak of; append rows first",
                           Printable(table), option),
               ErrorSubject::kColumn);
}

Result<std::optional<int64_t>> SnapshotIdOf(const Table& table, const std::optional<std::string>& at) {
  if (!at) return std::optional<int64_t>();
  DS_ASSIGN_OR_RETURN(const Snapshot snapshot, ResolveMoment(table, *at));
  return std::optional(snapshot.snapshot_id);
}

TextTable::Style StyleOf(const Field* field) {
  if (field == nullptr) return TextTable::Style::kText;
  switch (field->type.kind()) {
    case TypeKind::kInt:
    case TypeKind::kLong:
    case TypeKind::kFloat:
    case TypeKind::kDouble:
    case TypeKind::kDecimal:
      return TextTable::Style::kNumber;
    case TypeKind::kBoolean:
    case TypeKind::kDate:
    case TypeKind::kTime:
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz:
      return TextTable::Style::kWhole;
    default:
      return TextTable::Style::kText;
  }
}

// Takes the rows of a scan in one of the three styles and stops at the limit.
class RowPrinter {
 public:
  RowPrinter(const ScanArguments& arguments, const Schema& schema, Output& out)
      : limit_(arguments.limit.value_or(INT64_MAX)), schema_(schema), out_(out), progress_("scan") {
    style_ = arguments.style;
    if (style_ == RowStyle::kByTerminal) style_ = out.terminal().is_terminal ? RowStyle::kTable : RowStyle::kJsonLines;
    // A progress line between rows on the same screen would only be in the way.
    shows_progress_ = !out.terminal().is_terminal;
  }

  void SetTotal(int64_t rows) { progress_.SetTotal(std::min(rows, limit_)); }

  Status Print(ArrowStream rows) {
    Status status;
    if (style_ == RowStyle::kJsonLines) {
      if (limit_ == 0) return {};
      status = ForEachJsonLine(std::move(rows), [this](std::string_view line) -> Status {
        DS_RETURN_IF_ERROR(out_.Write(line));
        DS_RETURN_IF_ERROR(out_.Write("\n"));
        return Next();
      });
    } else {
      status = ForEachTextRow(std::move(rows), [this](const Cells& cells) { return TextRow(cells); });
    }
    progress_.Clear();
    if (!status.ok() && !limit_reached_) return status;
    return table_ ? table_->Finish() : Status();
  }

 private:
  Status TextRow(const Cells& cells) {
    if (header_written_) {
      DS_RETURN_IF_ERROR(style_ == RowStyle::kCsv ? out_.Write(CsvRecord(cells)) : table_->AddRow(cells));
      return Next();
    }
    header_written_ = true;
    if (style_ == RowStyle::kCsv) {
      DS_RETURN_IF_ERROR(out_.Write(CsvRecord(cells)));
    } else {
      std::vector<TextTable::Column> columns;
      for (const std::optional<std::string>& name : cells)
        columns.push_back({name.value_or(""), StyleOf(schema_.Find(name.value_or("")))});
      table_.emplace(out_, std::move(columns));
    }
    return limit_ == 0 ? Stop() : Status();
  }

  Status Next() {
    ++rows_;
    if (rows_ == limit_) return Stop();
    if (shows_progress_ && rows_ % 1024 == 0) progress_.SetRows(rows_);
    return CheckSignals();
  }

  // An error is how a sink ends a stream early; Print does not pass it on.
  Status Stop() {
    limit_reached_ = true;
    return Error(ErrorKind::kUnavailable, "the limit is reached");
  }

  const int64_t limit_;
  const Schema& schema_;
  Output& out_;
  Progress progress_;
  RowStyle style_;
  bool shows_progress_ = false;
  std::optional<TextTable> table_;
  bool header_written_ = false;
  bool limit_reached_ = false;
  int64_t rows_ = 0;
};

}  // namespace

Status Run(const ScanArguments& arguments, Output& out) {
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<Table> table, OpenTable(arguments.table));
  DS_ASSIGN_OR_RETURN(const std::optional<Schema> schema, table->schema());
  ScanOptions options;
  DS_ASSIGN_OR_RETURN(options.snapshot_id, SnapshotIdOf(*table, arguments.at));
  if (!schema) {
    if (!arguments.columns.empty()) return NoSchema(arguments.table, "--columns");
    if (!arguments.where.empty()) return NoSchema(arguments.table, "--where");
    return {};
  }
  if (!arguments.columns.empty()) {
    options.columns.emplace();
    for (const std::string& list : arguments.columns) {
      DS_ASSIGN_OR_RETURN(const std::vector<std::string> names, ParseNames(list));
      for (const std::string& name : names) {
        DS_ASSIGN_OR_RETURN(const Field* field, FindColumn(*schema, name));
        options.columns->push_back(field->name);
      }
    }
  }
  DS_ASSIGN_OR_RETURN(options.filter, BindWhere(arguments.where, *schema));
  const bool few = arguments.limit && *arguments.limit <= kLimitForOneThread;
  options.threads = arguments.threads == 0 && few ? 1 : arguments.threads;
  RowPrinter printer(arguments, *schema, out);
  if (options.filter.empty()) {
    DS_ASSIGN_OR_RETURN(const int64_t rows, table->row_count(options.snapshot_id));
    printer.SetTotal(rows);
  }
  DS_ASSIGN_OR_RETURN(ArrowStream rows, table->Scan(std::move(options)));
  return printer.Print(std::move(rows));
}

Status Run(const CountArguments& arguments, Output& out) {
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<Table> table, OpenTable(arguments.table));
  ScanOptions options;
  DS_ASSIGN_OR_RETURN(options.snapshot_id, SnapshotIdOf(*table, arguments.at));
  int64_t count = 0;
  if (arguments.where.empty()) {
    DS_ASSIGN_OR_RETURN(count, table->row_count(options.snapshot_id));
  } else {
    DS_ASSIGN_OR_RETURN(const std::optional<Schema> schema, table->schema());
    if (!schema) return NoSchema(arguments.table, "--where");
    DS_ASSIGN_OR_RETURN(options.filter, BindWhere(arguments.where, *schema));
    options.columns.emplace();  // no columns: only how many rows match
    options.threads = arguments.threads;
    DS_ASSIGN_OR_RETURN(ArrowStream rows, table->Scan(std::move(options)));
    while (true) {
      DS_RETURN_IF_ERROR(CheckSignals());
      ArrowArrayHandle batch;
      const int code = rows->get_next(rows.get(), batch.get());
      if (code != 0) {
        batch.get()->release = nullptr;  // the interface leaves it undefined after a failure
        return data::StreamError(*rows.get(), code);
      }
      if (batch.empty()) break;
      count += batch->length;
    }
  }
  if (arguments.json) return out.Write(JsonObject().Number("count", count).Done() + "\n");
  return out.Write(fmt::format("{}\n", count));
}

}  // namespace datashard::cli
