// A small HTTP server on loopback for tests: it answers as a handler says, and can lose, cut and delay answers.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "http/http_client.h"

namespace datashard {

struct SeenRequest {
  std::string method;
  std::string target;  ///< path and query as sent
  std::vector<HttpHeader> headers;  ///< names in lower case
  std::string body;
  int connection = 0;  ///< a number per connection, from 0

  std::string Header(std::string_view name) const;
  /// The target without its query.
  std::string Path() const { return target.substr(0, target.find('?')); }
};

struct ScriptedAnswer {
  int status = 200;
  std::vector<HttpHeader> headers;
  std::string body;
  bool lost = false;                    ///< the connection is closed instead
  std::ptrdiff_t cut_body_at = -1;      ///< the connection is closed after so many bytes of the body
  std::chrono::milliseconds delay{0};   ///< before the answer
  std::chrono::milliseconds body_delay{0};  ///< between headers and body
};

/// Called from several threads, one per connection.
using AnswerHandler = std::function<ScriptedAnswer(const SeenRequest&)>;

class ScriptedServer {
 public:
  explicit ScriptedServer(AnswerHandler handler);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  /// "http://127.0.0.1:<port>"
  std::string url() const;
  std::vector<SeenRequest> requests() const;
  int connection_count() const;

 private:
  void Accept();
  void Serve(int connection, int socket);

  AnswerHandler handler_;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;
  bool closing_ = false;
  std::vector<SeenRequest> requests_;
  std::vector<int> sockets_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};
/// Reads one request; nothing at the connection's end.
inline std::optional<SeenRequest> ReadRequest(int socket, std::string& buffer) {
  const auto more = [&] {
    char piece[65536];
    const ssize_t count = recv(socket, piece, sizeof piece, 0);
    if (count > 0) buffer.append(piece, static_cast<size_t>(count));
    return count > 0;
  };
  size_t end = 0;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!more()) return std::nullopt;
  }
  SeenRequest request;
  const std::string head = buffer.substr(0, end + 2);
  const size_t space = head.find(' ');
  request.method = head.substr(0, space);
  request.target = head.substr(space + 1, head.find(' ', space + 1) - space - 1);
  for (size_t start = head.find("\r\n") + 2; start < head.size();) {
    const size_t line_end = head.find("\r\n", start);
    const size_t colon = head.find(':', start);
    std::string name = head.substr(start, colon - start);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    size_t value = colon + 1;
    while (value < line_end && head[value] == ' ') ++value;
    request.headers.push_back({.name = name, .value = head.substr(value, line_end - value)});
    start = line_end + 2;
  }
  buffer.erase(0, end + 4);
  const size_t length = std::strtoull(request.Header("content-length").c_str(), nullptr, 10);
  while (buffer.size() < length) {
    if (!more()) return std::nullopt;
  }
  request.body = buffer.substr(0, length);
  buffer.erase(0, length);
  return request;
}

inline void SendAll(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

/// Returns whether the connection stays open.
inline bool SendAnswer(int socket, const SeenRequest& request, const ScriptedAnswer& answer) {
  std::this_thread::sleep_for(answer.delay);
  if (answer.lost) return false;
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " Scripted\r\n";
  bool has_length = answer.status == 204 || answer.status == 304;
  for (const HttpHeader& header : answer.headers) {
    head += header.name + ": " + header.value + "\r\n";
    has_length = has_length || header.name == "Content-Length";
  }
  if (!has_length) head += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n";
  SendAll(socket, head + "\r\n");
  std::this_thread::sleep_for(answer.body_delay);
  if (request.method == "HEAD") return true;
  if (answer.cut_body_at >= 0) {
    SendAll(socket, std::string_view(answer.body).substr(0, static_cast<size_t>(answer.cut_body_at)));
    return false;
  }
  SendAll(socket, answer.body);
  return true;
}

inline std::string SeenRequest::Header(std::string_view name) const {
  for (const HttpHeader& header : headers) {
    if (header.name == name) return header.value;
  }
  return {};
}

inline ScriptedServer::ScriptedServer(AnswerHandler handler) : handler_(std::move(handler)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 64) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    std::abort();
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

inline ScriptedServer::~ScriptedServer() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    for (const int socket : sockets_) shutdown(socket, SHUT_RDWR);
  }
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  for (const int socket : sockets_) close(socket);
  close(listener_);
}

inline std::string ScriptedServer::url() const { return "http://127.0.0.1:" + std::to_string(port_); }

inline std::vector<SeenRequest> ScriptedServer::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

inline int ScriptedServer::connection_count() const {
  std::lock_guard lock(mutex_);
  return static_cast<int>(sockets_.size());
}

inline void ScriptedServer::Accept() {
  for (;;) {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    std::lock_guard lock(mutex_);
    if (socket < 0 || closing_) {
      if (socket >= 0) close(socket);
      return;
    }
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const int connection = static_cast<int>(sockets_.size());
    sockets_.push_back(socket);
    threads_.emplace_back([this, connection, socket] { Serve(connection, socket); });
  }
}

inline void ScriptedServer::Serve(int connection, int socket) {
  std::string buffer;
  while (std::optional<SeenRequest> request = ReadRequest(socket, buffer)) {
    request->connection = connection;
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(*request);
    }
    if (!SendAnswer(socket, *request, handler_(*request))) break;
  }
  shutdown(socket, SHUT_RDWR);
}

}  // namespace datashard
