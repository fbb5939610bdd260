#include "common/storage/rclone_blob_store.h"

#include <algorithm>
#include <limits>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"
#include "common/io/durable_file.h"
#include "common/storage/rclone_status.h"
#include "simdjson.h"

namespace holdfast {

namespace {

// Long enough for a disk that has to spin up; short enough for who gives a place half a minute to
// see it tried again, which helps where only a connection is dead.
constexpr absl::Duration kCallMax = absl::Seconds(20);
constexpr absl::Duration kListingMax = absl::Minutes(2);  // of all below a folder
// How long the answer to an upload may take once all is sent. A place that can't take a stream gets
// the file only then: rclone has kept it on a disk of its own.
constexpr absl::Duration kUploadAnswerMax = absl::Minutes(1);
constexpr absl::Duration kSpooledUploadAnswerMax = absl::Minutes(10);
// What is told less exactly is no time.
constexpr absl::Duration kTimePrecisionMax = absl::Hours(24);
// An upload that failed with no more space than what was sent and this failed for want of it.
constexpr uint64_t kSpaceSlackBytes = uint64_t{1} << 20;

// Of names that are being put by this process.
class NameLock {
 public:
  explicit NameLock(std::string name) : name_(std::move(name)) {
    Names& names = AllNames();
    MutexLock lock(&names.mutex);
    while (!names.locked.insert(name_).second) names.unlocked.Wait(&names.mutex);
  }
  ~NameLock() {
    Names& names = AllNames();
    MutexLock lock(&names.mutex);
    names.locked.erase(name_);
    names.unlocked.SignalAll();
  }
  NameLock(const NameLock&) = delete;
  NameLock& operator=(const NameLock&) = delete;

 private:
  struct Names {
    Mutex mutex;
    CondVar unlocked;
    absl::flat_hash_set<std::string> locked ABSL_GUARDED_BY(mutex);
  };
  static Names& AllNames() {
    static Names& names = *new Names();
    return names;
  }

  const std::string name_;
};

std::string Json(absl::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      absl::StrAppend(&json, "\\", absl::string_view(&c, 1));
    } else if (byte < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", byte);
    } else {
      json.push_back(c);
    }
  }
  return json + "\"";
}

std::string PlaceParameters(absl::string_view fs, absl::string_view remote) {
  return absl::StrCat("\"fs\":", Json(fs), ",\"remote\":", Json(remote));
}

absl::string_view FolderOfName(absl::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == absl::string_view::npos ? absl::string_view() : name.substr(0, slash);
}

absl::string_view LastPartOf(absl::string_view name) { return name.substr(name.rfind('/') + 1); }

absl::Status NoBlobError(absl::string_view name) {
  return absl::NotFoundError(absl::StrCat("no blob ", name));
}

absl::Status OutOfRange(absl::string_view name, uint64_t size_bytes, uint64_t offset) {
  return absl::OutOfRangeError(
      absl::StrCat(name, " has ", size_bytes, " bytes: nothing begins at ", offset));
}

absl::Status NotUnderstood(absl::string_view command) {
  return absl::UnavailableError(
      absl::StrCat("rclone's answer to ", command, " is not what it should be"));
}

bool IsAbsent(const absl::Status& status) {
  return absl::IsNotFound(status) || IsFileOrFolderConflict(status);
}

bool Flag(const simdjson::dom::object& features, const char* name) {
  bool value = false;
  return features[name].get(value) == simdjson::SUCCESS && value;
}

}  // namespace

// Yields a range of a blob.
class RcloneBlobStore::Source : public ByteSource {
 public:
  // `download` begins at `begin`; null where it is to be opened.
  Source(const RcloneBlobStore& store, absl::string_view name, uint64_t begin, uint64_t end,
         std::unique_ptr<RcloneDownload> download)
      : store_(store),
        name_(name),
        begin_(begin),
        end_(end),
        next_(begin),
        download_(std::move(download)) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    if (next_ == end_) return absl::Span<const uint8_t>();
    if (download_ == nullptr) {
      HOLDFAST_ASSIGN_OR_RETURN(
          download_, store_.client_.Download(store_.fs_, name_, next_, end_ - next_), Context());
      if (download_->file_size_bytes() < end_) {
        return absl::DataLossError(absl::StrCat(Context(), ": it became shorter"));
      }
    }
    absl::StatusOr<absl::Span<const uint8_t>> piece = download_->Next();
    if (piece.ok() && piece->empty()) piece = absl::UnavailableError("the transfer broke off");
    if (!piece.ok()) {
      download_ = nullptr;
      return Annotate(piece.status(), Context());
    }
    *piece = piece->subspan(0, end_ - next_);
    next_ += piece->size();
    return piece;
  }

  absl::Status Rewind() override {
    download_ = nullptr;
    next_ = begin_;
    return absl::OkStatus();
  }

 private:
  std::string Context() const { return absl::StrCat("read ", store_.UrlOf(name_)); }

  const RcloneBlobStore& store_;
  const std::string name_;
  const uint64_t begin_;
  const uint64_t end_;
  uint64_t next_;
  std::unique_ptr<RcloneDownload> download_;
};

