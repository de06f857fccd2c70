// Bytes as this code base passes them around: owned, or a view that does not own.
#pragma once

#include <string>
#include <string_view>

namespace datashard {

using Bytes = std::string;
using ByteView = std::string_view;

}  // namespace datashard
