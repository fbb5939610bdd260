#include "common/database/table_reader.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/database/little_endian.h"
#include "common/database/rocksdb_status.h"
#include "common/io/xxh3_stream.h"

namespace holdfast {

namespace {

using internal::ReadLittleEndian;

// RocksDB's block-based table, format version 5.
//
// The footer: type of the checksums, handles of metaindex and index (varints, filled up), version,
// magic number.
constexpr uint64_t kFooterSizeBytes = 53;
constexpr size_t kHandlesSizeBytes = 40;
constexpr uint64_t kMagicNumber = 0x88e241b785f4cff7;
constexpr uint64_t kFormatVersion = 5;
constexpr uint8_t kChecksumXxh3 = 4;

// A block is followed by its compression and its checksum, in which the last byte is mixed in.
constexpr size_t kTrailerSizeBytes = 5;
constexpr uint32_t kLastByteFactor = 0x6b9083d9;
constexpr uint8_t kNotCompressed = 0;
constexpr uint8_t kLz4 = 4;
constexpr uint8_t kZstd = 7;
// More is never written: a record is little more than a document's 1 MiB.
constexpr uint64_t kBlockSizeMaxBytes = uint64_t{64} << 20;

// A key in a table: the user's, then sequence number and kind.
constexpr size_t kKeySuffixSizeBytes = 8;
constexpr uint8_t kDeletion = 0;
constexpr uint8_t kValue = 1;

constexpr uint32_t kHashIndexFlag = uint32_t{1} << 31;

bool ReadVarint(absl::string_view& bytes, uint64_t* value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    *value |= uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

bool ReadSignedVarint(absl::string_view& bytes, int64_t* value) {
  uint64_t zigzag = 0;
  if (!ReadVarint(bytes, &zigzag)) return false;
  *value = static_cast<int64_t>(zigzag >> 1) ^ -static_cast<int64_t>(zigzag & 1);
  return true;
}

// The next entry of a block whose values have their lengths: its key replaces `key`, of which it
// shares the beginning.
bool ReadBlockEntry(absl::string_view& rest, std::string& key, absl::string_view* value) {
  uint64_t shared = 0;
  uint64_t own = 0;
  uint64_t value_size = 0;
  if (!ReadVarint(rest, &shared) || !ReadVarint(rest, &own) || !ReadVarint(rest, &value_size)) {
    return false;
  }
  if (shared > key.size() || own > rest.size() || value_size > rest.size() - own) return false;
  key.resize(shared);
  key.append(rest.data(), own);
  *value = rest.substr(own, value_size);
  rest.remove_prefix(own + value_size);
  return true;
}

absl::string_view UserKeyOf(absl::string_view internal_key) {
  return internal_key.substr(0, internal_key.size() - kKeySuffixSizeBytes);
}

uint64_t SuffixOf(absl::string_view internal_key) {
  return ReadLittleEndian(internal_key.substr(internal_key.size() - kKeySuffixSizeBytes));
}

// Whether `b` comes after `a` in a table.
bool IsAscending(absl::string_view a, absl::string_view b) {
  const int order = UserKeyOf(a).compare(UserKeyOf(b));
  return order < 0 || (order == 0 && SuffixOf(a) > SuffixOf(b));
}

class BytesInMemory : public rocksdb::RandomAccessFile {
 public:
  explicit BytesInMemory(std::string bytes) : bytes_(std::move(bytes)) {}
  rocksdb::Status Read(uint64_t offset, size_t size, rocksdb::Slice* result,
                       char* /*scratch*/) const override {
    const absl::string_view read =
        absl::string_view(bytes_).substr(std::min<uint64_t>(offset, bytes_.size()), size);
    *result = rocksdb::Slice(read.data(), read.size());
    return rocksdb::Status::OK();
  }

 private:
  const std::string bytes_;
};

std::optional<std::string> Decompress(uint8_t compression, absl::string_view bytes) {
  if (compression == kNotCompressed) return std::string(bytes);
  uint64_t size = 0;
  if (!ReadVarint(bytes, &size) || size > kBlockSizeMaxBytes) return std::nullopt;
  std::string out(size, '\0');
  if (compression == kLz4) {
    const int got = LZ4_decompress_safe(bytes.data(), out.data(), static_cast<int>(bytes.size()),
                                        static_cast<int>(size));
    if (got < 0 || static_cast<uint64_t>(got) != size) return std::nullopt;
    return out;
  }
  const size_t got = ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(got) != 0 || got != size) return std::nullopt;
  return out;
}

}  // namespace

// --- Opening ---------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<TableReader>> TableReader::Open(rocksdb::Env* env,
                                                               const std::string& path,
                                                               std::vector<ByteRange> lost) {
  uint64_t size_bytes = 0;
  HOLDFAST_RETURN_IF_ERROR(
      StatusFromRocksDb(env->GetFileSize(path, &size_bytes), absl::StrCat("look at ", path)));
  std::unique_ptr<rocksdb::RandomAccessFile> file;
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(
      env->NewRandomAccessFile(path, &file, rocksdb::EnvOptions()), absl::StrCat("open ", path)));
  std::unique_ptr<TableReader> table(
      new TableReader(std::move(file), path, size_bytes, std::move(lost)));
  HOLDFAST_RETURN_IF_ERROR(table->ReadFooterAndIndex());
  return table;
}

