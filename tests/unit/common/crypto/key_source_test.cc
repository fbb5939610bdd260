#include "common/crypto/key_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/thread.h"
#include "common/crypto/hash.h"
#include "common/io/durable_file.h"
#include "common/io/fd.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

class KeySourceTest : public testing::Test {
 protected:
  void SetUp() override { unsetenv("CREDENTIALS_DIRECTORY"); }
  void TearDown() override { unsetenv("CREDENTIALS_DIRECTORY"); }

  std::string KeyText() const { return std::string(key_.ToText().text()); }

  // Any four characters of the key would be too many.
  auto RepeatsNothing() const { return Not(HasSubstr(KeyText().substr(4, 4))); }

  std::string WriteFile(absl::string_view name, absl::string_view content, mode_t mode) {
    std::string path = directory_.Path(name);
    EXPECT_OK(WriteFileDurably(path, content,
                               {.mode = mode, .existing = DurableFile::Existing::kReplace}));
    return path;
  }

  void ExpectIsKey(const absl::StatusOr<MasterKey>& read) const {
    ASSERT_OK(read);
    EXPECT_EQ(read->fingerprint(), key_.fingerprint());
  }

  const TempDir directory_;
  const MasterKey key_ = MasterKey::Generate();
};

// Makes a file descriptor standard input while it lives.
class ScopedStandardInput {
 public:
  explicit ScopedStandardInput(int fd) : before_(dup(STDIN_FILENO)) { dup2(fd, STDIN_FILENO); }
  ~ScopedStandardInput() {
    if (before_.is_valid()) {
      dup2(before_.get(), STDIN_FILENO);
    } else {
      close(STDIN_FILENO);
    }
  }

 private:
  UniqueFd before_;
};

TEST_F(KeySourceTest, AFileOfOnesOwnIsRead) {
  for (const mode_t mode : {0600U, 0400U}) {
    const std::string path = WriteFile("key", KeyText() + "\n", mode);
    ExpectIsKey(ReadMasterKey(path));
    ExpectIsKey(ReadMasterKey("file:" + path));
  }
}

TEST_F(KeySourceTest, AFileThatOthersMayUseIsRefused) {
  for (const mode_t mode : {0640U, 0604U, 0660U, 0644U, 0610U, 0601U, 0440U, 0777U}) {
    const std::string path = WriteFile("a key", KeyText(), mode);
    EXPECT_THAT(
        ReadMasterKey(path),
        StatusIs(absl::StatusCode::kPermissionDenied,
                 AllOf(HasSubstr(absl::StrCat("chmod 0600 '", path, "'")), RepeatsNothing())))
        << mode;
  }
}

TEST_F(KeySourceTest, AFileOfAnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const std::string path = WriteFile("key", KeyText(), 0600);
  ASSERT_EQ(chown(path.c_str(), 12345, 12345), 0);
  EXPECT_THAT(ReadMasterKey(path),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("belongs to user 12345")));
}

