// uuid columns as text, which is how Python users see them; in Arrow they are 16 bytes with the name "arrow.uuid".
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "datashard/arrow_c.h"

namespace datashard::python {

/// "f79c3e09-677c-4bbd-a479-3f349cb785e7" of 16 bytes.
std::array<char, 36> UuidText(const uint8_t* bytes);
/// Does the field's metadata name the canonical extension type?
bool IsUuidColumn(const ArrowSchema& field);
/// A copy of a field's `metadata` (null: none), which has its length only in its contents.
std::string CopyMetadata(const char* metadata);
/// `stream` with its uuid columns as strings; the same stream where it has none.
ArrowStream WithUuidsAsText(ArrowStream stream);

}  // namespace datashard::python
