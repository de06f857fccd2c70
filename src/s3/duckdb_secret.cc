#include "s3/duckdb_secret.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "s3/server_url.h"

namespace datashard::s3 {
namespace {

/// `text` between two `quote`s; those inside are doubled, and nothing else has a meaning there.
std::string Quoted(std::string_view text, char quote) {
  std::string quoted(1, quote);
  for (const char c : text) {
    if (c == quote) quoted += quote;
    quoted += c;
  }
  return quoted + quote;
}

std::string Literal(std::string_view text) { return Quoted(text, '\''); }

std::string Identifier(std::string_view name) {
  const bool plain = std::isdigit(static_cast<unsigned char>(name.front())) == 0 &&
                     std::all_of(name.begin(), name.end(), [](unsigned char c) { return c == '_' || (c < 0x80 && std::isalnum(c) != 0); });
  return plain ? std::string(name) : Quoted(name, '"');
}

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

std::string Keys(const std::optional<Credentials>& keys) {
  if (!keys) return "PROVIDER credential_chain";
  std::string text = fmt::format("KEY_ID {}, SECRET {}", Literal(keys->access_key), Literal(keys->secret_key));
  if (!keys->session_token.empty()) text += ", SESSION_TOKEN " + Literal(keys->session_token);
  return text;
}

}  // namespace

Result<std::string> DuckDbSecret(const S3Settings& settings, std::string_view name) {
  if (name.empty() || HasNul(name)) return InvalidArgument("a secret's name in DuckDB is a text that is not empty and has no NUL");
  if (settings.keys && (HasNul(settings.keys->access_key) || HasNul(settings.keys->secret_key) || HasNul(settings.keys->session_token)))
    return InvalidArgument("the keys for {} have a NUL, which DuckDB cannot be given", settings.location());
  const Place& place = settings.place;
  DS_ASSIGN_OR_RETURN(const ServerUrl endpoint, ParseEndpoint(place.endpoint));
  return fmt::format("CREATE OR REPLACE SECRET {} (TYPE S3, REGION {}, ENDPOINT {}, URL_STYLE {}, USE_SSL {}, {});", Identifier(name),
                     Literal(place.region), Literal(endpoint.authority()), place.virtual_host ? "'vhost'" : "'path'", endpoint.tls,
                     Keys(settings.keys));
}

}  // namespace datashard::s3
