#ifndef HOLDFAST_BACKUP_AGENT_CLI_TERMINAL_H_
#define HOLDFAST_BACKUP_AGENT_CLI_TERMINAL_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "backup-agent/cli/console.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

// What people read: numbers, times, tables, progress.

namespace holdfast {

// "0 B", "1023 B", "1.5 KiB", "312 MiB": three digits at least, units of 1024.
std::string FormatBytes(uint64_t bytes);

// "104,000".
std::string FormatCount(uint64_t count);

// FormatCount and the noun, with an 's' unless it is one: "1 file", "2,000 files".
std::string FormatCount(uint64_t count, absl::string_view noun);

// How long something took or will take: "0.8 s", "42 s", "3 min 12 s", "5 h 2 min", "4 d 3 h".
// Negative ones count as zero.
std::string DescribeDuration(absl::Duration duration);

// "2026-11-22 18:35:00 UTC".
std::string DescribeTime(absl::Time time);

// What can be typed in a shell command as one word.
std::string ShellQuote(absl::string_view word);

// Columns joined by two spaces, each as wide as its widest cell; the last is not padded.
//
//   Table table({"ID", "REVISION"});
//   table.AddRow({"ada", "12"});
//   table.ToText()
class Table {
 public:
  enum class Align { kLeft, kRight };

  explicit Table(std::vector<std::string> header);
  // Columns of numbers.
  void AlignRight(size_t column) { alignments_[column] = Align::kRight; }
  // REQUIRES: as many cells as the header has.
  void AddRow(std::vector<std::string> row);
  // Lines that end in '\n'.
  std::string ToText() const;

 private:
  std::vector<Align> alignments_;
  std::vector<std::vector<std::string>> rows_;
};

// How far something is. Of bytes where it has bytes_total, else of items.
struct Progress {
  std::string what;   // "restore", "prove documents"
  std::string items;  // what is counted: "file"
  uint64_t items_done = 0;
  uint64_t items_total = 0;  // zero: unknown
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;  // zero: unknown
};

// "restore: 42.0%, 1.23 GiB of 2.93 GiB, 12 of 40 files, 118 MiB/s, 14 s left". `per_second` and
// `left` are left out where unknown.
std::string FormatProgress(const Progress& progress, std::optional<double> per_second);

// RateMeter knows how quick something was over the last seconds.
//
// Not thread-safe.
class RateMeter {
 public:
  // Notes that `done` was reached.
  void Add(MonotonicTime now, uint64_t done);
  // Per second; nullopt before there is enough to tell.
  std::optional<double> PerSecond() const;

 private:
  std::deque<std::pair<MonotonicTime, uint64_t>> samples_;
};

// ProgressDisplay shows progress on a console's error stream: on a terminal in one line that
// changes, elsewhere a line every few seconds; nothing when quiet. Destroyed, it removes its line.
//
// Thread-safe. Does not take ownership; both must outlive it.
class ProgressDisplay {
 public:
  ProgressDisplay(Console& console, Clock& clock);
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  // May be called as often as one likes. Another `what` begins anew.
  void Update(const Progress& progress) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Console& console_;
  Clock& clock_;

  Mutex mutex_;
  std::string what_ ABSL_GUARDED_BY(mutex_);
  RateMeter rate_ ABSL_GUARDED_BY(mutex_);
  MonotonicTime next_show_time_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_BACKUP_AGENT_CLI_TERMINAL_H_