absl::StatusOr<std::unique_ptr<TableReader>> TableReader::OpenBytes(std::string bytes,
                                                                    const std::string& name) {
  const uint64_t size_bytes = bytes.size();
  std::unique_ptr<TableReader> table(new TableReader(
      std::make_unique<BytesInMemory>(std::move(bytes)), name, size_bytes, /*lost=*/{}));
  HOLDFAST_RETURN_IF_ERROR(table->ReadFooterAndIndex());
  return table;
}

absl::Status TableReader::Damaged(absl::string_view what) const {
  return absl::DataLossError(absl::StrCat(path_, ": ", what));
}

absl::Status TableReader::Unknown(absl::string_view what) const {
  return absl::UnimplementedError(absl::StrCat(path_, ": ", what, ", which is not known here"));
}

bool TableReader::IsLost(uint64_t offset, uint64_t size_bytes) const {
  return std::any_of(lost_.begin(), lost_.end(), [&](const ByteRange& range) {
    return range.offset < offset + size_bytes && offset < range.end();
  });
}

absl::StatusOr<std::string> TableReader::ReadBytes(uint64_t offset, uint64_t size_bytes) const {
  if (offset > size_bytes_ || size_bytes > size_bytes_ - offset ||
      size_bytes > kBlockSizeMaxBytes) {
    return Damaged("it refers to what is not there");
  }
  if (IsLost(offset, size_bytes)) return Damaged("what is needed of it is lost");
  std::string bytes(size_bytes, '\0');
  rocksdb::Slice slice;
  HOLDFAST_RETURN_IF_ERROR(StatusFromRocksDb(file_->Read(offset, size_bytes, &slice, bytes.data()),
                                             absl::StrCat("read ", path_)));
  if (slice.size() != size_bytes) return Damaged("it ends too early");
  if (slice.data() != bytes.data()) bytes.assign(slice.data(), slice.size());
  return bytes;
}

absl::StatusOr<std::string> TableReader::ReadBlock(const Handle& handle) const {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string stored,
                            ReadBytes(handle.offset, handle.size_bytes + kTrailerSizeBytes));
  const absl::string_view bytes = absl::string_view(stored).substr(0, handle.size_bytes);
  const auto compression = static_cast<uint8_t>(stored[handle.size_bytes]);
  const auto checksum =
      static_cast<uint32_t>(ReadLittleEndian(absl::string_view(stored).substr(bytes.size() + 1)));
  const auto expected = static_cast<uint32_t>(Xxh3Of64Bits(bytes)) ^ compression * kLastByteFactor;
  if (checksum != expected) return Damaged("the checksum of a block is wrong");
  if (compression != kNotCompressed && compression != kLz4 && compression != kZstd) {
    return Unknown(absl::StrCat("a block is compressed by method ", compression));
  }
  std::optional<std::string> block = Decompress(compression, bytes);
  if (!block.has_value()) return Damaged("a block can't be decompressed");
  return *std::move(block);
}

bool TableReader::ParseHandle(absl::string_view& bytes, Handle* handle) {
  return ReadVarint(bytes, &handle->offset) && ReadVarint(bytes, &handle->size_bytes);
}

