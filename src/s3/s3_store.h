// The ObjectStore on a bucket, or on a part of one.
#pragma once

#include <memory>
#include <string>

#include "base/outside.h"
#include "http/http_client.h"
#include "s3/credentials.h"
#include "s3/exchange.h"
#include "s3/s3_client.h"
#include "s3/settings.h"
#include "storage/object_store.h"

namespace datashard::s3 {

struct S3StoreSettings {
  Place place;
  std::string prefix;  ///< before every key, without slashes at its ends; empty: the bucket itself

  /// Does the server refuse `If-None-Match: *` where the name is taken? Some overwrite.
  enum class Exclusive {
    kProbe,    ///< found out before the first exclusive put, by an object ".datashard-conditional-writes.tmp" below the prefix
    kTrusted,  ///< it does
    kAbsent,   ///< it does not: nothing is written exclusively
  };
  Exclusive exclusive = Exclusive::kProbe;
  RetrySettings retry;
  ContentTypeOf content_type_of = BytesOfAnyKind;
};

/// What users say of conditional writes, for a store.
S3StoreSettings::Exclusive ExclusiveOf(ConditionalWrites writes);

/// No request is made here. Costs in requests: Get, GetRange, Head, Replace, DropBody, Delete, PutIfAbsent, Publish, StillNamed,
/// ServerTime: one; OpenReader: one, which brings the last 64 KiB too; List: one for each 1,000 objects; GetMany, HeadMany: one for each, all at once; a group: one
/// round trip at Sync for all it was given, and objects above 32 MiB in parts. The first Sync or exclusive put of a
/// store also probes (see Exclusive): one request, beside the others.
/// A name another process took meanwhile is told by Sync. Error: kInvalidArgument: settings that name no place.
Result<std::unique_ptr<ObjectStore>> OpenS3Store(S3StoreSettings settings, std::shared_ptr<HttpClient> http,
                                                 std::shared_ptr<CredentialsProvider> credentials, const Outside& outside);

}  // namespace datashard::s3
