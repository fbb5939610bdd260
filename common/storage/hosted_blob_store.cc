#include "common/storage/hosted_blob_store.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/status.h"
#include "common/base/status_macros.h"

namespace holdfast {

using host::Channel;
using host::Kind;
using host::Message;
using host::Reader;
using host::Writer;

namespace {

// Names the place in an error of a channel, but for that of who gave up.
absl::Status NameIn(const absl::Status& error, absl::string_view place) {
  return absl::IsCancelled(error) ? error : Annotate(error, place);
}

}  // namespace

// Yields a blob, whose bytes the host reads when they are asked for.
class HostedBlobStore::Source : public ByteSource {
 public:
  Source(HostedBlobStore& store, Channel channel, std::string name, uint64_t offset,
         uint64_t length_max)
      : store_(store),
        channel_(std::move(channel)),
        name_(std::move(name)),
        offset_(offset),
        length_max_(length_max) {}

  ~Source() override { End(); }

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    if (!channel_.is_open()) return absl::UnavailableError("the blob can't be read any further");
    absl::Status status = store_.Tell(channel_, Kind::kNext);
    if (status.ok()) status = store_.Hear(channel_, message_);
    if (!status.ok()) {
      channel_.Close();
      return status;
    }
    if (message_.kind == Kind::kStatus) {
      HOLDFAST_RETURN_IF_ERROR(Reader(message_.fields).Status());
      return absl::Span<const uint8_t>();
    }
    const absl::StatusOr<absl::Span<const uint8_t>> piece = channel_.Piece(message_);
    if (!piece.ok()) {
      channel_.Close();
      return piece.status();
    }
    // A copy: what is proven of these bytes must not change afterwards.
    piece_.assign(piece->begin(), piece->end());
    return absl::MakeConstSpan(piece_);
  }

  absl::Status Rewind() override {
    End();
    HOLDFAST_ASSIGN_OR_RETURN(channel_, store_.BeginGet(name_, offset_, length_max_));
    return absl::OkStatus();
  }

 private:
  void End() {
    if (channel_.is_open() && channel_.Send(Kind::kClose).ok()) {
      store_.ReturnChannel(std::move(channel_));
    }
    channel_ = Channel();
  }

  HostedBlobStore& store_;
  Channel channel_;  // closed after an error of its own
  const std::string name_;
  const uint64_t offset_;
  const uint64_t length_max_;
  Message message_;
  std::vector<uint8_t> piece_;
};

absl::StatusOr<std::unique_ptr<HostedBlobStore>> HostedBlobStore::Connect(UniqueFd control,
                                                                          Options options) {
  std::unique_ptr<HostedBlobStore> store(
      new HostedBlobStore(std::move(control), std::move(options)));
  HOLDFAST_RETURN_IF_ERROR(store->AwaitOpened());
  return store;
}

absl::Status HostedBlobStore::AwaitOpened() {
  Message message;
  {
    MutexLock lock(&mutex_);
    if (absl::Status status = control_.Receive(message); !status.ok()) {
      return NameIn(status, description_);
    }
  }
  Reader reader(message.fields);
  if (message.kind == Kind::kStatus) return reader.Status();
  if (message.kind != Kind::kOpened) return host::UnexpectedMessage(message.kind);
  description_ = reader.Text();
  warning_.text = reader.Text();
  warning_.is_unsafe = reader.Number() != 0;
  return reader.status();
}

HostedBlobStore::~HostedBlobStore() {
  {
    MutexLock lock(&mutex_);
    idle_channels_.clear();
    control_.Close();
  }
  if (on_closed_) on_closed_();
}

absl::Status HostedBlobStore::HostError(const absl::Status& error) {
  absl::Status named = NameIn(error, description_);
  if (absl::IsDeadlineExceeded(named)) {
    MutexLock lock(&mutex_);
    silence_ = named;
  }
  return named;
}

absl::Status HostedBlobStore::Tell(Channel& channel, Kind kind, absl::string_view fields) {
  return HostError(channel.Send(kind, fields));
}

