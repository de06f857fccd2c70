// UTF-8: is it, and how many code points.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace datashard::routing {

/// Well-formed, as Unicode says: no surrogates, no overlong forms, nothing above U+10FFFF.
bool IsUtf8(ByteView bytes);
/// Of well-formed UTF-8.
int64_t CodePointCount(ByteView text);
/// Appends `code_point`, which is a scalar value of Unicode.
void AppendUtf8(uint32_t code_point, Bytes& out);

}  // namespace datashard::routing
