// Pages of a database file on their way out: numbers them, leaves out the page of the lock byte, keeps a checksum of each.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"
#include "kv/output.h"

namespace datashard::sqlite {

/// Not thread safe. Errors of all calls: those of kv::Output; kInvalidArgument beyond the last page number there is.
class PageStream {
 public:
  struct Options {
    uint32_t page_size = 4096;
    int64_t lock_byte = 0;  ///< kLockByte but in tests
    bool checksums = false;
  };
  /// `output` is borrowed and empty.
  PageStream(kv::Output& output, Options options);

  uint32_t page_size() const { return options_.page_size; }
  /// The number the next page gets; pages are numbered from 1.
  uint32_t next() const { return After(count_); }
  /// The number the page behind page `number` gets.
  uint32_t After(uint32_t number) const { return number + 1 == lock_page_ ? number + 2 : number + 1; }
  /// Of the file, the unused one included.
  uint32_t page_count() const { return count_; }

  /// `page` has page_size() bytes.
  Status Append(ByteView page);
  /// Writes over a page that was appended.
  Status Rewrite(uint32_t number, ByteView page);
  /// Hands to the output what is still held back.
  Status Flush();
  /// One for each page, in order; none without Options::checksums.
  const std::vector<uint32_t>& checksums() const { return checksums_; }

 private:
  Status AppendAsNext(ByteView page);

  kv::Output& output_;
  const Options options_;
  const uint32_t lock_page_;
  uint32_t count_ = 0;
  Bytes held_;  // a write per page would cost more than filling it
  std::vector<uint32_t> checksums_;
};

}  // namespace datashard::sqlite