absl::Status HostedBlobStore::Hear(Channel& channel, Message& message) {
  return HostError(channel.Receive(message));
}

absl::StatusOr<Channel> HostedBlobStore::TakeChannel() {
  MutexLock lock(&mutex_);
  HOLDFAST_RETURN_IF_ERROR(silence_);
  if (!idle_channels_.empty()) {
    Channel channel = std::move(idle_channels_.back());
    idle_channels_.pop_back();
    return channel;
  }
  HOLDFAST_ASSIGN_OR_RETURN(auto channel, host::MakeChannel(patience_));
  if (absl::Status status = control_.SendChannel(channel.second); !status.ok()) {
    return NameIn(status, description_);
  }
  return std::move(channel.first);
}

void HostedBlobStore::ReturnChannel(Channel channel) {
  MutexLock lock(&mutex_);
  idle_channels_.push_back(std::move(channel));
}

absl::StatusOr<Message> HostedBlobStore::Call(Kind kind, absl::string_view name) {
  HOLDFAST_ASSIGN_OR_RETURN(Channel channel, TakeChannel());
  HOLDFAST_RETURN_IF_ERROR(Tell(channel, kind, Writer().Text(name).fields()));
  Message message;
  HOLDFAST_RETURN_IF_ERROR(Hear(channel, message));
  ReturnChannel(std::move(channel));
  return message;
}

absl::Status HostedBlobStore::Put(absl::string_view name, ByteSource& source) {
  return Send(Kind::kPut, name, source);
}

absl::Status HostedBlobStore::Replace(absl::string_view name, ByteSource& source) {
  return Send(Kind::kReplace, name, source);
}

absl::Status HostedBlobStore::Send(Kind kind, absl::string_view name, ByteSource& source) {
  HOLDFAST_ASSIGN_OR_RETURN(Channel channel, TakeChannel());
  HOLDFAST_RETURN_IF_ERROR(Tell(channel, kind, Writer().Text(name).fields()));
  Message message;
  absl::Span<const uint8_t> piece;
  absl::Status source_error;
  for (;;) {
    HOLDFAST_RETURN_IF_ERROR(Hear(channel, message));
    if (message.kind == Kind::kStatus) {
      ReturnChannel(std::move(channel));
      const absl::Status stored = Reader(message.fields).Status();
      return !stored.ok() && !source_error.ok() ? source_error : stored;
    }
    if (message.kind != Kind::kNext) return host::UnexpectedMessage(message.kind);
    if (piece.empty()) {
      absl::StatusOr<absl::Span<const uint8_t>> next = source.Next();
      if (!next.ok() || next->empty()) {
        source_error = next.status();
        HOLDFAST_RETURN_IF_ERROR(
            Tell(channel, Kind::kStatus, Writer().Status(source_error).fields()));
        continue;
      }
      piece = *next;
    }
    // Larger pieces travel in parts.
    const absl::Span<const uint8_t> part = piece.subspan(0, host::kPieceSizeMaxBytes);
    HOLDFAST_RETURN_IF_ERROR(HostError(channel.SendPiece(part)));
    piece.remove_prefix(part.size());
  }
}

absl::StatusOr<Channel> HostedBlobStore::BeginGet(absl::string_view name, uint64_t offset,
                                                  uint64_t length_max) {
  HOLDFAST_ASSIGN_OR_RETURN(Channel channel, TakeChannel());
  HOLDFAST_RETURN_IF_ERROR(
      Tell(channel, Kind::kGet, Writer().Text(name).Number(offset).Number(length_max).fields()));
  Message message;
  HOLDFAST_RETURN_IF_ERROR(Hear(channel, message));
  if (message.kind != Kind::kStatus) return host::UnexpectedMessage(message.kind);
  if (absl::Status status = Reader(message.fields).Status(); !status.ok()) {
    ReturnChannel(std::move(channel));
    return status;
  }
  return channel;
}

