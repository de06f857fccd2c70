// `datashard import` and `datashard append`: rows of files into a table. Import commits batch after batch, so what it
// has committed stays when it is stopped; append commits once.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "cli/commands.h"
#include "cli/open_table.h"
#include "datashard/table.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/row_cutter.h"
#include "cli/stdin_pump.h"
#include "cli/text.h"

namespace datashard::cli {
namespace {

constexpr int64_t kAllRows = INT64_MAX;

std::string_view NameOf(const std::string& path) { return path == "-" ? "standard input" : std::string_view(path); }

std::string Counted(int64_t count, std::string_view thing) {
  return fmt::format("{} {}{}", WithThousands(count), thing, count == 1 ? "" : "s");
}

// Most errors of the reader name the file already.
Error About(const std::string& file, Error error) {
  const std::string name = Printable(NameOf(file));
  return error.message().find(name) == std::string::npos ? std::move(error).In(name) : std::move(error);
}

// The source's own error where there is one: through a consumer of a piece only a code and a text came back.
Error Reason(const RowCutter& rows, Error error) {
  return rows.error() && error.kind() != ErrorKind::kCommitUnknown ? *rows.error() : std::move(error);
}

// The schema that an append of `rows` is to give a table without one; none where the table has its own, which the
// columns of `rows` are then checked against.
Result<std::optional<Schema>> SchemaToAdopt(const Table& table, RowCutter& rows, const InputArguments& input) {
  DS_ASSIGN_OR_RETURN(const std::optional<Schema> schema, table.schema());
  DS_ASSIGN_OR_RETURN(const ArrowSchemaHandle columns, rows.schema());
  if (schema) {
    DS_RETURN_IF_ERROR(CheckColumns(*columns.get(), *schema));
    return std::optional<Schema>();
  }
  DS_ASSIGN_OR_RETURN(Schema adopted, SchemaOfRows(*columns.get(), input));
  return std::optional(std::move(adopted));
}

class Import {
 public:
  explicit Import(const ImportArguments& arguments) : arguments_(arguments), progress_("import") {
    progress_.SetInBytes(true);
  }

  Status Run() {
    DS_RETURN_IF_ERROR(OpenOrWait());
    if (std::find(arguments_.files.begin(), arguments_.files.end(), "-") != arguments_.files.end()) {
      DS_ASSIGN_OR_RETURN(standard_input_, StdinPump::Start());
    }
    MeasureInput();
    for (const std::string& file : arguments_.files) {
      file_ = file;
      Status status = ImportFile(file);
      if (!status.ok()) return Explain(std::move(status).error());
      bytes_before_file_ += SizeOfFile(file).value_or(0);
    }
    if (transaction_ != nullptr) {
      Result<std::optional<CommittedSnapshot>> snapshot = transaction_->Commit(CheckSignals);
      if (!snapshot.ok()) return Explain(std::move(snapshot).error());
      if (*snapshot) Committed(**snapshot, rows_read_);
    }
    return {};
  }

  Status Report(Output& out) {
    progress_.Clear();
    const double seconds = progress_.elapsed_s();
    if (arguments_.json || !out.terminal().is_terminal) {
      std::vector<std::string> ids;
      for (const int64_t id : snapshot_ids_) ids.push_back(fmt::format("{}", id));
      return out.Write(JsonObject()
                           .Text("table", arguments_.table)
                           .Flag("created", created_)
                           .Number("rows", rows_committed_)
                           .Raw("snapshots", JsonList(ids))
                           .Seconds("seconds", seconds)
                           .Done() +
                       "\n");
    }
    const auto rate = static_cast<int64_t>(static_cast<double>(rows_committed_) / std::max(seconds, 0.001));
    return out.Write(fmt::format("{}{}: {} imported in {}, {:.1f} s{}\n", created_ ? "created " : "",
                                 Printable(arguments_.table), Counted(rows_committed_, "row"),
                                 Counted(static_cast<int64_t>(snapshot_ids_.size()), "snapshot"), seconds,
                                 seconds < 1 ? "" : fmt::format(" ({} rows/s)", WithThousands(rate))));
  }

