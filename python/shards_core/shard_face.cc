// The objects of one shard, for adapters that upload them themselves.
#include <nanobind/stl/string.h>

#include "context_error.h"
#include "datashard/shard_objects.h"
#include "faces.h"
#include "settings.h"

namespace datashard::python {
namespace {

std::string_view ViewOf(nb::handle bytes) {
  if (!PyBytes_Check(bytes.ptr())) throw nb::type_error("keys and values are bytes");
  return {PyBytes_AS_STRING(bytes.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(bytes.ptr()))};
}

nb::list BuildShard(nb::dict format, nb::list pairs) {
  std::vector<std::pair<std::string_view, std::string_view>> views;
  views.reserve(pairs.size());
  for (nb::handle pair : pairs) {
    const auto both = nb::cast<nb::tuple>(pair);
    views.emplace_back(ViewOf(nb::object(both[0])), ViewOf(nb::object(both[1])));
  }
  const ShardFormatOptions options = ShardFormatOf(format);
  nb::list objects;
  for (const ShardObjectBytes& object : Unlocked(Doing::kRow, [&] { return BuildShardObjects(options, views); })) {
    objects.append(nb::make_tuple(object.name, object.content_type, nb::bytes(object.bytes.data(), object.bytes.size())));
  }
  return objects;
}

nb::tuple SidecarFrame(nb::bytes database) {
  const SidecarFrameBytes built = Unlocked(Doing::kObject, [&] { return BuildSqliteSidecarFrame({database.c_str(), database.size()}); });
  return nb::make_tuple(nb::bytes(built.frame.data(), built.frame.size()), built.body_bytes, built.page_size);
}

nb::bytes Sidecar(nb::bytes frame, uint64_t body_bytes, uint32_t page_size, const std::string& tag) {
  const std::string made = SqliteSidecarOf({{frame.c_str(), frame.size()}, body_bytes, page_size}, tag);
  return nb::bytes(made.data(), made.size());
}

}  // namespace

void BindShards(nb::module_& module) {
  using namespace nb::literals;
  module.def("build_shard", &BuildShard, "format"_a, "pairs"_a, "(name, content type, bytes) of a shard's objects; `pairs` ascend.");
  module.def("sidecar_frame", &SidecarFrame, "database"_a, "(frame, size of its body, page size) of a SQLite shard.");
  module.def("sidecar", &Sidecar, "frame"_a, "body_size"_a, "page_size"_a, "tag"_a, "The object shard.sidecar.");
}

}  // namespace datashard::python
