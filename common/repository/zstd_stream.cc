#include "common/repository/zstd_stream.h"

#include <zstd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace holdfast {

namespace {

// The best that keeps up with a disk; its window is 2 MiB.
constexpr int kCompressionLevel = 3;
// Part of the repository format: readers refuse larger windows. Do not change.
constexpr int kWindowLogMax = 23;  // 8 MiB
constexpr size_t kOutputSizeBytes = size_t{128} << 10;

absl::Status FrameError(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("not one Zstandard frame as it should be: ", what));
}

}  // namespace

struct ZstdCompressor::State {
  State() : context(ZSTD_createCCtx()), output(kOutputSizeBytes) {
    HOLDFAST_CHECK(context != nullptr, "out of memory");
  }
  ~State() { ZSTD_freeCCtx(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  absl::Status Run(absl::Span<const uint8_t> piece, ZSTD_EndDirective directive, ByteSink sink) {
    ZSTD_inBuffer in = {piece.data(), piece.size(), 0};
    for (;;) {
      ZSTD_outBuffer out = {output.data(), output.size(), 0};
      const size_t left = ZSTD_compressStream2(context, &out, &in, directive);
      if (ZSTD_isError(left)) {
        return absl::InternalError(absl::StrCat("compress: ", ZSTD_getErrorName(left)));
      }
      if (out.pos > 0) {
        HOLDFAST_RETURN_IF_ERROR(sink(absl::MakeConstSpan(output.data(), out.pos)));
      }
      const bool is_done = directive == ZSTD_e_end ? left == 0 : in.pos == in.size;
      if (is_done) return absl::OkStatus();
    }
  }

  ZSTD_CCtx* const context;
  std::vector<uint8_t> output;
};

ZstdCompressor::ZstdCompressor(uint64_t content_size_bytes) : state_(std::make_unique<State>()) {
  const auto set = [](size_t result) {
    HOLDFAST_CHECK(!ZSTD_isError(result), ZSTD_getErrorName(result));
  };
  set(ZSTD_CCtx_setParameter(state_->context, ZSTD_c_compressionLevel, kCompressionLevel));
  set(ZSTD_CCtx_setPledgedSrcSize(state_->context, content_size_bytes));
}

ZstdCompressor::~ZstdCompressor() = default;

absl::Status ZstdCompressor::Update(absl::Span<const uint8_t> piece, ByteSink sink) {
  return state_->Run(piece, ZSTD_e_continue, sink);
}

absl::Status ZstdCompressor::Finish(ByteSink sink) { return state_->Run({}, ZSTD_e_end, sink); }

struct ZstdDecompressor::State {
  explicit State(uint64_t size_max)
      : context(ZSTD_createDCtx()), content_size_max_bytes(size_max), output(kOutputSizeBytes) {
    HOLDFAST_CHECK(context != nullptr, "out of memory");
  }
  ~State() { ZSTD_freeDCtx(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  ZSTD_DCtx* const context;
  const uint64_t content_size_max_bytes;
  uint64_t content_size_bytes = 0;
  size_t magic_size_bytes = 0;  // how much of it was seen
  bool is_complete = false;
  bool may_hold_more = false;  // the library may have output that did not fit
  std::vector<uint8_t> output;
};

ZstdDecompressor::ZstdDecompressor(uint64_t content_size_max_bytes)
    : state_(std::make_unique<State>(content_size_max_bytes)) {
  const size_t result = ZSTD_DCtx_setParameter(state_->context, ZSTD_d_windowLogMax, kWindowLogMax);
  HOLDFAST_CHECK(!ZSTD_isError(result), ZSTD_getErrorName(result));
}

ZstdDecompressor::~ZstdDecompressor() = default;

absl::StatusOr<absl::Span<const uint8_t>> ZstdDecompressor::Next(absl::Span<const uint8_t>& input) {
  State& state = *state_;
  // The library also takes frames that it skips over, and those of other formats.
  for (const uint8_t byte : input) {
    if (state.magic_size_bytes == sizeof(uint32_t)) break;
    if (byte != static_cast<uint8_t>(ZSTD_MAGICNUMBER >> (8 * state.magic_size_bytes))) {
      return FrameError("it begins otherwise");
    }
    ++state.magic_size_bytes;
  }
  for (;;) {
    if (state.is_complete) {
      if (!input.empty()) return FrameError("there is more behind it");
      return absl::Span<const uint8_t>();
    }
    if (input.empty() && !state.may_hold_more) return absl::Span<const uint8_t>();
    // One byte more than there may be tells that there is more.
    const uint64_t rest = state.content_size_max_bytes - state.content_size_bytes;
    const size_t room =
        rest < state.output.size() ? static_cast<size_t>(rest) + 1 : state.output.size();
    ZSTD_outBuffer out = {state.output.data(), room, 0};
    ZSTD_inBuffer in = {input.data(), input.size(), 0};
    const size_t result = ZSTD_decompressStream(state.context, &out, &in);
    if (ZSTD_isError(result)) return FrameError(ZSTD_getErrorName(result));
    if (in.pos == 0 && out.pos == 0 && !input.empty()) return FrameError("it makes no progress");
    input.remove_prefix(in.pos);
    state.may_hold_more = out.pos == room;
    if (out.pos > rest) {
      return FrameError(
          absl::StrCat("it holds more than ", state.content_size_max_bytes, " bytes"));
    }
    state.content_size_bytes += out.pos;
    state.is_complete = result == 0;
    if (out.pos > 0) return absl::MakeConstSpan(state.output.data(), out.pos);
  }
}

absl::Status ZstdDecompressor::Finish() const {
  return state_->is_complete ? absl::OkStatus() : FrameError("it is cut short");
}

absl::StatusOr<std::string> ZstdCompress(absl::string_view content) {
  ZstdCompressor compressor(content.size());
  std::string frame;
  const auto append = [&](absl::Span<const uint8_t> piece) {
    frame.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return absl::OkStatus();
  };
  HOLDFAST_RETURN_IF_ERROR(compressor.Update(
      absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(content.data()), content.size()),
      append));
  HOLDFAST_RETURN_IF_ERROR(compressor.Finish(append));
  return frame;
}

absl::StatusOr<std::string> ZstdDecompress(absl::Span<const uint8_t> frame,
                                           uint64_t content_size_max_bytes) {
  ZstdDecompressor decompressor(content_size_max_bytes);
  std::string content;
  for (;;) {
    HOLDFAST_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> piece, decompressor.Next(frame));
    if (piece.empty()) break;
    content.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  HOLDFAST_RETURN_IF_ERROR(decompressor.Finish());
  return content;
}

}  // namespace holdfast
