// Expiry and collection: what Table offers of the rooms commit and collect.
#include "collect/collector.h"
#include "commit/expire_snapshots.h"
#include "table/table_impl.h"

namespace datashard {
namespace {

// The lead changes hands every few milliseconds; who has not got it by then commits beside the leader.
constexpr std::chrono::microseconds kTurnPause = std::chrono::milliseconds(1);
constexpr int kTurnTries = 500;

}  // namespace

Result<commit::Committed> TableImpl::CommitInTurn(commit::Change& change, const catalog::VersionPtr& known,
                                                  const Interrupted& interrupted) {
  commit::GroupCommitter& committer_of_groups = group_committer(known);
  const std::unique_ptr<WriteGroup> group = store->NewWriteGroup();
  DS_ASSIGN_OR_RETURN(const commit::Until until, commit::UntilOf(known->metadata, outside.clock, interrupted));
  for (int tries = 1;; ++tries) {
    DS_ASSIGN_OR_RETURN(std::optional<commit::Committed> committed,
                        committer_of_groups.TryCommit(change, known, *group, until,
                                                      /*beside_the_leader=*/tries == kTurnTries));
    if (committed) {
      Remember(committed->version);
      return *std::move(committed);
    }
    if (interrupted) DS_RETURN_IF_ERROR(interrupted());
    outside.clock.Sleep(kTurnPause);
  }
}

Result<ExpireReport> Table::ExpireSnapshots(const ExpireOptions& options, const Interrupted& interrupted) {
  const InterruptScope scope(interrupted, kCommitGrace);
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  commit::ExpireSnapshots change(*impl_->store, options);
  DS_RETURN_IF_ERROR(change.ReadArchive(version->metadata));
  DS_ASSIGN_OR_RETURN(const commit::Committed committed, impl_->CommitInTurn(change, version, interrupted));
  ExpireReport report = change.report();
  report.version = committed.version->number;
  return report;
}

Result<CollectReport> Table::CollectGarbage(const CollectOptions& options, const Interrupted& interrupted) {
  const InterruptScope scope(interrupted, kCommitGrace);
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  return collect::CollectGarbage(*impl_->store, impl_->catalog, impl_->outside, version, options,
                                 [&](commit::Change& change, const catalog::VersionPtr& known) {
                                   return impl_->CommitInTurn(change, known, interrupted);
                                 });
}

}  // namespace datashard