TEST_F(KeySourceTest, ALinkLeadsToTheFileThatIsChecked) {
  WriteFile("key", KeyText(), 0600);
  ASSERT_EQ(symlink("key", directory_.Path("link").c_str()), 0);
  ExpectIsKey(ReadMasterKey(directory_.Path("link")));
  WriteFile("key", KeyText(), 0644);
  EXPECT_THAT(ReadMasterKey(directory_.Path("link")),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(KeySourceTest, OnlyARegularFileIsRead) {
  EXPECT_THAT(ReadMasterKey(directory_.path()), StatusIs(absl::StatusCode::kFailedPrecondition));
  const std::string pipe = directory_.Path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(ReadMasterKey(pipe), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(KeySourceTest, AMissingFileIsNotFound) {
  const std::string path = directory_.Path("no such key");
  EXPECT_THAT(ReadMasterKey(path), StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
}

TEST_F(KeySourceTest, WhatIsNoKeyIsRefusedAndNotRepeated) {
  const std::string path = directory_.Path("key");
  const std::pair<std::string, std::string> cases[] = {
      {"", "empty"},
      {"password", "begins with HF1-"},
      {KeyText().substr(0, 70), "characters after HF1-"},
      {KeyText() + std::string(4096, ' '), "more than 4096 bytes"},
      {std::string(1 << 20, 'A'), "more than 4096 bytes"},
  };
  for (const auto& [content, complaint] : cases) {
    WriteFile("key", content, 0600);
    EXPECT_THAT(ReadMasterKey(path), StatusIs(absl::StatusCode::kInvalidArgument,
                                              AllOf(HasSubstr(complaint), HasSubstr(path),
                                                    RepeatsNothing(), Not(HasSubstr("password")))));
  }
}

TEST_F(KeySourceTest, AFileOfTheLargestSizeIsRead) {
  std::string content = KeyText();
  content.resize(4096, '\n');
  ExpectIsKey(ReadMasterKey(WriteFile("key", content, 0600)));
}

TEST_F(KeySourceTest, TheKeyItselfIsNoSourceAndNotRepeated) {
  for (const std::string& source : {KeyText(), absl::AsciiStrToLower(KeyText()),
                                    " " + KeyText() + "\n", "/etc/holdfast/" + KeyText()}) {
    EXPECT_THAT(ReadMasterKey(source),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("where its source belongs"), RepeatsNothing(),
                               Not(HasSubstr(absl::AsciiStrToLower(KeyText()).substr(4, 4))))));
  }
}

TEST_F(KeySourceTest, NoSourceIsRefused) {
  for (const absl::string_view source : {"", "file:"}) {
    EXPECT_THAT(ReadMasterKey(source),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no source")));
  }
}

TEST_F(KeySourceTest, ACredentialIsReadAlsoWhereAnAclShowsAsTheGroups) {
  for (const mode_t mode : {0400U, 0440U, 0600U}) {
    WriteFile("master-key", KeyText(), mode);
    setenv("CREDENTIALS_DIRECTORY", directory_.path().c_str(), 1);
    ExpectIsKey(ReadMasterKey("credential:master-key"));
  }
  WriteFile("master-key", KeyText(), 0444);
  EXPECT_THAT(ReadMasterKey("credential:master-key"),
              StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(KeySourceTest, AMissingCredentialSaysWhatTheUnitNeeds) {
  EXPECT_THAT(ReadMasterKey("credential:master-key"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("LoadCredential=")));
  setenv("CREDENTIALS_DIRECTORY", directory_.path().c_str(), 1);
  EXPECT_THAT(ReadMasterKey("credential:master-key"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("master-key")));
}

TEST_F(KeySourceTest, ACredentialStaysInItsFolder) {
  setenv("CREDENTIALS_DIRECTORY", directory_.path().c_str(), 1);
  for (const absl::string_view name : {"", ".", "..", "../key", "a/b"}) {
    EXPECT_THAT(ReadMasterKey(absl::StrCat("credential:", name)),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << name;
  }
}

TEST_F(KeySourceTest, StandardInputIsReadToItsEnd) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const ScopedStandardInput standard_input(reading.get());
  Thread writer("writer", [&] {
    for (const char c : KeyText() + "\n") {
      EXPECT_OK(WriteFull(writing.get(), absl::string_view(&c, 1)));
    }
    writing.Reset();
  });
  ExpectIsKey(ReadMasterKey("-"));
}

TEST_F(KeySourceTest, StandardInputWithoutAKeyIsRefused) {
  const ScopedStandardInput standard_input(UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)).get());
  EXPECT_THAT(ReadMasterKey("-"), StatusIs(absl::StatusCode::kInvalidArgument,
                                           AllOf(HasSubstr("standard input"), HasSubstr("empty"))));
}

// A terminal whose other end the test holds.
class TerminalKeySourceTest : public KeySourceTest {
 protected:
  void SetUp() override {
    KeySourceTest::SetUp();
    person_ = UniqueFd(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(person_.is_valid());
    ASSERT_EQ(grantpt(person_.get()), 0);
    ASSERT_EQ(unlockpt(person_.get()), 0);
    char name[64];
    ASSERT_EQ(ptsname_r(person_.get(), name, sizeof(name)), 0);
    terminal_ = UniqueFd(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(terminal_.is_valid());
  }

  bool Shows() const {
    termios mode;
    EXPECT_EQ(tcgetattr(terminal_.get(), &mode), 0);
    return (mode.c_lflag & ECHO) != 0;
  }

  // What reading from the terminal gives where a person types `text` when asked.
  absl::StatusOr<MasterKey> ReadWhatIsTyped(absl::string_view text) {
    const ScopedStandardInput standard_input(terminal_.get());
    EXPECT_TRUE(Shows());
    Thread person("person", [&] {
      while (Shows()) sched_yield();
      EXPECT_OK(WriteFull(person_.get(), text));
    });
    absl::StatusOr<MasterKey> key = ReadMasterKey("-");
    EXPECT_TRUE(Shows()) << "the terminal was left silent";
    return key;
  }

  std::string Shown() {
    EXPECT_EQ(fcntl(person_.get(), F_SETFL, O_NONBLOCK), 0);
    char shown[1024];
    const ssize_t size = read(person_.get(), shown, sizeof(shown));
    return size < 0 ? "" : std::string(shown, static_cast<size_t>(size));
  }

  UniqueFd person_;
  UniqueFd terminal_;
};

TEST_F(TerminalKeySourceTest, OneLineIsReadAndNotShown) {
  ExpectIsKey(ReadWhatIsTyped(KeyText() + "\r"));
  EXPECT_EQ(Shown(), "");
}

TEST_F(TerminalKeySourceTest, TypingCanBeCorrected) {
  ExpectIsKey(ReadWhatIsTyped("wrong\x15" + KeyText() + "XY\x7F\b\n"));
  ExpectIsKey(ReadWhatIsTyped("\b\b" + KeyText() + "\x04"));
}

TEST_F(TerminalKeySourceTest, InterruptingCancels) {
  EXPECT_THAT(ReadWhatIsTyped(KeyText().substr(0, 20) + "\x03"),
              StatusIs(absl::StatusCode::kCancelled, RepeatsNothing()));
}

TEST_F(TerminalKeySourceTest, ALineWithoutEndIsRefused) {
  EXPECT_THAT(ReadWhatIsTyped(std::string(4096, 'A')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("more than 4096 bytes")));
}

TEST_F(KeySourceTest, AWrittenFileHoldsTheTextFormForItsOwnerOnly) {
  const std::string path = directory_.Path("key");
  ASSERT_OK(WriteMasterKeyFile(path, key_));
  EXPECT_THAT(ReadFile(path, 100), IsOkAndHolds(KeyText() + "\n"));
  ASSERT_OK_AND_ASSIGN(const FileInfo info, GetFileInfo(path));
  EXPECT_EQ(info.permissions, 0600U);
  ExpectIsKey(ReadMasterKey(path));
}

TEST_F(KeySourceTest, AKeyFileIsNeverOverwritten) {
  const std::string path = WriteFile("key", "something else", 0644);
  EXPECT_THAT(WriteMasterKeyFile(path, key_),
              StatusIs(absl::StatusCode::kAlreadyExists, AllOf(HasSubstr(path), RepeatsNothing())));
  EXPECT_THAT(ReadFile(path, 100), IsOkAndHolds("something else"));
  EXPECT_THAT(ListDirectory(directory_.path()),
              IsOkAndHolds(ElementsAre(Field(&DirectoryEntry::name, "key"))));
}

TEST_F(KeySourceTest, AKeyFileNeedsItsFolder) {
  EXPECT_THAT(WriteMasterKeyFile(directory_.Path("no folder/key"), key_),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace holdfast
