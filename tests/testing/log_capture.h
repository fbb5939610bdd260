#ifndef HOLDFAST_TESTS_TESTING_LOG_CAPTURE_H_
#define HOLDFAST_TESTS_TESTING_LOG_CAPTURE_H_

#include <string>
#include <vector>

#include "common/base/log.h"
#include "common/base/mutex.h"

namespace holdfast {

// A LogCapture keeps what is logged while it lives, in place of printing it.
//
//   LogCapture log;
//   …
//   EXPECT_THAT(log.lines(), Contains(HasSubstr("the log was damaged")));
//
// Thread-safe.
class LogCapture {
 public:
  LogCapture() : sink_([this](const LogEntry& entry) { Add(entry); }) {}

  std::vector<LogEntry> entries() const {
    MutexLock lock(&mutex_);
    return entries_;
  }

  // The entries as lines, without the time: `INFO  opened the store revision=42`.
  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    for (const LogEntry& entry : entries()) {
      const std::string line = FormatLogEntry(entry);
      lines.push_back(line.substr(line.find(' ') + 1));
    }
    return lines;
  }

 private:
  void Add(const LogEntry& entry) {
    MutexLock lock(&mutex_);
    entries_.push_back(entry);
  }

  mutable Mutex mutex_;
  std::vector<LogEntry> entries_ ABSL_GUARDED_BY(mutex_);
  ScopedLogSink sink_;  // last: it is gone before what it writes to
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_TESTING_LOG_CAPTURE_H_
