// Result<T> and Error: how every call of this library reports failure. No exception leaves a public header;
// an error carries a kind (what the caller does next), a subject (what it is about) and a text for a human.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace datashard {

/// One kind per thing a caller does about it; everything else goes into the message.
enum class ErrorKind {
  kInvalidArgument,  ///< fix the call
  kNotFound,         ///< decide; often normal
  kAlreadyExists,    ///< decide; often normal
  kConflict,         ///< plan again on the new base; nothing was published
  kCommitUnknown,    ///< read again to settle; delete nothing, do not blindly retry
  kUnavailable,      ///< retry with backoff
  kDenied,           ///< fix credentials or rights
  kFenced,           ///< drop this handle; a newer writer owns the place
  kCorruption,       ///< keep the bytes, report, do not retry
  kUnsupported,      ///< valid input that is not ours to handle
  kInternal,         ///< our bug; nothing doubtful was published
};

/// What an error is about, for faces that map one kind to several classes (Python's drop-in exceptions).
enum class ErrorSubject {
  kNone,
  kTable,         ///< a table as a whole
  kSnapshot,      ///< a snapshot id
  kDataFile,      ///< a data file named by the table
  kMetadata,      ///< metadata JSON, manifest list or manifest
  kColumn,        ///< a column name in a filter or a projection
  kValue,         ///< a value that does not fit its column
  kOperand,       ///< a filter operand whose type the column cannot be compared with
  kSchema,        ///< the schema given differs from the table's
  kLegacyLayout,  ///< a table written by the package's releases before 0.10
};

std::string_view ToString(ErrorKind kind);

class [[nodiscard]] Error {
 public:
  Error(ErrorKind kind, std::string message, ErrorSubject subject = ErrorSubject::kNone)
      : kind_(kind), subject_(subject), message_(std::move(message)) {}

  ErrorKind kind() const { return kind_; }
  ErrorSubject subject() const { return subject_; }
  const std::string& message() const { return message_; }
  /// "conflict: append to …": the kind's name in front of the message.
  std::string ToString() const;

  /// The same error about `subject`.
  Error About(ErrorSubject subject) && {
    subject_ = subject;
    return std::move(*this);
  }
  /// The same error with "`context`: " in front of its message.
  Error In(std::string_view context) && {
    message_ = std::string(context) + ": " + message_;
    return std::move(*this);
  }

 private:
  ErrorKind kind_;
  ErrorSubject subject_;
  std::string message_;
};

/// A value or an error, in the shape of std::expected. `T` is moved in and out.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  template <typename U>
    requires(std::is_convertible_v<U &&, T> && !std::is_same_v<std::remove_cvref_t<U>, Error> &&
             !std::is_same_v<std::remove_cvref_t<U>, Result> && !std::is_same_v<std::remove_cvref_t<U>, T>)
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  /// The value; calling it on an error is a bug and aborts.
  T& value() & { return ok() ? std::get<0>(state_) : Abort(); }
  const T& value() const& { return ok() ? std::get<0>(state_) : const_cast<Result*>(this)->Abort(); }
  T&& value() && { return std::move(value()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }
  ErrorKind kind() const { return error().kind(); }

 private:
  T& Abort() { std::abort(); }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }
  ErrorKind kind() const { return error_->kind(); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace datashard

#define DS_CONCAT_INNER(a, b) a##b
#define DS_CONCAT(a, b) DS_CONCAT_INNER(a, b)
/// Returns the error of `expr` (a Result or Status) to the caller; otherwise goes on.
#define DS_RETURN_IF_ERROR(expr)                              \
  do {                                                        \
    auto ds_status = (expr);                                  \
    if (!ds_status.ok()) return std::move(ds_status).error(); \
  } while (false)
/// Evaluates `expr` once; on success stores its value in `lhs` (which may declare), else returns the error.
#define DS_ASSIGN_OR_RETURN(lhs, expr) DS_ASSIGN_OR_RETURN_IMPL(DS_CONCAT(ds_result_, __LINE__), lhs, expr)
#define DS_ASSIGN_OR_RETURN_IMPL(result, lhs, expr)   \
  auto result = (expr);                               \
  if (!result.ok()) return std::move(result).error(); \
  lhs = std::move(result).value()
