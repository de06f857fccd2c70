#include "delay_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <string_view>

#include "writer.h"

namespace bench {
namespace {

Moment Now() { return std::chrono::steady_clock::now(); }

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

/// Negative where there are too many.
int TryNewSocket() { return ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

void SendAtOnce(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool MustWait() { return errno == EAGAIN || errno == EINTR || errno == ENOTCONN; }

/// One direction of a connection.
struct Way {
  int from;
  int to;
  DelayLine line;
  bool is_blocked = false;  // `to` takes nothing now
  bool has_ended = false;   // and `to` was told so

  /// Takes in what is there. False: the connection broke.
  bool Receive() {
    static std::array<char, 256 << 10> buffer;
    while (!line.is_closed() && !line.is_full()) {
      const ssize_t count = ::recv(from, buffer.data(), buffer.size(), 0);
      if (count < 0) return MustWait();
      if (count == 0) {
        line.End(Now());
      } else {
        line.Send(Now(), {buffer.data(), static_cast<size_t>(count)});
      }
    }
    return true;
  }

  /// Hands over what has arrived. False: the connection broke.
  bool Deliver() {
    const Moment now = Now();
    for (std::string_view bytes; !(bytes = line.Arrived(now)).empty();) {
      const ssize_t count = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0) {
        is_blocked = MustWait();
        return is_blocked;
      }
      line.Take(static_cast<size_t>(count));
    }
    if (line.HasEnded(now) && !has_ended) {
      ::shutdown(to, SHUT_WR);
      has_ended = true;
    }
    return true;
  }

  std::optional<Moment> next() const { return is_blocked || has_ended ? std::nullopt : line.next(); }
};

}  // namespace

struct DelayProxy::Link {
  Way up;
  Way down;
  std::optional<Moment> arrival;  // its place in arrivals_

  Link(int client, int upstream, Duration round_trip)
      : up{client, upstream, DelayLine(round_trip / 2, Now() + round_trip)},
        down{upstream, client, DelayLine(round_trip / 2, Now())} {}
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() {
    ::close(up.from);
    ::close(up.to);
  }

  /// Moves what can be moved now. False: the link is over.
  bool Move() {
    for (Way* const way : {&up, &down}) {
      // First what makes room, then what fills it.
      if (!way->Deliver() || !way->Receive() || !way->Deliver()) return false;
    }
    return !(up.has_ended && down.has_ended);
  }
};

DelayProxy::DelayProxy(uint16_t upstream_port) : upstream_port_(upstream_port), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) Die("epoll_create1");
}

DelayProxy::~DelayProxy() {
  links_.clear();
  for (const auto& [listener, _] : listeners_) ::close(listener);
  ::close(epoll_);
}

void DelayProxy::Watch(int fd, uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) Die("epoll_ctl");
}

uint16_t DelayProxy::Listen(Duration round_trip) {
  const int listener = TryNewSocket();
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (listener < 0 || ::bind(listener, generic, size) != 0 || ::listen(listener, 4096) != 0 || ::getsockname(listener, generic, &size) != 0) {
    Die("cannot listen on loopback");
  }
  listeners_.emplace(listener, round_trip);
  Watch(listener, EPOLLIN);
  return ntohs(address.sin_port);
}

void DelayProxy::Run(int until) {
  Watch(until, EPOLLIN | EPOLLRDHUP);
  std::array<epoll_event, 128> events;
  for (;;) {
    timespec storage;
    const int count = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), TimeLeft(storage), nullptr);
    if (count < 0 && errno != EINTR) Die("epoll_pwait2");
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == until) return;
      if (const auto listener = listeners_.find(fd); listener != listeners_.end()) {
        Accept(fd, listener->second);
      } else if (const auto end = ends_.find(fd); end != ends_.end()) {
        end->second->up.is_blocked = end->second->down.is_blocked = false;
        Serve(*end->second);
      }
    }
    while (!arrivals_.empty() && arrivals_.begin()->first <= Now()) Serve(*arrivals_.begin()->second);
  }
}

void DelayProxy::Accept(int listener, Duration round_trip) {
  for (;;) {
    const int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    const int upstream = TryNewSocket();
    if (upstream < 0) {  // too many: as a server that is full
      ::close(client);
      continue;
    }
    SendAtOnce(client);
    SendAtOnce(upstream);
    const sockaddr_in address = Loopback(upstream_port_);
    const bool under_way = ::connect(upstream, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EINPROGRESS;
    auto link = std::make_unique<Link>(client, upstream, round_trip);
    if (!under_way) continue;
    ends_[client] = ends_[upstream] = link.get();
    links_.emplace(link.get(), std::move(link));
    for (const int fd : {client, upstream}) Watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  }
}

void DelayProxy::Serve(Link& link) {
  if (link.arrival) arrivals_.erase({*link.arrival, &link});
  if (!link.Move()) {
    ends_.erase(link.up.from);
    ends_.erase(link.up.to);
    links_.erase(&link);
    return;
  }
  const std::optional<Moment> up = link.up.next();
  const std::optional<Moment> down = link.down.next();
  link.arrival = up && down ? std::min(up, down) : up ? up : down;
  if (link.arrival) arrivals_.emplace(*link.arrival, &link);
}

const timespec* DelayProxy::TimeLeft(timespec& storage) const {
  if (arrivals_.empty()) return nullptr;
  const auto left = std::chrono::nanoseconds(std::max(arrivals_.begin()->first - Now(), Duration::zero())).count();
  storage = {.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
  return &storage;
}

}  // namespace bench
