#include "common/storage/rclone_daemon.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/random.h"

namespace holdfast {

namespace {

constexpr absl::string_view kListening = "Serving remote control on ";
constexpr size_t kLastLinesMax = 5;
constexpr size_t kLineShownMaxBytes = 300;

// Options of rclone for the environment that would change how it is commanded, what it says, or
// what it does when it is told to: which files it sees, and that it does anything at all.
constexpr absl::string_view kVariablesNotPassedOn[] = {
    "RCLONE_RC",           "RCLONE_LOG",     "RCLONE_VERBOSE",    "RCLONE_QUIET",
    "RCLONE_USE_JSON_LOG", "RCLONE_SYSLOG",  "RCLONE_STATS",      "RCLONE_PROGRESS",
    "RCLONE_DUMP",         "RCLONE_DRY_RUN", "RCLONE_INTERACT",   "RCLONE_INCLUDE",
    "RCLONE_EXCLUDE",      "RCLONE_FILTER",  "RCLONE_FILES_FROM", "RCLONE_MIN_",
    "RCLONE_MAX_",         "RCLONE_CUTOFF",  "RCLONE_ERROR_ON",   "RCLONE_IMMUTABLE",
    "RCLONE_IGNORE"};

bool IsPassedOn(absl::string_view variable) {
  return std::none_of(std::begin(kVariablesNotPassedOn), std::end(kVariablesNotPassedOn),
                      [&](absl::string_view prefix) { return absl::StartsWith(variable, prefix); });
}

std::vector<std::string> Arguments(const std::string& program) {
  return {
      program,
      "rcd",
      "--rc-addr=127.0.0.1:0",
      "--rc-serve",
      // A listing is kept in memory until its job is forgotten.
      "--rc-job-expire-duration=5s",
      "--rc-job-expire-interval=5s",
      // Above zero, an upload that is cut within that many bytes is stored as if that was all of it
      // (rclone's Rcat takes the broken reader's "unexpected EOF" for the end). With zero every
      // upload is a stream, and one that is cut is an error.
      "--streaming-upload-cutoff=0",
      // Else rclone reads 16 MiB ahead, which look transferred while they are not.
      "--buffer-size=1M",
      // Of what was uploaded only the size is compared: a server that keeps no times or rounds them
      // would count as damaging; and hashes would be made by running programs on the server.
      "--size-only",
      "--ignore-checksum",
      // We end what hangs, and know better what may take long: a source that pauses is no fault.
      // This is for connections that rclone is left with. Two tries more are for the parts of an
      // upload, which no layer above could send again alone.
      "--contimeout=10s",
      "--timeout=2m",
      "--low-level-retries=3",
      // A configuration that is encrypted opens by RCLONE_CONFIG_PASS or not at all.
      "--ask-password=false",
  };
}

}  // namespace

std::shared_ptr<RcloneDaemon> RcloneDaemon::Shared() {
  static Mutex& mutex = *new Mutex();
  static std::weak_ptr<RcloneDaemon>& shared = *new std::weak_ptr<RcloneDaemon>();
  MutexLock lock(&mutex);
  std::shared_ptr<RcloneDaemon> daemon = shared.lock();
  if (daemon == nullptr) shared = daemon = std::make_shared<RcloneDaemon>(Options());
  return daemon;
}

RcloneDaemon::RcloneDaemon(Options options) : options_(std::move(options)) {}

RcloneDaemon::~RcloneDaemon() {
  std::unique_ptr<ChildProcess> child;
  {
    MutexLock lock(&mutex_);
    child = std::move(child_);
  }
}

absl::StatusOr<RcloneDaemon::Endpoint> RcloneDaemon::Start() {
  MutexLock start_lock(&start_mutex_);
  Endpoint endpoint;
  {
    MutexLock lock(&mutex_);
    if (child_ != nullptr && !child_->HasEnded()) return endpoint_;
    child_ = nullptr;
    last_lines_.clear();
    endpoint_ = {.url = "",
                 .credentials = absl::StrCat(SystemRandom().Hex(8), ":", SystemRandom().Hex(16))};
    endpoint = endpoint_;
  }
  const size_t colon = endpoint.credentials.find(':');
  ChildProcess::Options child_options = {
      .arguments = Arguments(options_.program),
      .environment = options_.environment,
      .on_line = [this](absl::string_view line) { OnLine(line); },
  };
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (IsPassedOn(*variable)) child_options.environment.push_back(*variable);
  }
  child_options.environment.push_back(
      absl::StrCat("RCLONE_RC_USER=", endpoint.credentials.substr(0, colon)));
  child_options.environment.push_back(
      absl::StrCat("RCLONE_RC_PASS=", endpoint.credentials.substr(colon + 1)));
  absl::StatusOr<std::unique_ptr<ChildProcess>> started =
      ChildProcess::Start(std::move(child_options));
  if (absl::IsNotFound(started.status())) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the program ", options_.program, " was not found: install Debian's package rclone"));
  }
  if (!started.ok()) return started.status();
  std::unique_ptr<ChildProcess> child = *std::move(started);

  std::string problem;
  {
    Clock& clock = SystemClock();
    const MonotonicTime deadline = clock.MonotonicNow() + kStartMax;
    MutexLock lock(&mutex_);
    bool is_late = false;
    while (endpoint_.url.empty() && !child->HasEnded() && !is_late) {
      // Its end says nothing, so look from time to time.
      clock.WaitFor(&said_something_, &mutex_, absl::Milliseconds(100));
      is_late = clock.MonotonicNow() >= deadline;
    }
    if (!endpoint_.url.empty()) {
      child_ = std::move(child);
      return endpoint_;
    }
    problem = absl::StrCat(
        is_late ? absl::StrCat("does not listen after ", absl::FormatDuration(kStartMax))
                : absl::StrCat("ended at once (", child->DescribeEnd(), ")"),
        LastLines());
  }
  // `child` is ended here, without the lock that its thread takes.
  return absl::FailedPreconditionError(absl::StrCat("rclone ", problem));
}

void RcloneDaemon::OnLine(absl::string_view line) {
  MutexLock lock(&mutex_);
  const size_t listening = line.find(kListening);
  if (listening != absl::string_view::npos && endpoint_.url.empty()) {
    endpoint_.url = std::string(absl::StripSuffix(line.substr(listening + kListening.size()), "/"));
  } else {
    // It never writes them; but then nobody must be able to make it.
    const size_t colon = endpoint_.credentials.find(':');
    last_lines_.push_back(
        absl::StrReplaceAll(line.substr(0, kLineShownMaxBytes),
                            {{absl::string_view(endpoint_.credentials).substr(colon + 1), "***"}}));
    if (last_lines_.size() > kLastLinesMax) last_lines_.pop_front();
  }
  said_something_.SignalAll();
}

std::string RcloneDaemon::LastLines() const {
  if (last_lines_.empty()) return "";
  return absl::StrCat("; its last words: ", absl::StrJoin(last_lines_, " | "));
}

std::string RcloneDaemon::DescribeEnd() const {
  MutexLock lock(&mutex_);
  if (child_ == nullptr || !child_->HasEnded()) return "";
  return absl::StrCat("rclone ended (", child_->DescribeEnd(), ")", LastLines());
}

pid_t RcloneDaemon::pid() const {
  MutexLock lock(&mutex_);
  return child_ == nullptr ? -1 : child_->pid();
}

}  // namespace holdfast
