// A run's record as run.yaml. Source: docs/formats/run_record.md.
#pragma once

#include <string>
#include <string_view>

#include "datashard/sharded_writer.h"

namespace datashard::generation {

/// "running", "succeeded", "failed".
std::string_view ToString(RunRecord::Status status);
std::string RunRecordText(const RunRecord& record);
/// Untrusted. Errors: kCorruption; kUnsupported: another format version.
Result<RunRecord> ReadRunRecord(std::string_view text);

}  // namespace datashard::generation
