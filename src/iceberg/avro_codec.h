#pragma once

namespace datashard::iceberg {

/// How the blocks of an Avro file are packed. Every engine reads both.
enum class AvroCodec { kNull, kDeflate };

}  // namespace datashard::iceberg
