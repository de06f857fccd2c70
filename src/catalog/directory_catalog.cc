#include "catalog/directory_catalog.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/error.h"

namespace datashard::catalog {
namespace {

constexpr std::string_view kHintKey = "metadata/version-hint.text";
constexpr std::string_view kLegacyHintKey = "metadata.version-hint.text";
constexpr std::string_view kPlainEnd = ".metadata.json";
constexpr std::string_view kGzipEnd = ".gz.metadata.json";
// Versions are looked at one by one this far before the search starts to leap, so that a stray file just beyond a gap
// is not taken for the head.
constexpr int64_t kLinearLooks = 16;
// How often a version that may or may not be there is looked at before the outcome is called unknown.
constexpr int kSettleAttempts = 5;

std::string KeyWith(int64_t number, std::string_view end) { return fmt::format("metadata/v{}{}", number, end); }

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 1) return std::nullopt;
  return number;
}

/// The number in "metadata/v12.metadata.json" or its gzip spelling.
std::optional<int64_t> NumberOfKey(std::string_view key) {
  constexpr std::string_view start = "metadata/v";
  if (!key.starts_with(start)) return std::nullopt;
  key.remove_prefix(start.size());
  for (std::string_view end : {kGzipEnd, kPlainEnd}) {
    if (key.ends_with(end)) return ParseNumber(key.substr(0, key.size() - end.size()));
  }
  return std::nullopt;
}

}  // namespace

std::string VersionKey(int64_t number) { return KeyWith(number, kPlainEnd); }

DirectoryCatalog::DirectoryCatalog(std::shared_ptr<ObjectStore> store, Outside outside)
    : store_(std::move(store)), outside_(outside) {}

Result<std::optional<std::string>> DirectoryCatalog::FindKey(int64_t number) const {
  for (std::string_view end : {kPlainEnd, kGzipEnd}) {
    std::string key = KeyWith(number, end);
    const Result<ObjectInfo> info = store_->Head(key);
    if (info.ok()) return std::optional(std::move(key));
    if (info.kind() != ErrorKind::kNotFound) return info.error();
  }
  return std::optional<std::string>();
}

Result<int64_t> DirectoryCatalog::HeadFrom(int64_t number) const {
  int64_t known = number;
  for (int64_t step = 0; step < kLinearLooks; ++step) {
    DS_ASSIGN_OR_RETURN(const std::optional<std::string> key, FindKey(known + 1));
    if (!key) return known;
    ++known;
  }
  // Existence is monotone along the run, so leap until a name is missing, then halve the gap.
  int64_t leap = kLinearLooks;
  int64_t missing = 0;
  while (missing == 0) {
    DS_ASSIGN_OR_RETURN(const std::optional<std::string> key, FindKey(known + leap));
    if (key) {
      known += leap;
      leap *= 2;
    } else {
      missing = known + leap;
    }
  }
  while (missing - known > 1) {
    const int64_t middle = known + (missing - known) / 2;
    DS_ASSIGN_OR_RETURN(const std::optional<std::string> key, FindKey(middle));
    (key ? known : missing) = middle;
  }
  return known;
}

Result<std::optional<int64_t>> DirectoryCatalog::HeadByList() const {
  DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, store_->List("metadata/"));
  std::vector<int64_t> numbers;
  for (const ObjectInfo& object : objects) {
    if (const std::optional<int64_t> number = NumberOfKey(object.key)) numbers.push_back(*number);
  }
  if (numbers.empty()) return std::optional<int64_t>();
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  // The run from the first version on is the table. Where a foreign writer has removed the start, it is the last run.
  if (numbers.front() == 1) {
    size_t end = 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    return std::optional(numbers[end - 1]);
  }
  return std::optional(numbers.back());
}

Result<VersionPtr> DirectoryCatalog::Read(int64_t number) const {
  DS_ASSIGN_OR_RETURN(const std::optional<std::string> key, FindKey(number));
  if (!key) return NotFound("{}/{} does not exist", store_->root_uri(), VersionKey(number));
  DS_ASSIGN_OR_RETURN(const Bytes body, store_->Get(*key));
  auto version = std::make_shared<Version>();
  DS_ASSIGN_OR_RETURN(version->metadata,
                      iceberg::DecodeTableMetadata(body, fmt::format("{}/{}", store_->root_uri(), *key)));
  version->number = number;
  version->key = *key;
  return VersionPtr(std::move(version));
}

Result<VersionPtr> DirectoryCatalog::Load() const {
  std::optional<int64_t> head;
  const Result<Bytes> hint = store_->Get(kHintKey);
  if (hint.ok()) {
    std::string_view text = *hint;
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
    if (const std::optional<int64_t> number = ParseNumber(text)) {
      DS_ASSIGN_OR_RETURN(const std::optional<std::string> key, FindKey(*number));
      if (key) {
        DS_ASSIGN_OR_RETURN(head, HeadFrom(*number));
      }
    }
  } else if (hint.kind() == ErrorKind::kDenied) {
    return hint.error();
  }
  if (!head) {
    DS_ASSIGN_OR_RETURN(head, HeadByList());
  }
  if (!head) {
    if (store_->Head(kLegacyHintKey).ok()) {
      return Unsupported("'{}' holds a table written before release 0.10 of the datashard package; convert it once with "
                         "that package: pip install datashard==0.11.2, then `datashard migrate`",
                         store_->root_uri())
          .About(ErrorSubject::kLegacyLayout);
    }
    return NotFound("No Iceberg table found at {}: it has no metadata/v*.metadata.json", store_->root_uri())
        .About(ErrorSubject::kTable);
  }
  return Read(*head);
}

