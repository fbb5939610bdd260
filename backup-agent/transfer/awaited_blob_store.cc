#include "backup-agent/transfer/awaited_blob_store.h"

#include "backup-agent/transfer/transfer_limits.h"
#include "common/base/status_macros.h"

namespace holdfast {

namespace {

// Runs `call` on a thread of the destination, which must own all that it uses, and waits for it.
template <typename R>
R CallAt(Destination& destination, const ProgressCounter& calls, absl::Duration stall_max,
         absl::AnyInvocable<R()> call, const ProgressCounter& progress = nullptr) {
  if (!destination.IsActive()) return R(destination.WhyGone());
  ++*calls;
  Pending<R> pending = destination.Start<R>(std::move(call));
  const absl::Status ended =
      destination.AwaitEnd(pending, "read", StallWatch(destination.clock(), stall_max, progress));
  ++*calls;
  if (!ended.ok()) return R(ended);
  return pending.Take();
}

// Lets go of what is at the place where that may block.
template <typename T>
void ReleaseAt(Destination& destination, std::shared_ptr<T> held) {
  destination.Start<absl::Status>([held = std::move(held)]() mutable {
    held.reset();
    return absl::OkStatus();
  });
}

absl::Status ReadOnlyError() { return absl::UnimplementedError("the place is open for reading"); }

}  // namespace

class AwaitedBlobStore::Source : public ByteSource {
 public:
  Source(std::shared_ptr<Destination> destination, std::shared_ptr<BlobStore> place,
         ProgressCounter calls, std::unique_ptr<ByteSource> source)
      : destination_(std::move(destination)),
        calls_(std::move(calls)),
        open_(std::make_shared<OpenSource>(
            OpenSource{.place = std::move(place), .source = std::move(source)})) {}

  ~Source() override { ReleaseAt(*destination_, std::move(open_)); }

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    return CallAt<absl::StatusOr<absl::Span<const uint8_t>>>(
        *destination_, calls_, kStallMax, [open = open_] { return open->source->Next(); });
  }

  absl::Status Rewind() override {
    return CallAt<absl::Status>(*destination_, calls_, kStallMax,
                                [open = open_] { return open->source->Rewind(); });
  }

 private:
  struct OpenSource {
    std::shared_ptr<BlobStore> place;  // outlives the source
    std::unique_ptr<ByteSource> source;
  };

  const std::shared_ptr<Destination> destination_;
  const ProgressCounter calls_;
  std::shared_ptr<OpenSource> open_;
};

absl::StatusOr<std::unique_ptr<BlobStore>> AwaitedBlobStore::Open(
    std::shared_ptr<Destination> destination, const BlobStoreOpener& open_blob_store,
    ProgressCounter calls) {
  using Opened = absl::StatusOr<std::unique_ptr<BlobStore>>;
  HOLDFAST_ASSIGN_OR_RETURN(
      std::unique_ptr<BlobStore> place,
      CallAt<Opened>(*destination, calls, kStallMax,
                     [open_blob_store, url = destination->url()] { return open_blob_store(url); }));
  return std::unique_ptr<BlobStore>(
      new AwaitedBlobStore(std::move(destination), std::move(place), std::move(calls)));
}

AwaitedBlobStore::~AwaitedBlobStore() { ReleaseAt(*destination_, std::move(place_)); }

absl::Status AwaitedBlobStore::Put(absl::string_view /*name*/, ByteSource& /*source*/) {
  return ReadOnlyError();
}

absl::Status AwaitedBlobStore::Delete(absl::string_view /*name*/) { return ReadOnlyError(); }

absl::StatusOr<std::unique_ptr<ByteSource>> AwaitedBlobStore::Get(absl::string_view name,
                                                                  uint64_t offset,
                                                                  uint64_t length_max) {
  using Got = absl::StatusOr<std::unique_ptr<ByteSource>>;
  HOLDFAST_ASSIGN_OR_RETURN(
      std::unique_ptr<ByteSource> source,
      CallAt<Got>(*destination_, calls_, kStallMax,
                  [place = place_, name = std::string(name), offset, length_max] {
                    return place->Get(name, offset, length_max);
                  }));
  return std::make_unique<Source>(destination_, place_, calls_, std::move(source));
}

absl::StatusOr<BlobInfo> AwaitedBlobStore::Stat(absl::string_view name) {
  return CallAt<absl::StatusOr<BlobInfo>>(
      *destination_, calls_, kStallMax,
      [place = place_, name = std::string(name)] { return place->Stat(name); });
}

absl::Status AwaitedBlobStore::List(absl::string_view prefix,
                                    const std::function<absl::Status(const BlobInfo&)>& visit) {
  using Listed = absl::StatusOr<std::vector<BlobInfo>>;
  const ProgressCounter progress = MakeProgressCounter();
  HOLDFAST_ASSIGN_OR_RETURN(
      const std::vector<BlobInfo> listed,
      CallAt<Listed>(
          *destination_, calls_, kListingMax,
          [place = place_, prefix = std::string(prefix), progress]() -> Listed {
            std::vector<BlobInfo> infos;
            HOLDFAST_RETURN_IF_ERROR(place->List(prefix, [&](const BlobInfo& info) {
              ++*progress;
              infos.push_back(info);
              return absl::OkStatus();
            }));
            return infos;
          },
          progress));
  for (const BlobInfo& info : listed) HOLDFAST_RETURN_IF_ERROR(visit(info));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> AwaitedBlobStore::ListFolders(absl::string_view prefix) {
  return CallAt<absl::StatusOr<std::vector<std::string>>>(
      *destination_, calls_, kListingMax,
      [place = place_, prefix = std::string(prefix)] { return place->ListFolders(prefix); });
}

}  // namespace holdfast
