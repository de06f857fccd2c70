#include "http/transfer.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "base/error.h"

namespace datashard {
namespace {

constexpr size_t kHeaderBytesMax = 256 * 1024;
constexpr int64_t kErrorBytesMax = 1024 * 1024;
constexpr long kBufferBytes = 256 * 1024;

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

curl_socket_t OpenSocket(void*, curlsocktype, curl_sockaddr* address) {
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

bool OnlyReads(const std::string& method) { return method == "GET" || method == "HEAD"; }

bool IsAboutCertificates(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE ||
         code == CURLE_SSL_ISSUER_ERROR;
}

bool IsAboutTheUrl(CURLcode code) { return code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL; }

}  // namespace

Transfer::Transfer(const HttpRequest& request, const HttpSettings& settings) : request_(request), easy_(Curl().easy_init()) {
  if (easy_ == nullptr) return;
  CURL* const easy = easy_.get();
  Curl().easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  Curl().easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  Curl().easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  Curl().easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  Curl().easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  Curl().easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  Curl().easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  Curl().easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, settings.verify_server ? 1L : 0L);
  Curl().easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, settings.verify_server ? 2L : 0L);
  Curl().easy_setopt(easy, CURLOPT_USERAGENT, settings.user_agent.c_str());
  Curl().easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text_);
  Curl().easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &OpenSocket);
  if (!settings.ca_file.empty()) Curl().easy_setopt(easy, CURLOPT_CAINFO, settings.ca_file.c_str());
  if (request.bypass_proxy) Curl().easy_setopt(easy, CURLOPT_PROXY, "");
  SetMethod();
  SetHeaders();
  SetTimes();
  SetCallbacks();
}

void Transfer::SetMethod() {
  CURL* const easy = easy_.get();
  if (request_.method == "HEAD") {
    Curl().easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request_.method == "PUT" || request_.method == "POST") {
    Curl().easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    Curl().easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    Curl().easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, kBufferBytes);
    Curl().easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  } else {
    Curl().easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
}

void Transfer::SetHeaders() {
  // An empty value behind ':' removes a header of curl's own, ';' sends an empty one.
  const auto add = [this](const std::string& line) {
    curl_slist* const longer = Curl().slist_append(header_list_.get(), line.c_str());
    if (longer == nullptr) return;
    static_cast<void>(header_list_.release());
    header_list_.reset(longer);
  };
  for (const HttpHeader& header : request_.headers)
    add(header.value.empty() ? header.name + ";" : header.name + ": " + header.value);
  add("Expect:");
  add("Transfer-Encoding:");
  Curl().easy_setopt(easy_.get(), CURLOPT_HTTPHEADER, header_list_.get());
}

void Transfer::SetTimes() {
  CURL* const easy = easy_.get();
  const auto whole_seconds = [](std::chrono::milliseconds time) {
    return static_cast<long>(std::max<int64_t>(1, std::chrono::ceil<std::chrono::seconds>(time).count()));
  };
  Curl().easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connect_timeout.count()));
  Curl().easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout.count()));
  Curl().easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  Curl().easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, whole_seconds(request_.stall_timeout));
  Curl().easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  Curl().easy_setopt(easy, CURLOPT_BUFFERSIZE, kBufferBytes);
}

void Transfer::SetCallbacks() {
  CURL* const easy = easy_.get();
  Curl().easy_setopt(easy, CURLOPT_READDATA, this);
  Curl().easy_setopt(easy, CURLOPT_READFUNCTION, +[](char* out, size_t size, size_t count, void* self) {
    return static_cast<Transfer*>(self)->OnSend(out, size * count);
  });
  Curl().easy_setopt(easy, CURLOPT_SEEKDATA, this);
  Curl().easy_setopt(easy, CURLOPT_SEEKFUNCTION, +[](void* self, curl_off_t offset, int) {
    auto* const transfer = static_cast<Transfer*>(self);
    transfer->response_.resent = true;
    transfer->sent_bytes_ = static_cast<size_t>(offset);
    return CURL_SEEKFUNC_OK;
  });
  Curl().easy_setopt(easy, CURLOPT_WRITEDATA, this);
  Curl().easy_setopt(easy, CURLOPT_WRITEFUNCTION, +[](char* data, size_t size, size_t count, void* self) {
    return static_cast<Transfer*>(self)->OnBody(data, size * count);
  });
  Curl().easy_setopt(easy, CURLOPT_HEADERDATA, this);
  Curl().easy_setopt(easy, CURLOPT_HEADERFUNCTION, +[](char* data, size_t size, size_t count, void* self) {
    return static_cast<Transfer*>(self)->OnHeader({data, size * count});
  });
}

