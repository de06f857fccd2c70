#include "commit/pending_group.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/error.h"
#include "iceberg/manifest.h"
#include "ring/ring.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kFirstLine = "datashard-pending 1";
constexpr size_t kIdDigits = 32;  // of a ring's too
constexpr int64_t kSeqMax = (int64_t{1} << 48) - 1;
// The clock of this machine may be set; then the store is asked anew.
constexpr auto kStoreTimeTrusted = std::chrono::minutes(1);
// So many objects are read at a time; who waits longer is taken in later.
constexpr size_t kReadAtOnceMax = 256;

bool IsHex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Takes things off the front of a text; once one is missing, everything after it is too.
class TextReader {
 public:
  explicit TextReader(ByteView text) : rest_(text) {}
  std::string_view Until(char end) {
    const size_t at = rest_.find(end);
    if (at == ByteView::npos) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, at);
    rest_.remove_prefix(at + 1);
    return taken;
  }
  /// At most `most`, and not negative.
  int64_t NumberUntil(char end, int64_t most = INT64_MAX) {
    const std::string_view text = Until(end);
    int64_t number = -1;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || rest != text.data() + text.size() || number < 0 || number > most) ok_ = false;
    return number;
  }
  void Fail() { ok_ = false; }
  bool ok() const { return ok_; }
  ByteView rest() const { return rest_; }

 private:
  ByteView rest_;
  bool ok_ = true;
};

/// "append 1 0 4711 2 64:17 65:9 \n"
PendingPart ReadPart(TextReader& text) {
  PendingPart part;
  part.transaction = text.Until(' ') == "transaction";
  part.schema_id = static_cast<int32_t>(text.NumberUntil(' ', INT32_MAX));
  part.spec_id = static_cast<int32_t>(text.NumberUntil(' ', INT32_MAX));
  part.manifest.added_bytes = text.NumberUntil(' ');
  for (int64_t left = text.NumberUntil(' '); left > 0 && text.ok(); --left) {
    // What becomes marks must be what marks are made of.
    const int64_t slot = text.NumberUntil(':', ring::kSlotCount - 1);
    part.members.emplace_back(static_cast<int>(slot), text.NumberUntil(' ', kSeqMax));
  }
  text.Until('\n');
  if (part.members.empty()) text.Fail();  // nothing would say that it is in
  return part;
}

}  // namespace

std::string PendingGroup::key() const { return fmt::format("{}{}", kPendingPrefix, id); }

bool IsSettled(const PendingGroup& group, const Marks& marks) {
  return std::ranges::all_of(group.parts, [&](const PendingPart& part) {
    return std::ranges::any_of(part.members, [&](const auto& member) { return member.second <= marks.Of(member.first); });
  });
}

std::string NewPendingId(Instant now, Random& random) {
  constexpr size_t kTimeDigits = 12;
  const std::string time = fmt::format("{:012x}", ToMillis(now) & ((int64_t{1} << 48) - 1));
  return time + RandomHex(random, kIdDigits - kTimeDigits);
}

bool IsPendingKey(std::string_view key) {
  return key.starts_with(kPendingPrefix) && key.size() == kPendingPrefix.size() + kIdDigits &&
         IsHex(key.substr(kPendingPrefix.size()));
}

Result<Bytes> EncodePending(const PendingGroup& group) {
  Bytes body = fmt::format("{}\n{}\n{}\n{}\n", kFirstLine, group.table_uuid, group.ring_id, group.parts.size());
  std::vector<ManifestFile> lines;
  for (const PendingPart& part : group.parts) {
    fmt::format_to(std::back_inserter(body), "{} {} {} {} {} ", part.transaction ? "transaction" : "append", part.schema_id,
                   part.spec_id, part.manifest.added_bytes, part.members.size());
    for (const auto& [slot, seq] : part.members) fmt::format_to(std::back_inserter(body), "{}:{} ", slot, seq);
    body += '\n';
    lines.push_back(part.manifest.line);
  }
  DS_ASSIGN_OR_RETURN(const Bytes list, iceberg::EncodeManifestList({}, lines));
  return body + list;
}

Result<PendingGroup> DecodePending(std::string id, ByteView body, std::string_view object) {
  PendingGroup group{.id = std::move(id)};
  TextReader text(body);
  const bool known = text.Until('\n') == kFirstLine;
  group.table_uuid = text.Until('\n');
  group.ring_id = text.Until('\n');
  const int64_t parts = text.NumberUntil('\n');
  for (int64_t i = 0; i < parts && text.ok(); ++i) group.parts.push_back(ReadPart(text));
  if (!known || !text.ok() || group.ring_id.size() != kIdDigits || !IsHex(group.ring_id)) return Corruption("{}: it does not say '{}' and what comes with it", object, kFirstLine);
  DS_ASSIGN_OR_RETURN(std::vector<ManifestFile> lines, iceberg::DecodeManifestList(text.rest(), object));
  if (lines.size() != group.parts.size()) {
    return Corruption("{}: {} manifests for {} parts", object, lines.size(), group.parts.size());
  }
  for (size_t i = 0; i < lines.size(); ++i) group.parts[i].manifest.line = std::move(lines[i]);
  return group;
}

Result<Instant> PendingGroups::StoreTime() {
  const Instant now = outside_.clock.Now();
  const auto since = now - asked_;
  if (!ahead_ || since < since.zero() || since > kStoreTimeTrusted) {
    DS_ASSIGN_OR_RETURN(const Instant theirs, store_.ServerTime());
    ahead_ = theirs - now;
    asked_ = now;
  }
  return now + *ahead_;
}

Result<std::vector<std::string>> PendingGroups::List() {
  DS_ASSIGN_OR_RETURN(std::vector<ObjectInfo> listed, store_.List(kPendingPrefix));
  std::erase_if(listed, [](const ObjectInfo& object) { return !IsPendingKey(object.key); });
  std::vector<std::string> ids;
  if (!listed.empty()) {
    DS_ASSIGN_OR_RETURN(const Instant now, StoreTime());
    for (const ObjectInfo& object : listed) {
      if (now - object.modified <= kPendingAgeMax) ids.push_back(object.key.substr(kPendingPrefix.size()));
    }
  }
  std::erase_if(seen_, [&](const auto& seen) { return !std::ranges::binary_search(ids, seen.first); });
  return ids;
}

std::vector<PendingPtr> PendingGroups::Read(const std::vector<std::string>& ids, std::string_view table_uuid) {
  std::vector<std::string> unseen;
  for (const std::string& id : ids) {
    if (!seen_.contains(id) && unseen.size() < kReadAtOnceMax) unseen.push_back(fmt::format("{}{}", kPendingPrefix, id));
  }
  const std::vector<Result<Bytes>> bodies = store_.GetMany(unseen);
  for (size_t i = 0; i < unseen.size(); ++i) {
    if (!bodies[i].ok()) continue;  // gone, or read next time
    const std::string id = unseen[i].substr(kPendingPrefix.size());
    Result<PendingGroup> group = DecodePending(id, *bodies[i], unseen[i]);
    seen_[id] = group.ok() ? std::make_shared<const PendingGroup>(*std::move(group)) : nullptr;
  }
  std::vector<PendingPtr> found;
  for (const std::string& id : ids) {
    const auto seen = seen_.find(id);
    if (seen == seen_.end() || seen->second == nullptr || seen->second->table_uuid != table_uuid) continue;
    found.push_back(seen->second);
  }
  return found;
}

}  // namespace datashard::commit
