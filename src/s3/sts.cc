#include "s3/sts.h"

#include <fmt/format.h>

#include <pugixml.hpp>

#include "base/error.h"
#include "s3/credentials_service.h"
#include "s3/digest.h"
#include "s3/server_url.h"
#include "s3/sigv4.h"
#include "s3/wire.h"

namespace datashard::s3 {
namespace {

std::string FirstSet(const Environment& environment, std::initializer_list<std::string_view> names, std::string otherwise) {
  for (const std::string_view name : names)
    if (std::string value = environment.Get(name); !value.empty()) return value;
  return otherwise;
}

/// The fields of a call, as a form.
Query FieldsOf(std::string action, const Role& role, Random& random) {
  Query fields{{"Action", std::move(action)},
               {"Version", "2011-06-15"},
               {"RoleArn", role.arn},
               {"RoleSessionName", role.session_name.empty() ? "datashard-" + RandomHex(random, 16) : role.session_name}};
  if (!role.external_id.empty()) fields.emplace_back("ExternalId", role.external_id);
  if (role.duration_seconds > 0) fields.emplace_back("DurationSeconds", std::to_string(role.duration_seconds));
  return fields;
}

/// <...Response><...Result><Credentials>
Result<Credentials> ReadAnswer(std::string_view what, const HttpResponse& response) {
  pugi::xml_document document;
  document.load_buffer(response.body.data(), response.body.size());
  const pugi::xml_node root = document.document_element();
  if (response.status != 200) {
    const pugi::xml_node error = root.child("Error");
    const std::string code = error.child("Code").text().get(), message = error.child("Message").text().get();
    return Denied("{}: answered {} {} ({})", what, response.status, code.substr(0, 100), message.substr(0, 300));
  }
  const pugi::xml_node found = root.first_child().child("Credentials");
  Credentials credentials{found.child("AccessKeyId").text().get(), found.child("SecretAccessKey").text().get(),
                          found.child("SessionToken").text().get(), ReadIsoTime(found.child("Expiration").text().get())};
  if (!credentials.expires) return Denied("{}: expected <Credentials> with an <Expiration>, found something else", what);
  DS_RETURN_IF_ERROR(CheckComplete(what, credentials));
  return credentials;
}

}  // namespace

Result<StsSettings> StsFrom(const Environment& environment, const std::string& profile_region, Log& log) {
  StsSettings sts{.region = FirstSet(environment, {"AWS_REGION", "AWS_DEFAULT_REGION"}, profile_region)};
  if (!sts.region.empty())
    if (const Status plain = CheckRegion(sts.region); !plain.ok()) return Denied("AWS_REGION: {}", plain.error().message());
  sts.endpoint = FirstSet(environment, {"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"}, "");
  if (sts.endpoint.empty()) {
    const std::string_view china = sts.region.starts_with("cn-") ? ".cn" : "";
    sts.endpoint = sts.region.empty() ? "https://sts.amazonaws.com" : fmt::format("https://sts.{}.amazonaws.com{}", sts.region, china);
  } else {
    const Result<ServerUrl> url = ParseUrl(sts.endpoint);
    if (!url.ok()) return Denied("AWS_ENDPOINT_URL_STS: {}", url.error().message());
    sts.endpoint = url->url();
    if (!url->tls && !IsLoopback(url->host))
      log.Write(LogLevel::kWarning, fmt::format("{} is plain http: tokens and keys cross the network unprotected; use https", sts.endpoint));
  }
  if (sts.region.empty()) sts.region = "us-east-1";
  return sts;
}

Result<Credentials> AssumeWithWebIdentity(const StsSettings& sts, const Role& role, const std::string& token_file, SourceTools tools) {
  Result<std::string> file = ReadSmallFile(token_file);
  if (!file.ok()) return Denied("the web identity token cannot be read: {}", file.error().message());
  DS_ASSIGN_OR_RETURN(const std::string token, CheckedToken(token_file, *std::move(file)));
  Query fields = FieldsOf("AssumeRoleWithWebIdentity", role, tools.outside.random);
  fields.emplace_back("WebIdentityToken", token);
  const std::string body = CanonicalQuery(fields);
  const std::string what = fmt::format("role {} by web identity from {}", role.arn, sts.endpoint);
  DS_ASSIGN_OR_RETURN(const HttpResponse response,
                      AskPatiently(what, {.method = "POST",
                                          .url = sts.endpoint + "/",
                                          .headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
                                          .body = body}, {.timeout = std::chrono::seconds(10)}, tools));
  return ReadAnswer(what, response);
}

Result<Credentials> AssumeRole(const StsSettings& sts, const Role& role, const Credentials& own, SourceTools tools) {
  const std::string body = CanonicalQuery(FieldsOf("AssumeRole", role, tools.outside.random));
  const std::string what = fmt::format("role {} from {}", role.arn, sts.endpoint);
  DS_ASSIGN_OR_RETURN(const ServerUrl url, ParseUrl(sts.endpoint));
  const Instant now = tools.outside.clock.Now();
  RequestToSign to_sign{.method = "POST",
                        .path = url.path + "/",
                        .headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
                                    {"Host", url.authority()},
                                    {"X-Amz-Date", AmzDate(now)}},
                        .body_sha256 = Hex(Sha256(body))};
  if (!own.session_token.empty()) to_sign.headers.push_back({"X-Amz-Security-Token", own.session_token});
  HttpRequest request{.method = "POST", .url = sts.endpoint + "/", .headers = to_sign.headers, .body = body};
  request.headers.push_back({"Authorization", Authorization(to_sign, own, {.region = sts.region, .service = "sts"}, now)});
  DS_ASSIGN_OR_RETURN(const HttpResponse response, AskPatiently(what, request, {.timeout = std::chrono::seconds(10)}, tools));
  return ReadAnswer(what, response);
}

}  // namespace datashard::s3
