// Numbers of the objects beside shard.db: little-endian, unlike those within it.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace datashard::sqlite {

inline uint32_t LoadLittle32(const char* at) {
  uint32_t number = 0;
  for (int i = 3; i >= 0; --i) number = number << 8 | static_cast<unsigned char>(at[i]);
  return number;
}
inline void AppendLittle32(Bytes& bytes, uint32_t number) {
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(number >> (8 * i)));
}

}  // namespace datashard::sqlite
