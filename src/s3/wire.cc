#include "s3/wire.h"

#include <pugixml.hpp>

#include <charconv>
#include <sstream>

#include "base/error.h"

namespace datashard::s3 {
namespace {

/// A parsed answer; its root is null if it is no XML.
class Document {
 public:
  explicit Document(ByteView xml) {
    // No DOCTYPE is parsed into entities by pugixml, so nothing can unpack beyond the answer's own size.
    if (!document_.load_buffer(xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata_single)) document_.reset();
  }
  pugi::xml_node root() const { return document_.document_element(); }

 private:
  pugi::xml_document document_;
};

WireError ErrorOf(const pugi::xml_node& node) {
  return {.code = node.child("Code").text().get(),
          .message = node.child("Message").text().get(),
          .region = node.child("Region").text().get(),
          .request_id = node.child("RequestId").text().get()};
}

Error NoSuchAnswer(std::string_view expected, ByteView xml) {
  return Corruption("expected <{}>, found '{}'; is the endpoint an S3 server?", expected, xml.substr(0, 200));
}

template <typename Integer = int>
std::optional<Integer> Number(std::string_view text) {
  Integer number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Instant> Time(std::optional<int> year, std::optional<int> month, std::optional<int> day, std::string_view clock) {
  if (clock.size() != 8 || clock[2] != ':' || clock[5] != ':') return std::nullopt;
  const auto hours = Number(clock.substr(0, 2)), minutes = Number(clock.substr(3, 2)), seconds = Number(clock.substr(6, 2));
  if (!year || !month || !day || !hours || !minutes || !seconds) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok() || *hours > 23 || *minutes > 59 || *seconds > 60) return std::nullopt;
  return Instant(std::chrono::sys_days(date) + std::chrono::hours(*hours) + std::chrono::minutes(*minutes) +
                 std::chrono::seconds(*seconds));
}

std::string Text(const pugi::xml_document& document) {
  std::ostringstream out;
  document.save(out, "", pugi::format_raw);
  return out.str();
}

}  // namespace

WireError ReadError(ByteView xml) {
  const Document document(xml);
  if (std::string_view(document.root().name()) != "Error") return {};
  return ErrorOf(document.root());
}

std::optional<WireError> ErrorInSuccess(ByteView xml) {
  const Document document(xml);
  if (std::string_view(document.root().name()) != "Error") return std::nullopt;
  return ErrorOf(document.root());
}

Result<ListPage> ReadListPage(ByteView xml) {
  const Document document(xml);
  const pugi::xml_node root = document.root();
  if (std::string_view(root.name()) != "ListBucketResult") return NoSuchAnswer("ListBucketResult", xml);
  const bool encoded = std::string_view(root.child("EncodingType").text().get()) == "url";
  ListPage page;
  for (const pugi::xml_node& node : root.children("Contents")) {
    const char* const key = node.child("Key").text().get();
    const std::optional<Instant> modified = ReadIsoTime(node.child("LastModified").text().get());
    const std::optional<int64_t> size = Number<int64_t>(node.child("Size").text().get());
    if (!modified || !size || *size < 0) return NoSuchAnswer("Contents with LastModified and Size", xml);
    page.objects.push_back({.key = encoded ? UrlDecoded(key) : key, .size_bytes = *size, .modified = *modified,
                            .etag = node.child("ETag").text().get()});
  }
  const bool truncated = root.child("IsTruncated").text().as_bool();
  if (truncated) page.next_token = root.child("NextContinuationToken").text().get();
  if (truncated && page.next_token.empty()) return NoSuchAnswer("NextContinuationToken of a truncated list", xml);
  return page;
}

Result<std::string> ReadUploadId(ByteView xml) {
  const Document document(xml);
  std::string id = document.root().child("UploadId").text().get();
  if (id.empty()) return NoSuchAnswer("InitiateMultipartUploadResult with UploadId", xml);
  return id;
}

std::string ReadEtag(ByteView xml) {
  const Document document(xml);
  return document.root().child("ETag").text().get();
}

Result<std::vector<FailedDelete>> ReadFailedDeletes(ByteView xml) {
  const Document document(xml);
  if (std::string_view(document.root().name()) != "DeleteResult") return NoSuchAnswer("DeleteResult", xml);
  std::vector<FailedDelete> failed;
  for (const pugi::xml_node& node : document.root().children("Error"))
    failed.push_back({.key = node.child("Key").text().get(), .error = ErrorOf(node)});
  return failed;
}

std::string WriteDeletes(const std::vector<std::string>& keys) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("Delete");
  for (const std::string& key : keys) root.append_child("Object").append_child("Key").text().set(key.c_str());
  root.append_child("Quiet").text().set("true");
  return Text(document);
}

std::string WriteParts(const std::vector<std::string>& etags) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("CompleteMultipartUpload");
  for (size_t i = 0; i < etags.size(); ++i) {
    pugi::xml_node part = root.append_child("Part");
    part.append_child("PartNumber").text().set(static_cast<unsigned long>(i + 1));
    part.append_child("ETag").text().set(etags[i].c_str());
  }
  return Text(document);
}

std::optional<Instant> ReadHttpDate(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || !text.ends_with(" GMT")) return std::nullopt;
  const size_t month = kMonths.find(text.substr(8, 3));
  if (month == std::string_view::npos || month % 3 != 0) return std::nullopt;
  return Time(Number(text.substr(12, 4)), static_cast<int>(month / 3 + 1), Number(text.substr(5, 2)), text.substr(17, 8));
}

std::optional<Instant> ReadIsoTime(std::string_view text) {
  if (text.size() < 20 || text[10] != 'T' || text.back() != 'Z') return std::nullopt;
  return Time(Number(text.substr(0, 4)), Number(text.substr(5, 2)), Number(text.substr(8, 2)), text.substr(11, 8));
}

std::string UrlDecoded(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      decoded += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

}  // namespace datashard::s3