size_t Transfer::OnSend(char* out, size_t capacity) {
  body_asked_ = true;
  const size_t count = std::min(capacity, request_.body.size() - sent_bytes_);
  std::memcpy(out, request_.body.data() + sent_bytes_, count);
  sent_bytes_ += count;
  return count;
}

size_t Transfer::OnBody(const char* data, size_t size) {
  if (request_.sink && response_.status / 100 == 2) {
    stopped_ = !request_.sink({data, size});
    return stopped_ ? 0 : size;
  }
  const int64_t bytes_max = response_.status / 100 == 2 ? request_.body_bytes_max : std::max(request_.body_bytes_max, kErrorBytesMax);
  too_long_ = static_cast<int64_t>(response_.body.size() + size) > bytes_max;
  if (too_long_) return 0;
  response_.body.append(data, size);
  return size;
}

size_t Transfer::OnHeader(std::string_view line) {
  if (line.starts_with("HTTP/")) {  // of the last answer: "100 Continue" comes before the real one
    response_.headers.clear();
    const size_t space = line.find(' ');
    response_.status = space == std::string_view::npos ? 0 : std::atoi(std::string(line.substr(space + 1, 3)).c_str());
    return line.size();
  }
  header_bytes_ += line.size();
  if (header_bytes_ > kHeaderBytesMax) return 0;
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return line.size();
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  response_.headers.push_back({.name = std::move(name), .value = std::string(Trimmed(line.substr(colon + 1)))});
  return line.size();
}

std::string Transfer::Name() const {
  return request_.method + " " + request_.url.substr(0, request_.url.find('?'));
}

bool Transfer::MayHaveLanded() const {
  if (OnlyReads(request_.method)) return false;
  long request_bytes = 0;
  Curl().easy_getinfo(easy_.get(), CURLINFO_REQUEST_SIZE, &request_bytes);
  return body_asked_ || request_bytes > 0;
}

Error Transfer::NoAnswer(std::string_view why) const {
  if (MayHaveLanded()) return CommitUnknown("{}: no whole answer came after it was sent: {}", Name(), why);
  return Unavailable("{}: {}", Name(), why);
}

Error Transfer::ErrorOf(CURLcode code) const {
  const std::string_view text = error_text_[0] != '\0' ? std::string_view(error_text_) : Curl().easy_strerror(code);
  if (too_long_) return Unsupported("{}: the answer has more than the {} bytes that were expected at most", Name(), request_.body_bytes_max);
  if (stopped_) return Unavailable("{}: stopped by the receiver of the body", Name());
  if (IsAboutTheUrl(code)) return InvalidArgument("{}: {}", Name(), text);
  if (IsAboutCertificates(code))
    return Denied("{}: {}; name the file with the certificates to trust, or correct the address", Name(), text);
  return NoAnswer(text);
}

Result<HttpResponse> Transfer::Take(const Status& driven) {
  if (easy_ == nullptr) return Unavailable("{}: the HTTP client found no memory", Name());
  if (!finished_) return NoAnswer(driven.ok() ? std::string_view("it was never finished") : driven.error().message());
  if (code_ != CURLE_OK) return ErrorOf(code_);
  curl_off_t total = 0, first_byte = 0;
  Curl().easy_getinfo(easy_.get(), CURLINFO_TOTAL_TIME_T, &total);
  Curl().easy_getinfo(easy_.get(), CURLINFO_STARTTRANSFER_TIME_T, &first_byte);
  response_.total = std::chrono::microseconds(total);
  response_.first_byte = std::chrono::microseconds(first_byte);
  return std::move(response_);
}

}  // namespace datashard
