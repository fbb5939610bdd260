#include "common/storage/write_cache.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/io/files.h"
#include "common/io/path.h"

namespace holdfast {

namespace {

constexpr absl::string_view kRcloneType = "fuse.rclone";
constexpr absl::string_view kDefaultMode = "off";
constexpr absl::string_view kModeOption = "vfs_cache_mode";
constexpr absl::string_view kModeVariable = "RCLONE_VFS_CACHE_MODE=";

// More than any of these files has; what is larger is not read.
constexpr size_t kProcFileSizeMaxBytes = size_t{4} << 20;

constexpr absl::string_view kWayOut =
    "make the rclone remote itself the destination (rclone:REMOTE:PATH), or mount it with "
    "--vfs-cache-mode off";

// mountinfo writes blanks and backslashes of paths as octal numbers.
std::string DecodePath(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {{"\\040", " "}, {"\\011", "\t"}, {"\\012", "\n"}, {"\\134", "\\"}, {"\\043", "#"}});
}

std::string Absolute(absl::string_view path, absl::string_view working_directory) {
  std::filesystem::path result = std::string(path);
  if (result.is_relative()) result = std::filesystem::path(std::string(working_directory)) / result;
  std::string normal = result.lexically_normal().string();
  if (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

// The value of the mode in one argument, if that is what it sets: "--vfs-cache-mode=full" or, as in
// fstab, "vfs_cache_mode=full". `next` is the argument that follows.
std::optional<std::string> ModeIn(absl::string_view argument, absl::string_view next) {
  const bool is_flag = absl::ConsumePrefix(&argument, "--");
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(argument, absl::MaxSplits('=', 1));
  if (absl::StrReplaceAll(parts.first, {{"-", "_"}}) != kModeOption) return std::nullopt;
  if (absl::StrContains(argument, '=')) return absl::AsciiStrToLower(parts.second);
  if (is_flag) return absl::AsciiStrToLower(next);
  return std::nullopt;
}

std::vector<std::string> ReadStrings(const std::string& path) {
  const absl::StatusOr<std::string> content = ReadFile(path, kProcFileSizeMaxBytes);
  if (!content.ok()) return {};
  std::vector<std::string> strings = absl::StrSplit(*content, '\0');
  if (!strings.empty() && strings.back().empty()) strings.pop_back();
  return strings;
}

// The processes of rclone; those that end meanwhile may be missing.
std::vector<MountProcess> RcloneProcesses() {
  std::vector<MountProcess> processes;
  const absl::StatusOr<std::vector<DirectoryEntry>> entries = ListDirectory("/proc");
  if (!entries.ok()) return processes;
  for (const DirectoryEntry& entry : *entries) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry.name, &pid)) continue;
    const std::string folder = JoinPath("/proc", entry.name);
    MountProcess process;
    process.arguments = ReadStrings(JoinPath(folder, "cmdline"));
    if (process.arguments.empty() ||
        !absl::StrContains(NameOf(process.arguments.front()), "rclone")) {
      continue;
    }
    process.environment = ReadStrings(JoinPath(folder, "environ"));
    std::error_code error;
    process.working_directory =
        std::filesystem::read_symlink(JoinPath(folder, "cwd"), error).string();
    processes.push_back(std::move(process));
  }
  return processes;
}

}  // namespace

std::optional<Mount> FindMount(absl::string_view mountinfo, dev_t device) {
  const std::string number = absl::StrCat(major(device), ":", minor(device));
  std::optional<Mount> found;
  for (const absl::string_view line : absl::StrSplit(mountinfo, '\n')) {
    // id parent major:minor root point options [optional fields…] - type source options
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    const auto separator = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 7 || fields[2] != number || fields.end() - separator < 3) continue;
    found = {.point = DecodePath(fields[4]),
             .type = std::string(separator[1]),
             .source = DecodePath(separator[2])};
  }
  return found;
}

std::optional<std::string> RcloneCacheMode(const MountProcess& process,
                                           absl::string_view mount_point) {
  const std::vector<std::string>& arguments = process.arguments;
  if (arguments.empty() || !absl::StrContains(NameOf(arguments.front()), "rclone")) {
    return std::nullopt;
  }
  bool is_mounted_there = false;
  std::optional<std::string> mode;
  for (size_t i = 1; i < arguments.size(); ++i) {
    const absl::string_view next =
        i + 1 < arguments.size() ? absl::string_view(arguments[i + 1]) : absl::string_view();
    // "-o" takes several, separated by commas.
    for (const absl::string_view part : absl::StrSplit(arguments[i], ',')) {
      if (std::optional<std::string> set = ModeIn(part, next); set.has_value()) {
        mode = std::move(set);  // the last one counts
      }
    }
    if (!absl::StartsWith(arguments[i], "-") &&
        Absolute(arguments[i], process.working_directory) == mount_point) {
      is_mounted_there = true;
    }
  }
  if (!is_mounted_there) return std::nullopt;
  if (mode.has_value()) return mode;
  for (const std::string& variable : process.environment) {
    absl::string_view value = variable;
    if (absl::ConsumePrefix(&value, kModeVariable)) return absl::AsciiStrToLower(value);
  }
  return std::string(kDefaultMode);
}

PlaceWarning WriteCacheWarning(const Mount& mount,
                               const std::function<std::vector<MountProcess>()>& processes) {
  if (mount.type != kRcloneType) return {};
  std::optional<std::string> mode;
  for (const MountProcess& process : processes()) {
    if (!mode.has_value()) mode = RcloneCacheMode(process, mount.point);
  }
  if (!mode.has_value()) {
    return {.text = absl::StrCat(mount.point,
                                 " is an rclone mount, and whether it caches writes can't be told: "
                                 "if it does, it says that files are stored while they are on this "
                                 "machine only. Then ",
                                 kWayOut),
            .is_unsafe = false};
  }
  // What opens files for writing alone, as Holdfast does, goes past the minimal cache.
  if (*mode == kDefaultMode || *mode == "minimal") return {};
  return {.text = absl::StrCat(mount.point,
                               " is an rclone mount that caches writes (--vfs-cache-mode ", *mode,
                               "): it says that files are stored while they are on this machine "
                               "only, and may be lost with it: ",
                               kWayOut),
          .is_unsafe = true};
}

PlaceWarning WriteCacheWarning(dev_t device) {
  const absl::StatusOr<std::string> mountinfo =
      ReadFile("/proc/self/mountinfo", kProcFileSizeMaxBytes);
  if (!mountinfo.ok()) return {};
  const std::optional<Mount> mount = FindMount(*mountinfo, device);
  return mount.has_value() ? WriteCacheWarning(*mount, RcloneProcesses) : PlaceWarning();
}

}  // namespace holdfast
