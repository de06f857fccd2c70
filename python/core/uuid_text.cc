#include "uuid_text.h"

#include <cerrno>
#include <cstring>
#include <new>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace datashard::python {
namespace {

constexpr std::string_view kExtensionKey = "ARROW:extension:";

// Metadata in the C interface: a count, then length and bytes of each key and value, all in 32 bits.
struct KeyValue {
  std::string_view key;
  std::string_view value;
};
std::vector<KeyValue> ParseMetadata(const char* metadata) {
  std::vector<KeyValue> pairs;
  if (metadata == nullptr) return pairs;
  const auto number = [&metadata] {
    int32_t value;
    std::memcpy(&value, metadata, sizeof value);
    metadata += sizeof value;
    return value;
  };
  const auto text = [&] {
    const int32_t size = number();
    const std::string_view view(metadata, static_cast<size_t>(size));
    metadata += size;
    return view;
  };
  const int32_t count = number();
  for (int32_t i = 0; i < count; ++i) {
    const std::string_view key = text();
    pairs.push_back({key, text()});
  }
  return pairs;
}

std::string EncodeMetadata(const std::vector<KeyValue>& pairs) {
  std::string out;
  const auto put_number = [&out](size_t number) {
    const auto value = static_cast<int32_t>(number);
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  put_number(pairs.size());
  for (const KeyValue& pair : pairs) {
    for (const std::string_view text : {pair.key, pair.value}) {
      put_number(text.size());
      out.append(text);
    }
  }
  return out;
}

std::string WithoutExtension(const char* metadata) {
  std::vector<KeyValue> pairs = ParseMetadata(metadata);
  std::erase_if(pairs, [](const KeyValue& pair) { return pair.key.starts_with(kExtensionKey); });
  return EncodeMetadata(pairs);
}

/// A field of the inner stream's schema that says "string", and remembers how to let go of the original.
struct RenamedField {
  ArrowSchema original;
  std::string metadata;
};
void ReleaseRenamed(ArrowSchema* field) {
  const std::unique_ptr<RenamedField> owned(static_cast<RenamedField*>(field->private_data));
  if (owned->original.release != nullptr) owned->original.release(&owned->original);
  field->release = nullptr;
}
void SayString(ArrowSchema* field) {
  auto owned = std::make_unique<RenamedField>();
  owned->original = *field;
  owned->metadata = WithoutExtension(field->metadata);
  field->format = "u";
  field->metadata = owned->metadata.c_str();
  field->release = ReleaseRenamed;
  field->private_data = owned.release();
}

/// A column of text beside the column of bytes it was made from.
struct TextColumn {
  ArrowArray original;
  std::vector<int32_t> offsets;
  std::string text;
  const void* buffers[3];
};
void ReleaseText(ArrowArray* array) {
  const std::unique_ptr<TextColumn> owned(static_cast<TextColumn*>(array->private_data));
  if (owned->original.release != nullptr) owned->original.release(&owned->original);
  array->release = nullptr;
}
void ToText(ArrowArray* array) {
  auto owned = std::make_unique<TextColumn>();
  const auto* bytes = static_cast<const uint8_t*>(array->buffers[1]);
  const int64_t end = array->offset + array->length;
  owned->offsets.reserve(static_cast<size_t>(end) + 1);
  owned->text.reserve(static_cast<size_t>(array->length) * 36 + 1);
  for (int64_t i = 0; i < end; ++i) {
    owned->offsets.push_back(static_cast<int32_t>(owned->text.size()));
    if (i < array->offset) continue;  // what lies before the slice stays empty, so that the validity bitmap still fits
    const std::array<char, 36> text = UuidText(bytes + i * 16);
    owned->text.append(text.data(), text.size());
  }
  owned->offsets.push_back(static_cast<int32_t>(owned->text.size()));
  owned->buffers[0] = array->buffers[0];
  owned->buffers[1] = owned->offsets.data();
  owned->buffers[2] = owned->text.data();
  owned->original = *array;
  array->n_buffers = 3;
  array->buffers = owned->buffers;
  array->release = ReleaseText;
  array->private_data = owned.release();
}

struct Wrapped {
  ArrowStream inner;
  std::vector<int64_t> uuid_columns;
  const char* error = nullptr;
};
Wrapped& WrappedOf(ArrowArrayStream* stream) { return *static_cast<Wrapped*>(stream->private_data); }

// Offsets of text have 31 bits.
constexpr int64_t kBatchRowsMax = INT32_MAX / 36;

int GetSchema(ArrowArrayStream* stream, ArrowSchema* out) {
  Wrapped& wrapped = WrappedOf(stream);
  const int code = wrapped.inner->get_schema(wrapped.inner.get(), out);
  if (code != 0) return code;
  for (const int64_t column : wrapped.uuid_columns) SayString(out->children[column]);
  return 0;
}
int GetNext(ArrowArrayStream* stream, ArrowArray* out) {
  Wrapped& wrapped = WrappedOf(stream);
  const int code = wrapped.inner->get_next(wrapped.inner.get(), out);
  if (code != 0 || out->release == nullptr) return code;
  try {
    if (out->length + out->offset > kBatchRowsMax) {
      wrapped.error = "a batch has too many rows for a column of text; read in smaller batches";
    } else {
      for (const int64_t column : wrapped.uuid_columns) ToText(out->children[column]);
      return 0;
    }
  } catch (const std::bad_alloc&) {
    wrapped.error = "out of memory";
  }
  out->release(out);
  return ENOMEM;
}
const char* GetLastError(ArrowArrayStream* stream) {
  Wrapped& wrapped = WrappedOf(stream);
  return wrapped.error != nullptr ? wrapped.error : wrapped.inner->get_last_error(wrapped.inner.get());
}
void Release(ArrowArrayStream* stream) {
  const std::unique_ptr<Wrapped> owned(&WrappedOf(stream));
  stream->release = nullptr;
}

}  // namespace

std::array<char, 36> UuidText(const uint8_t* bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 36> text;
  char* out = text.data();
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
    *out++ = kDigits[bytes[i] >> 4];
    *out++ = kDigits[bytes[i] & 15];
  }
  return text;
}

bool IsUuidColumn(const ArrowSchema& field) {
  if (std::string_view(field.format) != "w:16") return false;
  for (const KeyValue& pair : ParseMetadata(field.metadata)) {
    if (pair.key == "ARROW:extension:name" && pair.value == "arrow.uuid") return true;
  }
  return false;
}

std::string CopyMetadata(const char* metadata) { return EncodeMetadata(ParseMetadata(metadata)); }

ArrowStream WithUuidsAsText(ArrowStream stream) {
  ArrowSchemaHandle schema;
  // A stream that fails here fails again for its consumer, who reports it.
  if (stream->get_schema(stream.get(), schema.get()) != 0) {
    schema->release = nullptr;
    return stream;
  }
  auto wrapped = std::make_unique<Wrapped>();
  for (int64_t i = 0; i < schema->n_children; ++i) {
    if (IsUuidColumn(*schema->children[i])) wrapped->uuid_columns.push_back(i);
  }
  if (wrapped->uuid_columns.empty()) return stream;
  wrapped->inner = std::move(stream);
  ArrowStream out;
  *out.get() = ArrowArrayStream{.get_schema = GetSchema, .get_next = GetNext, .get_last_error = GetLastError,
                                .release = Release, .private_data = wrapped.release()};
  return out;
}

}  // namespace datashard::python
