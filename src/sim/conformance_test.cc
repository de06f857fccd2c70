// The simulation's stores keep the contract of all stores as long as nothing fails.
#include "storage/conformance.h"

#include "sim/faulty_store.h"
#include "sim/power_loss_store.h"
#include "sim/sim_clock.h"

namespace datashard::sim {
namespace {

StoreUnderTest MakeFaultyStore() {
  auto clock = std::make_shared<SimClock>();
  std::shared_ptr<ObjectStore> memory = OpenMemoryStore("faulty", *clock);
  return {.surroundings = clock, .store = std::make_shared<FaultyStore>(std::move(memory))};
}

StoreUnderTest MakePowerLossStore() {
  auto clock = std::make_shared<SimClock>();
  return {.surroundings = clock, .store = std::make_shared<PowerLossStore>("disk", *clock)};
}

DS_STORE_CONFORMANCE(Faulty, (StoreMaker{"faulty", MakeFaultyStore}));
DS_STORE_CONFORMANCE(PowerLoss, (StoreMaker{"power_loss", MakePowerLossStore}));

}  // namespace
}  // namespace datashard::sim
