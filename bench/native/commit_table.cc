// Writer to a table of ours, through the public C++ interface.
#include "datashard/table.h"

#include <cstdio>
#include <cstdlib>

#include "one_row.h"

int main(int argc, char** argv) {
  return bench::RunWriter(argc, argv, [](const std::string& directory) -> bench::Append {
    auto opened = datashard::Table::Open(directory + "/table");
    if (!opened.ok()) {
      std::fprintf(stderr, "%s\n", opened.error().ToString().c_str());
      std::exit(1);
    }
    std::shared_ptr<datashard::Table> table = std::move(opened).value();
    return [table](const bench::Record& record) -> std::string {
      const auto appended = table->Append(bench::OneRow(record));
      return appended.ok() ? "" : appended.error().ToString();
    };
  });
}
