// Cuts one stream of rows into consecutive streams of so many rows each, so that an import can commit in batches and
// stop between two blocks. No row is copied: pieces borrow the buffers of the batches they come from.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "datashard/arrow_c.h"
#include "datashard/result.h"

namespace datashard::cli {

/// One thread at a time. Pieces may outlive the cutter, but only the newest may be pulled.
class RowCutter {
 public:
  /// `check` runs before and after each batch is pulled, with the rows handed out so far; its error fails the pull.
  explicit RowCutter(ArrowStream source, std::function<Status(int64_t rows)> check = {});
  ~RowCutter();
  RowCutter(const RowCutter&) = delete;
  RowCutter& operator=(const RowCutter&) = delete;

  /// Is there another row? Pulls a batch when none is at hand.
  Result<bool> HasMore();
  /// The next `rows` rows, or as many as there are.
  ArrowStream Next(int64_t rows);
  /// The columns of the source.
  Result<ArrowSchemaHandle> schema();
  int64_t rows_handed_out() const;
  /// Why the source failed. A consumer of a piece sees only a code and a text; this keeps the kind.
  const std::optional<Error>& error() const;

  struct State;

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace datashard::cli
