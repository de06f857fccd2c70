// What a Ring, its slots and its leaderships share: the memory, the locks, and how a waiter is woken.
#pragma once

#include <string>
#include <utility>

#include "ring/layout.h"
#include "ring/locks.h"
#include "ring/ring.h"
#include "ring/ring_file.h"

namespace datashard::ring {

struct Ring::View {
  View(const ForkHold& hold, OpenRingFile opened, Mapping mapped)
      : id(std::move(opened.id)),
        mapping(std::move(mapped)),
        shared(mapping.shared()),
        locks(hold, std::move(opened.file), std::move(opened.descriptor)) {}

  /// False where another owner lives. Afterwards the slot is kFree, with the seq it had.
  Result<bool> TryOwn(int slot);
  /// Slots from this number on were never used. Read by whoever has just released the lead, so never stale.
  int SlotsUsed() const;
  /// Something happened that the owner of `slot` may wait for.
  void Wake(int slot);
  /// Wakes one slot that waits and whose owner lives, so that it takes the lead. Call it when the lead is free.
  void PassLeadOn();
  /// Wakes all that wait.
  void OfferLeadToAll();

  const std::string id;
  const Mapping mapping;
  Shared& shared;
  Locks locks;

 private:
  bool OfferLead(int slot);
};

}  // namespace datashard::ring
