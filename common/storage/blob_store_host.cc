#include "common/storage/blob_store_host.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "common/storage/host_protocol.h"

namespace holdfast {

namespace {

using host::Channel;
using host::Kind;
using host::Message;
using host::Reader;
using host::Writer;

// A listing is sent in messages of about this size, and what there is of the next one after so
// long: the other end must see that a slow place goes on.
constexpr size_t kListingMessageSizeBytes = size_t{64} << 10;
constexpr absl::Duration kListingMessageInterval = absl::Seconds(1);

// The bytes of a Put, which the other end has: asks for them one by one.
class ChannelSource : public ByteSource {
 public:
  explicit ChannelSource(Channel& channel) : channel_(channel) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    HOLDFAST_RETURN_IF_ERROR(channel_.Send(Kind::kNext));
    HOLDFAST_RETURN_IF_ERROR(channel_.Receive(message_));
    if (message_.kind == Kind::kStatus) {
      HOLDFAST_RETURN_IF_ERROR(Reader(message_.fields).Status());
      return absl::Span<const uint8_t>();
    }
    return channel_.Piece(message_);
  }

 private:
  Channel& channel_;
  Message message_;
};

absl::Status ServeGet(BlobStore& store, Reader& request, Channel& channel) {
  const std::string name = request.Text();
  const uint64_t offset = request.Number();
  const uint64_t length_max = request.Number();
  HOLDFAST_RETURN_IF_ERROR(request.status());
  const absl::StatusOr<std::unique_ptr<ByteSource>> source = store.Get(name, offset, length_max);
  HOLDFAST_RETURN_IF_ERROR(channel.SendStatus(source.status()));
  if (!source.ok()) return absl::OkStatus();
  absl::Span<const uint8_t> rest;  // of what the source yielded
  std::optional<absl::Status> end;
  Message message;
  for (;;) {
    if (rest.empty() && !end.has_value()) {
      // Before it is asked for: the other end works on the last piece meanwhile.
      const absl::StatusOr<absl::Span<const uint8_t>> next = (*source)->Next();
      if (next.ok()) rest = *next;
      if (rest.empty()) end = next.status();
    }
    HOLDFAST_RETURN_IF_ERROR(channel.Receive(message));
    if (message.kind == Kind::kClose) return absl::OkStatus();
    if (message.kind != Kind::kNext) return host::UnexpectedMessage(message.kind);
    if (rest.empty()) {
      HOLDFAST_RETURN_IF_ERROR(channel.SendStatus(*end));
      continue;
    }
    const absl::Span<const uint8_t> piece = rest.subspan(0, host::kPieceSizeMaxBytes);
    HOLDFAST_RETURN_IF_ERROR(channel.SendPiece(piece));
    rest.remove_prefix(piece.size());
  }
}

absl::Status ServeList(BlobStore& store, const std::string& prefix, Channel& channel,
                       Clock& clock) {
  Writer blobs;
  MonotonicTime next_message_time = clock.MonotonicNow() + kListingMessageInterval;
  const absl::Status listed = store.List(prefix, [&](const BlobInfo& info) {
    blobs.Text(info.name).Number(info.size_bytes).Time(info.write_time);
    const MonotonicTime now = clock.MonotonicNow();
    if (blobs.fields().size() < kListingMessageSizeBytes && now < next_message_time) {
      return absl::OkStatus();
    }
    next_message_time = now + kListingMessageInterval;
    return channel.Send(Kind::kBlobs, std::exchange(blobs, Writer()));
  });
  if (listed.ok()) HOLDFAST_RETURN_IF_ERROR(channel.Send(Kind::kBlobs, blobs));
  return channel.SendStatus(listed);
}

// Makes one call and answers it. An error is one of the channel.
absl::Status ServeCall(BlobStore& store, const Message& message, Channel& channel, Clock& clock) {
  Reader request(message.fields);
  if (message.kind == Kind::kGet) return ServeGet(store, request, channel);
  if (message.kind == Kind::kRemoveLeftovers) {
    const std::string prefix = request.Text();
    const auto before_us = static_cast<int64_t>(request.Number());
    HOLDFAST_RETURN_IF_ERROR(request.status());
    const absl::StatusOr<uint64_t> removed =
        store.RemoveLeftovers(prefix, absl::FromUnixMicros(before_us));
    if (!removed.ok()) return channel.SendStatus(removed.status());
    return channel.Send(Kind::kInfo, Writer().Number(*removed));
  }
  const std::string name = request.Text();
  HOLDFAST_RETURN_IF_ERROR(request.status());
  switch (message.kind) {
    case Kind::kStat: {
      const absl::StatusOr<BlobInfo> info = store.Stat(name);
      if (!info.ok()) return channel.SendStatus(info.status());
      return channel.Send(Kind::kInfo, Writer().Number(info->size_bytes).Time(info->write_time));
    }
    case Kind::kList:
      return ServeList(store, name, channel, clock);
    case Kind::kListFolders: {
      const absl::StatusOr<std::vector<std::string>> folders = store.ListFolders(name);
      if (!folders.ok()) return channel.SendStatus(folders.status());
      Writer names;
      for (const std::string& folder : *folders) names.Text(folder);
      return channel.Send(Kind::kNames, names);
    }
    case Kind::kDelete:
      return channel.SendStatus(store.Delete(name));
    case Kind::kPut: {
      ChannelSource source(channel);
      return channel.SendStatus(store.Put(name, source));
    }
    case Kind::kReplace: {
      ChannelSource source(channel);
      return channel.SendStatus(store.Replace(name, source));
    }
    default:
      return host::UnexpectedMessage(message.kind);
  }
}

void ServeChannel(BlobStore& store, Channel channel, Clock& clock) {
  Message message;
  while (channel.Receive(message).ok()) {
    if (!ServeCall(store, message, channel, clock).ok()) return;
  }
}

}  // namespace

void ServeBlobStore(UniqueFd control_socket,
                    const std::function<absl::StatusOr<std::unique_ptr<BlobStore>>()>& open,
                    Clock& clock) {
  Channel control(std::move(control_socket));
  const absl::StatusOr<std::unique_ptr<BlobStore>> store = open();
  if (!store.ok()) {
    static_cast<void>(control.SendStatus(store.status()));
    return;
  }
  const PlaceWarning warning = (*store)->Warning();
  if (!control
           .Send(Kind::kOpened,
                 Writer().Text((*store)->Describe()).Text(warning.text).Number(warning.is_unsafe))
           .ok()) {
    return;
  }
  std::vector<Thread> threads;  // they end with their channels
  for (;;) {
    absl::StatusOr<Channel> channel = control.ReceiveChannel();
    if (!channel.ok() || !channel->is_open()) return;
    threads.emplace_back("channel",
                         [&store = **store, &clock, channel = *std::move(channel)]() mutable {
                           ServeChannel(store, std::move(channel), clock);
                         });
  }
}

}  // namespace holdfast
