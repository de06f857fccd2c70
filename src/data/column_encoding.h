// How the values of a column are laid out in Parquet, decided from a sample of its first rows.
#pragma once

#include <arrow/type_fwd.h>
#include <parquet/properties.h>

#include <memory>

namespace datashard::data {

struct ColumnEncoding {
  bool dictionary = false;
  parquet::Encoding::type encoding = parquet::Encoding::PLAIN;  // of what is not in a dictionary
  bool compressed = true;
};

/// For a column that begins with `head`, or is no more than that where `is_all`.
ColumnEncoding ChooseEncoding(const arrow::ArrayVector& head, bool is_all);

}  // namespace datashard::data
