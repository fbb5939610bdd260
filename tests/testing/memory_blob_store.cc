#include "tests/testing/memory_blob_store.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace holdfast {

class MemoryBlobStore::Source : public ByteSource {
 public:
  Source(std::shared_ptr<const std::string> blob, size_t begin, size_t end, size_t piece_size_bytes)
      : blob_(std::move(blob)),
        begin_(begin),
        next_(begin),
        end_(end),
        piece_size_bytes_(piece_size_bytes) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    const size_t size = std::min(piece_size_bytes_, end_ - next_);
    // A copy of its own, so that a checker of memory finds those that keep a piece too long.
    piece_.assign(blob_->begin() + static_cast<ptrdiff_t>(next_),
                  blob_->begin() + static_cast<ptrdiff_t>(next_ + size));
    next_ += size;
    return absl::MakeConstSpan(piece_);
  }

  absl::Status Rewind() override {
    next_ = begin_;
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<const std::string> blob_;
  const size_t begin_;
  size_t next_;
  const size_t end_;
  const size_t piece_size_bytes_;
  std::vector<uint8_t> piece_;
};

absl::StatusOr<MemoryBlobStore::Blob> MemoryBlobStore::Find(absl::string_view name) const {
  HOLDFAST_RETURN_IF_ERROR(CheckBlobName(name));
  MutexLock lock(&mutex_);
  const auto blob = blobs_.find(name);
  if (blob == blobs_.end()) return absl::NotFoundError(absl::StrCat("no blob ", name));
  return blob->second;
}

void MemoryBlobStore::set_clock(Clock* clock) {
  MutexLock lock(&mutex_);
  clock_ = clock;
}

MemoryBlobStore::Blob MemoryBlobStore::MakeBlob(std::string bytes) {
  return {.bytes = std::make_shared<const std::string>(std::move(bytes)),
          .write_time = clock_ == nullptr ? absl::InfinitePast() : clock_->Now()};
}

absl::Status MemoryBlobStore::Put(absl::string_view name, ByteSource& source) {
  return Store(name, source, /*replaces=*/false);
}

absl::Status MemoryBlobStore::Replace(absl::string_view name, ByteSource& source) {
  return Store(name, source, /*replaces=*/true);
}

absl::Status MemoryBlobStore::Store(absl::string_view name, ByteSource& source, bool replaces) {
  HOLDFAST_RETURN_IF_ERROR(CheckBlobName(name));
  std::string bytes;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source.Next());
    if (piece.empty()) break;
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  MutexLock lock(&mutex_);
  for (const auto& [existing, blob] : blobs_) {
    if (existing == name) {
      if (replaces) continue;
      return absl::AlreadyExistsError(absl::StrCat("there is a blob ", name));
    }
    if (absl::StartsWith(existing, absl::StrCat(name, "/")) ||
        absl::StartsWith(name, absl::StrCat(existing, "/"))) {
      return absl::FailedPreconditionError(
          absl::StrCat(name, " or ", existing, " would be both a blob and a folder"));
    }
  }
  blobs_.insert_or_assign(std::string(name), MakeBlob(std::move(bytes)));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ByteSource>> MemoryBlobStore::Get(absl::string_view name,
                                                                 uint64_t offset,
                                                                 uint64_t length_max) {
  HOLDFAST_ASSIGN_OR_RETURN(Blob blob, Find(name));
  const size_t size = blob.bytes->size();
  if (offset > size) return absl::OutOfRangeError(absl::StrCat(name, " ends before ", offset));
  const size_t end = offset + std::min<uint64_t>(length_max, size - offset);
  return std::make_unique<Source>(std::move(blob.bytes), offset, end, piece_size_bytes_);
}

absl::StatusOr<BlobInfo> MemoryBlobStore::Stat(absl::string_view name) {
  HOLDFAST_ASSIGN_OR_RETURN(const Blob blob, Find(name));
  return BlobInfo{
      .name = std::string(name), .size_bytes = blob.bytes->size(), .write_time = blob.write_time};
}

absl::Status MemoryBlobStore::List(absl::string_view prefix,
                                   const std::function<absl::Status(const BlobInfo&)>& visit) {
  if (!prefix.empty()) HOLDFAST_RETURN_IF_ERROR(CheckBlobName(prefix));
  std::vector<BlobInfo> infos;
  {
    MutexLock lock(&mutex_);
    for (const auto& [name, blob] : blobs_) {
      if (prefix.empty() || absl::StartsWith(name, absl::StrCat(prefix, "/"))) {
        infos.push_back(
            {.name = name, .size_bytes = blob.bytes->size(), .write_time = blob.write_time});
      }
    }
  }
  for (const BlobInfo& info : infos) HOLDFAST_RETURN_IF_ERROR(visit(info));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> MemoryBlobStore::ListFolders(absl::string_view prefix) {
  if (!prefix.empty()) HOLDFAST_RETURN_IF_ERROR(CheckBlobName(prefix));
  std::set<std::string> folders;
  MutexLock lock(&mutex_);
  for (const auto& [name, blob] : blobs_) {
    absl::string_view rest = name;
    if (!prefix.empty() && !absl::ConsumePrefix(&rest, absl::StrCat(prefix, "/"))) continue;
    const size_t slash = rest.find('/');
    if (slash != absl::string_view::npos) folders.emplace(rest.substr(0, slash));
  }
  return std::vector<std::string>(folders.begin(), folders.end());
}

absl::Status MemoryBlobStore::Delete(absl::string_view name) {
  HOLDFAST_RETURN_IF_ERROR(Find(name).status());
  MutexLock lock(&mutex_);
  const auto blob = blobs_.find(name);
  if (blob == blobs_.end()) return absl::NotFoundError(absl::StrCat("no blob ", name));
  blobs_.erase(blob);
  return absl::OkStatus();
}

std::map<std::string, std::string> MemoryBlobStore::Contents() const {
  MutexLock lock(&mutex_);
  std::map<std::string, std::string> contents;
  for (const auto& [name, blob] : blobs_) contents[name] = *blob.bytes;
  return contents;
}

std::string MemoryBlobStore::Read(absl::string_view name) const {
  const absl::StatusOr<Blob> blob = Find(name);
  HOLDFAST_CHECK(blob.ok(), name);
  return *blob->bytes;
}

void MemoryBlobStore::Remove(absl::string_view name) { HOLDFAST_CHECK(Delete(name).ok(), name); }

void MemoryBlobStore::Rename(absl::string_view from, absl::string_view to) {
  Write(to, Read(from));
  Remove(from);
}

void MemoryBlobStore::Swap(absl::string_view a, absl::string_view b) {
  std::string bytes_of_a = Read(a);
  Write(a, Read(b));
  Write(b, std::move(bytes_of_a));
}

void MemoryBlobStore::Write(absl::string_view name, std::string bytes) {
  HOLDFAST_CHECK(CheckBlobName(name).ok(), name);
  MutexLock lock(&mutex_);
  blobs_.insert_or_assign(std::string(name), MakeBlob(std::move(bytes)));
}

}  // namespace holdfast