bool TableReader::StripRestarts(absl::string_view& block) {
  constexpr size_t kNumberSizeBytes = sizeof(uint32_t);
  if (block.size() < kNumberSizeBytes) return false;
  const uint64_t count = ReadLittleEndian(block.substr(block.size() - kNumberSizeBytes));
  if ((count & kHashIndexFlag) != 0) return false;
  if ((count + 1) * kNumberSizeBytes > block.size()) return false;
  block.remove_suffix((count + 1) * kNumberSizeBytes);
  return true;
}

absl::Status TableReader::ReadFooterAndIndex() {
  if (size_bytes_ < kFooterSizeBytes) return Damaged("it is no table: too short");
  HOLDFAST_ASSIGN_OR_RETURN(const std::string footer,
                            ReadBytes(size_bytes_ - kFooterSizeBytes, kFooterSizeBytes));
  absl::string_view rest = footer;
  const auto checksum = static_cast<uint8_t>(rest.front());
  absl::string_view handles = rest.substr(1, kHandlesSizeBytes);
  rest.remove_prefix(1 + kHandlesSizeBytes);
  if (ReadLittleEndian(rest.substr(sizeof(uint32_t))) != kMagicNumber) {
    return Damaged("it is no table: its end is something else");
  }
  const uint64_t version = ReadLittleEndian(rest.substr(0, sizeof(uint32_t)));
  if (version != kFormatVersion) return Unknown(absl::StrCat("its format has version ", version));
  if (checksum != kChecksumXxh3) return Unknown("its checksums are of another kind");
  Handle metaindex_handle;
  Handle index_handle;
  if (!ParseHandle(handles, &metaindex_handle) || !ParseHandle(handles, &index_handle)) {
    return Damaged("its footer makes no sense");
  }
  HOLDFAST_ASSIGN_OR_RETURN(const std::string metaindex, ReadBlock(metaindex_handle));
  HOLDFAST_RETURN_IF_ERROR(ReadProperties(metaindex));
  return ReadIndex(index_handle);
}

absl::Status TableReader::ReadProperties(absl::string_view metaindex) {
  if (!StripRestarts(metaindex)) return Damaged("its metaindex makes no sense");
  std::string key;
  absl::string_view value;
  Handle handle;
  bool has_properties = false;
  while (!metaindex.empty()) {
    if (!ReadBlockEntry(metaindex, key, &value)) return Damaged("its metaindex makes no sense");
    if (key == "rocksdb.range_del") return Unknown("it deletes ranges of keys");
    if (key == "rocksdb.compression_dict") return Unknown("it is compressed with a dictionary");
    if (key != "rocksdb.properties") continue;
    if (!ParseHandle(value, &handle)) return Damaged("its metaindex makes no sense");
    has_properties = true;
  }
  if (!has_properties) return Unknown("it has no properties");
  HOLDFAST_ASSIGN_OR_RETURN(const std::string block, ReadBlock(handle));
  absl::string_view rest = block;
  if (!StripRestarts(rest)) return Damaged("its properties make no sense");
  key.clear();
  const auto read_number = [&value] {
    uint64_t number = 0;
    return ReadVarint(value, &number) ? number : UINT64_MAX;
  };
  uint64_t index_type = 0;
  while (!rest.empty()) {
    if (!ReadBlockEntry(rest, key, &value)) return Damaged("its properties make no sense");
    if (key == "rocksdb.column.family.name") {
      column_family_ = std::string(value);
    } else if (key == "rocksdb.num.entries") {
      entry_count_ = read_number();
    } else if (key == "rocksdb.index.key.is.user.key") {
      index_keys_are_user_keys_ = read_number() == 1;
    } else if (key == "rocksdb.index.value.is.delta.encoded") {
      index_values_are_deltas_ = read_number() == 1;
    } else if (key == "rocksdb.block.based.table.index.type") {
      index_type = ReadLittleEndian(value);
    }
  }
  if (index_type != 0) return Unknown(absl::StrCat("its index is of type ", index_type));
  return absl::OkStatus();
}

