// The conformance suite on the stores of this room.
#include "storage/conformance.h"

#include "storage/temporary_directory.h"

namespace datashard {
namespace {

StoreUnderTest MakeMemoryStore() { return {.surroundings = {}, .store = OpenMemoryStore("conformance", SystemClock())}; }

StoreUnderTest MakeLocalStore() {
  auto directory = std::make_shared<TemporaryDirectory>();
  Result<std::unique_ptr<ObjectStore>> store = OpenLocalStore(directory->path(), /*create=*/false);
  EXPECT_THAT(store, IsOk());
  return {.surroundings = directory, .store = std::move(store).value()};
}

DS_STORE_CONFORMANCE(Memory, (StoreMaker{"memory", MakeMemoryStore}));
DS_STORE_CONFORMANCE(Local, (StoreMaker{"local", MakeLocalStore}));

}  // namespace
}  // namespace datashard
