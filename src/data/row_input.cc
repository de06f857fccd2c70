#include "data/row_input.h"

#include <arrow/api.h>
#include <arrow/io/compressed.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/compression.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "data/arrow_support.h"

namespace datashard::data {
namespace {

// What all our input streams share: a position, and reads that end short only at the end.
class Input : public arrow::io::InputStream {
 public:
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Result<int64_t> Read(int64_t size, void* out) override {
    int64_t done = 0;
    while (done < size) {
      ARROW_ASSIGN_OR_RAISE(const int64_t read, ReadSome(size - done, static_cast<char*>(out) + done));
      if (read == 0) break;
      done += read;
    }
    position_ += done;
    return done;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t size) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(size));
    ARROW_ASSIGN_OR_RAISE(const int64_t read, Read(size, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(read));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }
  arrow::Status Close() override {
    closed_ = true;
    return {};
  }
  bool closed() const override { return closed_; }

 protected:
  virtual arrow::Result<int64_t> ReadSome(int64_t size, char* out) = 0;

 private:
  int64_t position_ = 0;
  bool closed_ = false;
};

class FdInput final : public Input {
 public:
  FdInput(int fd, bool owned, std::string name, std::shared_ptr<std::atomic<int64_t>> bytes_read)
      : fd_(fd), owned_(owned), name_(std::move(name)), bytes_read_(std::move(bytes_read)) {}
  ~FdInput() override {
    if (owned_) ::close(fd_);
  }

 private:
  arrow::Result<int64_t> ReadSome(int64_t size, char* out) override {
    for (;;) {
      const ssize_t read = ::read(fd_, out, static_cast<size_t>(size));
      if (read >= 0) {
        *bytes_read_ += read;
        return read;
      }
      if (errno != EINTR) return ToArrow(FromErrno(errno, fmt::format("reading {}", name_)));
    }
  }

  const int fd_;
  const bool owned_;
  const std::string name_;
  const std::shared_ptr<std::atomic<int64_t>> bytes_read_;
};

// `start`, then what `rest` gives.
class PrefixedInput final : public Input {
 public:
  PrefixedInput(std::shared_ptr<arrow::Buffer> start, std::shared_ptr<arrow::io::InputStream> rest)
      : start_(std::move(start)), rest_(std::move(rest)) {}

 private:
  arrow::Result<int64_t> ReadSome(int64_t size, char* out) override {
    if (given_ == start_->size()) return rest_->Read(size, out);
    const int64_t count = std::min(size, start_->size() - given_);
    std::memcpy(out, start_->data() + given_, static_cast<size_t>(count));
    given_ += count;
    return count;
  }

  std::shared_ptr<arrow::Buffer> start_;
  std::shared_ptr<arrow::io::InputStream> rest_;
  int64_t given_ = 0;
};

Result<PeekedInput> Peek(std::shared_ptr<arrow::io::InputStream> stream, int64_t bytes) {
  DS_ASSIGN_OR_RETURN(auto start, Lift(stream->Read(bytes), ErrorKind::kInvalidArgument));
  return PeekedInput{.start = start, .stream = std::make_shared<PrefixedInput>(start, std::move(stream))};
}

}  // namespace

Result<PeekedInput> OpenInput(const std::string& path, int64_t peek_bytes, std::shared_ptr<std::atomic<int64_t>> bytes_read) {
  int fd = STDIN_FILENO;
  const bool is_file = path != "-";
  if (is_file) fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FromErrno(errno, fmt::format("opening {}", path));
  const auto file = std::make_shared<FdInput>(fd, is_file, is_file ? path : "standard input", std::move(bytes_read));
  struct stat info {};
  if (::fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) return InvalidArgument("{} is a directory, not a file of rows", path);
  DS_ASSIGN_OR_RETURN(PeekedInput head, Peek(file, 2));
  const bool is_gzip = head.start->size() == 2 && head.start->data()[0] == 0x1F && head.start->data()[1] == 0x8B;
  if (!is_gzip) return Peek(std::move(head.stream), peek_bytes);
  DS_ASSIGN_OR_RETURN(std::shared_ptr<arrow::util::Codec> codec,
                      Lift(arrow::util::Codec::Create(arrow::Compression::GZIP), ErrorKind::kInternal));
  DS_ASSIGN_OR_RETURN(std::shared_ptr<arrow::io::InputStream> unpacked,
                      Lift(arrow::io::CompressedInputStream::Make(codec.get(), head.stream), ErrorKind::kInvalidArgument));
  return Peek(std::move(unpacked), peek_bytes);
}

}  // namespace datashard::data
