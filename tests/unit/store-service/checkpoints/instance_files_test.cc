#include "store-service/checkpoints/instance_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/crypto/key_source.h"
#include "common/crypto/master_key.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class InstanceFilesTest : public testing::Test {
 protected:
  InstanceFilesTest() {
    EXPECT_OK(MakeDirectories(dir_.Path("data/db")));
    EXPECT_OK(MakeDirectories(dir_.Path("etc/tls")));
    EXPECT_OK(WriteMasterKeyFile(key_path_, key_));
  }

  void WriteFile(const std::string& name, absl::string_view bytes, mode_t mode = 0600) {
    ASSERT_OK(WriteFileDurably(dir_.Path(name), bytes,
                               {.mode = mode, .existing = DurableFile::Existing::kReplace}));
  }

  absl::StatusOr<InstanceFiles> Configure(const std::vector<std::string>& names) {
    std::vector<std::string> paths;
    for (const std::string& name : names) paths.push_back(dir_.Path(name));
    return InstanceFiles::FromConfiguration({.paths = std::move(paths),
                                             .master_key_path = key_path_,
                                             .data_directory_path = dir_.Path("data")});
  }

  // Names below the test's folder, with the bytes.
  absl::StatusOr<std::map<std::string, std::string>> Read(const std::vector<std::string>& names) {
    HOLDFAST_ASSIGN_OR_RETURN(const InstanceFiles files, Configure(names));
    std::map<std::string, std::string> found;
    const std::string prefix = absl::StrCat("instance", dir_.path(), "/");
    HOLDFAST_RETURN_IF_ERROR(files.ReadAll([&](const InstanceFiles::File& file) {
      EXPECT_EQ(file.name.substr(0, prefix.size()), prefix);
      EXPECT_TRUE(found.emplace(file.name.substr(prefix.size()), file.bytes).second);
      return absl::OkStatus();
    }));
    return found;
  }

  TempDir dir_;
  LogCapture log_;
  const MasterKey key_ = MasterKey::Generate();
  const std::string key_path_ = dir_.Path("master.key");
};

TEST_F(InstanceFilesTest, ReadsFilesAndAllInFolders) {
  WriteFile("app.conf", "a=1");
  WriteFile("etc/b.conf", "");
  WriteFile("etc/tls/key.pem", "secret");
  EXPECT_THAT(Read({"etc", "app.conf"}),
              IsOkAndHolds(ElementsAre(Pair("app.conf", "a=1"), Pair("etc/b.conf", ""),
                                       Pair("etc/tls/key.pem", "secret"))));
}

TEST_F(InstanceFilesTest, TellsTheMode) {
  WriteFile("app.conf", "a=1", 0640);
  ASSERT_OK_AND_ASSIGN(const InstanceFiles files, Configure({"app.conf"}));
  EXPECT_OK(files.ReadAll([](const InstanceFiles::File& file) {
    EXPECT_EQ(file.mode, 0640U);
    return absl::OkStatus();
  }));
}

TEST_F(InstanceFilesTest, AFileThatIsNamedTwiceComesOnce) {
  WriteFile("etc/a", "1");
  EXPECT_THAT(Read({"etc/a", "etc", "etc/"}), IsOkAndHolds(ElementsAre(Pair("etc/a", "1"))));
}

