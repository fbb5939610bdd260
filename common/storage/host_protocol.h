#ifndef HOLDFAST_COMMON_STORAGE_HOST_PROTOCOL_H_
#define HOLDFAST_COMMON_STORAGE_HOST_PROTOCOL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/cancellation.h"
#include "common/io/fd.h"

// How a HostedBlobStore and its host talk. Both ends are of one version of Holdfast (a host refuses
// another), so nothing here has a version of its own.
//
// There is a control socket, and over it the store sends the host a socket and some shared memory
// for each channel. A channel carries one call at a time:
//
//   store                                      host
//   kStat name                                 kInfo size, time, or kStatus error
//   kList prefix                               kBlobs…, kStatus
//   kListFolders prefix                        kNames, or kStatus error
//   kDelete name                               kStatus
//   kRemoveLeftovers prefix, microseconds      kInfo count, or kStatus error
//     since 1970
//   kPut name, or kReplace name                kNext…, kStatus
//     answers each kNext: kPiece, or kStatus of the source at its end
//   kGet name, offset, length                  kStatus
//     where that is OK: kNext…, kClose         answers each kNext: kPiece, or kStatus at the end
//
// On the control socket the host says how it opened the place, before anything else: kOpened with
// the place's description and warning, or kStatus error. One that is to make the folder of a place
// says kInfo, with whether it was not there, or kStatus error, and ends.
//
// A message is its size and kind (4 and 1 bytes), and its fields: numbers of 8 bytes, texts with
// their size before them. Of kPiece that is the number of its bytes, which lie in the channel's
// shared memory: there the socket would copy each of them twice, and that costs more than to write
// them. They stay there until the next kNext. The host ends when the control socket is closed at
// the other end, and what was under way has ended.

namespace holdfast::host {

enum class Kind : uint8_t {
  kStatus = 1,
  kOpened,
  kStat,
  kInfo,
  kList,
  kBlobs,
  kListFolders,
  kNames,
  kDelete,
  kPut,
  kGet,
  kNext,
  kPiece,
  kClose,
  kRemoveLeftovers,
  kReplace,
};

// What a message holds. At most this many bytes.
inline constexpr size_t kMessageSizeMaxBytes = size_t{256} << 20;

// What the shared memory of a channel holds: the most bytes of a piece.
inline constexpr size_t kPieceSizeMaxBytes = size_t{256} << 10;

// Builds the fields of a message.
class Writer {
 public:
  Writer& Number(uint64_t number);
  // To the microsecond; InfinitePast stands for none.
  Writer& Time(absl::Time time);
  Writer& Text(absl::string_view text);
  Writer& Status(const absl::Status& status);
  const std::string& fields() const { return fields_; }

 private:
  std::string fields_;
};

// Reads them. INTERNAL where they are not what was expected.
class Reader {
 public:
  // Does not take ownership; the bytes must outlive this.
  explicit Reader(absl::string_view fields) : rest_(fields) {}

  uint64_t Number();
  absl::Time Time();
  std::string Text();
  absl::Status Status();
  bool AtEnd() const { return rest_.empty(); }
  // Whether all that was read so far was there.
  absl::Status status() const;

 private:
  absl::string_view rest_;
  bool is_broken_ = false;
};

struct Message {
  Kind kind = Kind::kStatus;
  std::string fields;
};

// How long one end waits for the other.
struct Patience {
  // What the other end may take for an answer, or for a part of it.
  absl::Duration silence_max = absl::InfiniteDuration();
  // Ends a wait almost at once.
  Cancellation cancellation = {};
};

// Memory that both ends of a channel have mapped. Not thread-safe. Movable.
class SharedMemory {
 public:
  SharedMemory() = default;  // none
  // Of kPieceSizeMaxBytes; `fd` is what the other end is to map.
  static absl::StatusOr<SharedMemory> Create(UniqueFd& fd);
  // What the other end created.
  static absl::StatusOr<SharedMemory> Map(const UniqueFd& fd);
  ~SharedMemory();
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;

  absl::Span<uint8_t> bytes() const { return bytes_; }

 private:
  explicit SharedMemory(absl::Span<uint8_t> bytes) : bytes_(bytes) {}

  absl::Span<uint8_t> bytes_;
};

// The end of a channel that the host gets.
struct HostEnd {
  UniqueFd socket;
  UniqueFd memory;
};

// One end of a channel, or of the control socket.
//
// Not thread-safe, but for Receive of one thread beside Send of another.
//
// Errors: UNAVAILABLE once the other end is gone. Where there is a bound to the patience,
// DEADLINE_EXCEEDED once the other end said nothing for so long, and the reason of the
// cancellation; the channel is of no use then.
class Channel {
 public:
  Channel() = default;
  // Waits for the other end for ever. The control socket has no memory.
  explicit Channel(UniqueFd socket, SharedMemory memory = {})
      : socket_(std::move(socket)), memory_(std::move(memory)) {}
  Channel(UniqueFd socket, Patience patience, SharedMemory memory = {});

  absl::Status Send(Kind kind, absl::string_view fields = "");
  absl::Status Send(Kind kind, const Writer& writer) { return Send(kind, writer.fields()); }
  absl::Status SendStatus(const absl::Status& status);
  absl::StatusOr<Message> Receive();
  // Into memory that is used again and again.
  absl::Status Receive(Message& message);

  // Sends kPiece. REQUIRES: of a channel, and at most kPieceSizeMaxBytes.
  absl::Status SendPiece(absl::Span<const uint8_t> piece);
  // The bytes of a kPiece that was received. The other end can change them for as long as it has
  // not been told kNext, and whoever must not trust it works on a copy.
  absl::StatusOr<absl::Span<const uint8_t>> Piece(const Message& message) const;

  // A new channel travels over the control socket. One that is not open at its end.
  absl::Status SendChannel(const HostEnd& end);
  absl::StatusOr<Channel> ReceiveChannel();

  bool is_open() const { return socket_.is_valid(); }
  void Close() { socket_.Reset(); }

 private:
  // Fills `buffer`.
  absl::Status ReceiveBytes(absl::Span<char> buffer);

  // What follows from the errno of a call for the socket: OK where it is to be made again. `waited`
  // counts how long the other end has said nothing.
  absl::Status GoOn(int error, absl::string_view what, absl::Duration& waited) const;

  UniqueFd socket_;
  SharedMemory memory_;
  Patience patience_;
};

// A new channel, and its other end.
absl::StatusOr<std::pair<Channel, HostEnd>> MakeChannel(const Patience& patience);

// Two ends that are connected.
absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakeSocketPair();

// Whether that is the error of a channel whose other end is gone, and not one that the other end
// told.
bool IsOtherEndGone(const absl::Status& status);

// INTERNAL: the other end said something that makes no sense here.
absl::Status UnexpectedMessage(Kind kind);

}  // namespace holdfast::host

#endif  // HOLDFAST_COMMON_STORAGE_HOST_PROTOCOL_H_
