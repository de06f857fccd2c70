// Single objects of a bucket or directory.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "context_error.h"
#include "datashard/object_access.h"
#include "faces.h"
#include "settings.h"

namespace datashard::python {
namespace {

/// Kept by a shared owner: threads may be in a call when Python drops it.
using Access = std::shared_ptr<ObjectAccess>;

class Objects {
  template <typename Ask>
  auto Call(Ask ask) {
    const Access access = access_;
    return Unlocked(Doing::kObject, [&] { return ask(*access); });
  }

 public:
  Objects(const std::string& root, nb::handle s3) {
    const SnapshotS3Options options = S3OptionsOf(s3);
    access_ = OrThrow(Doing::kConfigure, ObjectAccess::Open(root, options));
  }
  nb::bytes Get(const std::string& key) {
    const std::string body = Call([&](ObjectAccess& access) { return access.Get(key); });
    return nb::bytes(body.data(), body.size());
  }
  void Put(const std::string& key, nb::bytes body) {
    Call([&](ObjectAccess& access) { return access.Put(key, std::string_view(body.c_str(), body.size())); });
  }
  nb::tuple Head(const std::string& key) { return ToPython(Call([&](ObjectAccess& access) { return access.Head(key); })); }
  nb::list List(const std::string& prefix) {
    nb::list listed;
    for (const ObjectFacts& facts : Call([&](ObjectAccess& access) { return access.List(prefix); })) listed.append(ToPython(facts));
    return listed;
  }
  void Delete(const std::vector<std::string>& keys) {
    Call([&](ObjectAccess& access) { return access.Delete(keys); });
  }

 private:
  static nb::tuple ToPython(const ObjectFacts& facts) { return nb::make_tuple(facts.key, facts.size_bytes, Micros(facts.modified)); }
  Access access_;
};

}  // namespace

void BindObjects(nb::module_& module) {
  using namespace nb::literals;
  nb::class_<Objects>(module, "Objects", "Objects below one root.")
      .def(nb::init<const std::string&, nb::handle>(), "root"_a, "s3"_a.none(), "s3: the fields of SnapshotS3Options.")
      .def("get", &Objects::Get, "key"_a, "Raises FileNotFoundError.")
      .def("put", &Objects::Put, "key"_a, "body"_a)
      .def("head", &Objects::Head, "key"_a, "(key, size in bytes, modified in microseconds)")
      .def("list", &Objects::List, "prefix"_a, "All below `prefix`, which is empty or ends in '/'.")
      .def("delete", &Objects::Delete, "keys"_a);
}

}  // namespace datashard::python