// --- Opening ---------------------------------------------------------------------------------

RcloneBlobStore::RcloneBlobStore(const RclonePlace& place, const Options& options)
    : place_(place),
      fs_(place.ToFs()),
      place_seen_max_age_(options.place_seen_max_age),
      client_(options.daemon != nullptr ? options.daemon : RcloneDaemon::Shared(),
              options.cancellation) {}

absl::StatusOr<std::unique_ptr<RcloneBlobStore>> RcloneBlobStore::Open(const RclonePlace& place,
                                                                       const Options& options) {
  auto store = std::unique_ptr<RcloneBlobStore>(new RcloneBlobStore(place, options));
  HOLDFAST_RETURN_IF_ERROR(store->ReadFeatures(), place.ToUrl());
  HOLDFAST_ASSIGN_OR_RETURN(TopView top, store->LookAtTop(), place.ToUrl());
  if (!top.exists) {
    return absl::NotFoundError(
        absl::StrCat(place.ToUrl(),
                     " does not exist: make the folder (or bucket), or mount on its server what "
                     "belongs there"));
  }
  MutexLock lock(&store->mutex_);
  store->witness_ = std::move(top.blob_name);
  store->place_seen_time_ = store->clock_.MonotonicNow();
  return store;
}

absl::StatusOr<bool> RcloneBlobStore::MakeFolder(const RclonePlace& place, const Options& options) {
  RcloneBlobStore store(place, options);
  HOLDFAST_RETURN_IF_ERROR(store.ReadFeatures(), place.ToUrl());
  HOLDFAST_ASSIGN_OR_RETURN(const TopView top, store.LookAtTop(), place.ToUrl());
  if (top.exists) return false;
  if (!place.IsTop()) {
    const RclonePlace parent = place.Parent();
    const absl::Status listed = store.ListEntries(parent.ToFs(), "", Depth::kOne).status();
    if (!absl::IsNotFound(listed)) {
      HOLDFAST_RETURN_IF_ERROR(listed, parent.ToUrl());
      HOLDFAST_RETURN_IF_ERROR(
          store.client_
              .Call("operations/mkdir", absl::StrCat("{", PlaceParameters(store.fs_, ""), "}"),
                    kCallMax)
              .status(),
          absl::StrCat("make ", place.ToUrl()));
      return true;
    }
  }
  return absl::NotFoundError(absl::StrCat("neither ", place.ToUrl(),
                                          " nor the folder that it lies in exists: make it, or "
                                          "mount on its server what belongs there"));
}

absl::Status RcloneBlobStore::ReadFeatures() {
  constexpr absl::string_view kCommand = "operations/fsinfo";
  const absl::StatusOr<std::string> called =
      client_.Call(kCommand, absl::StrCat("{\"fs\":", Json(fs_), "}"), kCallMax);
  if (absl::IsFailedPrecondition(called.status()) &&
      absl::StrContains(called.status().message(), "find section in config")) {
    return absl::FailedPreconditionError(absl::StrCat(
        "rclone's configuration has no remote ", place_.remote(),
        ": make it with `rclone config`, as the user that this runs as, or name the file of the "
        "configuration by RCLONE_CONFIG"));
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::string answer, called);
  simdjson::dom::parser parser;
  simdjson::dom::object info;
  simdjson::dom::object features;
  if (parser.parse(answer).get(info) != simdjson::SUCCESS ||
      info["Features"].get(features) != simdjson::SUCCESS) {
    return NotUnderstood(kCommand);
  }
  // Where the place knows no times rclone makes some up, and says that they are exact to a century.
  int64_t precision_ns = 0;
  const bool tells_times = info["Precision"].get(precision_ns) == simdjson::SUCCESS &&
                           absl::Nanoseconds(precision_ns) < kTimePrecisionMax;
  features_ = {.can_rename = Flag(features, "Move"),
               .can_stream = Flag(features, "PutStream"),
               .tells_free_space = Flag(features, "About"),
               .has_folders = Flag(features, "CanHaveEmptyDirectories"),
               .tells_times = tells_times};
  return absl::OkStatus();
}

