// Exclusive creation in a bucket: a conditional put, on servers that were seen to honour the condition.
#pragma once

#include <atomic>
#include <string>

#include "s3/s3_client.h"
#include "s3/s3_store.h"

namespace datashard::s3 {

/// Callable from several threads. Borrows the client.
class ExclusivePuts {
 public:
  ExclusivePuts(S3Client& client, std::string probe_key, S3StoreSettings::Exclusive known);

  /// Puts all, each if absent, at once, together with the probe if that is still due. Errors: of PutAll; kUnsupported for
  /// each if the server does not honour the condition: then nothing may be relied on, and what was put may have replaced
  /// something.
  std::vector<Status> PutAll(std::span<const PutObject> objects);
  /// The same after the answer to the probe is known: what already has the name is never at risk.
  Status Put(const PutObject& object);
  /// Put of an object that others replace, if absent or if it is the one with the etag `if_match`: a server that accepts a wrong etag
  /// (asked for once, with a probe) is not trusted. Errors: kConflict: another one is there, or none; kCommitUnknown; kUnsupported:
  /// nothing was put.
  Status PutIf(const PutObject& object);
  /// Makes sure that the server honours the condition; no request once that is known.
  Status Ensure();

 private:
  enum State { kUnknown, kWorks, kAbsent };
  PutObject Probe() const;
  /// What the answer to the probe says; asks again where the first probe ever has just created the object.
  Status Learn(const Result<std::string>& probed);
  Error Refusal() const;
  Error MatchRefusal() const;
  Status EnsureMatches();

  S3Client& client_;
  const std::string probe_key_;
  std::atomic<State> state_;
  std::atomic<State> matches_;  // the same of If-Match
};

}  // namespace datashard::s3
