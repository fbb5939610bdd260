#include "common/storage/rclone_blob_store.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/base/child_process.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"
#include "common/io/durable_file.h"
#include "common/io/fd.h"
#include "common/io/files.h"
#include "common/storage/retrying_blob_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/unit/common/storage/blob_store_conformance.h"

// All against the real rclone: its own local and memory backends, and servers of its own for those
// that speak to one.

namespace holdfast {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

// An rclone with a configuration of the test's.
class Rclone {
 public:
  explicit Rclone(const std::string& config) {
    EXPECT_OK(WriteFileDurably(directory_.Path("rclone.conf"), config, {.mode = 0600}));
    daemon_ = std::make_shared<RcloneDaemon>(RcloneDaemon::Options{
        .environment = {absl::StrCat("RCLONE_CONFIG=", directory_.Path("rclone.conf"))}});
  }

  RcloneBlobStore::Options options() const {
    return {.daemon = daemon_, .place_seen_max_age = absl::ZeroDuration()};
  }
  absl::StatusOr<std::unique_ptr<RcloneBlobStore>> Open(absl::string_view url) const {
    return RcloneBlobStore::Open(*RclonePlace::Parse(url), options());
  }
  absl::StatusOr<bool> MakeFolder(absl::string_view url) const {
    return RcloneBlobStore::MakeFolder(*RclonePlace::Parse(url), options());
  }
  const std::shared_ptr<RcloneDaemon>& daemon() const { return daemon_; }

  // Kills the rclone that runs now.
  void Kill() {
    killed_ = daemon_->pid();
    ASSERT_EQ(kill(killed_, SIGKILL), 0);
  }
  // Waits until the store knows that the killed one is gone; it may have started another by then.
  void AwaitEndOfKilled() const {
    while (daemon_->pid() == killed_ && daemon_->DescribeEnd().empty()) sched_yield();
  }

 private:
  TempDir directory_;
  std::shared_ptr<RcloneDaemon> daemon_;
  pid_t killed_ = -1;
};

std::string AliasTo(absl::string_view directory) {
  return absl::StrCat("[place]\ntype = alias\nremote = ", directory, "\n");
}

// A server of a folder that rclone is itself: `rclone serve sftp` and the like.
class RcloneServer {
 public:
  RcloneServer(const std::string& protocol, const std::string& folder,
               const std::vector<std::string>& more_arguments, absl::string_view says_address) {
    ChildProcess::Options options = {
        .arguments = {"rclone", "serve", protocol, folder, "--addr=127.0.0.1:0",
                      "--config=/dev/null", "-v"},
        .environment = {"PATH=/usr/bin:/bin", "HOME=/nonexistent"},
        .on_line = [this, says_address = std::string(says_address)](absl::string_view line) {
          const size_t found = line.find(says_address);
          MutexLock lock(&mutex_);
          absl::StrAppend(&said_, line, "\n");
          if (found == absl::string_view::npos || port_ != 0) return;
          const std::string address(line.substr(found + says_address.size()));
          port_ = atoi(address.substr(address.rfind(':') + 1).c_str());
          changed_.SignalAll();
        }};
    options.arguments.insert(options.arguments.end(), more_arguments.begin(), more_arguments.end());
    auto child = ChildProcess::Start(std::move(options));
    EXPECT_OK(child);
    child_ = *std::move(child);
    MutexLock lock(&mutex_);
    while (port_ == 0 && !child_->HasEnded()) {
      SystemClock().WaitFor(&changed_, &mutex_, absl::Milliseconds(100));
    }
    EXPECT_NE(port_, 0) << said_;
  }

  int port() {
    MutexLock lock(&mutex_);
    return port_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::string said_ ABSL_GUARDED_BY(mutex_);
  int port_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<ChildProcess> child_;
};

// --- Conformance -----------------------------------------------------------------------------

class LocalUnderTest : public BlobStoreUnderTest {
 public:
  LocalUnderTest() {
    auto store = rclone_.Open("rclone:place:");
    EXPECT_OK(store);
    store_ = *std::move(store);
  }
  BlobStore& store() override { return *store_; }

