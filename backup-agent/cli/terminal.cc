#include "backup-agent/cli/terminal.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/base/check.h"

namespace holdfast {

namespace {

constexpr absl::Duration kTerminalInterval = absl::Milliseconds(100);
constexpr absl::Duration kLineInterval = absl::Seconds(5);
constexpr absl::Duration kRateWindow = absl::Seconds(10);
constexpr absl::Duration kRateWindowMin = absl::Milliseconds(500);
constexpr absl::Duration kSampleInterval = absl::Milliseconds(100);

// Longer than this nobody can tell.
constexpr double kSecondsLeftMax = 100.0 * 24 * 3600;

// How many columns UTF-8 text takes, near enough for ids and names.
size_t Columns(absl::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string Pair(int64_t a, absl::string_view a_unit, int64_t b, absl::string_view b_unit) {
  if (b == 0) return absl::StrCat(a, " ", a_unit);
  return absl::StrCat(a, " ", a_unit, " ", b, " ", b_unit);
}

}  // namespace

std::string FormatBytes(uint64_t bytes) {
  constexpr uint64_t kStep = 1024;
  if (bytes < kStep) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes);
  absl::string_view unit;
  for (const absl::string_view next : {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}) {
    value /= static_cast<double>(kStep);
    unit = next;
    if (value < 999.5) break;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return absl::StrFormat("%.*f %s", decimals, value, unit);
}

std::string FormatCount(uint64_t count) {
  std::string text = absl::StrCat(count);
  for (size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, 1, ',');
  return text;
}

std::string FormatCount(uint64_t count, absl::string_view noun) {
  return absl::StrCat(FormatCount(count), " ", noun, count == 1 ? "" : "s");
}

std::string DescribeDuration(absl::Duration duration) {
  duration = std::max(duration, absl::ZeroDuration());
  if (duration < absl::Seconds(9.95)) {
    return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
  }
  const int64_t seconds = absl::ToInt64Seconds(duration + absl::Milliseconds(500));
  if (seconds < 60) return absl::StrCat(seconds, " s");
  if (seconds < 3600) return Pair(seconds / 60, "min", seconds % 60, "s");
  if (seconds < 86400) return Pair(seconds / 3600, "h", seconds / 60 % 60, "min");
  return Pair(seconds / 86400, "d", seconds / 3600 % 24, "h");
}

std::string DescribeTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", time, absl::UTCTimeZone());
}

std::string ShellQuote(absl::string_view word) {
  const bool is_plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("/._-:=@%+,", static_cast<char>(c));
  });
  if (is_plain) return std::string(word);
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

Table::Table(std::vector<std::string> header) : alignments_(header.size(), Align::kLeft) {
  rows_.push_back(std::move(header));
}

void Table::AddRow(std::vector<std::string> row) {
  HOLDFAST_CHECK(row.size() == alignments_.size());
  rows_.push_back(std::move(row));
}

std::string Table::ToText() const {
  std::vector<size_t> widths(alignments_.size());
  for (const std::vector<std::string>& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Columns(row[i]));
  }
  std::string text;
  for (const std::vector<std::string>& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - Columns(row[i]), ' ');
      if (i > 0) line += "  ";
      line += alignments_[i] == Align::kRight ? padding + row[i] : row[i] + padding;
    }
    absl::StripTrailingAsciiWhitespace(&line);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

std::string FormatProgress(const Progress& progress, std::optional<double> per_second) {
  const bool is_of_bytes = progress.bytes_total > 0;
  const uint64_t done = is_of_bytes ? progress.bytes_done : progress.items_done;
  const uint64_t total = is_of_bytes ? progress.bytes_total : progress.items_total;
  std::vector<std::string> parts;
  if (total > 0) {
    const double percent =
        100.0 * static_cast<double>(std::min(done, total)) / static_cast<double>(total);
    // Rounded down, so that 100 % means that nothing is left.
    parts.push_back(absl::StrFormat("%.1f%%", std::floor(percent * 10) / 10));
  }
  if (is_of_bytes) {
    parts.push_back(
        absl::StrCat(FormatBytes(progress.bytes_done), " of ", FormatBytes(progress.bytes_total)));
  } else if (progress.bytes_done > 0) {
    parts.push_back(FormatBytes(progress.bytes_done));
  }
  if (progress.items_total > 0) {
    parts.push_back(absl::StrCat(FormatCount(progress.items_done), " of ",
                                 FormatCount(progress.items_total, progress.items)));
  } else if (progress.items_done > 0) {
    parts.push_back(FormatCount(progress.items_done, progress.items));
  }
  if (per_second.has_value()) {
    const uint64_t rate = static_cast<uint64_t>(std::llround(*per_second));
    parts.push_back(is_of_bytes ? absl::StrCat(FormatBytes(rate), "/s")
                                : absl::StrCat(FormatCount(rate, progress.items), "/s"));
    const double left = total > done && *per_second > 0
                            ? static_cast<double>(total - done) / *per_second
                            : kSecondsLeftMax;
    if (left < kSecondsLeftMax) {
      parts.push_back(absl::StrCat(DescribeDuration(absl::Seconds(std::ceil(left))), " left"));
    }
  }
  if (parts.empty()) return progress.what;
  std::string text = absl::StrCat(progress.what, ": ", parts.front());
  for (size_t i = 1; i < parts.size(); ++i) absl::StrAppend(&text, ", ", parts[i]);
  return text;
}

void RateMeter::Add(MonotonicTime now, uint64_t done) {
  // The newest sample moves until the one before it is old enough, so there are 100 of them at
  // most.
  if (samples_.size() >= 2 && now - samples_[samples_.size() - 2].first < kSampleInterval) {
    samples_.back() = {now, done};
  } else {
    samples_.emplace_back(now, done);
  }
  while (samples_.size() > 2 && now - samples_[1].first >= kRateWindow) samples_.pop_front();
}

std::optional<double> RateMeter::PerSecond() const {
  if (samples_.size() < 2) return std::nullopt;
  const auto& [first_time, first_done] = samples_.front();
  const auto& [last_time, last_done] = samples_.back();
  const absl::Duration span = last_time - first_time;
  if (span < kRateWindowMin || last_done < first_done) return std::nullopt;
  return static_cast<double>(last_done - first_done) / absl::ToDoubleSeconds(span);
}

ProgressDisplay::ProgressDisplay(Console& console, Clock& clock)
    : console_(console), clock_(clock) {
  MutexLock lock(&mutex_);
  // What is over at once needs no progress.
  next_show_time_ =
      clock_.MonotonicNow() + (console_.error_is_terminal() ? kTerminalInterval : kLineInterval);
}

ProgressDisplay::~ProgressDisplay() {
  if (console_.error_is_terminal()) console_.ShowStatusLine("");
}

void ProgressDisplay::Update(const Progress& progress) {
  MutexLock lock(&mutex_);
  const MonotonicTime now = clock_.MonotonicNow();
  if (progress.what != what_) {
    what_ = progress.what;
    rate_ = RateMeter();
  }
  rate_.Add(now, progress.bytes_total > 0 ? progress.bytes_done : progress.items_done);
  if (now < next_show_time_) return;
  const std::string line = FormatProgress(progress, rate_.PerSecond());
  if (console_.error_is_terminal()) {
    console_.ShowStatusLine(line);
    next_show_time_ = now + kTerminalInterval;
  } else {
    console_.Note(line);
    next_show_time_ = now + kLineInterval;
  }
}

}  // namespace holdfast