absl::StatusOr<RcloneBlobStore::TopView> RcloneBlobStore::LookAtTop() const {
  TopView top;
  const absl::StatusOr<std::vector<Entry>> entries = ListEntries(fs_, "", Depth::kOne);
  if (entries.ok()) {
    top.exists = true;
    for (const Entry& entry : *entries) {
      if (!entry.is_folder && CheckBlobName(entry.name).ok()) {
        top.blob_name = entry.name;
        break;
      }
    }
    return top;
  }
  if (!absl::IsNotFound(entries.status())) return entries.status();
  if (features_.has_folders || place_.IsTop()) return top;
  // Without folders, what nothing is in isn't there: its bucket must be.
  RclonePlace bucket = place_;
  while (!bucket.Parent().IsTop()) bucket = bucket.Parent();
  const absl::Status listed = ListEntries(bucket.ToFs(), "", Depth::kOne).status();
  if (!listed.ok() && !absl::IsNotFound(listed)) return listed;
  top.exists = listed.ok();
  return top;
}

absl::Status RcloneBlobStore::CheckPlace() {
  for (;;) {
    const MonotonicTime now = clock_.MonotonicNow();
    std::string witness;
    {
      MutexLock lock(&mutex_);
      if (now - place_seen_time_ < place_seen_max_age_) return absl::OkStatus();
      witness = witness_;
    }
    bool is_there = true;
    TopView top;
    if (witness.empty()) {
      HOLDFAST_ASSIGN_OR_RETURN(top, LookAtTop(), Describe());
      is_there = top.exists;
    } else {
      const absl::Status status = StatOnly(witness).status();
      if (!absl::IsNotFound(status)) HOLDFAST_RETURN_IF_ERROR(status, UrlOf(witness));
      is_there = status.ok();
    }
    MutexLock lock(&mutex_);
    if (witness_ != witness) continue;  // it was deleted, or chosen, meanwhile
    if (!is_there) {
      return absl::UnavailableError(absl::StrCat(witness.empty() ? Describe() : UrlOf(witness),
                                                 " is gone: what belongs at ", Describe(),
                                                 " seems not to be mounted on its server"));
    }
    if (witness_.empty()) witness_ = std::move(top.blob_name);
    place_seen_time_ = std::max(place_seen_time_, now);
    return absl::OkStatus();
  }
}

absl::Status RcloneBlobStore::NotFound(absl::string_view name) {
  HOLDFAST_RETURN_IF_ERROR(CheckPlace());
  return NoBlobError(name);
}

std::string RcloneBlobStore::UrlOf(absl::string_view name) const {
  const std::string url = Describe();
  return absl::StrCat(url, name.empty() || url.back() == ':' || url.back() == '/' ? "" : "/", name);
}

// --- Reading ---------------------------------------------------------------------------------

absl::StatusOr<BlobInfo> RcloneBlobStore::StatOnly(absl::string_view name) const {
  constexpr absl::string_view kCommand = "operations/stat";
  const absl::StatusOr<std::string> answer = client_.Call(
      kCommand,
      absl::StrCat("{", PlaceParameters(fs_, name), ",\"opt\":{\"filesOnly\":true,\"noModTime\":",
                   features_.tells_times ? "false" : "true", ",\"noMimeType\":true}}"),
      kCallMax);
  if (IsAbsent(answer.status())) return NoBlobError(name);
  HOLDFAST_RETURN_IF_ERROR(answer.status());
  simdjson::dom::parser parser;
  simdjson::dom::element item;
  if (parser.parse(*answer)["item"].get(item) != simdjson::SUCCESS) return NotUnderstood(kCommand);
  if (item.is_null()) return NoBlobError(name);
  int64_t size_bytes = 0;
  if (item["Size"].get(size_bytes) != simdjson::SUCCESS) return NotUnderstood(kCommand);
  if (size_bytes < 0) return absl::FailedPreconditionError("it is a file without a length");
  BlobInfo info = {.name = std::string(name), .size_bytes = static_cast<uint64_t>(size_bytes)};
  std::string_view text;
  absl::Time time;
  if (features_.tells_times && item["ModTime"].get(text) == simdjson::SUCCESS &&
      absl::ParseTime(absl::RFC3339_full, absl::string_view(text.data(), text.size()), &time,
                      nullptr)) {
    info.write_time = time;
  }
  return info;
}