 private:
  TempDir directory_;
  Rclone rclone_{AliasTo(directory_.path())};
  std::unique_ptr<BlobStore> store_;
};

// Cannot rename, and has no folders: as a bucket. (Below the top of one, this backend lists no
// folders.)
class MemoryUnderTest : public BlobStoreUnderTest {
 public:
  MemoryUnderTest() {
    EXPECT_THAT(rclone_.MakeFolder("rclone:memory:bucket"), IsOkAndHolds(true));
    auto store = rclone_.Open("rclone:memory:bucket");
    EXPECT_OK(store);
    store_ = *std::move(store);
  }
  BlobStore& store() override { return *store_; }

 private:
  Rclone rclone_{"[memory]\ntype = memory\n"};
  std::unique_ptr<BlobStore> store_;
};

class SftpUnderTest : public BlobStoreUnderTest {
 public:
  SftpUnderTest() {
    auto store = rclone_.Open("rclone:nas:");
    EXPECT_OK(store);
    store_ = *std::move(store);
  }
  BlobStore& store() override { return *store_; }

 private:
  TempDir directory_;
  TempDir cache_;
  RcloneServer server_{"sftp",
                       directory_.path(),
                       {"--user=u", "--pass=p", absl::StrCat("--cache-dir=", cache_.path())},
                       "SFTP server listening on "};
  // The password is "p".
  Rclone rclone_{absl::StrCat("[nas]\ntype = sftp\nhost = 127.0.0.1\nport = ", server_.port(),
                              "\nuser = u\npass = ", kObscured, "\nshell_type = none\n")};
  std::unique_ptr<BlobStore> store_;

 public:
  static constexpr char kObscured[] = "fa4kWQTaxQ0x29a9LQYLxQM";
};

// Takes no streams.
class WebDavUnderTest : public BlobStoreUnderTest {
 public:
  WebDavUnderTest() {
    auto store = rclone_.Open("rclone:dav:");
    EXPECT_OK(store);
    store_ = *std::move(store);
  }
  BlobStore& store() override { return *store_; }

 private:
  TempDir directory_;
  RcloneServer server_{"webdav", directory_.path(), {}, "WebDav Server started on "};
  Rclone rclone_{absl::StrCat(
      "[dav]\ntype = webdav\nvendor = other\nurl = http://127.0.0.1:", server_.port(), "\n")};
  std::unique_ptr<BlobStore> store_;
};

INSTANTIATE_TEST_SUITE_P(
    Rclone, BlobStoreConformanceTest,
    testing::Values(BlobStoreMaker{"Local", [] { return std::make_unique<LocalUnderTest>(); }},
                    BlobStoreMaker{"Memory", [] { return std::make_unique<MemoryUnderTest>(); },
                                   false},
                    BlobStoreMaker{"Sftp", [] { return std::make_unique<SftpUnderTest>(); }},
                    BlobStoreMaker{"WebDav", [] { return std::make_unique<WebDavUnderTest>(); }}),
    BlobStoreConformanceTest::NameOf);

// --- What is particular ----------------------------------------------------------------------

absl::Status Put(BlobStore& store, absl::string_view name, absl::string_view bytes) {
  MemorySource source(bytes);
  return store.Put(name, source);
}

// Yields pieces of a MiB for ever, and calls `before_each` before each, with its number.
class EndlessSource : public ByteSource {
 public:
  explicit EndlessSource(std::function<absl::Status(int)> before_each)
      : before_each_(std::move(before_each)) {}

  absl::StatusOr<absl::Span<const uint8_t>> Next() override {
    absl::Status status = before_each_(number_++);
    if (!status.ok()) return status;
    return absl::MakeConstSpan(piece_);
  }

