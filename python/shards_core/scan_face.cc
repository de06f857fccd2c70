#include "scan_face.h"

#include <nanobind/stl/string.h>

#include "datashard/sharding_functions.h"

namespace datashard::python {
namespace {

constexpr size_t kRowsFirst = 16, kRowsMost = 1024;
constexpr size_t kBytesMost = size_t{1} << 20;

/// Pairs of a scan, fetched many at a time without the GIL. The first batches are small: who wants one pair waits for few.
class PythonScan {
 public:
  PythonScan(std::unique_ptr<ShardedScan> scan, KeyEncoding encoding, nb::object owner)
      : owner_(std::move(owner)), scan_(std::move(scan)), encoding_(encoding) {}
  ~PythonScan() {
    nb::gil_scoped_release nogil;
    scan_.reset();
  }

  nb::tuple Next() {
    if (next_ == rows_.size()) Fetch();
    if (next_ == rows_.size()) throw nb::stop_iteration();
    const Row row = rows_[next_++];
    const std::string_view key = std::string_view(bytes_).substr(row.key_at, row.key_size);
    const std::string_view value = std::string_view(bytes_).substr(row.key_at + row.key_size, row.value_size);
    return nb::make_tuple(Decoded(key), nb::bytes(value.data(), value.size()));
  }

 private:
  struct Row {
    size_t key_at, key_size, value_size;
  };

  void Fetch() {
    rows_.clear();
    bytes_.clear();
    next_ = 0;
    if (done_) return;
    Unlocked(Doing::kRead, [&] { return Fill(); });
    rows_wanted_ = std::min(rows_wanted_ * 4, kRowsMost);
  }
  Status Fill() {
    while (rows_.size() < rows_wanted_ && bytes_.size() < kBytesMost) {
      DS_ASSIGN_OR_RETURN(const bool more, scan_->Next());
      if (!more) {
        done_ = true;
        break;
      }
      rows_.push_back({bytes_.size(), scan_->key().size(), scan_->value().size()});
      bytes_.append(scan_->key()).append(scan_->value());
    }
    return {};
  }
  nb::object Decoded(std::string_view key) const {
    const size_t number_size = encoding_ == KeyEncoding::kU64Be ? 8 : encoding_ == KeyEncoding::kU32Be ? 4 : 0;
    if (number_size != 0 && key.size() == number_size) {
      uint64_t number = 0;
      for (const char byte : key) number = number << 8 | static_cast<unsigned char>(byte);
      return Steal(PyLong_FromUnsignedLongLong(number));
    }
    if (encoding_ == KeyEncoding::kUtf8) {
      nb::object text = nb::steal(PyUnicode_DecodeUTF8(key.data(), static_cast<Py_ssize_t>(key.size()), "strict"));
      if (text.is_valid()) return text;
      PyErr_Clear();  // a key that was written as bytes
    }
    return nb::bytes(key.data(), key.size());
  }

  nb::object owner_;  // its callbacks and manifests are used by the scan
  std::unique_ptr<ShardedScan> scan_;
  KeyEncoding encoding_;
  std::vector<Row> rows_;
  std::string bytes_;
  size_t next_ = 0, rows_wanted_ = kRowsFirst;
  bool done_ = false;
};

/// As stored; bytes are taken to be a stored key or the beginning of one.
std::string BoundOf(nb::handle key, KeyEncoding encoding) {
  if (PyBytes_Check(key.ptr())) return {PyBytes_AS_STRING(key.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(key.ptr()))};
  return OrThrow(Doing::kKey, StoredKey(OrThrow(Doing::kKey, KeyOf(key.ptr())), encoding));
}

using Opened = Result<std::unique_ptr<ShardedScan>>;

template <typename Open>
PythonScan* NewScan(nb::handle self, Open open) {
  auto& core = nb::cast<ReaderCore&>(self);
  ShardedReader& reader = core.reader();
  const KeyEncoding encoding = reader.manifest()->build.key_encoding;
  auto scan = Unlocked(
      Doing::kRead, [&] { return open(reader); }, &core.callbacks());
  return new PythonScan(std::move(scan), encoding, nb::borrow(self));
}

PythonScan* Scan(nb::handle self, nb::handle start, nb::handle end) {
  const KeyEncoding encoding = nb::cast<ReaderCore&>(self).reader().manifest()->build.key_encoding;
  const std::string first = start.is_none() ? std::string() : BoundOf(start, encoding);
  std::optional<std::string> last;
  if (!end.is_none()) last = BoundOf(end, encoding);
  return NewScan(self, [&](ShardedReader& reader) -> Opened {
    return reader.Scan(first, last.has_value() ? std::optional<std::string_view>(*last) : std::nullopt);
  });
}

PythonScan* ScanPrefix(nb::handle self, nb::handle prefix) {
  const KeyEncoding encoding = nb::cast<ReaderCore&>(self).reader().manifest()->build.key_encoding;
  if (!PyBytes_Check(prefix.ptr()) && !PyUnicode_Check(prefix.ptr())) {
    throw ContextError(Error(ErrorKind::kInvalidArgument, "the beginning of a key is str or bytes"), Doing::kKey);
  }
  const std::string wanted = BoundOf(prefix, encoding);
  return NewScan(self, [&](ShardedReader& reader) -> Opened { return reader.ScanPrefix(wanted); });
}

}  // namespace

void BindScan(nb::module_& module, nb::class_<ReaderCore>& reader) {
  using namespace nb::literals;
  nb::class_<PythonScan>(module, "Scan", "Pairs of a snapshot in ascending order of their stored keys.")
      .def("__iter__", [](nb::handle self) { return nb::borrow(self); })
      .def("__next__", &PythonScan::Next);
  reader.def("_scan", &Scan, "start"_a.none(), "end"_a.none())
      .def("_scan_prefix", &ScanPrefix, "prefix"_a.none());
}

}  // namespace datashard::python
