#include "tests/testing/fault_blob_store.h"

#include <utility>

#include "absl/strings/match.h"
#include "common/base/status_macros.h"

namespace holdfast {

namespace {

constexpr uint64_t kProbabilityScale = 1'000'000;

}  // namespace

// Yields the first piece of a source, or a part of it, then fails.
class FaultBlobStore::CutSource : public ByteSource {
 public:
  CutSource(ByteSource& source, absl::Status status)
      : source_(source), status_(std::move(status)) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    if (is_cut_) return status_;
    is_cut_ = true;
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, source_.Next());
    if (piece.size() < 2) return status_;
    return piece.first(piece.size() / 2);
  }

 private:
  ByteSource& source_;
  const absl::Status status_;
  bool is_cut_ = false;
};

class FaultBlobStore::Source : public ByteSource {
 public:
  Source(FaultBlobStore& store, absl::string_view name, std::unique_ptr<ByteSource> source)
      : store_(store), name_(name), source_(std::move(source)) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    const std::optional<Failure> failure = store_.NextFailure(Operation::kRead, name_);
    if (failure.has_value()) return failure->status;
    return source_->Next();
  }

  absl::Status Rewind() override { return source_->Rewind(); }

 private:
  FaultBlobStore& store_;
  const std::string name_;
  const std::unique_ptr<ByteSource> source_;
};

void FaultBlobStore::Inject(Fault fault) {
  MutexLock lock(&mutex_);
  faults_.push_back(std::move(fault));
}

void FaultBlobStore::InjectRandomly(RandomSource& random, double probability, absl::Status status) {
  MutexLock lock(&mutex_);
  random_ = &random;
  probability_ = probability;
  random_status_ = std::move(status);
}

void FaultBlobStore::StopAfter(int calls) {
  MutexLock lock(&mutex_);
  calls_left_ = calls;
}

bool FaultBlobStore::is_stopped() const {
  MutexLock lock(&mutex_);
  return calls_left_ == 0;
}

void FaultBlobStore::Clear() {
  MutexLock lock(&mutex_);
  faults_.clear();
  random_ = nullptr;
  calls_left_ = std::nullopt;
}

int FaultBlobStore::calls(Operation operation) const {
  MutexLock lock(&mutex_);
  int count = 0;
  for (const auto& [each, each_count] : calls_) {
    if (operation == Operation::kAny || operation == each) count += each_count;
  }
  return count;
}

std::optional<FaultBlobStore::Failure> FaultBlobStore::NextFailure(Operation operation,
                                                                   absl::string_view name) {
  MutexLock lock(&mutex_);
  ++calls_[operation];
  if (calls_left_.has_value()) {
    if (*calls_left_ == 0) return Failure{absl::UnavailableError("stopped"), Point::kBefore};
    if (--*calls_left_ == 0 && operation == Operation::kPut) {
      return Failure{absl::UnavailableError("stopped"), Point::kMidway};
    }
  }
  for (Fault& fault : faults_) {
    if (fault.times == 0 || !absl::StrContains(name, fault.name_contains) ||
        (fault.operation != Operation::kAny && fault.operation != operation)) {
      continue;
    }
    if (fault.after_calls > 0) {
      --fault.after_calls;
      continue;
    }
    --fault.times;
    return Failure{fault.status, fault.point};
  }
  if (random_ != nullptr &&
      random_->Uniform(kProbabilityScale) <
          static_cast<uint64_t>(probability_ * static_cast<double>(kProbabilityScale))) {
    const Point points[] = {Point::kBefore, Point::kMidway, Point::kAfter};
    return Failure{random_status_, points[random_->Uniform(3)]};
  }
  return std::nullopt;
}

absl::Status FaultBlobStore::Put(absl::string_view name, ByteSource& source) {
  const std::optional<Failure> failure = NextFailure(Operation::kPut, name);
  if (!failure.has_value()) return inner_.Put(name, source);
  if (failure->point == Point::kBefore) return failure->status;
  if (failure->point == Point::kMidway) {
    CutSource cut(source, failure->status);
    HOLDFAST_RETURN_IF_ERROR(inner_.Put(name, cut));
    return failure->status;
  }
  HOLDFAST_RETURN_IF_ERROR(inner_.Put(name, source));
  return failure->status;
}

absl::Status FaultBlobStore::Replace(absl::string_view name, ByteSource& source) {
  if (!can_replace_) return BlobStore::Replace(name, source);
  const std::optional<Failure> failure = NextFailure(Operation::kPut, name);
  if (!failure.has_value()) return inner_.Replace(name, source);
  if (failure->point == Point::kBefore) return failure->status;
  if (failure->point == Point::kMidway) {
    CutSource cut(source, failure->status);
    HOLDFAST_RETURN_IF_ERROR(inner_.Replace(name, cut));
    return failure->status;
  }
  HOLDFAST_RETURN_IF_ERROR(inner_.Replace(name, source));
  return failure->status;
}

absl::StatusOr<std::unique_ptr<ByteSource>> FaultBlobStore::Get(absl::string_view name,
                                                                uint64_t offset,
                                                                uint64_t length_max) {
  const std::optional<Failure> failure = NextFailure(Operation::kGet, name);
  if (failure.has_value()) return failure->status;
  HOLDFAST_ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source,
                            inner_.Get(name, offset, length_max));
  return std::make_unique<Source>(*this, name, std::move(source));
}

absl::StatusOr<BlobInfo> FaultBlobStore::Stat(absl::string_view name) {
  const std::optional<Failure> failure = NextFailure(Operation::kStat, name);
  if (failure.has_value()) return failure->status;
  return inner_.Stat(name);
}

absl::Status FaultBlobStore::List(absl::string_view prefix,
                                  const std::function<absl::Status(const BlobInfo&)>& visit) {
  const std::optional<Failure> failure = NextFailure(Operation::kList, prefix);
  if (!failure.has_value()) return inner_.List(prefix, visit);
  // Breaks off after the first.
  if (failure->point != Point::kBefore) {
    HOLDFAST_RETURN_IF_ERROR(inner_.List(prefix, [&](const BlobInfo& info) -> absl::Status {
      HOLDFAST_RETURN_IF_ERROR(visit(info));
      return failure->status;
    }));
  }
  return failure->status;
}

absl::StatusOr<std::vector<std::string>> FaultBlobStore::ListFolders(absl::string_view prefix) {
  const std::optional<Failure> failure = NextFailure(Operation::kListFolders, prefix);
  if (failure.has_value()) return failure->status;
  return inner_.ListFolders(prefix);
}

absl::Status FaultBlobStore::Delete(absl::string_view name) {
  const std::optional<Failure> failure = NextFailure(Operation::kDelete, name);
  if (!failure.has_value()) return inner_.Delete(name);
  if (failure->point == Point::kAfter) HOLDFAST_RETURN_IF_ERROR(inner_.Delete(name));
  return failure->status;
}

}  // namespace holdfast
