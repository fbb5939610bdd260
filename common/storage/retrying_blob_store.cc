#include "common/storage/retrying_blob_store.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/base/cancellation.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace holdfast {

namespace {

// Passes on what `source` yields, and remembers how that went.
class ObservedSource : public ByteSource {
 public:
  explicit ObservedSource(ByteSource& source) : source_(source) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    is_begun_ = true;
    absl::StatusOr<absl::Span<const uint8_t>> piece = source_.Next();
    if (!piece.ok()) has_failed_ = true;
    return piece;
  }

  absl::Status Rewind() override {
    if (!is_begun_) return absl::OkStatus();
    HOLDFAST_RETURN_IF_ERROR(source_.Rewind());
    is_begun_ = false;
    return absl::OkStatus();
  }

  bool has_failed() const { return has_failed_; }

 private:
  ByteSource& source_;
  bool is_begun_ = false;
  bool has_failed_ = false;
};

}  // namespace

// Yields a range of a blob; goes on where it was when it breaks off.
class RetryingBlobStore::Source : public ByteSource {
 public:
  Source(RetryingBlobStore& store, absl::string_view name, uint64_t offset, uint64_t length_max,
         std::unique_ptr<ByteSource> source)
      : store_(store),
        name_(name),
        begin_(offset),
        length_max_(length_max),
        source_(std::move(source)) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    absl::Span<const uint8_t> piece;
    HOLDFAST_RETURN_IF_ERROR(store_.Retry("read", [&]() -> absl::Status {
      if (source_ == nullptr) {
        HOLDFAST_ASSIGN_OR_RETURN(
            source_, store_.inner_->Get(name_, begin_ + yielded_, length_max_ - yielded_));
      }
      absl::StatusOr<absl::Span<const uint8_t>> next = source_->Next();
      if (!next.ok()) {
        source_ = nullptr;
        return next.status();
      }
      piece = *next;
      return absl::OkStatus();
    }));
    yielded_ += piece.size();
    return piece;
  }

  absl::Status Rewind() override {
    source_ = nullptr;
    yielded_ = 0;
    return absl::OkStatus();
  }

 private:
  RetryingBlobStore& store_;
  const std::string name_;
  const uint64_t begin_;
  const uint64_t length_max_;
  uint64_t yielded_ = 0;
  std::unique_ptr<ByteSource> source_;  // null where it is to be opened
};

RetryingBlobStore::RetryingBlobStore(std::unique_ptr<BlobStore> inner, const Options& options,
                                     Clock& clock, RandomSource& random)
    : inner_(std::move(inner)), options_(options), clock_(clock), random_(random) {
  HOLDFAST_CHECK(options.attempts_max >= 1);
}

absl::Status RetryingBlobStore::Retry(absl::string_view operation,
                                      absl::FunctionRef<absl::Status()> attempt) {
  Backoff backoff(options_.backoff, random_);
  for (;;) {
    absl::Status status = attempt();
    if (!absl::IsUnavailable(status)) return status;
    if (backoff.attempts() + 1 >= options_.attempts_max) return status;
    LogWarning("trying again at a destination",
               {{"destination", Describe()}, {"operation", operation}, {"error", status}});
    HOLDFAST_RETURN_IF_ERROR(SleepFor(clock_, backoff.Next(), Cancellation()));
  }
}

absl::Status RetryingBlobStore::Put(absl::string_view name, ByteSource& source) {
  ObservedSource observed(source);
  bool has_failed_before = false;
  absl::Status status;  // where it is final
  HOLDFAST_RETURN_IF_ERROR(Retry("put", [&]() -> absl::Status {
    if (has_failed_before && !observed.Rewind().ok()) return absl::OkStatus();
    status = inner_->Put(name, observed);
    // Whether the try that failed stored it after all, or somebody else did, cannot be told.
    if (has_failed_before && absl::IsAlreadyExists(status)) {
      status = absl::UnavailableError(absl::StrCat(name,
                                                   ": it is not known whether it was stored: a try "
                                                   "failed, but now it is there"));
      return absl::OkStatus();
    }
    if (!absl::IsUnavailable(status) || observed.has_failed()) return absl::OkStatus();
    has_failed_before = true;
    return status;
  }));
  return status;
}

absl::Status RetryingBlobStore::Replace(absl::string_view name, ByteSource& source) {
  ObservedSource observed(source);
  absl::Status status;  // where it is final
  HOLDFAST_RETURN_IF_ERROR(Retry("replace", [&]() -> absl::Status {
    if (!status.ok() && !observed.Rewind().ok()) return absl::OkStatus();
    status = inner_->Replace(name, observed);
    return absl::IsUnavailable(status) && !observed.has_failed() ? status : absl::OkStatus();
  }));
  return status;
}

absl::StatusOr<std::unique_ptr<ByteSource>> RetryingBlobStore::Get(absl::string_view name,
                                                                   uint64_t offset,
                                                                   uint64_t length_max) {
  std::unique_ptr<ByteSource> source;
  HOLDFAST_RETURN_IF_ERROR(Retry("get", [&]() -> absl::Status {
    HOLDFAST_ASSIGN_OR_RETURN(source, inner_->Get(name, offset, length_max));
    return absl::OkStatus();
  }));
  return std::make_unique<Source>(*this, name, offset, length_max, std::move(source));
}

absl::StatusOr<BlobInfo> RetryingBlobStore::Stat(absl::string_view name) {
  BlobInfo info;
  HOLDFAST_RETURN_IF_ERROR(Retry("stat", [&]() -> absl::Status {
    HOLDFAST_ASSIGN_OR_RETURN(info, inner_->Stat(name));
    return absl::OkStatus();
  }));
  return info;
}

absl::Status RetryingBlobStore::List(absl::string_view prefix,
                                     const std::function<absl::Status(const BlobInfo&)>& visit) {
  absl::flat_hash_set<std::string> visited;
  absl::Status visitor_error;
  HOLDFAST_RETURN_IF_ERROR(Retry("list", [&] {
    const absl::Status listed = inner_->List(prefix, [&](const BlobInfo& info) {
      if (!visited.insert(info.name).second) return absl::OkStatus();
      visitor_error = visit(info);
      return visitor_error;
    });
    return visitor_error.ok() ? listed : absl::OkStatus();
  }));
  return visitor_error;
}

absl::StatusOr<std::vector<std::string>> RetryingBlobStore::ListFolders(absl::string_view prefix) {
  std::vector<std::string> folders;
  HOLDFAST_RETURN_IF_ERROR(Retry("list folders", [&]() -> absl::Status {
    HOLDFAST_ASSIGN_OR_RETURN(folders, inner_->ListFolders(prefix));
    return absl::OkStatus();
  }));
  return folders;
}

absl::Status RetryingBlobStore::Delete(absl::string_view name) {
  bool has_failed_before = false;
  return Retry("delete", [&] {
    absl::Status status = inner_->Delete(name);
    if (has_failed_before && absl::IsNotFound(status)) return absl::OkStatus();
    has_failed_before = true;
    return status;
  });
}

absl::StatusOr<uint64_t> RetryingBlobStore::RemoveLeftovers(absl::string_view prefix,
                                                            absl::Time before) {
  return inner_->RemoveLeftovers(prefix, before);
}

std::string RetryingBlobStore::Describe() const { return inner_->Describe(); }

}  // namespace holdfast
