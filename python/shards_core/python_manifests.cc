#include "python_manifests.h"

#include "settings.h"

namespace datashard::python {
namespace {

ManifestRef RefOf(nb::handle fields) {
  const auto given = nb::cast<nb::tuple>(fields);
  return {nb::cast<std::string>(given[0]), nb::cast<std::string>(given[1]), UtcOf(nb::cast<int64_t>(given[2]))};
}

}  // namespace

Result<std::string> PythonManifests::Store(const ShardedManifest& manifest) {
  DS_ASSIGN_OR_RETURN(const std::string bytes, EncodeManifest(manifest));
  return callbacks_.Run([&] { return nb::cast<std::string>(bridge_.attr("store")(nb::bytes(bytes.data(), bytes.size()))); });
}

Status PythonManifests::SetCurrent(const std::string& ref, const CurrentGuard& guard) {
  if (guard != nullptr) {
    DS_ASSIGN_OR_RETURN(const std::optional<ManifestRef> current, LoadCurrent());
    DS_RETURN_IF_ERROR(guard(current));
  }
  return callbacks_.Run([&] { bridge_.attr("set_current")(ref); });
}

Result<std::optional<ManifestRef>> PythonManifests::LoadCurrent() {
  return callbacks_.Run([&]() -> std::optional<ManifestRef> {
    nb::object found = bridge_.attr("load_current")();
    if (found.is_none()) return std::nullopt;
    return RefOf(found);
  });
}

Result<ShardedManifest> PythonManifests::LoadManifest(const std::string& ref) {
  DS_ASSIGN_OR_RETURN(const std::string bytes, callbacks_.Run([&] {
    const auto loaded = nb::cast<nb::bytes>(bridge_.attr("load_manifest")(ref));
    return std::string(loaded.c_str(), loaded.size());
  }));
  return DecodeManifest(bytes);
}

Result<std::vector<ManifestRef>> PythonManifests::ListManifests(int64_t limit) {
  return callbacks_.Run([&] {
    std::vector<ManifestRef> refs;
    for (nb::handle ref : nb::object(bridge_.attr("list_manifests")(limit))) refs.push_back(RefOf(ref));
    return refs;
  });
}

}  // namespace datashard::python