 private:
  const std::function<absl::Status(int)> before_each_;
  const std::vector<uint8_t> piece_ = std::vector<uint8_t>(size_t{1} << 20, 'x');
  int number_ = 0;
};

std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  const absl::StatusOr<std::vector<DirectoryEntry>> entries = ListDirectory(directory);
  if (!entries.ok()) return names;
  for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
  return names;
}

class RcloneBlobStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    auto store = rclone_.Open("rclone:place:");
    ASSERT_OK(store);
    store_ = *std::move(store);
  }

  TempDir directory_;
  Rclone rclone_{absl::StrCat(AliasTo(directory_.path()),
                              "[system]\ntype = alias\nremote = /sys\n"
                              "[broken]\ntype = nosuch\n")};
  std::unique_ptr<RcloneBlobStore> store_;
};

TEST_F(RcloneBlobStoreTest, BlobsAreFilesUnderTheirNames) {
  ASSERT_OK(Put(*store_, "stores/a/blob", "bytes"));
  EXPECT_THAT(ReadFile(directory_.Path("stores/a/blob"), 100), IsOkAndHolds("bytes"));
  EXPECT_THAT(NamesIn(directory_.Path("stores/a")), ElementsAre("blob"));
  EXPECT_EQ(store_->Describe(), "rclone:place:");
}

TEST_F(RcloneBlobStoreTest, LeftoversAndForeignNamesAreNotSeen) {
  ASSERT_OK(Put(*store_, "a/b", "1"));
  for (const char* name : {"a/.tmp-1f9a2b3c", "a/with space", "a/~backup~"}) {
    ASSERT_OK(WriteFileDurably(directory_.Path(name), "x", {.mode = 0600}));
  }
  ASSERT_OK(MakeDirectories(directory_.Path("lost+found")));
  std::vector<std::string> names;
  ASSERT_OK(store_->List("", [&](const BlobInfo& info) {
    names.push_back(info.name);
    return absl::OkStatus();
  }));
  EXPECT_THAT(names, ElementsAre("a/b"));
  EXPECT_THAT(store_->ListFolders(""), IsOkAndHolds(ElementsAre("a")));
}

TEST_F(RcloneBlobStoreTest, APutThatFailsLeavesNoFile) {
  for (const int pieces : {0, 1, 5}) {
    EndlessSource source([pieces](int number) {
      return number == pieces ? absl::InternalError("broken") : absl::OkStatus();
    });
    EXPECT_THAT(store_->Put("folder/blob", source),
                StatusIs(absl::StatusCode::kInternal, "broken"));
    EXPECT_THAT(NamesIn(directory_.Path("folder")), IsEmpty()) << pieces;
  }
}

TEST_F(RcloneBlobStoreTest, TellsWhenABlobWasWritten) {
  const absl::Time before = SystemClock().Now() - absl::Seconds(10);
  ASSERT_OK(Put(*store_, "a/b", "x"));
  ASSERT_OK_AND_ASSIGN(BlobInfo info, store_->Stat("a/b"));
  EXPECT_GT(info.write_time, before);
  EXPECT_LT(info.write_time, SystemClock().Now() + absl::Seconds(10));
  const struct timespec times[2] = {{.tv_sec = 1'000'000, .tv_nsec = 0},
                                    {.tv_sec = 1'000'000, .tv_nsec = 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, directory_.Path("a/b").c_str(), times, 0), 0);
  ASSERT_OK_AND_ASSIGN(info, store_->Stat("a/b"));
  EXPECT_EQ(info.write_time, absl::FromUnixSeconds(1'000'000));
}