Result<VersionPtr> DirectoryCatalog::Refresh(const VersionPtr& known) const {
  DS_ASSIGN_OR_RETURN(const int64_t head, HeadFrom(known->number));
  VersionPtr newest = known;
  if (head != known->number) {
    DS_ASSIGN_OR_RETURN(newest, Read(head));
  } else {
    const Result<ObjectInfo> still = store_->Head(known->key);
    if (!still.ok() && still.kind() != ErrorKind::kNotFound) return still.error();
    if (!still.ok()) {
      DS_ASSIGN_OR_RETURN(newest, Load());
    }
  }
  if (newest->metadata.table_uuid != known->metadata.table_uuid) {
    return Corruption("the table at {} was replaced: its uuid was {}, now it is {}; open it again", store_->root_uri(),
                      known->metadata.table_uuid, newest->metadata.table_uuid)
        .About(ErrorSubject::kTable);
  }
  return newest;
}

Result<Published> DirectoryCatalog::Settle(const Prepared& prepared) const {
  const std::string& key = prepared.version->key;
  std::string last = "no answer";
  for (int attempt = 0; attempt < kSettleAttempts; ++attempt) {
    if (attempt > 0) outside_.clock.Sleep(std::chrono::milliseconds(10) * (1 << attempt));
    const Result<Bytes> found = store_->Get(key);
    if (found.ok()) {
      if (*found != prepared.body) return Published::kLost;
      if (store_->durable_when_visible()) return Published::kWon;
      last = "it is there, but its name could not be made durable";
      break;  // another sync of the directory may report success for a name it has lost
    }
    if (found.kind() != ErrorKind::kNotFound) {
      last = found.error().ToString();
      continue;
    }
    // Absent: the same number again, never the next one. An earlier attempt that arrives late then finds it taken.
    const Status put = store_->PutIfAbsent(key, prepared.body);
    if (put.ok()) return Published::kWon;
    last = put.error().ToString();
  }
  return CommitUnknown("whether {}/{} was published could not be found out ({}); keep every file and open the table again",
                       store_->root_uri(), key, last);
}

Result<DirectoryCatalog::Prepared> DirectoryCatalog::Prepare(int64_t number, iceberg::TableMetadata metadata,
                                                             WriteGroup& group) {
  const auto codec = metadata.properties.find("write.metadata.compression-codec");
  if (codec != metadata.properties.end() && codec->second != "none") {
    return Unsupported("{}: write.metadata.compression-codec is '{}', but only 'none' can be written here; set it to 'none'",
                       store_->root_uri(), codec->second);
  }
  Prepared prepared;
  DS_ASSIGN_OR_RETURN(prepared.body, iceberg::EncodeTableMetadata(metadata));
  DS_ASSIGN_OR_RETURN(prepared.object, group.Prepare(VersionKey(number), prepared.body));
  auto version = std::make_shared<Version>();
  version->number = number;
  version->key = VersionKey(number);
  version->metadata = std::move(metadata);
  prepared.version = std::move(version);
  return prepared;
}

Result<Published> DirectoryCatalog::Publish(const Prepared& prepared) {
  const int64_t number = prepared.version->number;
  const std::string gzip_key = KeyWith(number, kGzipEnd);
  const Result<ObjectInfo> other_spelling = store_->Head(gzip_key);
  if (other_spelling.ok()) return Published::kLost;
  if (other_spelling.kind() != ErrorKind::kNotFound) return other_spelling.error();
  // A checksum left behind by a Hadoop writer that crashed makes Spark refuse the new file.
  DS_RETURN_IF_ERROR(store_->Delete(fmt::format("metadata/.v{}{}.crc", number, kPlainEnd)));

  Published published = Published::kWon;
  const Status put = prepared.object->Publish();
  if (!put.ok()) {
    if (put.kind() == ErrorKind::kAlreadyExists) return Published::kLost;
    if (put.kind() != ErrorKind::kCommitUnknown) return put.error();
    DS_ASSIGN_OR_RETURN(published, Settle(prepared));
  }
  if (published == Published::kWon && store_->Head(gzip_key).ok()) {
    return CommitUnknown("{0}/{1} and {0}/{2} were published at the same moment by writers that compress metadata "
                         "differently; let all writers use write.metadata.compression-codec=none",
                         store_->root_uri(), prepared.version->key, gzip_key);
  }
  return published;
}

void DirectoryCatalog::AdvanceHint(int64_t number) {
  for (;;) {
    const Status written = store_->Replace(kHintKey, std::to_string(number));
    if (!written.ok()) {
      outside_.log.Write(LogLevel::kWarning, fmt::format("the hint of {} stays behind version {}: {}", store_->root_uri(),
                                                         number, written.error().ToString()));
      return;
    }
    // A slower writer may have put its older number over a newer one; whoever writes last looks again.
    const Result<int64_t> head = HeadFrom(number);
    if (!head.ok() || *head == number) return;
    number = *head;
  }
}

}  // namespace datashard::catalog
