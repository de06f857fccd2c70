// `datashard info`, `log`, `version` and help: what a table and this program are. No rows are read.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "cli/commands.h"
#include "cli/open_table.h"
#include "datashard/table.h"
#include "cli/interrupt.h"
#include "cli/moment.h"
#include "cli/text.h"

namespace datashard::cli {
namespace {

// A number in a snapshot's summary; summaries are texts that any writer may have left out or got wrong.
std::optional<int64_t> SummaryNumber(const Snapshot& snapshot, std::string_view key) {
  for (const auto& [name, text] : snapshot.summary) {
    int64_t value = 0;
    if (name != key) continue;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
  }
  return std::nullopt;
}

std::string Shown(std::optional<int64_t> number) { return number ? WithThousands(*number) : "?"; }

struct TableFacts {
  std::string location;
  std::string uuid;
  int64_t version = 0;
  std::optional<Schema> schema;
  Properties properties;
  std::optional<Snapshot> current;
  int64_t snapshots = 0;
  int64_t rows = 0;
  int64_t files = 0;
  int64_t size_bytes = 0;  ///< of the data files
};

Result<TableFacts> FactsOf(const Table& table) {
  TableFacts facts;
  facts.location = table.location();
  DS_ASSIGN_OR_RETURN(facts.uuid, table.uuid());
  DS_ASSIGN_OR_RETURN(facts.version, table.version());
  DS_ASSIGN_OR_RETURN(facts.schema, table.schema());
  DS_ASSIGN_OR_RETURN(facts.properties, table.properties());
  DS_ASSIGN_OR_RETURN(facts.current, table.current_snapshot());
  DS_ASSIGN_OR_RETURN(facts.snapshots, table.snapshot_count());
  if (!facts.current) return facts;
  DS_ASSIGN_OR_RETURN(facts.rows, table.row_count(facts.current->snapshot_id));
  // Manifests are the truth about files; a summary is only what a writer said. Costs a read for each manifest.
  DS_ASSIGN_OR_RETURN(const std::vector<ManifestFile> manifests, table.ReadManifestList(facts.current->manifest_list));
  for (const ManifestFile& manifest : manifests) {
    DS_RETURN_IF_ERROR(CheckSignals());
    if (manifest.content != ManifestContent::kData) continue;
    DS_ASSIGN_OR_RETURN(const std::vector<ManifestEntry> entries, table.ReadManifest(manifest.manifest_path));
    facts.files += static_cast<int64_t>(entries.size());
    for (const ManifestEntry& entry : entries) facts.size_bytes += entry.data_file.file_size_in_bytes;
  }
  return facts;
}

std::string InfoJson(const std::string& path, const TableFacts& facts) {
  std::vector<std::string> columns;
  if (facts.schema)
    for (const Field& field : facts.schema->fields)
      columns.push_back(JsonObject()
                            .Number("id", field.id)
                            .Text("name", field.name)
                            .Text("type", field.type.ToString())
                            .Flag("required", field.required)
                            .Done());
  JsonObject properties;
  for (const auto& [key, value] : facts.properties) properties.Text(key, value);
  return JsonObject()
      .Text("table", path)
      .Text("location", facts.location)
      .Text("uuid", facts.uuid)
      .Number("version", facts.version)
      .Number("rows", facts.rows)
      .Number("files", facts.files)
      .Number("size_bytes", facts.size_bytes)
      .Number("snapshots", facts.snapshots)
      .Number("current_snapshot_id", facts.current ? std::optional(facts.current->snapshot_id) : std::nullopt)
      .Raw("schema", facts.schema ? JsonList(columns) : "null")
      .Raw("properties", properties.Done())
      .Done();
}

std::string InfoText(const TableFacts& facts, const Terminal& terminal) {
  std::string text;
  constexpr int32_t kKeyWidth = 11;
  const auto line = [&](std::string_view key, std::string_view value) {
    text += fmt::format("{}{}\n", terminal.Dim(fmt::format("{:<{}}", key, kKeyWidth)), Printable(value));
  };
  line("location", facts.location);
  line("uuid", facts.uuid);
  line("version", fmt::format("{}", facts.version));
  line("rows", WithThousands(facts.rows));
  line("files", fmt::format("{} ({})", WithThousands(facts.files), HumanBytes(static_cast<double>(facts.size_bytes))));
  line("snapshots", facts.current ? fmt::format("{}, the current one is {} of {}", WithThousands(facts.snapshots),
                                                facts.current->snapshot_id, FormatInstant(facts.current->timestamp_ms))
                                  : WithThousands(facts.snapshots));
  for (const auto& [key, value] : facts.properties)
    line("property", Shorten(Printable(fmt::format("{} = {}", key, value)), terminal.width - kKeyWidth));
  return text;
}

}  // namespace

Status Run(const InfoArguments& arguments, Output& out) {
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<Table> table, OpenTable(arguments.table));
  DS_ASSIGN_OR_RETURN(const TableFacts facts, FactsOf(*table));
  if (arguments.json || !out.terminal().is_terminal) return out.Write(InfoJson(table->path(), facts) + "\n");
  DS_RETURN_IF_ERROR(out.Write(InfoText(facts, out.terminal())));
  if (!facts.schema) return out.Write("It has no schema yet and takes that of its first append.\n");
  DS_RETURN_IF_ERROR(out.Write("\n"));
  TextTable columns(out, {{"id", TextTable::Style::kNumber}, {"column"}, {"type"}, {"required"}}, "column");
  for (const Field& field : facts.schema->fields)
    DS_RETURN_IF_ERROR(
        columns.AddRow({fmt::format("{}", field.id), field.name, field.type.ToString(), field.required ? "yes" : ""}));
  return columns.Finish();
}

