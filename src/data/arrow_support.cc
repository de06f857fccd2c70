#include "data/arrow_support.h"

#include <arrow/api.h>
#include <arrow/compute/initialize.h>
#include <parquet/exception.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <new>

#include "base/error.h"
#include "base/fork.h"
#include "data/data_file.h"

namespace datashard::data {
namespace {

constexpr const char* kDetailType = "datashard::Error";

class ErrorDetail final : public arrow::StatusDetail {
 public:
  explicit ErrorDetail(Error error) : error_(std::move(error)) {}
  const char* type_id() const override { return kDetailType; }
  std::string ToString() const override { return error_.message(); }
  const Error& error() const { return error_; }

 private:
  Error error_;
};

}  // namespace

Status StartAllocator() {
  static constinit std::atomic<bool> is_started = false;
  if (is_started.load()) return {};
  const ForkHold hold;
  if (is_started.load()) return {};
  DS_RETURN_IF_ERROR(Lift(arrow::AllocateBuffer(1), ErrorKind::kUnavailable));
  is_started.store(true);
  return {};
}

Status StartCompute() {
  static constinit std::atomic<bool> is_started = false;
  if (is_started.load()) return {};
  // It takes milliseconds, and a child that was forked meanwhile would wait for its end for ever.
  const ForkHold hold;
  if (is_started.load()) return {};
  const arrow::Status started = arrow::compute::Initialize();
  if (!started.ok()) return Internal("Arrow's compute kernels do not start: {}", started.message());
  is_started.store(true);
  return {};
}

arrow::Status ToArrow(const Error& error) {
  return arrow::Status(arrow::StatusCode::IOError, error.message(), std::make_shared<ErrorDetail>(error));
}

Error FromArrow(const arrow::Status& status, ErrorKind kind) {
  const auto& detail = status.detail();
  if (detail != nullptr && std::strcmp(detail->type_id(), kDetailType) == 0)
    return static_cast<const ErrorDetail&>(*detail).error();
  if (status.IsOutOfMemory()) return Unavailable("out of memory: {}", status.message());
  if (status.IsNotImplemented()) return Unsupported("{}", status.message());
  // A detail on an I/O error is the errno of a system call; without one Arrow means malformed input.
  if (status.IsIOError() && detail != nullptr) return Unavailable("{}", status.message());
  return Error(kind, status.message());
}

Error FromCurrentException(ErrorKind kind) {
  try {
    throw;
  } catch (const parquet::ParquetStatusException& exception) {
    return FromArrow(exception.status(), kind);
  } catch (const std::bad_alloc&) {
    return Unavailable("out of memory");
  } catch (const std::exception& exception) {
    return Error(kind, exception.what());
  } catch (...) {
    return Internal("an exception of unknown type");
  }
}

}  // namespace datashard::data