TEST_F(RcloneBlobStoreTest, APlaceThatDoesNotExistIsNotMade) {
  EXPECT_THAT(rclone_.Open("rclone:place:missing"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("rclone:place:missing")));
  EXPECT_THAT(NamesIn(directory_.path()), IsEmpty());
  ASSERT_OK(WriteFileDurably(directory_.Path("file"), "x", {.mode = 0600}));
  EXPECT_THAT(rclone_.Open("rclone:place:file"), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(RcloneBlobStoreTest, AFolderIsMadeInOneThatIsThere) {
  EXPECT_THAT(rclone_.MakeFolder("rclone:place:a/b"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("neither")));
  EXPECT_THAT(rclone_.MakeFolder("rclone:place:a"), IsOkAndHolds(true));
  EXPECT_THAT(rclone_.MakeFolder("rclone:place:a"), IsOkAndHolds(false));
  EXPECT_THAT(rclone_.MakeFolder("rclone:place:a/b"), IsOkAndHolds(true));
  EXPECT_THAT(rclone_.MakeFolder("rclone:place:"), IsOkAndHolds(false));
  EXPECT_OK(rclone_.Open("rclone:place:a/b"));
}

TEST_F(RcloneBlobStoreTest, APlaceThatVanishesIsUnavailableAndNotMadeAgain) {
  const std::string root = directory_.Path("share");
  ASSERT_OK(MakeDirectories(root));
  // With a blob at its top, whether it was there or was put; and with none.
  for (const char* top : {"found.json", "put.json", ""}) {
    ASSERT_OK(MakeDirectories(root));
    if (std::string(top) == "found.json") {
      ASSERT_OK(WriteFileDurably(directory_.Path("share/found.json"), "{}", {.mode = 0600}));
    }
    ASSERT_OK_AND_ASSIGN(const auto store, rclone_.Open("rclone:place:share"));
    if (std::string(top) == "put.json") {
      ASSERT_OK(Put(*store, "put.json", "{}"));
    }
    ASSERT_OK(Put(*store, "a/b", "bytes"));
    ASSERT_OK(RemoveTree(root));

    const auto is_gone = StatusIs(absl::StatusCode::kUnavailable, HasSubstr("is gone"));
    EXPECT_THAT(Put(*store, "a/c", "bytes"), is_gone);
    EXPECT_THAT(store->Get("a/b", 0, 1), is_gone);
    EXPECT_THAT(store->Stat("a/b"), is_gone);
    EXPECT_THAT(store->Delete("a/b"), is_gone);
    EXPECT_THAT(store->ListFolders(""), is_gone);
    EXPECT_THAT(store->List("a", [](const BlobInfo& /*info*/) { return absl::OkStatus(); }),
                is_gone);
    EXPECT_THAT(FileExists(root), IsOkAndHolds(false)) << top;
    // An empty folder in its place, as below a mount point, is told only by what lay at the top.
    ASSERT_OK(MakeDirectories(root));
    if (std::string(top).empty()) {
      EXPECT_THAT(store->Stat("a/b"), StatusIs(absl::StatusCode::kNotFound));
    } else {
      EXPECT_THAT(Put(*store, "a/c", "bytes"), is_gone);
      EXPECT_THAT(store->ListFolders(""), is_gone);
    }
    EXPECT_THAT(NamesIn(root), IsEmpty()) << top;
  }
}

TEST_F(RcloneBlobStoreTest, ABlobAtTheTopCanBeDeleted) {
  ASSERT_OK(Put(*store_, "top", "x"));
  ASSERT_OK(store_->Delete("top"));
  EXPECT_OK(Put(*store_, "a/b", "x"));
  EXPECT_THAT(store_->Stat("top"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(RcloneBlobStoreTest, WhatIsNotAllowedIsDenied) {
  ASSERT_OK_AND_ASSIGN(const auto store, rclone_.Open("rclone:system:kernel"));
  EXPECT_THAT(Put(*store, "folder/blob", "x"), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(RcloneBlobStoreTest, WhatIsWrongInTheConfigurationIsSaid) {
  EXPECT_THAT(rclone_.Open("rclone:unknown:x"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("rclone:unknown:x"), HasSubstr("config"))));
  EXPECT_THAT(rclone_.Open("rclone:broken:x"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("nosuch")));
}

TEST_F(RcloneBlobStoreTest, AnRcloneThatDiesIsStartedAgain) {
  ASSERT_OK(Put(*store_, "a", "bytes"));
  rclone_.Kill();
  rclone_.AwaitEndOfKilled();
  EXPECT_THAT(ReadBlob(*store_, "a", 100), IsOkAndHolds("bytes"));
}

TEST_F(RcloneBlobStoreTest, AnRcloneThatDiesDuringAPutLeavesNoBlob) {
  EndlessSource source([this](int number) {
    if (number == 5) rclone_.Kill();
    return number < 100 ? absl::OkStatus() : absl::InternalError("it was not noticed");
  });
  EXPECT_THAT(store_->Put("folder/blob", source),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no answer from rclone")));
  rclone_.AwaitEndOfKilled();
  EXPECT_THAT(store_->Stat("folder/blob"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->List("", [](const BlobInfo& info) { return absl::InternalError(info.name); }),
              IsOk());
  EXPECT_OK(Put(*store_, "folder/blob", "bytes"));
}

TEST_F(RcloneBlobStoreTest, AReadThatBreaksOffGoesOnOneLayerAbove) {
  const std::string bytes(size_t{20} << 20, 'x');
  ASSERT_OK(Put(*store_, "a", bytes));
  LogCapture log;
  RetryingBlobStore retrying(std::move(store_), RetryingBlobStore::Options{}, SystemClock(),
                             SystemRandom());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ByteSource> source, retrying.Get("a", 0, UINT64_MAX));
  ASSERT_OK_AND_ASSIGN(absl::Span<const uint8_t> piece, source->Next());
  size_t read_bytes = piece.size();
  rclone_.Kill();
  while (!piece.empty()) {
    ASSERT_OK_AND_ASSIGN(piece, source->Next());
    read_bytes += piece.size();
  }
  EXPECT_EQ(read_bytes, bytes.size());
  EXPECT_THAT(log.lines(), Not(IsEmpty()));
}

TEST_F(RcloneBlobStoreTest, AFileThatBecameShorterIsSaidToBe) {
  ASSERT_OK(Put(*store_, "a", std::string(100, 'x')));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ByteSource> source, store_->Get("a", 50, 50));
  ASSERT_OK(source->Rewind());
  ASSERT_EQ(truncate(directory_.Path("a").c_str(), 70), 0);
  EXPECT_THAT(source->Next(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("shorter")));
}

// A server that takes connections and says nothing.
class SilentServer {
 public:
  SilentServer() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(socket_.get(), 10), 0);
    EXPECT_EQ(getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
  }
  int port() const { return port_; }
  // Waits until somebody has connected.
  void AwaitConnection() { connection_ = UniqueFd(accept(socket_.get(), nullptr, nullptr)); }

 private:
  const UniqueFd socket_;
  UniqueFd connection_;
  int port_ = 0;
};

TEST(RcloneBlobStoreCancellationTest, ACallThatHangsEndsWhenCancelled) {
  SilentServer server;
  const Rclone rclone(absl::StrCat(
      "[dav]\ntype = webdav\nvendor = other\nurl = http://127.0.0.1:", server.port(), "\n"));
  CancellationSource cancellation;
  RcloneBlobStore::Options options = rclone.options();
  options.cancellation = cancellation.token();
  Thread canceller("canceller", [&] {
    server.AwaitConnection();
    cancellation.Cancel(absl::CancelledError("enough"));
  });
  // Would take half a minute.
  const MonotonicTime begin = SystemClock().MonotonicNow();
  EXPECT_THAT(RcloneBlobStore::Open(*RclonePlace::Parse("rclone:dav:x"), options),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("enough")));
  EXPECT_LT(SystemClock().MonotonicNow() - begin, absl::Seconds(20));
}

}  // namespace
}  // namespace holdfast
