// A table in memory with a short window and a clock of its own, and a model of its snapshots: for tests of expiry and
// collection. Snapshot i has the rows 0 … i.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "commit/committer.h"
#include "sim/sim_clock.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"
#include "table/table_impl.h"

namespace datashard {

/// A change that is a function.
class EditMetadata final : public commit::Change {
 public:
  explicit EditMetadata(std::function<void(iceberg::TableMetadata&)> edit) : edit_(std::move(edit)) {}
  Status Apply(commit::Draft& draft) override {
    edit_(draft.metadata);
    draft.changed = true;
    return {};
  }

 private:
  std::function<void(iceberg::TableMetadata&)> edit_;
};

class TestTable : public testing::Test {
 protected:
  TestTable() {
    auto made = CreateTableOn(store, outside(), {.schema = IdAndText(), .properties = {{"datashard.history.window-bytes", "1"}}});
    EXPECT_THAT(made, IsOk());
    table = std::move(made).value();
  }

  Outside outside() { return {clock, *random, metrics, SilentLog()}; }
  void Append(int count) {
    for (int i = 0; i < count; ++i) {
      clock.Sleep(std::chrono::milliseconds(5));
      ASSERT_THAT(table->Append(RowsWithIds({static_cast<int64_t>(model.size())})), IsOk());
      model.push_back(**table->current_snapshot());
    }
  }
  /// Publishes `change` on whatever is newest, beside the table's handle.
  static Status Commit(const std::shared_ptr<ObjectStore>& store, const Outside& outside, commit::Change& change) {
    catalog::DirectoryCatalog catalog(store, outside);
    commit::Committer committer(store, catalog, outside);
    DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, catalog.Load());
    const auto group = store->NewWriteGroup();
    DS_ASSIGN_OR_RETURN(const commit::Committed committed, committer.Commit(change, version, *group));
    return committed.version == version ? Status(Error(ErrorKind::kInternal, "nothing was published")) : Status();
  }
  void Edit(std::function<void(iceberg::TableMetadata&)> edit) {
    EditMetadata change(std::move(edit));
    ASSERT_THAT(Commit(store, outside(), change), IsOk());
  }
  void ExpectRows(const Table& of, size_t index) const {
    auto stream = of.Scan({.columns = {{"id"}}, .snapshot_id = model[index].snapshot_id});
    ASSERT_THAT(stream, IsOk());
    ASSERT_OK_AND_ASSIGN(const std::vector<int64_t> ids, IdsOf(std::move(stream).value()));
    ASSERT_EQ(ids.size(), index + 1);
    for (size_t i = 0; i <= index; ++i) ASSERT_EQ(ids[i], static_cast<int64_t>(i));
  }
  std::vector<std::string> Keys() const {
    std::vector<std::string> keys;
    const auto listed = store->List("");
    EXPECT_THAT(listed, IsOk());
    for (const ObjectInfo& object : *listed) keys.push_back(object.key);
    return keys;
  }
  bool Has(const std::string& key) const { return store->Head(key).ok(); }
  void Put(const std::string& key, std::string_view body = "x") { ASSERT_THAT(store->Replace(key, body), IsOk()); }

  sim::SimClock clock;
  MetricSums metrics;
  std::unique_ptr<Random> random = SeededRandom(5);
  std::shared_ptr<ObjectStore> store = OpenMemoryStore("t", clock);
  std::unique_ptr<Table> table;
  std::vector<Snapshot> model;
};

}  // namespace datashard