 private:
  Status OpenOrWait() {
    Result<std::unique_ptr<Table>> table = OpenTable(arguments_.table);
    if (table.ok()) {
      table_ = *std::move(table);
      return BeginTransaction();
    }
    const bool missing = table.kind() == ErrorKind::kNotFound && table.error().subject() == ErrorSubject::kTable;
    if (!missing || arguments_.no_create) return std::move(table).error();
    return {};
  }

  Status BeginTransaction() {
    if (!arguments_.single_snapshot) return {};
    transaction_ = table_->NewTransaction();
    transaction_->Begin();
    return {};
  }

  // Without a size for every input there is no end to count towards, so no bar and no ETA.
  void MeasureInput() {
    int64_t total = 0;
    for (const std::string& file : arguments_.files) {
      const std::optional<int64_t> size = SizeOfFile(file);
      if (!size) return;
      total += *size;
    }
    progress_.SetTotal(total);
  }

  Status ImportFile(const std::string& file) {
    progress_.SetLabel(Printable(NameOf(file)));
    RowsRequest request{.path = file};
    if (table_ != nullptr) {
      DS_ASSIGN_OR_RETURN(request.types, table_->schema());
    }
    request.on_progress = [this](int64_t bytes) { progress_.SetDone(bytes_before_file_ + bytes); };
    DS_ASSIGN_OR_RETURN(ArrowStream stream, OpenRows(request, arguments_.input));
    const int64_t rows_before = rows_read_;
    RowCutter rows(std::move(stream), [this, rows_before](int64_t taken) {
      progress_.SetRows(rows_before + taken);
      return CheckSignals();
    });
    // The first rows are read before the table is made, so that a file that cannot be read leaves no table behind.
    DS_ASSIGN_OR_RETURN(bool more, rows.HasMore());
    DS_RETURN_IF_ERROR(CreateIfMissing(rows));
    DS_ASSIGN_OR_RETURN(const std::optional<Schema> schema, SchemaToAdopt(*table_, rows, arguments_.input));
    while (more) {
      DS_RETURN_IF_ERROR(CheckSignals());  // one block of input may hold many batches
      const int64_t before = rows.rows_handed_out();
      DS_RETURN_IF_ERROR(AppendPiece(rows, schema));
      const int64_t count = rows.rows_handed_out() - before;
      rows_read_ += count;
      DS_ASSIGN_OR_RETURN(more, rows.HasMore());
    }
    return {};
  }

  Status CreateIfMissing(RowCutter& rows) {
    if (table_ != nullptr) return {};
    DS_ASSIGN_OR_RETURN(const ArrowSchemaHandle columns, rows.schema());
    DS_ASSIGN_OR_RETURN(Schema schema, SchemaOfRows(*columns.get(), arguments_.input));
    DS_ASSIGN_OR_RETURN(table_, Table::Create(arguments_.table, {.schema = std::move(schema)}));
    created_ = table_->created();
    return BeginTransaction();
  }

  Status AppendPiece(RowCutter& rows, const std::optional<Schema>& schema) {
    if (transaction_ != nullptr) {
      Status staged = transaction_->Append(rows.Next(kAllRows), schema);
      return staged.ok() ? Status() : Status(Reason(rows, std::move(staged).error()));
    }
    const int64_t before = rows.rows_handed_out();
    Result<std::optional<CommittedSnapshot>> snapshot = table_->Append(rows.Next(arguments_.batch_rows), schema, CheckSignals);
    if (!snapshot.ok()) return Reason(rows, std::move(snapshot).error());
    if (*snapshot) Committed(**snapshot, rows.rows_handed_out() - before);
    return {};
  }

