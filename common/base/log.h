#ifndef HOLDFAST_COMMON_BASE_LOG_H_
#define HOLDFAST_COMMON_BASE_LOG_H_

#include <concepts>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// The log: one line an event, on stderr.
//
//   LogInfo("opened the store", {{"data_dir", dir}, {"revision", revision}});
//   2026-11-22T18:35:00.123Z INFO  opened the store data_dir=/var/lib/holdfast revision=42
//
// The message is a constant; what varies is in the fields, so that the log can be searched. A value
// that is empty or holds a space, a quote, an equals sign or a backslash is quoted; control
// characters and broken UTF-8 are escaped, so nobody can forge a line. Never log key material or
// the content of documents.
//
// An error is logged once, at the top of the job that failed; below, it is returned.
//
// Thread-safe.

namespace holdfast {

enum class LogLevel {
  kDebug,    // for a developer; off by default
  kInfo,     // what the process did, a few lines a job
  kWarning,  // went wrong and will be tried again, or is not as it should be
  kError,    // went wrong, and somebody has to do something
};

// A key and a value. Keys are constants in snake_case, with units: `size_bytes`.
struct LogField {
  LogField(absl::string_view key, absl::string_view value) : key(key), value(value) {}
  LogField(absl::string_view key, const std::string& value) : key(key), value(value) {}
  LogField(absl::string_view key, const char* value) : key(key), value(value) {}
  template <std::same_as<bool> Bool>
  LogField(absl::string_view key, Bool value) : key(key), value(value ? "true" : "false") {}
  template <std::integral Int>
  requires(!std::same_as<Int, bool> && !std::same_as<Int, char>)
      LogField(absl::string_view key, Int value)
      : key(key), value(absl::StrCat(value)) {}
  LogField(absl::string_view key, double value) : key(key), value(absl::StrCat(value)) {}
  LogField(absl::string_view key, absl::Duration value);
  LogField(absl::string_view key, absl::Time value);
  LogField(absl::string_view key, const absl::Status& value);

  std::string key;
  std::string value;
};

using LogFields = std::initializer_list<LogField>;

struct LogEntry {
  absl::Time time;
  LogLevel level = LogLevel::kInfo;
  std::string message;
  std::vector<LogField> fields;
};

void LogDebug(absl::string_view message, LogFields fields = {});
void LogInfo(absl::string_view message, LogFields fields = {});
void LogWarning(absl::string_view message, LogFields fields = {});
void LogError(absl::string_view message, LogFields fields = {});

// For those who learn the level only when it happens.
void Log(LogLevel level, absl::string_view message, LogFields fields = {});

// Drops entries below `level`. The default is kInfo.
void SetMinLogLevel(LogLevel level);
LogLevel MinLogLevel();

// The entry as a line, without the line's end.
std::string FormatLogEntry(const LogEntry& entry);

// While it lives, entries go to its function in place of stderr: for tests. Nested ones are
// destroyed in the reverse order. The function is called by one thread at a time; it must not log.
class ScopedLogSink {
 public:
  explicit ScopedLogSink(std::function<void(const LogEntry&)> sink);
  ~ScopedLogSink();
  ScopedLogSink(const ScopedLogSink&) = delete;
  ScopedLogSink& operator=(const ScopedLogSink&) = delete;

 private:
  std::function<void(const LogEntry&)> previous_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_BASE_LOG_H_
