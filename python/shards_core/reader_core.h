// What the reader classes of the package stand on: an open reader and the conversions around it.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "context_error.h"
#include "datashard/sharded_reader.h"
#include "python_key.h"
#include "python_manifests.h"

namespace datashard::python {

/// Columns given with a lookup. Keeps alive what they borrow from.
class Context {
 public:
  /// \param columns  a mapping, or None. Throws ContextError.
  explicit Context(PyObject* columns);
  /// Null where none was given.
  const RoutingContext* get() const { return given_ ? &columns_ : nullptr; }

 private:
  bool given_ = false;
  RoutingContext columns_;
  std::vector<std::string> names_;
  std::vector<nb::object> held_;
};

class ReaderCore {
 public:
  ReaderCore() = default;
  ~ReaderCore();
  ReaderCore(const ReaderCore&) = delete;

  /// \param manifests  a bridge, or None for the manifests of the prefix.
  void Open(nb::dict settings, nb::object manifests);
  /// Ends an Open that runs in another thread.
  void GiveUp() { given_up_ = true; }
  bool is_open() const { return reader_ != nullptr; }
  /// Throws ReaderStateError's ContextError before Open.
  ShardedReader& reader();
  Callbacks& callbacks() { return callbacks_; }

  /// What the collector of cycles has to know of; null: none.
  PyObject* bridge() const { return manifests_ == nullptr ? nullptr : manifests_->bridge().ptr(); }
  /// For the collector: nobody uses the reader any more.
  void Clear();

  /// Lookups go to the Python methods `_get` and `_multi_get` of the object instead: they have somebody to tell, or to wait for.
  bool observed = false;

  /// A new reference to bytes or None; null with an exception pending. Throws ContextError and python_error, too.
  PyObject* Get(PyObject* key, PyObject* context);
  /// The same without waiting for storage: NotImplemented where that would be needed.
  PyObject* GetResident(PyObject* key, PyObject* context);
  nb::dict MultiGet(nb::handle keys, nb::handle context);

 private:
  PyObject* Look(PyObject* key, PyObject* context, bool wait);

  std::atomic<bool> given_up_ = false;
  Callbacks callbacks_;
  std::unique_ptr<PythonManifests> manifests_;
  std::unique_ptr<ShardedReader> reader_;
};

}  // namespace datashard::python
