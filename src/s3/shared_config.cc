#include "s3/shared_config.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "s3/credentials_service.h"

namespace datashard::s3 {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos ? std::string_view() : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// Without a comment that follows a blank.
std::string_view WithoutComment(std::string_view text) {
  for (size_t i = 1; i < text.size(); ++i)
    if ((text[i] == '#' || text[i] == ';') && kBlanks.find(text[i - 1]) != std::string_view::npos) return text.substr(0, i);
  return text;
}

/// The profile that the section "[…]" opens; empty if it opens none.
std::string ProfileOf(std::string_view line, ConfigKind kind) {
  const size_t end = line.find(']');
  if (end == std::string_view::npos) return {};
  std::string_view name = Trimmed(line.substr(1, end - 1));
  if (kind == ConfigKind::kConfig && name != "default") {
    constexpr std::string_view kWord = "profile";
    if (!name.starts_with(kWord) || name.size() == kWord.size() || kBlanks.find(name[kWord.size()]) == std::string_view::npos) return {};
    name = Trimmed(name.substr(kWord.size()));
  }
  if (name.size() >= 2 && (name.front() == '"' || name.front() == '\'') && name.back() == name.front()) name = name.substr(1, name.size() - 2);
  return std::string(name);
}

Status ReadInto(SharedConfig& shared, const std::string& path, ConfigKind kind) {
  if (path.empty()) return {};
  const Result<std::string> text = ReadSmallFile(path);
  if (!text.ok()) {
    if (text.kind() == ErrorKind::kNotFound) return {};
    return Denied("{}", text.error().message());
  }
  for (auto& [name, values] : ParseProfiles(*text, kind)) shared.profiles[name].merge(values);
  return {};
}

std::string PathFrom(const Environment& environment, std::string_view variable, std::string_view below_home) {
  const std::string home = environment.Get("HOME");
  std::string path = environment.Get(variable);
  if (path.starts_with("~/") && !home.empty()) return home + path.substr(1);
  if (!path.empty()) return path;
  return home.empty() ? std::string() : home + std::string(below_home);
}

}  // namespace

Profiles ParseProfiles(std::string_view text, ConfigKind kind) {
  Profiles profiles;
  ProfileValues* current = nullptr;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = text.substr(start, end - start);
    start = end + 1;
    const std::string_view content = Trimmed(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    if (content.front() == '[') {
      const std::string name = ProfileOf(content, kind);
      current = name.empty() ? nullptr : &profiles[name];
      continue;
    }
    const size_t equals = content.find('=');
    const bool nested = kBlanks.find(line.front()) != std::string_view::npos;
    if (current == nullptr || nested || equals == std::string_view::npos) continue;
    std::string name(Trimmed(content.substr(0, equals)));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    current->insert_or_assign(std::move(name), std::string(Trimmed(WithoutComment(content.substr(equals + 1)))));
  }
  return profiles;
}

Result<SharedConfig> ReadSharedConfig(const Environment& environment) {
  SharedConfig shared{.credentials_path = PathFrom(environment, "AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials"),
                      .config_path = PathFrom(environment, "AWS_CONFIG_FILE", "/.aws/config")};
  DS_RETURN_IF_ERROR(ReadInto(shared, shared.credentials_path, ConfigKind::kCredentials));
  DS_RETURN_IF_ERROR(ReadInto(shared, shared.config_path, ConfigKind::kConfig));
  return shared;
}

}  // namespace datashard::s3
