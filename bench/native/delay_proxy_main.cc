// A server on loopback at several distances at once: see delay_proxy.h.
//
//     delay_proxy UPSTREAM_PORT ROUND_TRIP_MS…     prints a port for each round trip, in order; serves until its input ends
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "delay_proxy.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: delay_proxy UPSTREAM_PORT ROUND_TRIP_MS...\n", stderr);
    return 2;
  }
  bench::DelayProxy proxy(static_cast<uint16_t>(std::atoi(argv[1])));
  for (int i = 2; i < argc; ++i) {
    const std::chrono::duration<double, std::milli> round_trip(std::atof(argv[i]));
    std::printf("%d\n", proxy.Listen(std::chrono::duration_cast<bench::Duration>(round_trip)));
  }
  std::fflush(stdout);
  proxy.Run(STDIN_FILENO);
  return 0;
}
