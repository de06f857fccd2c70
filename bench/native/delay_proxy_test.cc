// Invariants: every byte arrives once, in order, and so does the end; nothing arrives before its time.
#include "delay_proxy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace bench {
namespace {

using std::chrono::milliseconds;

const Moment kStart{};

TEST(DelayLine, BytesArriveInOrderHalfARoundTripLater) {
  DelayLine line(milliseconds(5), kStart);
  line.Send(kStart, "ab");
  line.Send(kStart + milliseconds(1), "c");
  EXPECT_EQ(line.Arrived(kStart + milliseconds(4)), "");
  EXPECT_EQ(line.next(), kStart + milliseconds(5));
  EXPECT_EQ(line.Arrived(kStart + milliseconds(5)), "ab");
  line.Take(1);
  EXPECT_EQ(line.Arrived(kStart + milliseconds(5)), "b");
  line.Take(1);
  EXPECT_EQ(line.Arrived(kStart + milliseconds(5)), "");
  EXPECT_EQ(line.Arrived(kStart + milliseconds(6)), "c");
}

TEST(DelayLine, ANewConnectionFirstWaitsForTheOtherSide) {
  DelayLine line(milliseconds(5), kStart + milliseconds(10));
  line.Send(kStart + milliseconds(1), "a");
  EXPECT_EQ(line.Arrived(kStart + milliseconds(14)), "");
  EXPECT_EQ(line.Arrived(kStart + milliseconds(15)), "a");
}

TEST(DelayLine, TheEndComesAfterTheBytesAndNotAtOnce) {
  DelayLine line(milliseconds(5), kStart);
  line.Send(kStart, "a");
  line.End(kStart + milliseconds(1));
  EXPECT_FALSE(line.HasEnded(kStart + milliseconds(9)));
  line.Take(1);
  EXPECT_FALSE(line.HasEnded(kStart + milliseconds(5)));
  EXPECT_EQ(line.next(), kStart + milliseconds(6));
  EXPECT_TRUE(line.HasEnded(kStart + milliseconds(6)));
}

TEST(DelayLine, IsFullUntilSomethingIsTaken) {
  DelayLine line(milliseconds(0), kStart);
  line.Send(kStart, std::string(8 << 20, 'x'));
  EXPECT_TRUE(line.is_full());
  line.Take(1);
  EXPECT_FALSE(line.is_full());
}

sockaddr_in At(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

int ConnectTo(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = At(port);
  EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

void SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

std::string ReceiveAll(int fd) {
  std::string all;
  char buffer[1 << 16];
  for (ssize_t count; (count = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) all.append(buffer, static_cast<size_t>(count));
  return all;
}

/// Serves one connection: all that comes, sent back once the other side has ended.
class Echo {
 public:
  Echo() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = At(0);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, generic, size) | ::listen(listener_, 8) | ::getsockname(listener_, generic, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      SendAll(fd, ReceiveAll(fd));
      ::close(fd);
    });
  }
  ~Echo() {
    thread_.join();
    ::close(listener_);
  }
  uint16_t port() const { return port_; }

 private:
  const int listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

/// A proxy in a thread of its own.
class Served {
 public:
  Served(uint16_t upstream, Duration round_trip) : proxy_(upstream), port_(proxy_.Listen(round_trip)) {
    EXPECT_EQ(::pipe(ends_), 0);
    thread_ = std::thread([this] { proxy_.Run(ends_[0]); });
  }
  ~Served() {
    ::close(ends_[1]);
    thread_.join();
    ::close(ends_[0]);
  }
  uint16_t port() const { return port_; }

 private:
  DelayProxy proxy_;
  const uint16_t port_;
  int ends_[2] = {-1, -1};
  std::thread thread_;
};

class DelayProxyTest : public testing::TestWithParam<int> {};

TEST_P(DelayProxyTest, BringsEveryByteAndTheEndThereAndBack) {
  Echo echo;
  const Duration round_trip = milliseconds(GetParam());
  const Served served(echo.port(), round_trip);
  std::string sent;
  for (int i = 0; sent.size() < (20u << 20); ++i) sent += std::to_string(i) + ",";  // more than may be under way
  const Moment start = std::chrono::steady_clock::now();
  const int fd = ConnectTo(served.port());
  SendAll(fd, sent);
  ::shutdown(fd, SHUT_WR);
  EXPECT_TRUE(ReceiveAll(fd) == sent);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 2 * round_trip) << "one for the connection, one for the answer";
  ::close(fd);
}

INSTANTIATE_TEST_SUITE_P(RoundTrips, DelayProxyTest, testing::Values(0, 20));

TEST(DelayProxy, EndsAConnectionThatNobodyTakes) {
  uint16_t nobody;
  {
    Echo echo;
    nobody = echo.port();
    ::close(ConnectTo(nobody));
  }
  const Served served(nobody, milliseconds(1));
  const int fd = ConnectTo(served.port());
  EXPECT_EQ(ReceiveAll(fd), "");
  ::close(fd);
}

}  // namespace
}  // namespace bench
