#include "s3/sigv4.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "base/error.h"
#include "s3/digest.h"

namespace datashard::s3 {
namespace {

/// Without blanks at the ends, and one where there were several.
std::string Collapsed(std::string_view value) {
  std::string collapsed;
  for (const char c : value) {
    const bool blank = c == ' ' || c == '\t';
    if (!blank) {
      collapsed += c;
    } else if (!collapsed.empty() && collapsed.back() != ' ') {
      collapsed += ' ';
    }
  }
  while (collapsed.ends_with(' ')) collapsed.pop_back();
  return collapsed;
}

/// Lower-case names in order; values of one name joined by commas.
std::map<std::string, std::string> CanonicalHeaders(const std::vector<HttpHeader>& headers) {
  std::map<std::string, std::string> canonical;
  for (const HttpHeader& header : headers) {
    std::string name = header.name;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto [entry, added] = canonical.try_emplace(std::move(name), Collapsed(header.value));
    if (!added) entry->second.append(",").append(Collapsed(header.value));
  }
  return canonical;
}

std::string SignedNames(const std::map<std::string, std::string>& canonical) {
  std::string names;
  for (const auto& [name, value] : canonical) names.append(names.empty() ? "" : ";").append(name);
  return names;
}

Bytes SigningKey(const Credentials& credentials, const SigningScope& scope, std::string_view day) {
  const Bytes date_key = HmacSha256("AWS4" + credentials.secret_key, day);
  return HmacSha256(HmacSha256(HmacSha256(date_key, scope.region), scope.service), "aws4_request");
}

}  // namespace

std::string CanonicalQuery(const Query& query) {
  std::vector<std::pair<std::string, std::string>> encoded;
  for (const auto& [name, value] : query) encoded.emplace_back(PercentEncode(name, false), PercentEncode(value, false));
  std::sort(encoded.begin(), encoded.end());
  std::string text;
  for (const auto& [name, value] : encoded) text.append(text.empty() ? "" : "&").append(name).append("=").append(value);
  return text;
}

std::string AmzDate(Instant time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(seconds - day);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string CanonicalRequest(const RequestToSign& request) {
  const std::map<std::string, std::string> headers = CanonicalHeaders(request.headers);
  std::string text = fmt::format("{}\n{}\n{}\n", request.method, request.path, request.query);
  for (const auto& [name, value] : headers) text.append(name).append(":").append(value).append("\n");
  return fmt::format("{}\n{}\n{}", text, SignedNames(headers), request.body_sha256);
}

std::string Authorization(const RequestToSign& request, const Credentials& credentials, const SigningScope& scope, Instant time) {
  const std::string date = AmzDate(time);
  const std::string day = date.substr(0, 8);
  const std::string place = fmt::format("{}/{}/{}/aws4_request", day, scope.region, scope.service);
  const std::string to_sign = fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", date, place, Hex(Sha256(CanonicalRequest(request))));
  const std::string signature = Hex(HmacSha256(SigningKey(credentials, scope, day), to_sign));
  return fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}", credentials.access_key, place,
                     SignedNames(CanonicalHeaders(request.headers)), signature);
}

}  // namespace datashard::s3
