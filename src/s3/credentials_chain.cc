#include "s3/credentials_chain.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "base/error.h"

namespace datashard::s3 {
namespace {

using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr minutes kRefreshBeforeMin{5};
constexpr minutes kRefreshBeforeSpread{10};
constexpr seconds kRefreshPause{60};  // after one that failed or brought expired credentials
constexpr seconds kInvalidateAfter{10};

microseconds Scaled(microseconds duration, double factor) {
  return microseconds(static_cast<int64_t>(static_cast<double>(duration.count()) * factor));
}

/// How long before their end credentials of `lifetime` are fetched anew; `unit` is random in [0, 1).
microseconds RefreshBefore(microseconds lifetime, double unit) {
  return std::min(kRefreshBeforeMin + Scaled(kRefreshBeforeSpread, unit), Scaled(lifetime, 0.2 + 0.2 * unit));
}

}  // namespace

Result<Credentials> CredentialsChain::Fetch() {
  std::string looked_at;
  for (const auto& source : sources_) {
    if (chosen_ != nullptr && chosen_ != source.get()) continue;
    Result<Found> found = source->Fetch();
    if (!found.ok()) return std::move(found).error().In("credentials from " + source->name());
    if (found->credentials.has_value()) {
      if (chosen_ == nullptr) log_.Write(LogLevel::kDebug, "S3 credentials come from " + source->name());
      chosen_ = source.get();
      return *std::move(found->credentials);
    }
    looked_at += fmt::format("{}{}: {}", looked_at.empty() ? "" : "; ", source->name(), found->why_not);
  }
  return Denied("there are no S3 credentials ({}); set DATASHARD_S3_ACCESS_KEY and DATASHARD_S3_SECRET_KEY, or one of these", looked_at);
}

struct RefreshingCredentials::State {
  const pid_t pid = getpid();
  std::mutex mutex;
  std::condition_variable fetched;
  std::optional<Credentials> current;
  Instant refresh_at;              // of current
  microseconds since{0};           // by the monotonic clock
  std::optional<Error> error;      // of the last fetch, for those who waited for it
  bool fetching = false;

  bool Usable(Instant now) const { return current.has_value() && (now < refresh_at || !current->expires || now < *current->expires); }
};

RefreshingCredentials::RefreshingCredentials(Fetch fetch, const Outside& outside)
    : fetch_(std::move(fetch)), outside_(outside), state_(new State) {}

RefreshingCredentials::~RefreshingCredentials() {
  // A child leaves its parent's lock alone, which another thread may have held when it was forked.
  State* const state = state_.load();
  if (state->pid == getpid()) delete state;
}

RefreshingCredentials::State& RefreshingCredentials::Own() {
  State* state = state_.load(std::memory_order_acquire);
  if (state->pid == getpid()) return *state;
  auto fresh = std::make_unique<State>();
  if (state_.compare_exchange_strong(state, fresh.get())) return *fresh.release();
  return *state;
}

Result<Credentials> RefreshingCredentials::Get() {
  State& state = Own();
  std::unique_lock lock(state.mutex);
  const Instant now = outside_.clock.Now();
  if (state.current && now < state.refresh_at) return *state.current;
  while (state.fetching) {
    if (state.Usable(now)) return *state.current;
    state.fetched.wait(lock, [&state] { return !state.fetching; });
    if (state.current) return *state.current;
    if (state.error) return *state.error;
  }
  state.fetching = true;
  lock.unlock();
  Result<Credentials> credentials = fetch_();
  lock.lock();
  state.fetching = false;
  state.error.reset();
  Settle(state, credentials);
  state.fetched.notify_all();
  if (state.current) return *state.current;
  return *state.error;
}

void RefreshingCredentials::Settle(State& state, const Result<Credentials>& fetched) {
  const Instant now = outside_.clock.Now();
  if (fetched.ok()) {
    state.current = *fetched;
    state.since = outside_.clock.Monotonic();
    state.refresh_at = Instant::max();
    if (!fetched->expires) return;
    const microseconds lifetime = *fetched->expires - now;
    state.refresh_at = lifetime > microseconds(0) ? *fetched->expires - RefreshBefore(lifetime, RandomUnit(outside_.random)) : now + kRefreshPause;
    if (lifetime <= microseconds(0))
      outside_.log.Write(LogLevel::kWarning, "the S3 credentials that were just fetched have expired already; is this machine's clock right?");
    return;
  }
  if (state.Usable(now)) {
    state.refresh_at = std::min(now + kRefreshPause, *state.current->expires);
    outside_.log.Write(LogLevel::kWarning, fmt::format("S3 credentials cannot be refreshed yet, the old ones are still valid: {}", fetched.error().message()));
    return;
  }
  state.current.reset();
  state.error = fetched.error();
}

void RefreshingCredentials::Invalidate() {
  State& state = Own();
  std::lock_guard lock(state.mutex);
  if (outside_.clock.Monotonic() - state.since >= kInvalidateAfter) state.current.reset();
}

std::unique_ptr<CredentialsProvider> CredentialsFor(const S3Settings& settings, const Environment& environment, HttpClient& http,
                                                    const Outside& outside) {
  if (settings.keys.has_value()) return std::make_unique<StaticCredentials>(*settings.keys);
  const SourceTools tools{http, outside};
  std::vector<std::unique_ptr<CredentialsSource>> sources;
  sources.push_back(EnvironmentKeys(environment));
  sources.push_back(ProfileKeys(environment, tools));
  sources.push_back(WebIdentity(environment, tools));
  sources.push_back(ContainerKeys(environment, tools));
  sources.push_back(InstanceKeys(environment, tools));
  auto chain = std::make_shared<CredentialsChain>(std::move(sources), outside.log);
  return std::make_unique<RefreshingCredentials>([chain] { return chain->Fetch(); }, outside);
}

}  // namespace datashard::s3
