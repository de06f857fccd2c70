// What S3 says in XML and in headers, as plain values. Bounded: an answer above 32 MiB is refused before it gets here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "datashard/result.h"

namespace datashard::s3 {

/// <Error>: empty where the body is none.
struct WireError {
  std::string code;
  std::string message;
  std::string region;
  std::string request_id;
};
WireError ReadError(ByteView xml);

struct ListedObject {
  std::string key;
  int64_t size_bytes = 0;
  Instant modified;
  std::string etag;
};
struct ListPage {
  std::vector<ListedObject> objects;
  std::string next_token;  ///< empty: this was the last page
};
/// Of ListObjectsV2 with encoding-type=url. Error: kCorruption.
Result<ListPage> ReadListPage(ByteView xml);

/// Error: kCorruption.
Result<std::string> ReadUploadId(ByteView xml);
/// An answer 200 may still be an <Error>: of CompleteMultipartUpload and CopyObject. Nothing: it is none.
std::optional<WireError> ErrorInSuccess(ByteView xml);
/// <ETag> anywhere below the root; "" if there is none.
std::string ReadEtag(ByteView xml);

struct FailedDelete {
  std::string key;
  WireError error;
};
/// Of DeleteObjects. Error: kCorruption.
Result<std::vector<FailedDelete>> ReadFailedDeletes(ByteView xml);

std::string WriteDeletes(const std::vector<std::string>& keys);
std::string WriteParts(const std::vector<std::string>& etags);

/// "Tue, 15 Nov 1994 08:12:31 GMT"
std::optional<Instant> ReadHttpDate(std::string_view text);
/// "2009-10-12T17:50:30.000Z", without its fraction: Last-Modified headers have none either.
std::optional<Instant> ReadIsoTime(std::string_view text);
/// %XX and '+', as encoding-type=url writes a key.
std::string UrlDecoded(std::string_view text);

}  // namespace datashard::s3