absl::Status TableReader::ReadIndex(const Handle& handle) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::string block, ReadBlock(handle));
  absl::string_view rest = block;
  if (!StripRestarts(rest)) return Damaged("its index makes no sense");
  const absl::Status nonsense = Damaged("its index makes no sense");
  std::string key;
  Handle previous;
  const auto separator = [&](absl::string_view index_key) {
    return std::string(index_keys_are_user_keys_ ? index_key : UserKeyOf(index_key));
  };
  std::optional<std::string> previous_separator;
  while (!rest.empty()) {
    uint64_t shared = 0;
    uint64_t own = 0;
    uint64_t value_size = 0;
    if (!ReadVarint(rest, &shared) || !ReadVarint(rest, &own)) return nonsense;
    if (!index_values_are_deltas_ && !ReadVarint(rest, &value_size)) return nonsense;
    if (shared > key.size() || own > rest.size()) return nonsense;
    key.resize(shared);
    key.append(rest.data(), own);
    rest.remove_prefix(own);
    if (!index_keys_are_user_keys_ && key.size() < kKeySuffixSizeBytes) return nonsense;

    Handle current;
    if (index_values_are_deltas_ && shared > 0) {
      // The block follows the one before it; only how its size differs is told.
      int64_t difference = 0;
      if (!ReadSignedVarint(rest, &difference)) return nonsense;
      current.offset = previous.offset + previous.size_bytes + kTrailerSizeBytes;
      current.size_bytes = previous.size_bytes + static_cast<uint64_t>(difference);
    } else if (!ParseHandle(rest, &current)) {
      return nonsense;
    }
    if (current.offset > size_bytes_ || current.size_bytes > size_bytes_ ||
        current.offset + current.size_bytes + kTrailerSizeBytes > size_bytes_) {
      return nonsense;
    }
    Block& added = blocks_.emplace_back();
    added.handle = current;
    added.is_lost = IsLost(current.offset, current.size_bytes + kTrailerSizeBytes);
    std::string up_to = separator(key);
    if (added.is_lost) {
      lost_keys_.push_back({.has_after = previous_separator.has_value(),
                            .after = previous_separator.value_or(""),
                            .includes_after = !index_keys_are_user_keys_,
                            .up_to = up_to});
    }
    previous_separator = std::move(up_to);
    previous = current;
  }
  return absl::OkStatus();
}

// --- Cursor ----------------------------------------------------------------------------------

absl::Status TableReader::Cursor::Begin() { return Next(); }

absl::Status TableReader::Cursor::Next() {
  is_valid_ = false;
  while (rest_.empty()) {
    if (next_block_ == table_.blocks_.size()) return CheckEnd();
    HOLDFAST_RETURN_IF_ERROR(ReadNextBlock());
  }
  const bool is_first = entries_read_ == 0;
  const std::string before = internal_key_;
  if (!ReadBlockEntry(rest_, internal_key_, &entry_.value) ||
      internal_key_.size() < kKeySuffixSizeBytes) {
    return table_.Damaged("a block makes no sense");
  }
  if (!is_first && !IsAscending(before, internal_key_)) {
    return table_.Damaged("its keys are not in order");
  }
  const uint64_t suffix = SuffixOf(internal_key_);
  const auto kind = static_cast<uint8_t>(suffix);
  if (kind != kValue && kind != kDeletion) {
    return table_.Unknown(absl::StrCat("it has an entry of kind ", kind));
  }
  entry_.key = UserKeyOf(internal_key_);
  entry_.sequence = suffix >> 8;
  entry_.kind = kind == kValue ? DatabaseEntry::Kind::kPut : DatabaseEntry::Kind::kDelete;
  ++entries_read_;
  is_valid_ = true;
  return absl::OkStatus();
}

absl::Status TableReader::Cursor::ReadNextBlock() {
  const Block& block = table_.blocks_[next_block_++];
  if (block.is_lost) return absl::OkStatus();
  HOLDFAST_ASSIGN_OR_RETURN(block_, table_.ReadBlock(block.handle));
  rest_ = block_;
  // The first key of a block shares nothing, so the key before it is kept for the comparison.
  if (!StripRestarts(rest_)) return table_.Damaged("a block makes no sense");
  return absl::OkStatus();
}

absl::Status TableReader::Cursor::CheckEnd() const {
  if (!table_.lost_keys_.empty() || entries_read_ == table_.entry_count_) return absl::OkStatus();
  return table_.Damaged(
      absl::StrCat("it has ", entries_read_, " entries, and should have ", table_.entry_count_));
}

}  // namespace holdfast