absl::StatusOr<BlobInfo> RcloneBlobStore::Stat(absl::string_view name) {
  HOLDFAST_RETURN_IF_ERROR(CheckBlobName(name));
  absl::StatusOr<BlobInfo> info = StatOnly(name);
  if (absl::IsNotFound(info.status())) return NotFound(name);
  HOLDFAST_RETURN_IF_ERROR(info.status(), UrlOf(name));
  return info;
}

absl::StatusOr<std::unique_ptr<ByteSource>> RcloneBlobStore::Get(absl::string_view name,
                                                                 uint64_t offset,
                                                                 uint64_t length_max) {
  HOLDFAST_RETURN_IF_ERROR(CheckBlobName(name));
  const auto source_to =
      [&](uint64_t size_bytes,
          std::unique_ptr<RcloneDownload> download) -> absl::StatusOr<std::unique_ptr<ByteSource>> {
    if (offset > size_bytes) return OutOfRange(name, size_bytes, offset);
    const uint64_t end = offset + std::min(length_max, size_bytes - offset);
    return std::make_unique<Source>(*this, name, offset, end, std::move(download));
  };
  // What can't be written as a range: nothing, and what no file is as long as.
  if (length_max == 0 || offset > std::numeric_limits<int64_t>::max()) {
    HOLDFAST_ASSIGN_OR_RETURN(const BlobInfo info, Stat(name));
    return source_to(info.size_bytes, nullptr);
  }
  absl::StatusOr<std::unique_ptr<RcloneDownload>> download =
      client_.Download(fs_, name, offset, length_max);
  if (IsAbsent(download.status())) return NotFound(name);
  if (absl::IsUnavailable(download.status()) && offset > 0) {
    // Some places have no range that begins at the end or beyond it.
    const absl::StatusOr<BlobInfo> info = StatOnly(name);
    if (info.ok() && offset >= info->size_bytes) return source_to(info->size_bytes, nullptr);
  }
  HOLDFAST_RETURN_IF_ERROR(download.status(), absl::StrCat("read ", UrlOf(name)));
  const uint64_t size_bytes = (*download)->file_size_bytes();
  return source_to(size_bytes, *std::move(download));
}

absl::StatusOr<std::vector<RcloneBlobStore::Entry>> RcloneBlobStore::ListEntries(
    absl::string_view fs, absl::string_view folder, Depth depth) const {
  constexpr absl::string_view kCommand = "operations/list";
  HOLDFAST_ASSIGN_OR_RETURN(
      const std::string answer,
      client_.Call(
          kCommand,
          absl::StrCat("{", PlaceParameters(fs, folder),
                       ",\"opt\":{\"noModTime\":true,\"noMimeType\":true",
                       depth == Depth::kAll ? ",\"recurse\":true,\"filesOnly\":true" : "", "}}"),
          depth == Depth::kAll ? kListingMax : kCallMax));
  simdjson::dom::parser parser;
  simdjson::dom::array array;
  if (parser.parse(answer)["list"].get(array) != simdjson::SUCCESS) return NotUnderstood(kCommand);
  std::vector<Entry> entries;
  for (const simdjson::dom::element element : array) {
    std::string_view path;
    int64_t size_bytes = 0;
    bool is_folder = false;
    if (element["Path"].get(path) != simdjson::SUCCESS ||
        element["Size"].get(size_bytes) != simdjson::SUCCESS ||
        element["IsDir"].get(is_folder) != simdjson::SUCCESS) {
      return NotUnderstood(kCommand);
    }
    if (!is_folder && size_bytes < 0) continue;  // no file as we know them
    entries.push_back({.name = std::string(path),
                       .size_bytes = is_folder ? 0 : static_cast<uint64_t>(size_bytes),
                       .is_folder = is_folder});
  }
  return entries;
}

