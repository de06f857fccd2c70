// One request on its way: a curl "easy" handle, what it sends and what it has received.
#pragma once

#include <memory>
#include <string>

#include "http/curl_library.h"
#include "http/http_client.h"

namespace datashard {

/// Stays where it is: curl holds pointers into it.
class Transfer {
 public:
  Transfer(const HttpRequest& request, const HttpSettings& settings);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  /// Null if it could not be made.
  CURL* easy() const { return easy_.get(); }
  void Finish(CURLcode code) {
    code_ = code;
    finished_ = true;
  }
  /// The answer, once. `driven`: why it may never have been finished.
  Result<HttpResponse> Take(const Status& driven);

 private:
  struct EasyCleanup {
    void operator()(CURL* easy) const { Curl().easy_cleanup(easy); }
  };
  struct ListCleanup {
    void operator()(curl_slist* list) const { Curl().slist_free_all(list); }
  };
  void SetMethod();
  void SetHeaders();
  void SetTimes();
  void SetCallbacks();
  Error ErrorOf(CURLcode code) const;
  Error NoAnswer(std::string_view why) const;
  bool MayHaveLanded() const;
  std::string Name() const;

  size_t OnSend(char* out, size_t capacity);
  size_t OnBody(const char* data, size_t size);
  size_t OnHeader(std::string_view line);

  const HttpRequest& request_;
  std::unique_ptr<CURL, EasyCleanup> easy_;
  std::unique_ptr<curl_slist, ListCleanup> header_list_;
  HttpResponse response_;
  size_t sent_bytes_ = 0;
  size_t header_bytes_ = 0;
  bool body_asked_ = false;
  bool too_long_ = false;
  bool stopped_ = false;
  bool finished_ = false;
  CURLcode code_ = CURLE_OK;
  char error_text_[CURL_ERROR_SIZE] = {};
};

}  // namespace datashard
