#include "python_parts.h"

#include <nanobind/stl/optional.h>

#include "python_key.h"
#include "settings.h"

namespace datashard::python {
namespace {

constexpr const char* kStatuses[] = {"running", "succeeded", "failed"};  // in the order of RunRecord::Status

nb::dict ToPython(const RunRecord& record) {
  nb::dict fields;
  fields["run_id"] = record.run_id;
  fields["writer_type"] = record.writer_type;
  fields["status"] = kStatuses[static_cast<int>(record.status)];
  fields["started_at"] = Micros(record.started_at);
  fields["updated_at"] = Micros(record.updated_at);
  fields["lease_expires_at"] = Micros(record.lease_expires_at);
  fields["s3_prefix"] = record.s3_prefix;
  fields["shard_prefix"] = record.shard_prefix;
  fields["db_path_template"] = record.db_path_template;
  fields["manifest_ref"] = nb::cast(record.manifest_ref);
  fields["error_type"] = nb::cast(record.error_type);
  fields["error_message"] = nb::cast(record.error_message);
  return fields;
}

RunRecord RecordOf(nb::handle found) {
  const auto fields = nb::cast<nb::dict>(found);
  const auto text = [&](const char* name) { return nb::cast<std::string>(fields[name]); };
  const auto optional = [&](const char* name) { return nb::cast<std::optional<std::string>>(fields[name]); };
  const auto time = [&](const char* name) { return UtcOf(nb::cast<int64_t>(fields[name])); };
  RunRecord record{.run_id = text("run_id"), .writer_type = text("writer_type")};
  const std::string status = text("status");
  record.status = status == kStatuses[0]   ? RunRecord::Status::kRunning
                  : status == kStatuses[1] ? RunRecord::Status::kSucceeded
                                           : RunRecord::Status::kFailed;
  record.started_at = time("started_at");
  record.updated_at = time("updated_at");
  record.lease_expires_at = time("lease_expires_at");
  record.s3_prefix = text("s3_prefix");
  record.shard_prefix = text("shard_prefix");
  record.db_path_template = text("db_path_template");
  record.manifest_ref = optional("manifest_ref");
  record.error_type = optional("error_type");
  record.error_message = optional("error_message");
  return record;
}

nb::bytes BytesFrom(std::string_view bytes) { return nb::bytes(bytes.data(), bytes.size()); }

class PythonAdapter final : public ShardAdapter {
 public:
  PythonAdapter(nb::object adapter, Callbacks& callbacks) : adapter_(std::move(adapter)), callbacks_(callbacks) {}
  ~PythonAdapter() override {
    nb::gil_scoped_acquire gil;
    adapter_.reset();
  }
  Status WriteBatch(std::span<const std::pair<std::string_view, std::string_view>> pairs) override {
    return callbacks_.Run([&] {
      nb::list batch;
      for (const auto& [key, value] : pairs) batch.append(nb::make_tuple(BytesFrom(key), BytesFrom(value)));
      adapter_.attr("write_batch")(batch);
    });
  }
  Status Flush() override {
    return callbacks_.Run([&] { adapter_.attr("flush")(); });
  }
  Status Seal() override {
    return callbacks_.Run([&] { adapter_.attr("seal")(); });
  }
  Result<int64_t> DbBytes() override {
    return callbacks_.Run([&] { return nb::cast<int64_t>(adapter_.attr("db_bytes")()); });
  }
  Status Close(bool sealed) override {
    return callbacks_.Run([&] { adapter_.attr("close")(sealed); });
  }

 private:
  nb::object adapter_;
  Callbacks& callbacks_;
};

nb::object ToPython(const CelValue& value) {
  struct Convert {
    nb::object operator()(std::monostate) const { return nb::none(); }
    nb::object operator()(int64_t number) const { return nb::int_(number); }
    nb::object operator()(uint64_t number) const { return nb::int_(number); }
    nb::object operator()(double number) const { return nb::float_(number); }
    nb::object operator()(bool truth) const { return nb::bool_(truth); }
    nb::object operator()(CelText text) const { return nb::str(text.text.data(), text.text.size()); }
    nb::object operator()(CelBytes bytes) const { return BytesFrom(bytes.bytes); }
  };
  return std::visit(Convert{}, value);
}

}  // namespace

Result<std::string> PythonRegistry::Create(const RunRecord& record) {
  return callbacks_.Run([&] { return nb::cast<std::string>(bridge_.attr("create")(ToPython(record))); });
}

Status PythonRegistry::Update(const std::string& ref, const RunRecord& record) {
  return callbacks_.Run([&] { bridge_.attr("update")(ref, ToPython(record)); });
}

Result<RunRecord> PythonRegistry::Load(const std::string& ref) {
  return callbacks_.Run([&] { return RecordOf(nb::object(bridge_.attr("load")(ref))); });
}

ShardAdapterFactory PythonAdapters(const nb::object& open, Callbacks& callbacks) {
  return [&open, &callbacks](const std::string& db_url, const std::string& local_dir) -> Result<std::unique_ptr<ShardAdapter>> {
    return callbacks.Run([&]() -> std::unique_ptr<ShardAdapter> {
      return std::make_unique<PythonAdapter>(open(db_url, local_dir), callbacks);
    });
  };
}

WriteEventSink PythonEvents(const nb::object& emit, Callbacks& callbacks) {
  return [&emit, &callbacks](std::string_view event, std::span<const std::pair<std::string_view, double>> numbers, std::string_view about) {
    const Status told = callbacks.Run([&] {
      nb::dict payload;
      for (const auto& [name, number] : numbers) payload[nb::str(name.data(), name.size())] = number;
      emit(nb::str(event.data(), event.size()), payload, Steal(PyUnicode_DecodeUTF8(about.data(), static_cast<Py_ssize_t>(about.size()), "replace")));
    });
    (void)told;  // the bridge lets nothing through
  };
}

std::function<Result<Key>(std::span<const CelValue>)> PythonCel(const nb::object& evaluate, Callbacks& callbacks) {
  return [&evaluate, &callbacks](std::span<const CelValue> columns) -> Result<Key> {
    Result<Result<Key>> evaluated = callbacks.Run([&]() -> Result<Key> {
      nb::list row;
      for (const CelValue& column : columns) row.append(ToPython(column));
      nb::object value = evaluate(nb::tuple(row));
      DS_ASSIGN_OR_RETURN(const KeyView view, KeyOf(value.ptr()));
      return Key(view);
    });
    if (!evaluated.ok()) return std::move(evaluated).error();
    return std::move(evaluated).value();
  };
}

}  // namespace datashard::python