absl::Status RcloneBlobStore::ExplainListing(absl::string_view folder,
                                             const absl::Status& failure) {
  bool is_nothing_there = IsFileOrFolderConflict(failure);
  if (absl::IsNotFound(failure)) {
    // It may be a folder far below that vanished while it was listed.
    const absl::Status again = ListEntries(fs_, folder, Depth::kOne).status();
    if (again.ok()) {
      return absl::UnavailableError(
          absl::StrCat("list ", UrlOf(folder), ": it changed while it was listed"));
    }
    is_nothing_there = IsAbsent(again);
  } else if (!is_nothing_there && !folder.empty()) {
    is_nothing_there = StatOnly(folder).ok();  // a blob
  }
  if (is_nothing_there) return CheckPlace();
  return Annotate(failure, absl::StrCat("list ", UrlOf(folder)));
}

absl::Status RcloneBlobStore::List(absl::string_view prefix,
                                   const std::function<absl::Status(const BlobInfo&)>& visit) {
  if (!prefix.empty()) HOLDFAST_RETURN_IF_ERROR(CheckBlobName(prefix));
  const absl::StatusOr<std::vector<Entry>> entries = ListEntries(fs_, prefix, Depth::kAll);
  if (!entries.ok()) return ExplainListing(prefix, entries.status());
  // Without folders, a place that is gone is an empty one.
  if (entries->empty()) return CheckPlace();
  for (const Entry& entry : *entries) {
    if (entry.is_folder || !CheckBlobName(entry.name).ok()) continue;
    absl::string_view rest = entry.name;
    if (!prefix.empty() &&
        !(absl::ConsumePrefix(&rest, prefix) && absl::ConsumePrefix(&rest, "/"))) {
      continue;
    }
    HOLDFAST_RETURN_IF_ERROR(visit({.name = entry.name, .size_bytes = entry.size_bytes}));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> RcloneBlobStore::ListFolders(absl::string_view prefix) {
  if (!prefix.empty()) HOLDFAST_RETURN_IF_ERROR(CheckBlobName(prefix));
  std::vector<std::string> folders;
  const absl::StatusOr<std::vector<Entry>> entries = ListEntries(fs_, prefix, Depth::kOne);
  if (!entries.ok()) {
    HOLDFAST_RETURN_IF_ERROR(ExplainListing(prefix, entries.status()));
    return folders;
  }
  if (entries->empty()) HOLDFAST_RETURN_IF_ERROR(CheckPlace());
  for (const Entry& entry : *entries) {
    const absl::string_view name = LastPartOf(entry.name);
    if (entry.is_folder && CheckBlobName(name).ok()) folders.emplace_back(name);
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

// --- Writing ---------------------------------------------------------------------------------

absl::Status RcloneBlobStore::Put(absl::string_view name, ByteSource& source) {
  HOLDFAST_RETURN_IF_ERROR(CheckBlobName(name));
  const NameLock name_lock(absl::StrCat(fs_, "/", name));
  HOLDFAST_RETURN_IF_ERROR(CheckPlace());
  const absl::Status existing = StatOnly(name).status();
  if (existing.ok()) return absl::AlreadyExistsError(absl::StrCat("there is a blob ", name));
  if (!absl::IsNotFound(existing)) return Annotate(existing, UrlOf(name));

  uint64_t size_bytes = 0;
  if (features_.can_rename) {
    const absl::string_view folder = FolderOfName(name);
    const std::string temporary =
        absl::StrCat(folder, folder.empty() ? "" : "/", kTemporaryPrefix, SystemRandom().Hex(8));
    HOLDFAST_RETURN_IF_ERROR(UploadAs(temporary, source, size_bytes));
    HOLDFAST_RETURN_IF_ERROR(Rename(temporary, name, size_bytes));
  } else {
    HOLDFAST_RETURN_IF_ERROR(UploadAs(name, source, size_bytes));
  }
  MutexLock lock(&mutex_);
  if (witness_.empty() && FolderOfName(name).empty()) witness_ = std::string(name);
  return absl::OkStatus();
}

absl::Status RcloneBlobStore::UploadAs(absl::string_view name, ByteSource& source,
                                       uint64_t& size_bytes) {
  const RcloneClient::Uploaded uploaded =
      client_.Upload(fs_, FolderOfName(name), LastPartOf(name), source,
                     features_.can_stream ? kUploadAnswerMax : kSpooledUploadAnswerMax);
  size_bytes = uploaded.size_bytes;
  if (uploaded.source_failed) {
    // rclone removes what it wrote, but not where closing it fails (seen with SMB on a full disk).
    if (uploaded.is_answered) Remove(name).IgnoreError();
    return uploaded.status;
  }
  if (!uploaded.status.ok() && (uploaded.is_answered || features_.can_rename)) {
    const absl::Status failure = ExplainUpload(name, uploaded.status, size_bytes);
    // What hangs already is not asked once more: a temporary file may stay.
    if (uploaded.is_answered) Remove(name).IgnoreError();
    return Annotate(failure, absl::StrCat("write ", UrlOf(name)));
  }
  // What rclone could not answer for is stored whole, or not at all.
  const absl::StatusOr<BlobInfo> info = StatOnly(name);
  if (info.ok() && info->size_bytes == size_bytes) return absl::OkStatus();
  HOLDFAST_RETURN_IF_ERROR(uploaded.status, absl::StrCat("write ", UrlOf(name)));
  HOLDFAST_RETURN_IF_ERROR(info.status(), absl::StrCat("compare the length of ", UrlOf(name)));
  Remove(name).IgnoreError();
  return absl::DataLossError(absl::StrCat(UrlOf(name), " has ", info->size_bytes, " bytes after ",
                                          size_bytes,
                                          " were written: do not "
                                          "trust this place before it was examined"));
}

absl::Status RcloneBlobStore::ExplainUpload(absl::string_view name, const absl::Status& failure,
                                            uint64_t size_bytes) {
  if (absl::IsNotFound(failure)) {  // a folder was removed meanwhile, or all of it
    HOLDFAST_RETURN_IF_ERROR(CheckPlace());
    return WithCode(failure, absl::StatusCode::kUnavailable);
  }
  if (!absl::IsUnavailable(failure)) return failure;
  if (features_.tells_free_space) {
    const absl::StatusOr<std::string> answer =
        client_.Call("operations/about", absl::StrCat("{\"fs\":", Json(fs_), "}"), kCallMax);
    simdjson::dom::parser parser;
    int64_t free_bytes = 0;
    if (answer.ok() && parser.parse(*answer)["free"].get(free_bytes) == simdjson::SUCCESS &&
        static_cast<uint64_t>(std::max<int64_t>(free_bytes, 0)) <= size_bytes + kSpaceSlackBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(failure.message(), ": there is no space left (", free_bytes, " bytes)"));
    }
  }
  for (absl::string_view folder = FolderOfName(name); !folder.empty();
       folder = FolderOfName(folder)) {
    if (StatOnly(folder).ok()) {
      return absl::FailedPreconditionError(absl::StrCat(UrlOf(folder), " is not a folder"));
    }
  }
  return failure;
}

absl::Status RcloneBlobStore::Rename(absl::string_view from, absl::string_view to,
                                     uint64_t size_bytes) {
  absl::Status status =
      client_
          .Call("operations/movefile",
                absl::StrCat("{\"srcFs\":", Json(fs_), ",\"srcRemote\":", Json(from),
                             ",\"dstFs\":", Json(fs_), ",\"dstRemote\":", Json(to), "}"),
                kCallMax)
          .status();
  if (status.ok()) return status;
  if (absl::IsUnavailable(status)) {
    // Only the answer may have been lost.
    const absl::StatusOr<BlobInfo> info = StatOnly(to);
    if (info.ok() && info->size_bytes == size_bytes && absl::IsNotFound(StatOnly(from).status())) {
      return absl::OkStatus();
    }
  }
  if (absl::IsNotFound(status)) {
    HOLDFAST_RETURN_IF_ERROR(CheckPlace());
    status = WithCode(status, absl::StatusCode::kUnavailable);
  }
  Remove(from).IgnoreError();
  return Annotate(status, absl::StrCat("rename ", UrlOf(from), " to ", to));
}

absl::Status RcloneBlobStore::Remove(absl::string_view name) const {
  return client_
      .Call("operations/deletefile", absl::StrCat("{", PlaceParameters(fs_, name), "}"), kCallMax)
      .status();
}

absl::Status RcloneBlobStore::Delete(absl::string_view name) {
  HOLDFAST_RETURN_IF_ERROR(CheckBlobName(name));
  const absl::Status status = Remove(name);
  if (IsAbsent(status)) return NotFound(name);
  HOLDFAST_RETURN_IF_ERROR(status, absl::StrCat("delete ", UrlOf(name)));
  MutexLock lock(&mutex_);
  if (witness_ == name) witness_.clear();
  return absl::OkStatus();
}

}  // namespace holdfast
