"""The rules that dev/mutate.py takes away: docs/design/fault-table.md says which line of the fault table each belongs to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    name: str
    rule: str    # what holds because of the text that is replaced
    file: str
    old: str     # there exactly once
    new: str
    target: str  # of ninja: the test program of `gtest`, or what the tests of `pytest` need
    gtest: str = ""               # a filter; every mutation has this or `pytest`
    pytest: tuple[str, ...] = ()  # arguments


MUTATIONS = [
    # Marks.
    Mutation("marks-read", "what a version has marked is not committed again", "src/commit/append_group.cc",
             "if (item.slot >= 0 && item.seq <= rings[ring_id_].marks.Of(item.slot)) {", "if (item.slot >= 0 && item.seq < 0) {", "sim_test",
             "GroupSim.NoRowIsThereTwiceWhereverALeaderIsStoppedWhileOthersLead:GroupSim.ALeaderThatDiesAtAnyCall*"),
    Mutation("marks-written", "a version that holds rows of a slot marks them", "src/commit/append_group.cc",
             "  RaiseOwn(members, rings);\n", "", "sim_test",
             "GroupSim.NoRowIsThereTwiceWhereverALeaderIsStoppedWhileOthersLead:GroupSim.ALeaderThatDiesAtAnyCall*"),
    Mutation("marks-never-fall", "a mark is never lowered", "src/commit/marks.cc",
             "if (seq > mark.seq) mark = {seq, sequence_number};", "mark = {seq, sequence_number};", "commit_test", "Marks.NeverFall"),
    Mutation("fence", "a table that has forgotten a ring takes nothing from it", "src/commit/append_group.cc",
             "if (!known && registered_) {", "if (!known && registered_ && items_.empty()) {", "sim_test",
             "GroupSim.AForgottenRingIsFencedAndPublishesNothing"),
    Mutation("withdrawal-marks", "an append that was given up raises its mark", "src/commit/append_group.cc",
             "        RaiseOwn({i}, rings);\n        break;", "        break;", "sim_test",
             "GroupSim.AWithdrawnAppendIsNeverPublishedByALeaderThatHeldACopy"),
    Mutation("pending-marks", "what another host has handed over is taken in only if all of it is above its marks",
             "src/commit/append_group.cc", "return member.second > ring->second.marks.Of(member.first);", "return member.second > 0;",
             "sim_test", "HostSim.*"),
    Mutation("pending-whole", "what was handed over is used whole or not at all", "src/commit/append_group.cc",
             "if (!whole) continue;", "if (!whole && sealed.members.empty()) continue;", "sim_test", "HostSim.*"),
    Mutation("pending-after-files", "a group is offered to other hosts once its files are there", "src/commit/across_hosts.cc",
             "  DS_RETURN_IF_ERROR(group.Sync());\n  alive();\n  const auto start", "  const auto start", "sim_test", "HostSim.*"),
    Mutation("pending-files", "files that were handed over are not removed", "src/commit/append_group.cc",
             "if (file.handed_over || (unused_only && file.used)) continue;", "if (unused_only && file.used) continue;", "sim_test",
             "HostSim.*"),
    Mutation("answer-by-seq", "an answer reaches the seq it was given for only", "src/ring/leadership.cc",
             "  uint64_t waiting = MakeWord(submission.seq, SlotState::kWait);\n  if (header.word.load() != waiting) return;",
             "  uint64_t waiting = header.word.load();", "ring_test",
             "RingTest.AnAnswerToAnOlderSeqOrToNoSlotIsNotHeard:RingTest.EveryAnswerReachesItsOwnerAndOnlyTheFirst"),
    # Two leaders.
    Mutation("deposition", "waiters depose a leader that gets nowhere", "src/ring/ring.cc",
             "if (view_->shared.header.term.compare_exchange_strong(term, term + 1)) view_->OfferLeadToAll();",
             "if (view_->shared.header.term.load() == term) view_->OfferLeadToAll();", "ring_test",
             "RingTest.ADeposedLeaderGoesOnBesideTheNext:RingProcesses.AStoppedLeaderIsDeposed*:RingProcesses.TwoNamespaces*"),
    Mutation("reply-cells", "a deposed leader does not write over its successor's answers", "src/ring/leadership.cc",
             "const uint64_t cell_number = term_ % 2;", "const uint64_t cell_number = 0;", "ring_test",
             "RingTest.AReplyOfTheLosingLeaderDoesNotTouchTheWinners"),
    # Old versions.
    Mutation("tombstones", "the name of a dropped version stays taken", "src/catalog/old_versions.cc",
             "DS_RETURN_IF_ERROR(store_.DropBody(info->key, kTombstone));", "DS_RETURN_IF_ERROR(store_.Delete(info->key));",
             "sim_test", "FaultTable.ALatePutAfterItsNameWasDroppedOrRemovedChangesNothing:"
                         "FaultTable.AStalledWriterWhoseBaseWasDropped*"),
    Mutation("base-check", "after its create a writer looks whether its base still has its body", "src/catalog/directory_catalog.cc",
             "DS_ASSIGN_OR_RETURN(holds, BaseStillThere(*base));", "holds = true;", "sim_test",
             "FaultTable.AStalledWriterWhoseBaseWasDropped*:CommitSim.AWriterStoppedOnAnOldBaseCommitsOnceOnTheNewest"),
    Mutation("stray-taken-back", "a stray version is removed by the writer that made it", "src/catalog/directory_catalog.cc",
             "    DS_RETURN_IF_ERROR(store_->Delete(ours.key));\n", "", "catalog_test",
             "OldVersionsTest.WhoWasStoppedOnAnOldBasePlansAgain"),
    Mutation("stray-not-followed", "who lost its base asks the hint instead of walking on", "src/catalog/directory_catalog.cc",
             "  if (!still_there) {\n    DS_ASSIGN_OR_RETURN(newest, Load());", "  if (false) {\n    DS_ASSIGN_OR_RETURN(newest, Load());",
             "catalog_test", "OldVersionsTest.AStrayOfAWriterThatDiedIsNotFollowedFromAnOldBase"),
    Mutation("names-after-bodies", "a name goes only after its body", "src/catalog/old_versions.cc",
             "std::min(head - limits_.names, oldest.body - 1)", "head - limits_.names", "catalog_test",
             "OldVersionsTest.ANameStaysAsLongAsItsBody"),
    # Durability: two waves.
    Mutation("first-wave-files", "the content of every new file is synced before the version gets its name",
             "src/storage/local_write_group.cc",
             "for (const std::shared_ptr<NewFile>& file : files_) DS_RETURN_IF_ERROR(file->SyncData());",
             "for (size_t i = 1; i < files_.size(); ++i) DS_RETURN_IF_ERROR(files_[i]->SyncData());", "storage_test",
             "LocalFaultsTest.AnAppendIsTwoWavesOfSyncs"),
    Mutation("first-wave-directories", "and the directories that name them", "src/storage/local_write_group.cc",
             "if (!pending.has_new_names) continue;", "if (!pending.has_new_names || key == \"data\") continue;", "storage_test",
             "LocalFaultsTest.AnAppendIsTwoWavesOfSyncs"),
    Mutation("second-wave", "the version's name is synced before anybody is told", "src/storage/new_file.cc",
             "  if (const int error = SyncDirectory(directory_->fd.get()); error != 0) {\n    return CommitUnknown(",
             "  if (const int error = 0; error != 0) {\n    return CommitUnknown(", "storage_test",
             "LocalFaultsTest.AnAppendIsTwoWavesOfSyncs:LocalFaultsTest.AnErrorAfterTheLinkIsUnknown"),
    Mutation("waves-in-order", "nothing is published before the first wave has ended", "src/commit/committer.cc",
             "if (Status synced = group.Sync(); !synced.ok()) return give_up(std::move(synced).error());", "", "sim_test",
             "CommitSim.CrashAfterEveryStoreCallOfAppends"),
    Mutation("others-version-durable", "an answer that rests on another's version makes that durable first",
             "src/commit/append_group.cc",
             "if (!store_.durable_when_visible()) rings[ring_id_].raised = true;", "", "sim_test", "GroupSim.AnAnswerThatRestsOnAnothersVersionMakesThatVersionDurableFirst"),
    Mutation("unsynced-name-unknown", "reading a version back does not settle a sync that failed", "src/catalog/directory_catalog.cc",
             "if (store_->durable_when_visible()) return Published::kWon;", "return Published::kWon;", "sim_test",
             "CommitSim.InADirectoryANameWithoutASyncIsNeverAcknowledged"),
    # In a bucket.
    Mutation("remote-trust", "a base that was not the newest lately is looked at before a version on it counts",
             "src/catalog/directory_catalog.cc", "constexpr auto kTrusted = std::chrono::minutes(10);",
             "constexpr auto kTrusted = std::chrono::hours(10);", "sim_test", "RemoteSim.AWriterStoppedTwice*"),
    Mutation("remote-loser", "that a version could be read does not say that it is young", "src/catalog/directory_catalog.cc",
             "  next.seen_us = known.seen_us.load();", "  next.seen_us = outside_.clock.Monotonic().count();", "sim_test",
             "RemoteSim.AWriterStoppedTwice*"),
    Mutation("remote-batches", "the first name of a batch tells whether it is being removed", "src/catalog/old_versions.h",
             "return (number - 1) / limits_.batch * limits_.batch + 1;", "return number;", "sim_test",
             "RemoteSim.AWriterStoppedTwice*:RemoteSim.AnOpenTable*"),
    Mutation("remote-made-again", "a name that a late request has made again is not taken for the first one",
             "src/catalog/directory_catalog.cc",
             "return first && ToMillis(first->modified - old_versions_.limits().remote_age / 2) <= version.metadata.last_updated_ms;",
             "return first.has_value();", "catalog_test", "RemoteCatalogTest.ANameThatALateRequestHasMadeAgainProvesNothing"),
    Mutation("remote-age", "no version goes that is younger than an hour", "src/catalog/old_versions.cc",
             "if (newest && now - newest->modified < limits_.remote_age) return false;", "static_cast<void>(now);", "catalog_test",
             "RemoteCatalogTest.VersionsGoOnlyAfterAnHourAndNeverTheNewest"),
    Mutation("settle-by-content", "after a lost answer the version that is there is ours only if it is what we wrote",
             "src/catalog/directory_catalog.cc", "if (*found != prepared.body) return Published::kLost;",
             "if (found->empty()) return Published::kLost;", "sim_test", "RemoteSim.LostLateAndRepeated*"),
    Mutation("put-token", "a put that is refused because of its own first attempt has won", "src/s3/s3_client.cc",
             "if (!token.empty() && head->token == token) return {};", "if (token.empty()) return {};", "s3_test",
             "S3Faults.ALostAnswerToAnAppliedExclusivePutIsStillOurs:S3Faults.ARequestThatCurlItselfSentTwice*"),
    # Foreign writers.
    Mutation("foreign-check", "a version that a Hadoop catalog has replaced is not acknowledged", "src/catalog/directory_catalog.cc",
             "holds = holds && ours;", "static_cast<void>(ours);", "catalog_test",
             "ForeignWritersTest.AVersionThatIsReplacedIsNotAcknowledged"),
    Mutation("foreign-base", "a base that may still be replaced is not built upon", "src/catalog/directory_catalog.cc",
             "if (gave_way || !IsSettled(*base)) {", "if (gave_way && !IsSettled(*base) && false) {", "catalog_test",
             "ForeignWritersTest.ABaseThatMayBeReplacedIsNotBuiltUpon"),
    # The ring's memory.
    Mutation("payload-checksum", "a payload counts only with its checksum", "src/ring/leadership.cc",
             "|| SubmissionCrc(copy, copy.payload) != crc) return std::nullopt;", "|| crc == 1) return std::nullopt;", "ring_test",
             "RingTest.GarbageInASlotIsNotTaken:RingTest.AMemoryFullOfGarbageKillsNobody"),
    Mutation("ring-magic", "a ring file of garbage is not joined", "src/ring/ring_file.cc",
             "if (count != sizeof preamble || preamble.magic != kMagic) return Corruption(", "if (count != sizeof preamble) return Corruption(", "ring_test", "RingFile.OfGarbageIsCorruption"),
    Mutation("ring-space", "a ring's memory is there before it is used", "src/ring/ring_file.cc",
             "error = ::posix_fallocate(fd, 0, sizeof(Shared));", "error = ::ftruncate(fd, sizeof(Shared)) == 0 ? 0 : errno;",
             "ring_test", "RingFile.OnAFullFileSystemIsUnavailableAndLeavesNothing"),
    Mutation("slot-killed-owner", "a killed owner's slot is usable at once", "src/ring/ring.cc",
             "  if (!taken) return false;\n  SlotHeader& header",
             "  if (!taken || IsWaiting(shared.slots[static_cast<size_t>(slot)].word.load())) return false;\n  SlotHeader& header",
             "ring_test", "RingProcesses.AKilledOwnersRowsAreTakenAndItsSlotIsUsableAtOnce"),
    # A removed and recreated table.
    Mutation("table-uuid", "a table made anew in the place of another is another table", "src/catalog/directory_catalog.cc",
             "if (found.metadata.table_uuid == table_uuid) return {};", "if (!table_uuid.empty()) return {};",
             "catalog_test", "DirectoryCatalogTest.AReplacedTableIsNoticed"),
    Mutation("base-in-place", "what the ring says the newest version is, is what lies under its name", "src/commit/group_committer.cc",
             "if (!IsInPlace(*decoded, base->blob)) return guess;", "static_cast<void>(&GroupCommitter::IsInPlace);", "_core",
             pytest=("tests/python/test_group_commit.py", "-k", "made_anew")),
    # Many writers.
    Mutation("wait-for-room", "who finds no slot does not race with the leader", "src/commit/group_committer.cc",
             "if (ring->closed() || late || !room.GoOn()) return PublishAlone", "static_cast<void>(late); return PublishAlone", "_core",
             pytest=("tests/python/test_group_commit.py", "-k", "find_no_slot")),
]
