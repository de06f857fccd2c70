// Makes a server on loopback look distant: forwards bytes as they are, each half a round trip late, in both directions. A new
// connection costs a whole round trip more. Bandwidth has no limit, and nothing is lost.
#pragma once

#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "delay_line.h"

namespace bench {

/// One thread serves all connections.
class DelayProxy {
 public:
  /// Before the server at `upstream_port` of this host.
  explicit DelayProxy(uint16_t upstream_port);
  DelayProxy(const DelayProxy&) = delete;
  DelayProxy& operator=(const DelayProxy&) = delete;
  ~DelayProxy();

  /// Listens on a free port of loopback, which it returns. Ends the process where that fails.
  uint16_t Listen(Duration round_trip);
  /// Serves until the other end of the pipe or socket `until` is closed.
  void Run(int until);

 private:
  struct Link;

  void Watch(int fd, uint32_t events);
  void Accept(int listener, Duration round_trip);
  /// A link that is over is gone afterwards.
  void Serve(Link& link);
  /// Until the next bytes arrive somewhere; null: nothing is under way.
  const timespec* TimeLeft(timespec& storage) const;

  const uint16_t upstream_port_;
  const int epoll_;
  std::map<int, Duration> listeners_;  // by descriptor
  std::map<int, Link*> ends_;          // by descriptor of either side
  std::map<Link*, std::unique_ptr<Link>> links_;
  std::set<std::pair<Moment, Link*>> arrivals_;
};

}  // namespace bench
