// One curl "multi" handle with its connections serves one PerformAll at a time, in the caller's thread; idle ones wait in a
// pool. There is no thread and no lock that a forked child would have to wait for.

#include "http/http_client.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "http/curl_library.h"
#include "http/transfer.h"

namespace datashard {
namespace {

constexpr size_t kIdleMultisMax = 64;
constexpr size_t kAtOnceMax = 32;  // of one call; the others wait for one of these to end
constexpr int kPollMs = static_cast<int>(kAskInterruptedEvery.count());

struct MultiCleanup {
  void operator()(CURLM* multi) const { Curl().multi_cleanup(multi); }
};
using Multi = std::unique_ptr<CURLM, MultiCleanup>;

/// The idle handles of one process.
struct Pool {
  const pid_t pid = getpid();
  std::mutex mutex;
  std::vector<Multi> idle;
};

class CurlClient final : public HttpClient {
 public:
  explicit CurlClient(HttpSettings settings) : settings_(std::move(settings)), pool_(new Pool) {}
  ~CurlClient() override {
    // A child leaves its parent's handles alone: closing them would say goodbye on the parent's TLS connections.
    Pool* const pool = pool_.load();
    if (pool->pid == getpid()) delete pool;
  }

  std::vector<Result<HttpResponse>> PerformAll(std::span<const HttpRequest> requests) override;

 private:
  Pool& OwnPool();
  Multi Take(Pool& pool);
  void GiveBack(Pool& pool, Multi multi);
  /// Runs until all transfers of `multi` are done or the call is interrupted; the error is the latter.
  Status Drive(CURLM* multi, std::vector<std::unique_ptr<Transfer>>& transfers);

  const HttpSettings settings_;
  std::atomic<Pool*> pool_;
};

Pool& CurlClient::OwnPool() {
  Pool* pool = pool_.load(std::memory_order_acquire);
  if (pool->pid == getpid()) return *pool;
  auto fresh = std::make_unique<Pool>();
  if (pool_.compare_exchange_strong(pool, fresh.get())) return *fresh.release();
  return *pool;
}

Multi CurlClient::Take(Pool& pool) {
  {
    std::lock_guard lock(pool.mutex);
    if (!pool.idle.empty()) {
      Multi multi = std::move(pool.idle.back());
      pool.idle.pop_back();
      return multi;
    }
  }
  Multi multi(Curl().multi_init());
  if (multi) {
    Curl().multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(settings_.kept_connections_max));
    Curl().multi_setopt(multi.get(), CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
  }
  return multi;
}

void CurlClient::GiveBack(Pool& pool, Multi multi) {
  std::lock_guard lock(pool.mutex);
  if (pool.idle.size() < kIdleMultisMax) pool.idle.push_back(std::move(multi));
}

Status CurlClient::Drive(CURLM* multi, std::vector<std::unique_ptr<Transfer>>& transfers) {
  size_t started = 0;
  size_t in_flight = 0;
  auto asked = SystemClock().Monotonic();
  for (int running = 1;;) {
    for (; started < transfers.size() && in_flight < kAtOnceMax; ++started) {
      if (transfers[started]->easy() == nullptr) continue;
      Curl().multi_add_handle(multi, transfers[started]->easy());
      ++in_flight;
    }
    if (const CURLMcode code = Curl().multi_perform(multi, &running); code != CURLM_OK)
      return Unavailable("the HTTP client failed: {}", Curl().multi_strerror(code));
    int left = 0;
    while (const CURLMsg* const message = Curl().multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      --in_flight;
      for (const std::unique_ptr<Transfer>& transfer : transfers) {
        if (transfer->easy() == message->easy_handle) transfer->Finish(message->data.result);
      }
    }
    if (running == 0 && started == transfers.size()) return {};
    if (const auto now = SystemClock().Monotonic(); now - asked >= kAskInterruptedEvery) {
      asked = now;
      DS_RETURN_IF_ERROR(AskInterrupted());
    }
    Curl().multi_poll(multi, nullptr, 0, kPollMs, nullptr);
  }
}

std::vector<Result<HttpResponse>> CurlClient::PerformAll(std::span<const HttpRequest> requests) {
  std::vector<Result<HttpResponse>> answers;
  answers.reserve(requests.size());
  if (const Status loaded = LoadCurl(); !loaded.ok()) {
    for (size_t i = 0; i < requests.size(); ++i) answers.push_back(loaded.error());
    return answers;
  }
  Pool& pool = OwnPool();
  Multi multi = Take(pool);
  std::vector<std::unique_ptr<Transfer>> transfers;
  for (const HttpRequest& request : requests) transfers.push_back(std::make_unique<Transfer>(request, settings_));
  const Status driven = multi ? Drive(multi.get(), transfers) : Unavailable("the HTTP client found no memory");
  for (const std::unique_ptr<Transfer>& transfer : transfers) {
    answers.push_back(transfer->Take(driven));
    if (multi && transfer->easy() != nullptr) Curl().multi_remove_handle(multi.get(), transfer->easy());
  }
  if (multi && driven.ok()) GiveBack(pool, std::move(multi));
  return answers;
}

bool IsUnreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

}  // namespace

std::string_view HttpResponse::Header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const HttpHeader& header) { return header.name == name; });
  return found == headers.end() ? std::string_view() : std::string_view(found->value);
}

Result<HttpResponse> HttpClient::Perform(const HttpRequest& request) { return std::move(PerformAll({&request, 1}).front()); }

std::unique_ptr<HttpClient> NewHttpClient(HttpSettings settings) {
  return std::make_unique<CurlClient>(std::move(settings));
}

std::string PercentEncode(std::string_view text, bool keep_slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (IsUnreserved(c) || (keep_slash && c == '/')) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += '%';
      encoded += kDigits[byte >> 4];
      encoded += kDigits[byte & 15];
    }
  }
  return encoded;
}

}  // namespace datashard
