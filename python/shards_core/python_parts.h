// Parts of a writer that are code of the user's: run registry, shard adapters, events, CEL. Behind shardyfusion/_bridges.py.
#pragma once

#include <memory>
#include <string>

#include "context_error.h"
#include "datashard/sharded_writer.h"

namespace datashard::python {

/// Takes the GIL for every call. Made and destroyed with the GIL; `callbacks` outlives it.
class PythonRegistry final : public RunRegistry {
 public:
  PythonRegistry(nb::object bridge, Callbacks& callbacks) : bridge_(std::move(bridge)), callbacks_(callbacks) {}
  Result<std::string> Create(const RunRecord& record) override;
  Status Update(const std::string& ref, const RunRecord& record) override;
  Result<RunRecord> Load(const std::string& ref) override;

 private:
  nb::object bridge_;
  Callbacks& callbacks_;
};

/// `open(db_url, local_dir)` gives an object with write_batch, flush, seal, db_bytes and close(sealed). Both are borrowed by what is returned.
ShardAdapterFactory PythonAdapters(const nb::object& open, Callbacks& callbacks);
/// `emit(event, numbers)`; what it raises was logged by the bridge.
WriteEventSink PythonEvents(const nb::object& emit, Callbacks& callbacks);
/// `evaluate(tuple of the columns)` gives int, str or bytes.
std::function<Result<Key>(std::span<const CelValue>)> PythonCel(const nb::object& evaluate, Callbacks& callbacks);

}  // namespace datashard::python