Status Run(const LogArguments& arguments, Output& out) {
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<Table> table, OpenTable(arguments.table));
  DS_ASSIGN_OR_RETURN(std::vector<Snapshot> snapshots, table->snapshots({.limit = arguments.limit}));
  DS_ASSIGN_OR_RETURN(const std::optional<Snapshot> current, table->current_snapshot());
  std::reverse(snapshots.begin(), snapshots.end());
  if (arguments.json || !out.terminal().is_terminal) {
    for (const Snapshot& snapshot : snapshots) {
      JsonObject summary;
      for (const auto& [key, value] : snapshot.summary) summary.Text(key, value);
      DS_RETURN_IF_ERROR(out.Write(JsonObject()
                                       .Number("snapshot_id", snapshot.snapshot_id)
                                       .Number("parent_snapshot_id", snapshot.parent_snapshot_id)
                                       .Flag("current", current && current->snapshot_id == snapshot.snapshot_id)
                                       .Text("timestamp", FormatInstant(snapshot.timestamp_ms))
                                       .Number("timestamp_ms", snapshot.timestamp_ms)
                                       .Number("sequence_number", snapshot.sequence_number)
                                       .Text("operation", snapshot.operation())
                                       .Raw("summary", summary.Done())
                                       .Done() +
                                   "\n"));
    }
    return {};
  }
  using Style = TextTable::Style;
  TextTable listing(out,
                    {{"snapshot", Style::kNumber},
                     {"time", Style::kWhole},
                     {"operation", Style::kWhole},
                     {"rows added", Style::kNumber},
                     {"rows", Style::kNumber}},
                    "snapshot");
  for (const Snapshot& snapshot : snapshots) {
    const bool is_current = current && current->snapshot_id == snapshot.snapshot_id;
    DS_RETURN_IF_ERROR(listing.AddRow({fmt::format("{}{}", is_current ? "*" : "", snapshot.snapshot_id),
                                       FormatInstant(snapshot.timestamp_ms), std::string(snapshot.operation()),
                                       Shown(SummaryNumber(snapshot, "added-records")),
                                       Shown(SummaryNumber(snapshot, "total-records"))}));
  }
  DS_RETURN_IF_ERROR(listing.Finish());
  return current ? out.Write(out.terminal().Dim("* the current one") + "\n") : Status();
}

Status Run(const VersionArguments& arguments, Output& out) {
  if (arguments.json) return out.Write(JsonObject().Text("version", DATASHARD_VERSION).Done() + "\n");
  return out.Write("datashard " DATASHARD_VERSION "\n");
}

Status Run(const HelpText& help, Output& out) { return out.Write(help.text); }

}  // namespace datashard::cli
