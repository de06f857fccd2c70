#include "http/curl_library.h"

#include <dlfcn.h>

#include <string>

#include "base/error.h"

namespace datashard {
namespace {

constexpr const char* kName = "libcurl.so.4";

struct Loaded {
  CurlLibrary functions;
  std::string trouble;  // empty: there was none
};

Loaded Load() {
  Loaded loaded;
  // DEEPBIND: what it calls is looked for in it and what it needs first, not in what this program has loaded before.
  // AddressSanitizer cannot bear that.
#if defined(__SANITIZE_ADDRESS__)
  constexpr int kFlags = RTLD_NOW | RTLD_LOCAL;
#else
  constexpr int kFlags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif
  void* const library = ::dlopen(kName, kFlags);
  const auto take = [&](const char* name, auto& function) {
    if (!loaded.trouble.empty()) return;
    void* const found = library == nullptr ? nullptr : ::dlsym(library, name);
    if (found == nullptr) loaded.trouble = ::dlerror();
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
  };
  CurlLibrary& curl = loaded.functions;
  take("curl_global_init", curl.global_init);
  take("curl_easy_init", curl.easy_init);
  take("curl_easy_cleanup", curl.easy_cleanup);
  take("curl_easy_setopt", curl.easy_setopt);
  take("curl_easy_getinfo", curl.easy_getinfo);
  take("curl_easy_strerror", curl.easy_strerror);
  take("curl_multi_init", curl.multi_init);
  take("curl_multi_cleanup", curl.multi_cleanup);
  take("curl_multi_setopt", curl.multi_setopt);
  take("curl_multi_add_handle", curl.multi_add_handle);
  take("curl_multi_remove_handle", curl.multi_remove_handle);
  take("curl_multi_perform", curl.multi_perform);
  take("curl_multi_poll", curl.multi_poll);
  take("curl_multi_info_read", curl.multi_info_read);
  take("curl_multi_strerror", curl.multi_strerror);
  take("curl_slist_append", curl.slist_append);
  take("curl_slist_free_all", curl.slist_free_all);
  if (loaded.trouble.empty() && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) loaded.trouble = "it cannot be initialised";
  return loaded;
}

const Loaded& Library() {
  static const Loaded loaded = Load();
  return loaded;
}

}  // namespace

Status LoadCurl() {
  const std::string& trouble = Library().trouble;
  if (trouble.empty()) return {};
  return Unsupported("HTTP needs libcurl ({}), which cannot be loaded: {}. On Debian: apt-get install libcurl4", kName, trouble);
}

const CurlLibrary& Curl() { return Library().functions; }

}  // namespace datashard
