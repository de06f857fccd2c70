#include "sqlite/page_stream.h"

#include "base/crc32c.h"
#include "base/error.h"

namespace datashard::sqlite {
namespace {

constexpr size_t kHeldBytes = 64 << 10;
constexpr uint32_t kPageNumberMax = 0xfffffffe;

}  // namespace

PageStream::PageStream(kv::Output& output, Options options)
    : output_(output), options_(options), lock_page_(static_cast<uint32_t>(options.lock_byte / options.page_size + 1)) {
  held_.reserve(kHeldBytes + options.page_size);
}

Status PageStream::Append(ByteView page) {
  if (count_ + 1 == lock_page_) DS_RETURN_IF_ERROR(AppendAsNext(Bytes(options_.page_size, '\0')));
  return AppendAsNext(page);
}

Status PageStream::AppendAsNext(ByteView page) {
  if (count_ == kPageNumberMax) {
    return InvalidArgument("a SQLite file has at most {} pages, and those of {} bytes are used up; take larger pages", kPageNumberMax,
                           options_.page_size);
  }
  ++count_;
  if (options_.checksums) checksums_.push_back(Crc32c(page));
  held_.append(page);
  return held_.size() < kHeldBytes ? Status() : Flush();
}

Status PageStream::Rewrite(uint32_t number, ByteView page) {
  DS_RETURN_IF_ERROR(Flush());
  if (options_.checksums) checksums_[number - 1] = Crc32c(page);
  return output_.Rewrite(static_cast<int64_t>(number - 1) * options_.page_size, page);
}

Status PageStream::Flush() {
  DS_RETURN_IF_ERROR(output_.Append(held_));
  held_.clear();
  return {};
}

}  // namespace datashard::sqlite
