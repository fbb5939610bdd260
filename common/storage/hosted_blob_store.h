#ifndef HOLDFAST_COMMON_STORAGE_HOSTED_BLOB_STORE_H_
#define HOLDFAST_COMMON_STORAGE_HOSTED_BLOB_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "common/io/fd.h"
#include "common/storage/blob_store.h"
#include "common/storage/host_protocol.h"

namespace holdfast {

// A HostedBlobStore is a store that another process, its host, works on: so that a call which the
// medium never answers is stuck there and not here. A thread that waits for the kernel's file
// system can't be ended by anything, and holds up the end of its process, with all locks and
// sockets that this has; one that waits for a host ends with its process.
//
//   HOLDFAST_ASSIGN_OR_RETURN(auto store,
//                             HostedBlobStore::Connect(std::move(socket), std::move(options)));
//
// Thread-safe: each call that is under way has a channel of its own. Calls block as those of the
// store that is hosted do, or for as long as the patience lasts.
//
// Errors: those of that store, with their messages. UNAVAILABLE where the host has ended.
// DEADLINE_EXCEEDED where it said nothing for too long; then that of all later calls, at once. The
// reason of the cancellation where that ended a wait.
class HostedBlobStore : public BlobStore {
 public:
  struct Options {
    // What the place is called in errors, until the host has said so.
    std::string url;
    // How long the host is waited for.
    host::Patience patience;
    // Called in the destructor, and where Connect fails, once the host was told to end.
    absl::AnyInvocable<void()> on_closed;
  };

  // `control` is connected to a host that opens its place (ServeBlobStore). Waits until it has, and
  // returns how that went.
  static absl::StatusOr<std::unique_ptr<HostedBlobStore>> Connect(UniqueFd control,
                                                                  Options options);

  // REQUIRES: no call is under way, and no source of it is left.
  ~HostedBlobStore() override;

  absl::Status Put(absl::string_view name, ByteSource& source) override;
  absl::Status Replace(absl::string_view name, ByteSource& source) override;
  absl::StatusOr<std::unique_ptr<ByteSource>> Get(absl::string_view name, uint64_t offset,
                                                  uint64_t length_max) override;
  absl::StatusOr<BlobInfo> Stat(absl::string_view name) override;
  absl::Status List(absl::string_view prefix,
                    const std::function<absl::Status(const BlobInfo&)>& visit) override;
  absl::StatusOr<std::vector<std::string>> ListFolders(absl::string_view prefix) override;
  absl::Status Delete(absl::string_view name) override;
  absl::StatusOr<uint64_t> RemoveLeftovers(absl::string_view prefix, absl::Time before) override;
  std::string Describe() const override { return description_; }
  PlaceWarning Warning() const override { return warning_; }

 private:
  class Source;

  HostedBlobStore(UniqueFd control, Options options)
      : patience_(std::move(options.patience)),
        description_(std::move(options.url)),
        control_(std::move(control), patience_),
        on_closed_(std::move(options.on_closed)) {}

  absl::Status AwaitOpened();

  // A channel that nobody uses; a new one if need be.
  absl::StatusOr<host::Channel> TakeChannel();
  void ReturnChannel(host::Channel channel);

  // Send and Receive of a channel that was taken.
  absl::Status Tell(host::Channel& channel, host::Kind kind, absl::string_view fields = "");
  absl::Status Hear(host::Channel& channel, host::Message& message);

  // kPut or kReplace.
  absl::Status Send(host::Kind kind, absl::string_view name, ByteSource& source);

  // The channel of a blob that is open.
  absl::StatusOr<host::Channel> BeginGet(absl::string_view name, uint64_t offset,
                                         uint64_t length_max);

  // A call that is answered by one message.
  absl::StatusOr<host::Message> Call(host::Kind kind, absl::string_view name);

  // What to return where a channel itself fails: the error with the name of the place. Gives the
  // place up where that is because of its silence.
  absl::Status HostError(const absl::Status& error);

  const host::Patience patience_;
  std::string description_;  // does not change once it is connected
  PlaceWarning warning_;

  Mutex mutex_;
  host::Channel control_ ABSL_GUARDED_BY(mutex_);
  std::vector<host::Channel> idle_channels_ ABSL_GUARDED_BY(mutex_);
  absl::Status silence_ ABSL_GUARDED_BY(mutex_);  // an error once the place was given up
  absl::AnyInvocable<void()> on_closed_;
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_STORAGE_HOSTED_BLOB_STORE_H_
