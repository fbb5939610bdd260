#include "backup-agent/transfer/fan_out.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "backup-agent/transfer/transfer_limits.h"

namespace holdfast {

ObjectFanOut::ObjectFanOut(Clock& clock, const std::string& path, Mode mode,
                           const std::vector<Destination*>& destinations)
    : clock_(clock), path_(path) {
  for (Destination* destination : destinations) {
    auto pipe = std::make_shared<Pipe>(kQueuedChunksMax);
    ProgressCounter progress = MakeProgressCounter();
    Pending<absl::StatusOr<Found>> put = destination->Start<absl::StatusOr<Found>>(
        [open = destination->open, path, mode, pipe, progress]() -> absl::StatusOr<Found> {
          PipeSource source(pipe, progress);
          const absl::Status status = mode == Mode::kReplace ? open->blobs->Replace(path, source)
                                                             : open->blobs->Put(path, source);
          if (absl::IsAlreadyExists(status)) return Found::kBlobOfThatName;
          if (!status.ok()) return status;
          return Found::kNothing;
        });
    // Frees both ends when the destination leaves the run: a thread that waits for the next chunk
    // goes, and what it has written of the object with it.
    auto give_up = std::make_unique<CancellationCallback>(
        destination->cancellation(),
        [pipe, cancellation = destination->cancellation()] { pipe->Close(cancellation.status()); });
    legs_.push_back({destination, std::move(pipe), std::move(progress), std::move(put),
                     std::move(give_up), std::nullopt});
  }
}

ObjectFanOut::~ObjectFanOut() {
  if (!is_ended_) Fail(absl::CancelledError("the object was given up"));
}

absl::Status ObjectFanOut::Write(const Chunk& chunk) {
  size_bytes_ += chunk->size();
  bool is_taken = false;
  for (Leg& leg : legs_) {
    if (leg.result.has_value()) {
      is_taken |= leg.result->ok();
      continue;
    }
    switch (leg.pipe->Push(clock_, clock_.MonotonicNow() + kStallMax, chunk)) {
      case PushResult::kPushed:
        is_taken = true;
        break;
      case PushResult::kTimedOut:
        leg.destination->SetStuck();
        leg.destination->Leave(absl::UnavailableError(
            absl::StrCat("write ", path_, ": it is unresponsive, it took no data for ",
                         absl::FormatDuration(kStallMax), "; it catches up in a later run")));
        leg.result = leg.destination->WhyGone();
        break;
      case PushResult::kClosed:
        leg.result = leg.destination->Await(leg.put, absl::StrCat("write ", path_), kStallMax);
        if (leg.result->ok() && **leg.result == Found::kNothing) {
          leg.destination->Leave(absl::InternalError(
              absl::StrCat("write ", path_, ": it took only a part and said that all was well")));
          leg.result = leg.destination->WhyGone();
        }
        is_taken |= leg.result->ok();
        break;
    }
  }
  return is_taken ? absl::OkStatus()
                  : absl::UnavailableError(absl::StrCat("no destination takes ", path_));
}

void ObjectFanOut::CloseAll(const absl::Status& status) {
  is_ended_ = true;
  for (Leg& leg : legs_) leg.pipe->Close(status);
}

void ObjectFanOut::Fail(const absl::Status& reason) {
  CloseAll(reason);
  for (Leg& leg : legs_) {
    if (leg.result.has_value()) continue;
    const absl::Status waited =
        leg.put.Await(clock_, leg.destination->cancellation(), kStallMax, leg.progress);
    if (absl::IsDeadlineExceeded(waited) && leg.destination->IsActive()) {
      leg.destination->SetStuck();
      leg.destination->Leave(absl::UnavailableError(
          absl::StrCat("give up ", path_, ": it is unresponsive, it ", waited.message())));
    }
  }
}

ObjectFanOut::Result ObjectFanOut::Finish() {
  CloseAll(absl::OkStatus());
  Result result;
  for (Leg& leg : legs_) {
    if (!leg.result.has_value()) {
      leg.result = leg.destination->Await(leg.put, absl::StrCat("write ", path_), kOperationMax,
                                          leg.progress);
    }
    if (!leg.result->ok()) continue;
    (**leg.result == Found::kNothing ? result.holders : result.already_there)
        .push_back(leg.destination);
  }
  return result;
}

}  // namespace holdfast
