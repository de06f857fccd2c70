// Credentials that are looked for where AWS's tools look, kept, and fetched anew before they expire.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "s3/credentials_source.h"
#include "s3/settings.h"

namespace datashard::s3 {

/// Asks sources in turn; the first that has credentials is asked alone from then on. One thread at a time.
class CredentialsChain {
 public:
  CredentialsChain(std::vector<std::unique_ptr<CredentialsSource>> sources, Log& log) : sources_(std::move(sources)), log_(log) {}
  /// Errors: that of a source that is set up but fails; kDenied if none is, with where it was looked and why not there.
  Result<Credentials> Fetch();

 private:
  const std::vector<std::unique_ptr<CredentialsSource>> sources_;
  Log& log_;
  CredentialsSource* chosen_ = nullptr;
};

/// Keeps what `fetch` gets. In the last part of their life (at most 15 minutes, and not at the same moment in each process) the
/// next caller fetches anew while the others go on with the old ones; should that fail, so does it, until they expire.
/// Credentials that are expired when they come are used all the same, for a minute: the service knows, or our clock is wrong.
/// Callable from several threads, also after a fork: a child fetches its own.
class RefreshingCredentials final : public CredentialsProvider {
 public:
  /// Called by one thread at a time.
  using Fetch = std::function<Result<Credentials>()>;
  RefreshingCredentials(Fetch fetch, const Outside& outside);
  ~RefreshingCredentials() override;
  Result<Credentials> Get() override;
  /// Many callers may have been refused at once: what was fetched within the last seconds is kept.
  void Invalidate() override;

 private:
  struct State;
  State& Own();
  void Settle(State& state, const Result<Credentials>& fetched);

  const Fetch fetch_;
  const Outside outside_;
  std::atomic<State*> state_;
};

/// The keys in `settings`, or else the chain: environment, profile, web identity, container, instance metadata.
/// `http` and `outside` are borrowed; `environment` is read now.
std::unique_ptr<CredentialsProvider> CredentialsFor(const S3Settings& settings, const Environment& environment, HttpClient& http,
                                                    const Outside& outside);

}  // namespace datashard::s3