absl::StatusOr<std::unique_ptr<ByteSource>> HostedBlobStore::Get(absl::string_view name,
                                                                 uint64_t offset,
                                                                 uint64_t length_max) {
  HOLDFAST_ASSIGN_OR_RETURN(Channel channel, BeginGet(name, offset, length_max));
  return std::make_unique<Source>(*this, std::move(channel), std::string(name), offset, length_max);
}

absl::StatusOr<BlobInfo> HostedBlobStore::Stat(absl::string_view name) {
  HOLDFAST_ASSIGN_OR_RETURN(const Message message, Call(Kind::kStat, name));
  Reader reader(message.fields);
  if (message.kind == Kind::kStatus) return reader.Status();
  if (message.kind != Kind::kInfo) return host::UnexpectedMessage(message.kind);
  BlobInfo info;
  info.name = std::string(name);
  info.size_bytes = reader.Number();
  info.write_time = reader.Time();
  HOLDFAST_RETURN_IF_ERROR(reader.status());
  return info;
}

absl::Status HostedBlobStore::List(absl::string_view prefix,
                                   const std::function<absl::Status(const BlobInfo&)>& visit) {
  HOLDFAST_ASSIGN_OR_RETURN(Channel channel, TakeChannel());
  HOLDFAST_RETURN_IF_ERROR(Tell(channel, Kind::kList, Writer().Text(prefix).fields()));
  Message message;
  for (;;) {
    HOLDFAST_RETURN_IF_ERROR(Hear(channel, message));
    Reader reader(message.fields);
    if (message.kind == Kind::kStatus) {
      ReturnChannel(std::move(channel));
      return reader.Status();
    }
    if (message.kind != Kind::kBlobs) return host::UnexpectedMessage(message.kind);
    while (!reader.AtEnd()) {
      BlobInfo info;
      info.name = reader.Text();
      info.size_bytes = reader.Number();
      info.write_time = reader.Time();
      HOLDFAST_RETURN_IF_ERROR(reader.status());
      // Where it wants no more the channel goes, and with it what is still to come.
      HOLDFAST_RETURN_IF_ERROR(visit(info));
    }
  }
}

absl::StatusOr<std::vector<std::string>> HostedBlobStore::ListFolders(absl::string_view prefix) {
  HOLDFAST_ASSIGN_OR_RETURN(const Message message, Call(Kind::kListFolders, prefix));
  Reader reader(message.fields);
  if (message.kind == Kind::kStatus) return reader.Status();
  if (message.kind != Kind::kNames) return host::UnexpectedMessage(message.kind);
  std::vector<std::string> folders;
  while (!reader.AtEnd()) {
    folders.push_back(reader.Text());
    HOLDFAST_RETURN_IF_ERROR(reader.status());
  }
  return folders;
}

absl::Status HostedBlobStore::Delete(absl::string_view name) {
  HOLDFAST_ASSIGN_OR_RETURN(const Message message, Call(Kind::kDelete, name));
  if (message.kind != Kind::kStatus) return host::UnexpectedMessage(message.kind);
  return Reader(message.fields).Status();
}

absl::StatusOr<uint64_t> HostedBlobStore::RemoveLeftovers(absl::string_view prefix,
                                                          absl::Time before) {
  HOLDFAST_ASSIGN_OR_RETURN(Channel channel, TakeChannel());
  const auto before_us = static_cast<uint64_t>(absl::ToUnixMicros(before));
  HOLDFAST_RETURN_IF_ERROR(
      Tell(channel, Kind::kRemoveLeftovers, Writer().Text(prefix).Number(before_us).fields()));
  Message message;
  HOLDFAST_RETURN_IF_ERROR(Hear(channel, message));
  ReturnChannel(std::move(channel));
  Reader reader(message.fields);
  if (message.kind == Kind::kStatus) return reader.Status();
  if (message.kind != Kind::kInfo) return host::UnexpectedMessage(message.kind);
  const uint64_t removed = reader.Number();
  HOLDFAST_RETURN_IF_ERROR(reader.status());
  return removed;
}

}  // namespace holdfast
