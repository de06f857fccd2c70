// The binding converts, lets go of the GIL, calls, and converts back; what a table does is the core's business, and how
// Python users spell it is datashard/iceberg.py's.
#include "table_face.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <utility>

#include "datashard/rows.h"
#include "datashard/table.h"
#include "python_error.h"
#include "records_to_arrow.h"
#include "row_stream.h"
#include "schema_face.h"
#include "signals.h"

namespace datashard::python {
namespace {

using namespace nb::literals;

constexpr const char* kCommittedBefore = "the append was committed before that";

std::optional<Schema> OptionalSchema(const std::optional<nb::tuple>& schema) {
  if (!schema) return std::nullopt;
  return SchemaFromPython(nb::cast<int64_t>((*schema)[0]), (*schema)[1]);
}

template <typename T>
nb::object OptionalToPython(const std::optional<T>& value, nb::dict (*convert)(const T&)) {
  return value ? nb::object(convert(*value)) : nb::none();
}

using MaybeSchema = std::optional<nb::tuple>;

/// Rows ready for an append, and the schema to pass along with them.
struct Rows {
  ArrowStream stream;
  std::optional<Schema> schema;
};

/// `records` as rows of the schema given, else of the table's, else of one that fits them.
Rows RowsOfRecords(const Table& table, nb::handle records, const MaybeSchema& given) {
  Rows rows;
  rows.schema = OptionalSchema(given);
  if (rows.schema) {
    rows.stream = StreamOfRecords(records, *rows.schema);
    return rows;
  }
  const std::optional<Schema> own = Unlocked([&] { return table.schema_for_append(); });
  if (own) {
    rows.stream = StreamOfRecords(records, *own);
  } else {
    rows.schema = SchemaOfRecords(records);
    rows.stream = StreamOfRecords(records, *rows.schema);
  }
  return rows;
}

Rows RowsOfObject(nb::handle object, const MaybeSchema& given) {
  return {.stream = StreamOfObject(object), .schema = OptionalSchema(given)};
}

nb::dict CommittedToPython(const CommittedSnapshot& committed) {
  nb::dict dict;
  dict["version"] = committed.version;
  dict["snapshot_id"] = committed.snapshot_id;
  dict["sequence_number"] = committed.sequence_number;
  dict["timestamp_ms"] = committed.timestamp_ms;
  return dict;
}

nb::object Append(Table& table, Rows rows) {
  Signals signals;
  const Interrupted interrupted = signals.callback();
  Result<std::optional<CommittedSnapshot>> appended = [&] {
    nb::gil_scoped_release nogil;
    return table.Append(std::move(rows.stream), rows.schema, interrupted);
  }();
  signals.RaiseAfter(appended, kCommittedBefore);
  return OptionalToPython(ValueOrThrow(std::move(appended)), CommittedToPython);
}

RowStream Scan(const Table& table, std::optional<std::vector<std::string>> columns, nb::handle filter,
               std::optional<int64_t> snapshot_id, int32_t threads, int64_t batch_rows, bool verify) {
  ScanOptions options{.columns = std::move(columns),
                      .filter = FilterFromPython(filter),
                      .snapshot_id = snapshot_id,
                      .threads = threads,
                      .batch_rows = batch_rows,
                      .verify = verify ? Verify::kPage : Verify::kOff};
  return RowStream(Unlocked([&] { return table.Scan(std::move(options)); }));
}

void BindTransaction(nb::module_& module) {
  nb::class_<Transaction>(module, "Transaction", "Several appends that become visible in one snapshot.")
      .def("begin", &Transaction::Begin, nb::call_guard<nb::gil_scoped_release>(), "Start afresh.")
      .def_prop_ro("is_active", &Transaction::is_active, "Was it begun and not ended?")
      .def(
          "append_records",
          [](Transaction& transaction, const Table& table, nb::handle records, const MaybeSchema& schema) {
            Rows rows = RowsOfRecords(table, records, schema);
            Unlocked([&] { return transaction.Append(std::move(rows.stream), rows.schema); });
          },
          "table"_a, "records"_a, "schema"_a.none(), "Stage a list of dicts.")
      .def(
          "append_arrow",
          [](Transaction& transaction, nb::handle rows_of, const MaybeSchema& schema) {
            Rows rows = RowsOfObject(rows_of, schema);
            Unlocked([&] { return transaction.Append(std::move(rows.stream), rows.schema); });
          },
          "rows"_a, "schema"_a.none(), "Stage the rows of an object with Arrow capsules.")
      .def(
          "append_parquet",
          [](Transaction& transaction, const std::string& path) {
            Unlocked([&]() -> Status {
              DS_ASSIGN_OR_RETURN(ArrowStream rows, ReadRows(path, RowFormat::kParquet));
              return transaction.Append(std::move(rows));
            });
          },
          "path"_a, "Stage a copy of the rows of a Parquet file.")
      .def(
          "commit",
          [](Transaction& transaction) {
            Signals signals;
            const Interrupted interrupted = signals.callback();
            Result<std::optional<CommittedSnapshot>> committed = [&] {
              nb::gil_scoped_release nogil;
              return transaction.Commit(interrupted);
            }();
            signals.RaiseAfter(committed, kCommittedBefore);
            return OptionalToPython(ValueOrThrow(std::move(committed)), CommittedToPython);
          },
          "Publish what was staged. Returns the snapshot as a dict of ids, or None where there were no rows.")
      .def("rollback", &Transaction::Rollback, nb::call_guard<nb::gil_scoped_release>(),
           "Forget what was staged. False where it was not active.");
}

}  // namespace

void BindTable(nb::module_& module) {
  BindTransaction(module);
  nb::class_<Table>(module, "Table", "A handle on a table; callable from several threads.")
      .def_static(
          "create",
          [](const std::string& path, const MaybeSchema& schema, Properties properties, bool open_existing) {
            CreateOptions options{.schema = OptionalSchema(schema), .properties = std::move(properties),
                                  .open_existing = open_existing};
            return Unlocked([&] { return Table::Create(path, std::move(options)); });
          },
          "path"_a, "schema"_a.none(), "properties"_a, "open_existing"_a, "Create a table, or open the one that is there.")
      .def_static(
          "open", [](const std::string& path) { return Unlocked([&] { return Table::Open(path); }); }, "path"_a,
          "Open a table; creates nothing.")
      .def_prop_ro("created", &Table::created)
      .def_prop_ro("path", &Table::path)
      .def_prop_ro("location", &Table::location)
      .def("version", [](const Table& table) { return Unlocked([&] { return table.version(); }); })
      .def("uuid", [](const Table& table) { return Unlocked([&] { return table.uuid(); }); })
      .def("schema",
           [](const Table& table) -> nb::object {
             const std::optional<Schema> schema = Unlocked([&] { return table.schema(); });
             return schema ? nb::object(SchemaToPython(*schema)) : nb::none();
           },
           "(schema_id, field dicts), or None while the table has no schema.")
      .def("properties", [](const Table& table) { return Unlocked([&] { return table.properties(); }); })
      .def("metrics", [](const Table& table) { return table.metrics(); }, "Sums by name of what happened through this handle.")
      .def("metadata_json", [](const Table& table) { return Unlocked([&] { return table.metadata_json(); }); })
      .def("current_snapshot",
           [](const Table& table) {
             return OptionalToPython(Unlocked([&] { return table.current_snapshot(); }), SnapshotToPython);
           })
      .def("snapshot_by_id",
           [](const Table& table, int64_t id) {
             return OptionalToPython(Unlocked([&] { return table.snapshot_by_id(id); }), SnapshotToPython);
           },
           "snapshot_id"_a)
      .def("snapshot_as_of",
           [](const Table& table, int64_t timestamp_ms) {
             return OptionalToPython(Unlocked([&] { return table.snapshot_as_of(timestamp_ms); }), SnapshotToPython);
           },
           "timestamp_ms"_a)
      .def("snapshots",
           [](const Table& table, std::optional<int64_t> limit) {
             nb::list list;
             for (const Snapshot& snapshot : Unlocked([&] { return table.snapshots({.limit = limit}); }))
               list.append(SnapshotToPython(snapshot));
             return list;
           },
           "limit"_a.none() = nb::none(), "Oldest first; only the newest `limit` where that is given.")
      .def("row_count",
           [](const Table& table, std::optional<int64_t> id) { return Unlocked([&] { return table.row_count(id); }); },
           "snapshot_id"_a.none())
      .def("scan", &Scan, "columns"_a.none(), "filter"_a, "snapshot_id"_a.none(), "threads"_a, "batch_rows"_a, "verify"_a,
           "Plan a scan. `filter` is a sequence of (column, operator, value); threads 0 means one per core.")
      .def("append_records",
           [](Table& table, nb::handle records, const MaybeSchema& schema) {
             return Append(table, RowsOfRecords(table, records, schema));
           },
           "records"_a, "schema"_a.none(), "Append a list of dicts; returns the snapshot it is in as a dict of ids, or None for no rows.")
      .def("append_arrow",
           [](Table& table, nb::handle rows, const MaybeSchema& schema) { return Append(table, RowsOfObject(rows, schema)); },
           "rows"_a, "schema"_a.none(), "Append the rows of an object with Arrow capsules.")
      .def("new_transaction", &Table::NewTransaction, nb::keep_alive<0, 1>())
      .def("read_manifest_list",
           [](const Table& table, const std::string& path) {
             nb::list list;
             for (const ManifestFile& line : Unlocked([&] { return table.ReadManifestList(path); }))
               list.append(ManifestFileToPython(line));
             return list;
           },
           "path"_a)
      .def("read_manifest",
           [](const Table& table, const std::string& path) {
             nb::list list;
             for (const ManifestEntry& entry : Unlocked([&] { return table.ReadManifest(path); }))
               list.append(ManifestEntryToPython(entry));
             return list;
           },
           "path"_a)
      .def("relative_path",
           [](const Table& table, const std::string& uri) { return Unlocked([&] { return table.RelativePath(uri); }); },
           "uri"_a, "`uri` relative to the table's root.")
      .def("file_exists",
           [](const Table& table, const std::string& path) { return Unlocked([&] { return table.FileExists(path); }); },
           "path"_a)
      .def("data_file_paths",
           [](const Table& table, std::optional<int64_t> id) { return Unlocked([&] { return table.DataFilePaths(id); }); },
           "snapshot_id"_a.none())
      .def("metadata_path", [](const Table& table) { return Unlocked([&] { return table.MetadataPath(); }); })
      .def("duckdb_secret_sql",
           [](const Table& table, const std::string& name) { return Unlocked([&] { return table.DuckDbSecretSql(name); }); },
           "name"_a, "Has the bucket's keys in it.");
}

}  // namespace datashard::python