TEST_F(InstanceFilesTest, ALinkThatIsNamedIsFollowedAndLinksInFoldersAreNot) {
  WriteFile("outside", "far away");
  ASSERT_EQ(symlink(dir_.Path("outside").c_str(), dir_.Path("etc/link").c_str()), 0);
  ASSERT_EQ(symlink(dir_.path().c_str(), dir_.Path("etc/up").c_str()), 0);
  ASSERT_EQ(mkfifo(dir_.Path("etc/pipe").c_str(), 0600), 0);
  EXPECT_THAT(Read({"etc"}), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(log_.lines(), Contains(HasSubstr("etc/link")));
  EXPECT_THAT(log_.lines(), Contains(HasSubstr("etc/up")));
  EXPECT_THAT(log_.lines(), Contains(HasSubstr("etc/pipe")));
  EXPECT_THAT(Read({"etc/link"}), IsOkAndHolds(ElementsAre(Pair("etc/link", "far away"))));
}

TEST_F(InstanceFilesTest, TheMasterKeyIsRefusedByName) {
  EXPECT_THAT(Configure({"master.key"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("master key's file")));
  ASSERT_EQ(link(key_path_.c_str(), dir_.Path("etc/innocent").c_str()), 0);
  EXPECT_THAT(Configure({"etc/innocent"}), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_EQ(symlink(key_path_.c_str(), dir_.Path("etc/link").c_str()), 0);
  EXPECT_THAT(Configure({"etc/link"}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(InstanceFilesTest, TheMasterKeyIsLeftOutOfFolders) {
  ASSERT_EQ(link(key_path_.c_str(), dir_.Path("etc/hard-link").c_str()), 0);
  const SecretBytes text = MasterKey::Generate().ToText();  // any key, not only this one
  WriteFile("etc/note", absl::StrCat("our key: ", text.text(), ", keep it"));
  WriteFile("etc/lower", absl::AsciiStrToLower(text.text()));
  std::string spaced(text.text());
  std::replace(spaced.begin(), spaced.end(), '-', ' ');
  WriteFile("etc/spaced", absl::StrCat("my key is ", absl::AsciiStrToLower(spaced), " ok"));
  WriteFile("etc/no-key", "HF1-0000-0000 is how a key begins");
  EXPECT_THAT(Read({"etc"}), IsOkAndHolds(ElementsAre(Pair("etc/no-key", testing::_))));
  EXPECT_THAT(log_.lines(), Contains(HasSubstr("etc/note")));
  for (const std::string& line : log_.lines()) {
    EXPECT_THAT(line, testing::Not(HasSubstr(std::string(text.text().substr(4, 20)))));
  }
}

TEST_F(InstanceFilesTest, TheDataDirectoryIsRefusedAndWhatIsAroundIt) {
  for (const char* name : {"data", "data/db", "data/instance"}) {
    EXPECT_THAT(Configure({name}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("data directory")))
        << name;
  }
  EXPECT_THAT(InstanceFiles::FromConfiguration(
                  {.paths = {dir_.path()}, .data_directory_path = dir_.Path("data")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("around it")));
  ASSERT_OK(MakeDirectories(dir_.Path("data2")));
  EXPECT_OK(Configure({"data2"}));
}

TEST_F(InstanceFilesTest, PathsAreAbsoluteAndNormal) {
  for (const char* path : {"etc/app.conf", "", "/", "/etc//app", "/etc/../app", "/etc/./app"}) {
    EXPECT_THAT(InstanceFiles::FromConfiguration(
                    {.paths = {path}, .data_directory_path = dir_.Path("data")}),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << path;
  }
}

TEST_F(InstanceFilesTest, AFileThatIsMissingIsAWarningFirstAndAnErrorThen) {
  ASSERT_OK_AND_ASSIGN(const InstanceFiles files, Configure({"missing.conf"}));
  EXPECT_THAT(log_.lines(), Contains(HasSubstr("missing.conf")));
  EXPECT_THAT(files.ReadAll([](const InstanceFiles::File&) { return absl::OkStatus(); }),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("missing.conf")));
}

TEST_F(InstanceFilesTest, ALargeFileIsRefused) {
  WriteFile("large", "");
  ASSERT_EQ(truncate(dir_.Path("large").c_str(), kInstanceFileSizeMaxBytes), 0);
  EXPECT_OK(Read({"large"}));
  ASSERT_EQ(truncate(dir_.Path("large").c_str(), kInstanceFileSizeMaxBytes + 1), 0);
  EXPECT_THAT(Read({"large"}), StatusIs(absl::StatusCode::kResourceExhausted,
                                        HasSubstr("more than 16777216 bytes")));
}

TEST_F(InstanceFilesTest, ANameThatNoBackupCanHoldIsRefused) {
  for (const char* name : {"etc/a\nb", "etc/a\\b", "etc/a\xff"}) {
    WriteFile(name, "x");
    EXPECT_THAT(Read({"etc"}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cannot be backed up")));
    ASSERT_OK(RemoveFile(dir_.Path(name)));
  }
}

TEST_F(InstanceFilesTest, AnErrorOfTheVisitorEndsTheReading) {
  WriteFile("etc/a", "1");
  ASSERT_OK_AND_ASSIGN(const InstanceFiles files, Configure({"etc"}));
  EXPECT_THAT(
      files.ReadAll([](const InstanceFiles::File&) { return absl::AbortedError("enough"); }),
      StatusIs(absl::StatusCode::kAborted, "enough"));
}

}  // namespace
}  // namespace holdfast