  void Committed(const CommittedSnapshot& snapshot, int64_t rows) {
    snapshot_ids_.push_back(snapshot.snapshot_id);
    rows_committed_ += rows;
  }

  // `error` with how far the import got: that decides whether and from where it is run again.
  Error Explain(Error error) {
    progress_.Clear();
    std::string state;
    if (snapshot_ids_.empty()) {
      state = created_ ? "no rows were committed; the new table is there, empty" : "no rows were committed";
    } else {
      state =
          fmt::format("{} in {} were committed and stay; to go on, import the rest", Counted(rows_committed_, "row"),
                      Counted(static_cast<int64_t>(snapshot_ids_.size()), "snapshot"));
    }
    if (error.kind() == ErrorKind::kCommitUnknown) state = "before that, " + state;
    error = About(file_, std::move(error));
    return Error(error.kind(), fmt::format("{} ({})", error.message(), state), error.subject());
  }

  const ImportArguments& arguments_;
  Progress progress_;
  std::unique_ptr<StdinPump> standard_input_;
  std::unique_ptr<Table> table_;
  std::unique_ptr<Transaction> transaction_;
  std::string file_;
  bool created_ = false;
  int64_t bytes_before_file_ = 0;
  int64_t rows_read_ = 0;
  int64_t rows_committed_ = 0;
  std::vector<int64_t> snapshot_ids_;
};

}  // namespace

Status Run(const ImportArguments& arguments, Output& out) {
  Import import(arguments);
  DS_RETURN_IF_ERROR(import.Run());
  return import.Report(out);
}

Status Run(const AppendArguments& arguments, Output& out) {
  if (!arguments.file && isatty(STDIN_FILENO) == 1)
    return Error(ErrorKind::kInvalidArgument, "nothing to append: name a FILE, or pipe rows into standard input");
  const std::string file = arguments.file.value_or("-");
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<Table> table, OpenTable(arguments.table));
  std::unique_ptr<StdinPump> standard_input;
  if (file == "-") {
    DS_ASSIGN_OR_RETURN(standard_input, StdinPump::Start());
  }
  Progress progress{Printable(NameOf(file))};
  progress.SetInBytes(true);
  if (const std::optional<int64_t> size = SizeOfFile(file)) progress.SetTotal(*size);
  RowsRequest request{.path = file, .on_progress = [&](int64_t bytes) { progress.SetDone(bytes); }};
  DS_ASSIGN_OR_RETURN(request.types, table->schema());
  DS_ASSIGN_OR_RETURN(ArrowStream stream, OpenRows(request, arguments.input));
  RowCutter rows(std::move(stream), [&](int64_t taken) {
    progress.SetRows(taken);
    return CheckSignals();
  });
  Result<std::optional<Schema>> adopted = SchemaToAdopt(*table, rows, arguments.input);
  if (!adopted.ok()) return About(file, std::move(adopted).error());
  Result<std::optional<CommittedSnapshot>> snapshot = table->Append(rows.Next(kAllRows), *adopted, CheckSignals);
  progress.Clear();
  if (!snapshot.ok()) return About(file, Reason(rows, std::move(snapshot).error()));
  const int64_t count = rows.rows_handed_out();
  if (arguments.json || !out.terminal().is_terminal) {
    const std::optional<int64_t> id = *snapshot ? std::optional((*snapshot)->snapshot_id) : std::nullopt;
    return out.Write(
        JsonObject().Text("table", arguments.table).Number("rows", count).Number("snapshot_id", id).Done() + "\n");
  }
  if (!*snapshot) return out.Write(fmt::format("{}: no rows, so no snapshot\n", Printable(arguments.table)));
  return out.Write(fmt::format("{}: {} appended in snapshot {}\n", Printable(arguments.table), Counted(count, "row"),
                               (*snapshot)->snapshot_id));
}

}  // namespace datashard::cli
