// The program holdfast-store as an operator meets it: what it says, and how it ends.

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"
#include "common/crypto/key_source.h"
#include "common/database/data_directory.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "common/rpc/channel.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "holdfast/v1/checkpoints.grpc.pb.h"
#include "holdfast/v1/document_store.grpc.pb.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr size_t kOutputMaxBytes = 1'000'000;

// A run of the program. Ended when it goes.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments) {
    std::vector<std::string> words = {HOLDFAST_STORE_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, stdout_path_.c_str(), flags, 0600);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, stderr_path_.c_str(), flags, 0600);
    EXPECT_EQ(posix_spawn(&pid_, words[0].c_str(), &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }

  ~Program() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  void Signal(int signal) { ASSERT_EQ(kill(pid_, signal), 0); }

  // Waits for its end. 128 and the signal if it was killed.
  int ExitCode() {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::string Stdout() { return ReadFile(stdout_path_, kOutputMaxBytes).value_or("(none)"); }
  std::string Stderr() { return ReadFile(stderr_path_, kOutputMaxBytes).value_or("(none)"); }

 private:
  TempDir dir_;
  const std::string stdout_path_ = dir_.Path("stdout");
  const std::string stderr_path_ = dir_.Path("stderr");
  pid_t pid_ = -1;
};

class HoldfastStoreTest : public testing::Test {
 protected:
  HoldfastStoreTest() {
    EXPECT_OK(WriteMasterKeyFile(dir_.Path("master.key"), key_));
    EXPECT_OK(WriteFileDurably(
        dir_.Path("holdfast.toml"),
        absl::StrCat("master_key = \"", dir_.Path("master.key"), "\"\n[store]\ndata_directory = \"",
                     dir_.Path("store"), "\"\nsocket = \"", peer_.socket, "\"\n"),
        {}));
  }

  void CreateStore() {
    ASSERT_OK(DataDirectory::Create(dir_.Path("store"), key_, SystemClock().Now()));
  }

  std::vector<std::string> Arguments() { return {"--config", dir_.Path("holdfast.toml")}; }

  // Waits until it answers.
  void AwaitServing() {
    const auto channel = CreateUnixChannel(peer_);
    const auto stub = v1::Checkpoints::NewStub(channel);
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    SetTimeout(context, absl::Minutes(1));
    v1::StoreStatus status;
    ASSERT_OK(CallStatus(stub->GetStoreStatus(&context, {}, &status), peer_));
  }

  void ExpectRefusal(int exit_code, const testing::Matcher<std::string>& message) {
    Program program(Arguments());
    EXPECT_EQ(program.ExitCode(), exit_code);
    EXPECT_THAT(program.Stderr(), message);
    EXPECT_THAT(program.Stderr(), HasSubstr("holdfast-store: "));
  }

  TempDir dir_;
  const MasterKey key_ = MasterKey::Generate();
  const RpcPeer peer_{.program = "holdfast-store", .socket = dir_.Path("run/store.sock")};
};

TEST_F(HoldfastStoreTest, SaysItsVersionAndHowItIsUsed) {
  Program version({"--version"});
  EXPECT_EQ(version.ExitCode(), kExitOk);
  EXPECT_THAT(version.Stdout(), StartsWith("holdfast-store "));
  Program help({"--help"});
  EXPECT_EQ(help.ExitCode(), kExitOk);
  EXPECT_THAT(help.Stdout(), StartsWith("usage: holdfast-store"));
  Program wrong({"--verbose"});
  EXPECT_EQ(wrong.ExitCode(), kExitUsage);
  EXPECT_THAT(wrong.Stderr(), HasSubstr("--verbose"));
}

TEST_F(HoldfastStoreTest, ServesUntilItIsTerminatedAndEndsInOrder) {
  CreateStore();
  for (const int signal : {SIGTERM, SIGINT}) {
    Program program(Arguments());
    AwaitServing();
    program.Signal(signal);
    EXPECT_EQ(program.ExitCode(), kExitOk);
    EXPECT_THAT(program.Stderr(), AllOf(HasSubstr("serving"), HasSubstr("closed in order")));
    EXPECT_THAT(FileExists(peer_.socket), IsOkAndHolds(false));
  }
}

TEST_F(HoldfastStoreTest, StartsAgainAfterAKill) {
  CreateStore();
  {
    Program program(Arguments());
    AwaitServing();
    program.Signal(SIGKILL);
    EXPECT_EQ(program.ExitCode(), 128 + SIGKILL);
  }
  EXPECT_THAT(FileExists(peer_.socket), IsOkAndHolds(true));  // left behind
  Program again(Arguments());
  AwaitServing();
  again.Signal(SIGTERM);
  EXPECT_EQ(again.ExitCode(), kExitOk);
}

// Several write at once, and the program is killed in the middle of it, again and again.
TEST_F(HoldfastStoreTest, AKillLosesNothingThatWasAcknowledged) {
  CreateStore();
  constexpr int kRounds = 3;
  constexpr int kWriters = 4;
  constexpr int kAcknowledgedMin = 100;
  Mutex mutex;
  CondVar acknowledged_more;
  std::vector<std::string> acknowledged;
  for (int round = 0; round <= kRounds; ++round) {
    Program program(Arguments());
    AwaitServing();
    const auto stub = v1::DocumentStore::NewStub(CreateUnixChannel(peer_));
    for (const std::string& id : acknowledged) {
      grpc::ClientContext context;
      SetTimeout(context, absl::Minutes(1));
      v1::GetDocumentRequest request;
      request.set_collection("c");
      request.set_id(id);
      v1::GetDocumentResponse response;
      ASSERT_OK(CallStatus(stub->GetDocument(&context, request, &response), peer_)) << id;
      EXPECT_EQ(response.document().content(), id);
    }
    if (round == kRounds) {
      EXPECT_THAT(program.Stderr(), Not(HasSubstr("damaged")));
      return;
    }
    std::vector<Thread> writers;
    for (int t = 0; t < kWriters; ++t) {
      writers.emplace_back("writer", [&, t] {
        for (int i = 0;; ++i) {
          grpc::ClientContext context;
          SetTimeout(context, absl::Minutes(1));
          v1::PutDocumentRequest request;
          request.set_collection("c");
          request.set_id(absl::StrCat(round, "/", t, "/", i));
          request.set_content(request.id());
          request.set_media_type("text/plain");
          v1::PutDocumentResponse response;
          if (!stub->PutDocument(&context, request, &response).ok()) return;
          MutexLock lock(&mutex);
          acknowledged.push_back(request.id());
          acknowledged_more.Signal();
        }
      });
    }
    {
      MutexLock lock(&mutex);
      const size_t enough = acknowledged.size() + kAcknowledgedMin;
      while (acknowledged.size() < enough) acknowledged_more.Wait(&mutex);
    }
    program.Signal(SIGKILL);
    EXPECT_EQ(program.ExitCode(), 128 + SIGKILL);
  }
}

TEST_F(HoldfastStoreTest, RefusesADirectoryThatIsNotThere) {
  ExpectRefusal(kExitNotFound, HasSubstr(dir_.Path("store")));
}

TEST_F(HoldfastStoreTest, RefusesADirectoryThatIsNotFinished) {
  CreateStore();
  ASSERT_OK(RemoveFile(dir_.Path("store/state")));
  ExpectRefusal(kExitRefused, HasSubstr("not a finished data directory"));
}

TEST_F(HoldfastStoreTest, RefusesTheWrongKey) {
  CreateStore();
  const MasterKey other = MasterKey::Generate();
  ASSERT_OK(RemoveFile(dir_.Path("master.key")));
  ASSERT_OK(WriteMasterKeyFile(dir_.Path("master.key"), other));
  ExpectRefusal(kExitWrongKey, AllOf(HasSubstr(key_.fingerprint().ToText()),
                                     HasSubstr(other.fingerprint().ToText())));
}

TEST_F(HoldfastStoreTest, RefusesAKeyFileThatOthersMayRead) {
  CreateStore();
  ASSERT_EQ(chmod(dir_.Path("master.key").c_str(), 0644), 0);
  Program program(Arguments());
  EXPECT_EQ(program.ExitCode(), kExitRefused);
  EXPECT_THAT(program.Stderr(), HasSubstr("chmod"));
}

TEST_F(HoldfastStoreTest, RefusesADamagedState) {
  CreateStore();
  ASSERT_OK(WriteFileDurably(dir_.Path("store/state"), "garbage",
                             {.existing = DurableFile::Existing::kReplace}));
  ExpectRefusal(kExitDamaged, HasSubstr("state"));
}

TEST_F(HoldfastStoreTest, RefusesADirectoryThatAnotherProcessHasOpen) {
  CreateStore();
  Program first(Arguments());
  AwaitServing();
  ExpectRefusal(kExitUnreachable, HasSubstr("process"));
  first.Signal(SIGTERM);
  EXPECT_EQ(first.ExitCode(), kExitOk);
}

TEST_F(HoldfastStoreTest, RefusesAConfigurationWithoutAStore) {
  ASSERT_OK(WriteFileDurably(dir_.Path("holdfast.toml"), "master_key = \"/x\"\n",
                             {.existing = DurableFile::Existing::kReplace}));
  ExpectRefusal(kExitUsage, HasSubstr("[store]"));
  ASSERT_OK(WriteFileDurably(dir_.Path("holdfast.toml"), "mastre_key = \"/x\"\n",
                             {.existing = DurableFile::Existing::kReplace}));
  ExpectRefusal(kExitUsage, HasSubstr("mastre_key"));
  ASSERT_OK(RemoveFile(dir_.Path("holdfast.toml")));
  ExpectRefusal(kExitUsage, AllOf(HasSubstr("there is no configuration"),
                                  HasSubstr(dir_.Path("holdfast.toml"))));
}

}  // namespace
}  // namespace holdfast
