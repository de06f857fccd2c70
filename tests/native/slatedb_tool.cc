// Writes and dumps SlateDB shards for tests/interop/test_slatedb.py. Keys and values are hexadecimal, so that every byte passes.
//   slatedb_tool write DIRECTORY CODEC BLOCK_SIZE MIN_FILTER_KEYS   lines "KEY VALUE" on stdin, ascending
//   slatedb_tool dump DIRECTORY                                     lines "KEY VALUE" on stdout
//   slatedb_tool get DIRECTORY                                      lines "KEY" on stdin, "VALUE" or "-" on stdout; mapped, then by ranges
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "kv/shard_directory.h"
#include "slatedb/slatedb_shard.h"
#include "storage/object_store.h"

namespace datashard {
namespace {

int HexDigit(char letter) { return letter <= '9' ? letter - '0' : letter - 'a' + 10; }

Bytes FromHex(const std::string& text) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) bytes.push_back(static_cast<char>(HexDigit(text[i]) * 16 + HexDigit(text[i + 1])));
  return bytes;
}

std::string ToHex(ByteView bytes) {
  std::string text;
  for (const unsigned char byte : bytes) {
    text.push_back("0123456789abcdef"[byte >> 4]);
    text.push_back("0123456789abcdef"[byte & 15]);
  }
  return text;
}

Status Write(const std::string& directory, const std::vector<std::string>& arguments) {
  const slatedb::SlateDbWriterOptions options{.compression = static_cast<slatedb::Compression>(std::stoi(arguments[0])),
                                              .block_size_bytes = std::stoi(arguments[1]),
                                              .min_filter_keys = std::stoll(arguments[2])};
  const auto outputs = [&] { return std::make_unique<kv::Output>(int64_t{1} << 26, directory); };
  const std::unique_ptr<kv::DatabaseWriter> writer = slatedb::NewSlateDbWriter(options, outputs, SystemClock(), SystemRandom());
  for (std::string line; std::getline(std::cin, line);) {
    const size_t space = line.find(' ');
    DS_RETURN_IF_ERROR(writer->Add(FromHex(line.substr(0, space)), FromHex(line.substr(space + 1))));
  }
  DS_ASSIGN_OR_RETURN(const std::vector<kv::BuiltObject> objects, writer->Finish());
  for (const kv::BuiltObject& object : objects) {
    const std::filesystem::path path = std::filesystem::path(directory) / object.name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    DS_RETURN_IF_ERROR(object.bytes->ForEachPiece(1 << 20, [&](ByteView piece) {
      file.write(piece.data(), static_cast<std::streamsize>(piece.size()));
      return Status();
    }));
  }
  return {};
}

Status Dump(const kv::Database& database) {
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<kv::Cursor> cursor, database.Scan({}));
  while (true) {
    DS_ASSIGN_OR_RETURN(const bool more, cursor->Next());
    if (!more) return {};
    std::cout << ToHex(cursor->key()) << ' ' << ToHex(cursor->value()) << '\n';
  }
}

Status Get(const kv::Database& database, const kv::Database& by_ranges) {
  for (std::string line; std::getline(std::cin, line);) {
    const Bytes key = FromHex(line);
    DS_ASSIGN_OR_RETURN(const kv::Lookup found, database.Find(key, kv::Residency::kAnywhere));
    std::vector<kv::Lookup> again(1);
    const ByteView view = key;
    DS_RETURN_IF_ERROR(by_ranges.FindMany(std::span(&view, 1), again));
    if (again[0].outcome != found.outcome || again[0].value.bytes != found.value.bytes) return Error(ErrorKind::kInternal, "mapped and stored differ at " + line);
    std::cout << (found.outcome == kv::Lookup::Outcome::kFound ? ToHex(found.value.bytes) : "-") << '\n';
  }
  return {};
}

Status Run(const std::string& command, const std::string& directory, const std::vector<std::string>& arguments) {
  if (command == "write") return Write(directory, arguments);
  kv::BlockCache cache(int64_t{1} << 24);
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<kv::ShardDirectory> mapped, kv::OpenMappedDirectory(directory, "file://" + directory, cache));
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<kv::Database> database, slatedb::OpenSlateDbShard(*mapped));
  if (command == "dump") return Dump(*database);
  const std::filesystem::path path(directory);
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectStore> store, OpenLocalStore(path.parent_path().string(), /*create=*/false));
  const std::unique_ptr<kv::ShardDirectory> stored = kv::OpenStoredDirectory(*store, path.filename().string(), cache);
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<kv::Database> by_ranges, slatedb::OpenSlateDbShard(*stored));
  return Get(*database, *by_ranges);
}

}  // namespace
}  // namespace datashard

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const datashard::Status done = datashard::Run(argv[1], argv[2], std::vector<std::string>(argv + 3, argv + argc));
  if (!done.ok()) std::cerr << done.error().ToString() << '\n';
  return done.ok() ? 0 : 1;
}
