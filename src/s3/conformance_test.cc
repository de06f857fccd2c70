// The conformance suite of all stores on a real S3 server.
#include "storage/conformance.h"

#include "s3/s3_test_support.h"

namespace datashard::s3 {
namespace {

StoreUnderTest MakeS3Store() {
  const TestServer server = ServerFromEnvironment();
  if (!server.named()) return {};
  auto outside = std::make_shared<TestOutside>();
  return {.surroundings = outside, .store = FreshStore(server, outside->outside)};
}

}  // namespace
}  // namespace datashard::s3

namespace datashard {
// Servers stamp answers with a Date that they renew once a second.
DS_STORE_CONFORMANCE(S3, (StoreMaker{.name = "s3", .make = s3::MakeS3Store, .put_waits_for_sync = true, .clock_lag = std::chrono::seconds(1)}));
}
