#include "common/base/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <optional>

#include "absl/strings/str_format.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/time_format.h"

namespace holdfast {
namespace {

using LogSink = std::function<void(const LogEntry&)>;

std::atomic<LogLevel> min_level = LogLevel::kInfo;

struct Output {
  Mutex mutex;
  LogSink sink ABSL_GUARDED_BY(mutex);  // stderr if empty
};

Output& TheOutput() {
  // Never destroyed: threads may log until the process is gone.
  static Output& output = *new Output();
  return output;
}

LogSink ReplaceSink(LogSink sink) {
  Output& output = TheOutput();
  MutexLock lock(&output.mutex);
  output.sink.swap(sink);
  return sink;
}

// All of one width, so that the messages stand below each other.
absl::string_view LevelText(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO ";
    case LogLevel::kWarning:
      return "WARN ";
    case LogLevel::kError:
      return "ERROR";
  }
  return "?????";
}

struct CodePoint {
  uint32_t value = 0;
  size_t size_bytes = 0;
};

// The character that `text` begins with; nullopt if it is not UTF-8.
std::optional<CodePoint> FirstCodePoint(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  CodePoint result;
  uint32_t smallest = 0;  // else it would be written in fewer bytes
  if (byte(0) < 0x80) return CodePoint{byte(0), 1};
  if ((byte(0) & 0xe0) == 0xc0) {
    result = {byte(0) & 0x1fU, 2};
    smallest = 0x80;
  } else if ((byte(0) & 0xf0) == 0xe0) {
    result = {byte(0) & 0x0fU, 3};
    smallest = 0x800;
  } else if ((byte(0) & 0xf8) == 0xf0) {
    result = {byte(0) & 0x07U, 4};
    smallest = 0x10000;
  } else {
    return std::nullopt;
  }
  if (text.size() < result.size_bytes) return std::nullopt;
  for (size_t i = 1; i < result.size_bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    result.value = result.value << 6 | (byte(i) & 0x3fU);
  }
  const bool is_surrogate = result.value >= 0xd800 && result.value <= 0xdfff;
  if (result.value < smallest || is_surrogate || result.value > 0x10ffff) return std::nullopt;
  return result;
}

// Characters that a terminal or a viewer obeys where it should show them.
bool IsControl(uint32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0) || code_point == 0x2028 ||
         code_point == 0x2029 ||                            // line and paragraph separator
         (code_point >= 0x202a && code_point <= 0x202e) ||  // these two: direction of text
         (code_point >= 0x2066 && code_point <= 0x2069);
}

void AppendEscaped(absl::string_view text, absl::string_view also_escaped, std::string& line) {
  while (!text.empty()) {
    const std::optional<CodePoint> code_point = FirstCodePoint(text);
    const absl::string_view bytes = text.substr(0, code_point ? code_point->size_bytes : 1);
    if (!code_point || IsControl(code_point->value)) {
      if (bytes == "\n") {
        line += "\\n";
      } else if (bytes == "\t") {
        line += "\\t";
      } else if (bytes == "\r") {
        line += "\\r";
      } else {
        for (char c : bytes) absl::StrAppendFormat(&line, "\\x%02x", static_cast<uint8_t>(c));
      }
    } else {
      if (bytes.size() == 1 && also_escaped.find(bytes[0]) != absl::string_view::npos) line += '\\';
      absl::StrAppend(&line, bytes);
    }
    text.remove_prefix(bytes.size());
  }
}

bool NeedsQuotes(absl::string_view value) {
  if (value.empty()) return true;
  while (!value.empty()) {
    const std::optional<CodePoint> code_point = FirstCodePoint(value);
    if (!code_point || IsControl(code_point->value)) return true;
    if (code_point->value < 0x80 &&
        absl::string_view(" \"=\\").find(value[0]) != absl::string_view::npos) {
      return true;
    }
    value.remove_prefix(code_point->size_bytes);
  }
  return false;
}

void WriteToStderr(std::string line) {
  line += '\n';
  absl::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t size = write(STDERR_FILENO, rest.data(), rest.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;  // there is nowhere left to say so
    rest.remove_prefix(static_cast<size_t>(size));
  }
}

}  // namespace

LogField::LogField(absl::string_view key, absl::Duration value)
    : key(key), value(absl::FormatDuration(value)) {}
LogField::LogField(absl::string_view key, absl::Time value)
    : key(key), value(FormatRfc3339Millis(value)) {}
LogField::LogField(absl::string_view key, const absl::Status& value)
    : key(key), value(value.ToString()) {}

void LogDebug(absl::string_view message, LogFields fields) {
  Log(LogLevel::kDebug, message, fields);
}
void LogInfo(absl::string_view message, LogFields fields) { Log(LogLevel::kInfo, message, fields); }
void LogWarning(absl::string_view message, LogFields fields) {
  Log(LogLevel::kWarning, message, fields);
}
void LogError(absl::string_view message, LogFields fields) {
  Log(LogLevel::kError, message, fields);
}

void Log(LogLevel level, absl::string_view message, LogFields fields) {
  if (level < MinLogLevel()) return;
  const LogEntry entry = {SystemClock().Now(), level, std::string(message), fields};
  Output& output = TheOutput();
  MutexLock lock(&output.mutex);
  if (output.sink) {
    output.sink(entry);
  } else {
    WriteToStderr(FormatLogEntry(entry));
  }
}

void SetMinLogLevel(LogLevel level) { min_level.store(level, std::memory_order_relaxed); }
LogLevel MinLogLevel() { return min_level.load(std::memory_order_relaxed); }

std::string FormatLogEntry(const LogEntry& entry) {
  std::string line =
      absl::StrCat(FormatRfc3339Millis(entry.time), " ", LevelText(entry.level), " ");
  AppendEscaped(entry.message, "", line);
  for (const LogField& field : entry.fields) {
    line += ' ';
    AppendEscaped(field.key, "", line);
    line += '=';
    if (NeedsQuotes(field.value)) {
      line += '"';
      AppendEscaped(field.value, "\"\\", line);
      line += '"';
    } else {
      line += field.value;
    }
  }
  return line;
}

ScopedLogSink::ScopedLogSink(LogSink sink) : previous_(ReplaceSink(std::move(sink))) {}
ScopedLogSink::~ScopedLogSink() { ReplaceSink(std::move(previous_)); }

}  // namespace holdfast
