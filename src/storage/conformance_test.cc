// The conformance suite on the stores of this room.
#include "storage/conformance.h"

#include "storage/metered_store.h"
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

struct Meters {
  MetricSums metrics;
  Outside outside{SystemClock(), SystemRandom(), metrics, SilentLog()};
};

StoreUnderTest MakeMeteredStore() {
  auto meters = std::make_shared<Meters>();
  std::shared_ptr<ObjectStore> memory = OpenMemoryStore("metered", SystemClock());
  return {.surroundings = meters, .store = MeteredStore(std::move(memory), meters->outside)};
}

DS_STORE_CONFORMANCE(Memory, (StoreMaker{"memory", MakeMemoryStore}));
DS_STORE_CONFORMANCE(Local, (StoreMaker{"local", MakeLocalStore}));
DS_STORE_CONFORMANCE(Metered, (StoreMaker{"metered", MakeMeteredStore}));

}  // namespace
}  // namespace datashard
