// holdfast-bench: what tests/bench/bench.py measures with. Prints one JSON object.
//
//   holdfast-bench fill --holdfast unix:SOCKET --documents 1000 --size 4096
//   holdfast-bench load --etcd 127.0.0.1:2379 --operation get --clients 64 --seconds 10
//   holdfast-bench split DATA_DIRECTORY --key file:///etc/holdfast/master.key --table-size 8192
//   holdfast-bench cipher
//   holdfast-bench at-rest EMPTY_DIRECTORY
//   holdfast-bench rocksdb-fill DIRECTORY --documents 1000 --size 4096
//   holdfast-bench rocksdb-backup DIRECTORY BACKUP_DIRECTORY --threads 1

#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <iostream>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "sodium.h"
#include "tests/bench/at_rest_cost.h"
#include "tests/bench/load.h"
#include "tests/bench/many_tables.h"
#include "tests/bench/peers.h"

namespace holdfast::bench {

namespace {

int Main(int argc, char** argv) {
  if (sodium_init() < 0) return 1;
  CLI::App app("What the benchmarks measure with");
  app.require_subcommand(1);
  absl::Status status;

  Server server;
  const auto add_server = [&server](CLI::App& command) {
    auto* const group = command.add_option_group("server");
    group->require_option(1);
    group->add_option_function<std::string>("--holdfast", [&server](const std::string& address) {
      server = {Server::Kind::kHoldfast, address};
    });
    group->add_option_function<std::string>("--etcd", [&server](const std::string& address) {
      server = {Server::Kind::kEtcd, address};
    });
  };
  uint64_t first = 0;
  uint64_t documents = 100'000;
  size_t size_bytes = 1024;
  const auto add_documents = [&](CLI::App& command) {
    command.add_option("--first", first);
    command.add_option("--documents", documents)->check(CLI::PositiveNumber);
    command.add_option("--size", size_bytes, "bytes of a document")->check(CLI::PositiveNumber);
  };

  CLI::App& fill = *app.add_subcommand("fill", "write documents");
  add_server(fill);
  add_documents(fill);
  fill.callback([&] {
    status = Fill(server, first, documents, size_bytes);
    if (status.ok()) absl::PrintF("{\"documents\":%d}\n", documents);
  });

  LoadOptions options;
  std::string operation = "put";
  double seconds = 10;
  CLI::App& load = *app.add_subcommand("load", "call a server, and measure it");
  add_server(load);
  add_documents(load);
  load.add_option("--operation", operation)->check(CLI::IsMember({"put", "get"}));
  load.add_option("--clients", options.clients)->check(CLI::PositiveNumber);
  load.add_option("--connections", options.connections)->check(CLI::PositiveNumber);
  load.add_option("--seconds", seconds)->check(CLI::PositiveNumber);
  load.add_option("--rate", options.rate, "calls a second, of all clients together");
  load.callback([&] {
    options.operation =
        operation == "get" ? LoadOptions::Operation::kGet : LoadOptions::Operation::kPut;
    options.duration = absl::Seconds(seconds);
    options.documents = documents;
    options.size_bytes = size_bytes;
    const absl::StatusOr<LoadResult> result = RunLoad(server, options);
    status = result.status();
    if (!status.ok()) return;
    absl::PrintF(
        "{\"calls\":%d,\"failures\":%d,\"calls_per_second\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
        "\"p999_us\":%.1f,\"max_us\":%.1f}\n",
        result->calls, result->failures, result->calls_per_second,
        absl::ToDoubleMicroseconds(result->p50), absl::ToDoubleMicroseconds(result->p99),
        absl::ToDoubleMicroseconds(result->p999), absl::ToDoubleMicroseconds(result->max));
    if (result->failures > 0) std::cerr << "first failure: " << result->first_failure << "\n";
  });

  std::string directory;
  std::string key_source;
  uint64_t table_size_bytes = 0;
  CLI::App& split = *app.add_subcommand("split", "make small tables of what a store holds");
  split.add_option("directory", directory)->required();
  split.add_option("--key", key_source)->required();
  split.add_option("--table-size", table_size_bytes)->check(CLI::PositiveNumber)->required();
  split.callback([&] {
    const absl::StatusOr<uint64_t> tables =
        SplitIntoTables(directory, key_source, table_size_bytes);
    status = tables.status();
    if (status.ok()) absl::PrintF("{\"tables\":%d}\n", *tables);
  });

  CLI::App& cipher = *app.add_subcommand("cipher", "the rate of XChaCha20-Poly1305 on one core");
  cipher.callback(
      [&] { absl::PrintF("{\"bytes_per_second\":%.0f}\n", MeasureCipher(absl::Seconds(2))); });

  std::string backup_directory;
  int threads = 1;
  CLI::App& rocksdb_fill = *app.add_subcommand("rocksdb-fill", "make a plain RocksDB");
  rocksdb_fill.add_option("directory", directory)->required();
  add_documents(rocksdb_fill);
  rocksdb_fill.callback([&] {
    status = FillRocksDb(directory, documents, size_bytes);
    if (status.ok()) absl::PrintF("{\"documents\":%d}\n", documents);
  });
  CLI::App& rocksdb_backup = *app.add_subcommand("rocksdb-backup", "back it up by BackupEngine");
  rocksdb_backup.add_option("directory", directory)->required();
  rocksdb_backup.add_option("backup-directory", backup_directory)->required();
  rocksdb_backup.add_option("--threads", threads)->check(CLI::PositiveNumber);
  rocksdb_backup.callback([&] {
    absl::Duration duration;
    status = BackUpRocksDb(directory, backup_directory, threads, duration);
    if (status.ok()) absl::PrintF("{\"seconds\":%.6f}\n", absl::ToDoubleSeconds(duration));
  });

  uint64_t at_rest_documents = 262'144;
  int rounds = 9;
  CLI::App& at_rest = *app.add_subcommand("at-rest", "what encryption at rest costs the store");
  at_rest.add_option("directory", directory, "an empty one")->required();
  at_rest.add_option("--documents", at_rest_documents)->check(CLI::PositiveNumber);
  at_rest.add_option("--size", size_bytes, "bytes of a document")->check(CLI::PositiveNumber);
  at_rest.add_option("--rounds", rounds)->check(CLI::PositiveNumber);
  at_rest.callback([&] {
    const absl::StatusOr<AtRestCost> cost =
        MeasureAtRestCost(directory, at_rest_documents, size_bytes, rounds);
    status = cost.status();
    if (!status.ok()) return;
    const std::initializer_list<std::pair<const char*, Excess>> figures = {
        {"writes", cost->writes},
        {"writes_and_compactions", cost->writes_and_compactions},
        {"cached_reads", cost->cached_reads},
        {"reads", cost->reads}};
    const char* separator = "{";
    for (const auto& [name, excess] : figures) {
      absl::PrintF("%s\"%s\":%.4f,\"%s_us\":%.2f", separator, name, excess.ratio, name,
                   excess.document_us);
      separator = ",";
    }
    absl::PrintF("}\n");
  });

  CLI11_PARSE(app, argc, argv);
  if (status.ok()) return 0;
  std::cerr << "holdfast-bench: " << status << "\n";
  return 1;
}

}  // namespace

}  // namespace holdfast::bench

int main(int argc, char** argv) { return holdfast::bench::Main(argc, argv); }
