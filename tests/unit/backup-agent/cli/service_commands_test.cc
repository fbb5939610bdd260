// The commands that speak to a service, against services that keep what they are told in memory and
// answer as their .proto files say.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/io/durable_file.h"
#include "common/io/files.h"
#include "common/messages/proto_time.h"
#include "common/rpc/server.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "holdfast/v1/backup_agent.grpc.pb.h"
#include "holdfast/v1/checkpoints.grpc.pb.h"
#include "holdfast/v1/document_store.grpc.pb.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/backup-agent/cli/cli_runner.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

constexpr size_t kContentSizeMax = size_t{1} << 20;

// A store of documents without a disk.
class MemoryDocuments : public v1::DocumentStore::Service {
 public:
  grpc::Status GetDocument(grpc::ServerContext* /*context*/, const v1::GetDocumentRequest* request,
                           v1::GetDocumentResponse* response) override {
    MutexLock lock(&mutex_);
    const auto found = documents_.find({request->collection(), request->id()});
    if (found == documents_.end()) return {grpc::StatusCode::NOT_FOUND, "no such document"};
    *response->mutable_document() = found->second;
    return grpc::Status::OK;
  }

  grpc::Status PutDocument(grpc::ServerContext* /*context*/, const v1::PutDocumentRequest* request,
                           v1::PutDocumentResponse* response) override {
    MutexLock lock(&mutex_);
    grpc::Status status = Put(*request);
    response->set_revision(revision_);
    return status;
  }

  grpc::Status DeleteDocument(grpc::ServerContext* /*context*/,
                              const v1::DeleteDocumentRequest* request,
                              v1::DeleteDocumentResponse* response) override {
    MutexLock lock(&mutex_);
    if (documents_.erase({request->collection(), request->id()}) == 0) {
      return {grpc::StatusCode::NOT_FOUND, "no such document"};
    }
    response->set_revision(++revision_);
    return grpc::Status::OK;
  }

  grpc::Status WriteDocuments(grpc::ServerContext* /*context*/,
                              const v1::WriteDocumentsRequest* request,
                              v1::WriteDocumentsResponse* response) override {
    MutexLock lock(&mutex_);
    batch_sizes_.push_back(request->writes_size());
    const Documents before = documents_;
    for (int i = 0; i < request->writes_size(); ++i) {
      const grpc::Status status = Put(request->writes(i).put());
      if (!status.ok()) {
        documents_ = before;
        return {status.error_code(), absl::StrCat("write ", i, ": ", status.error_message())};
      }
      response->add_revisions(revision_);
    }
    return grpc::Status::OK;
  }

  grpc::Status ListDocuments(grpc::ServerContext* /*context*/,
                             const v1::ListDocumentsRequest* request,
                             v1::ListDocumentsResponse* response) override {
    MutexLock lock(&mutex_);
    // Small pages, so that there are several.
    constexpr int kPageSizeMax = 7;
    for (auto next = documents_.lower_bound({request->collection(), request->page_token()});
         next != documents_.end() && next->first.first == request->collection(); ++next) {
      if (next->first.second.rfind(request->id_prefix(), 0) != 0) continue;
      if (response->documents_size() == std::min(kPageSizeMax, request->page_size())) {
        response->set_next_page_token(next->first.second);
        break;
      }
      v1::Document& document = *response->add_documents();
      document = next->second;
      if (request->omit_content()) document.clear_content();
    }
    return grpc::Status::OK;
  }

  grpc::Status ListCollections(grpc::ServerContext* /*context*/,
                               const v1::ListCollectionsRequest* /*request*/,
                               v1::ListCollectionsResponse* response) override {
    MutexLock lock(&mutex_);
    std::map<std::string, uint64_t> counts;
    for (const auto& [key, document] : documents_) ++counts[key.first];
    for (const auto& [name, count] : counts) {
      v1::Collection& collection = *response->add_collections();
      collection.set_name(name);
      collection.set_document_count(count);
    }
    return grpc::Status::OK;
  }

  std::vector<int> batch_sizes() const {
    MutexLock lock(&mutex_);
    return batch_sizes_;
  }

 private:
  using Documents = std::map<std::pair<std::string, std::string>, v1::Document>;

  grpc::Status Put(const v1::PutDocumentRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (request.content().size() > kContentSizeMax) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "the content is too large"};
    }
    if (request.collection() == "refused") {
      return {grpc::StatusCode::INVALID_ARGUMENT, "that collection is refused"};
    }
    const auto found = documents_.find({request.collection(), request.id()});
    const v1::Precondition& precondition = request.precondition();
    if (precondition.must_not_exist() && found != documents_.end()) {
      return {grpc::StatusCode::ABORTED, "it exists"};
    }
    if (precondition.must_be_at_revision() != 0 &&
        (found == documents_.end() ||
         found->second.revision() != precondition.must_be_at_revision())) {
      return {grpc::StatusCode::ABORTED, "it is at another revision"};
    }
    v1::Document& document = documents_[{request.collection(), request.id()}];
    document.set_collection(request.collection());
    document.set_id(request.id());
    document.set_content(request.content());
    document.set_media_type(request.media_type().empty() ? "application/json"
                                                         : request.media_type());
    document.set_revision(++revision_);
    return grpc::Status::OK;
  }

  mutable Mutex mutex_;
  Documents documents_ ABSL_GUARDED_BY(mutex_);
  uint64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<int> batch_sizes_ ABSL_GUARDED_BY(mutex_);
};

class DocCommandsTest : public testing::Test {
 protected:
  void SetUp() override {
    cli_.WriteConfig();
    ASSERT_OK_AND_ASSIGN(
        server_,
        RpcServer::Start({.socket = cli_.store_socket(),
                          .services = {{v1::DocumentStore::service_full_name(), &documents_}}}));
  }
  void TearDown() override { server_->Shutdown(absl::Seconds(1)); }

  CliResult Doc(std::vector<std::string> arguments, absl::string_view input = "") {
    arguments.insert(arguments.begin(), "doc");
    return cli_.RunConfigured(std::move(arguments), input);
  }

  CliRunner cli_;
  MemoryDocuments documents_;
  std::unique_ptr<RpcServer> server_;
};

TEST_F(DocCommandsTest, PutsGetsAndDeletes) {
  CliResult result = Doc({"put", "users", "ada"}, "{\"a\": 1}\n");
  EXPECT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_EQ(result.output, "wrote users/ada at revision 1\n");
  EXPECT_EQ(Doc({"get", "users", "ada"}).output, "{\"a\": 1}\n");
  EXPECT_THAT(Doc({"get", "users", "ada", "--json"}).output,
              StartsWith(R"({"collection":"users","id":"ada","content":{"a": 1} ,"revision":"1")"));
  EXPECT_EQ(Doc({"put", "users", "ada", "--if-absent"}, "{}").exit_code, kExitRefused);
  EXPECT_EQ(Doc({"put", "users", "ada", "--if-revision", "9"}, "{}").exit_code, kExitRefused);
  result = Doc({"put", "users", "ada", "--if-revision", "1", "--json"}, "{}");
  EXPECT_THAT(result.output, HasSubstr(R"("revision":"2")"));
  EXPECT_EQ(Doc({"delete", "users", "ada"}).output, "deleted users/ada at revision 3\n");
  EXPECT_EQ(Doc({"get", "users", "ada"}).exit_code, kExitNotFound);
  EXPECT_EQ(Doc({"delete", "users", "ada"}).exit_code, kExitNotFound);
}

TEST_F(DocCommandsTest, KeepsEveryByteOfOtherContent) {
  const std::string content("\0\n\xFF\r\n", 5);
  ASSERT_EQ(Doc({"put", "icons", "logo", "--media-type", "image/png"}, content).exit_code, kExitOk);
  EXPECT_EQ(Doc({"get", "icons", "logo"}).output, content);
}

TEST_F(DocCommandsTest, RefusesContentThatIsTooLongBeforeItIsSent) {
  const CliResult result = Doc({"put", "c", "i"}, std::string(kContentSizeMax + 1, ' '));
  EXPECT_EQ(result.exit_code, kExitUsage);
  EXPECT_THAT(result.error, HasSubstr("more than 1048576 bytes"));
}

TEST_F(DocCommandsTest, ListsCollectionsAndDocumentsOverAllPages) {
  for (int i = 10; i < 30; ++i) {
    ASSERT_EQ(Doc({"put", "users", absl::StrCat("u", i)}, "{}").exit_code, kExitOk);
  }
  ASSERT_EQ(Doc({"put", "teams", "t"}, "{}").exit_code, kExitOk);
  EXPECT_EQ(Doc({"list"}).output,
            "COLLECTION  DOCUMENTS\nteams               1\nusers              20\n");
  const std::vector<std::string> lines =
      absl::StrSplit(Doc({"list", "users"}).output, '\n', absl::SkipEmpty());
  ASSERT_THAT(lines, SizeIs(21));
  EXPECT_THAT(lines.back(), EndsWith("  u29"));
  EXPECT_THAT(std::vector<std::string>(absl::StrSplit(
                  Doc({"list", "users", "--prefix", "u2", "--limit", "9", "--json"}).output, '\n',
                  absl::SkipEmpty())),
              SizeIs(9));
  EXPECT_EQ(Doc({"list", "--prefix", "u"}).exit_code, kExitUsage);
  EXPECT_EQ(Doc({"list", "users", "--prefix", "none"}).exit_code, kExitOk);
  const CliResult nothing = Doc({"list", "nothing"});
  EXPECT_EQ(nothing.exit_code, kExitNotFound);
  EXPECT_EQ(nothing.error, "holdfast: there is no collection nothing\n");
}

TEST_F(DocCommandsTest, ImportsWhatItExported) {
  std::string lines;
  for (int i = 1000; i < 3500; ++i) {
    absl::StrAppend(&lines, R"({"collection":"users","id":"u)", i, R"(","content":{"n":)", i,
                    ".50}}\n");
  }
  absl::StrAppend(&lines, "\n", R"({"collection":"icons","id":"x","content_base64":"AP8=",)",
                  R"("media_type":"image/png"})");
  CliResult result = Doc({"import"}, lines);
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output, StartsWith("imported 2,501 documents in "));
  EXPECT_THAT(documents_.batch_sizes(), ElementsAre(1000, 1000, 501));

  const std::string exported = Doc({"export"}).output;
  EXPECT_THAT(exported, StartsWith(R"({"collection":"icons","id":"x","content_base64":"AP8=")"));
  EXPECT_THAT(exported, HasSubstr(R"("id":"u1000","content":{"n":1000.50},"revision":"1")"));
  result = Doc({"import", "--json"}, exported);
  EXPECT_THAT(result.output, HasSubstr(R"("document_count":"2501")")) << result.error;
  EXPECT_THAT(Doc({"export", "users"}).output, Not(HasSubstr("icons")));
  EXPECT_EQ(Doc({"export", "nothing"}).exit_code, kExitNotFound);
}

TEST_F(DocCommandsTest, ImportKeepsBatchesBelowTheLimitOfARequest) {
  std::string lines;
  for (int i = 0; i < 10; ++i) {
    absl::StrAppend(&lines, R"({"collection":"c","id":")", i, R"(","content":")",
                    std::string(1'000'000, 'x'), "\"}\n");
  }
  const CliResult result = Doc({"import"}, lines);
  ASSERT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(documents_.batch_sizes(), ElementsAre(3, 3, 3, 1));
}

TEST_F(DocCommandsTest, ImportNamesTheLineThatIsWrong) {
  const std::string good = R"({"collection":"c","id":"i","content":1})";
  CliResult result = Doc({"import"}, absl::StrCat(good, "\n\n", good, "\nnonsense\n", good));
  EXPECT_EQ(result.exit_code, kExitUsage);
  EXPECT_THAT(result.error,
              AllOf(StartsWith("holdfast: line 4: "), HasSubstr("0 documents were written;")));

  result = Doc({"import"}, absl::StrCat(good, "\n\n",
                                        R"({"collection":"refused","id":"i","content":1})", "\n"));
  EXPECT_EQ(result.exit_code, kExitUsage);
  EXPECT_THAT(result.error, StartsWith("holdfast: line 3: that collection is refused\n"));
  EXPECT_EQ(Doc({"get", "c", "i"}).exit_code, kExitNotFound);
}

TEST_F(DocCommandsTest, ImportOfNothingIsNoError) {
  EXPECT_THAT(Doc({"import"}, "").output, StartsWith("imported 0 documents"));
}

// --- The agent ---------------------------------------------------------------------------------

// An agent that has one backup and does what it is told.
class ScriptedAgent : public v1::BackupAgent::Service {
 public:
  ScriptedAgent() {
    MutexLock lock(&mutex_);
    settings_.set_store_name("main");
    settings_.set_settings_revision(1);
    settings_.mutable_schedule()->set_automatic(true);
    v1::Destination& destination = *settings_.add_destinations();
    destination.set_name("local");
    destination.set_url("file:///backups");
  }

  grpc::Status TriggerBackup(grpc::ServerContext* /*context*/,
                             const v1::TriggerBackupRequest* request,
                             v1::TriggerBackupResponse* response) override {
    MutexLock lock(&mutex_);
    trigger_ = *request;
    if (!trigger_status_.ok()) return trigger_status_;
    response->mutable_backup()->set_backup_id("b1");
    response->mutable_backup()->set_document_count(3);
    response->mutable_backup()->add_destination_names("local");
    response->set_run_id("r1");
    return grpc::Status::OK;
  }

  grpc::Status WatchRun(grpc::ServerContext* /*context*/, const v1::WatchRunRequest* /*request*/,
                        grpc::ServerWriter<v1::Run>* writer) override {
    v1::Run run;
    run.set_phase(v1::Run::PHASE_TRANSFER);
    writer->Write(run);
    return grpc::Status::OK;
  }

  grpc::Status CancelRun(grpc::ServerContext* /*context*/, const v1::CancelRunRequest* request,
                         v1::Run* response) override {
    response->set_run_id(request->run_id().empty() ? "r1" : request->run_id());
    response->set_state(v1::Run::STATE_CANCELLED);
    response->set_error("somebody cancelled it");
    return grpc::Status::OK;
  }

  grpc::Status ListRuns(grpc::ServerContext* /*context*/, const v1::ListRunsRequest* request,
                        v1::ListRunsResponse* response) override {
    const int first = request->page_token().empty() ? 0 : std::stoi(request->page_token());
    constexpr int kRuns = 30;
    constexpr int kPageSizeMax = 8;
    for (int i = first; i < kRuns && i < first + std::min(kPageSizeMax, request->page_size());
         ++i) {
      response->add_runs()->set_run_id(absl::StrCat("r", i));
    }
    if (first + response->runs_size() < kRuns) {
      response->set_next_page_token(absl::StrCat(first + response->runs_size()));
    }
    return grpc::Status::OK;
  }

  grpc::Status ListBackups(grpc::ServerContext* /*context*/, const v1::ListBackupsRequest* request,
                           v1::ListBackupsResponse* response) override {
    const bool is_first = request->page_token().empty();
    response->add_backups()->set_backup_id(is_first ? "b2" : "b1");
    if (is_first) response->set_next_page_token("more");
    return grpc::Status::OK;
  }

  grpc::Status GetBackup(grpc::ServerContext* /*context*/, const v1::GetBackupRequest* request,
                         v1::Backup* response) override {
    if (request->backup_id() == "nothing") return {grpc::StatusCode::NOT_FOUND, "no such backup"};
    response->set_backup_id(request->backup_id().empty() ? "b2" : request->backup_id());
    return grpc::Status::OK;
  }

  grpc::Status GetBackupStatus(grpc::ServerContext* /*context*/,
                               const v1::GetBackupStatusRequest* /*request*/,
                               v1::GetBackupStatusResponse* response) override {
    MutexLock lock(&mutex_);
    v1::BackupStatus& status = *response->add_stores();
    status.set_store_name("main");
    status.set_verdict(verdict_);
    return grpc::Status::OK;
  }

  grpc::Status GetSettings(grpc::ServerContext* /*context*/,
                           const v1::GetSettingsRequest* /*request*/,
                           v1::Settings* response) override {
    MutexLock lock(&mutex_);
    *response = settings_;
    return grpc::Status::OK;
  }

  grpc::Status UpdateSettings(grpc::ServerContext* /*context*/,
                              const v1::UpdateSettingsRequest* request,
                              v1::Settings* response) override {
    MutexLock lock(&mutex_);
    if (request->settings().settings_revision() != settings_.settings_revision()) {
      return {grpc::StatusCode::ABORTED, "changed meanwhile"};
    }
    settings_ = request->settings();
    settings_.set_settings_revision(settings_.settings_revision() + 1);
    *response = settings_;
    return grpc::Status::OK;
  }

  void set_verdict(v1::BackupStatus::Verdict verdict) {
    MutexLock lock(&mutex_);
    verdict_ = verdict;
  }
  void set_trigger_status(grpc::Status status) {
    MutexLock lock(&mutex_);
    trigger_status_ = std::move(status);
  }
  v1::TriggerBackupRequest trigger() const {
    MutexLock lock(&mutex_);
    return trigger_;
  }
  v1::Settings settings() const {
    MutexLock lock(&mutex_);
    return settings_;
  }

 private:
  mutable Mutex mutex_;
  v1::Settings settings_ ABSL_GUARDED_BY(mutex_);
  v1::TriggerBackupRequest trigger_ ABSL_GUARDED_BY(mutex_);
  grpc::Status trigger_status_ ABSL_GUARDED_BY(mutex_);
  v1::BackupStatus::Verdict verdict_ ABSL_GUARDED_BY(mutex_) = v1::BackupStatus::VERDICT_HEALTHY;
};

class AgentCommandsTest : public testing::Test {
 protected:
  void SetUp() override {
    cli_.WriteConfig();
    ASSERT_OK_AND_ASSIGN(
        server_, RpcServer::Start({.socket = cli_.agent_socket(),
                                   .services = {{v1::BackupAgent::service_full_name(), &agent_}}}));
  }
  void TearDown() override { server_->Shutdown(absl::Seconds(1)); }

  CliRunner cli_;
  ScriptedAgent agent_;
  std::unique_ptr<RpcServer> server_;
};

TEST_F(AgentCommandsTest, BackupNowAsksForOneFromNowOn) {
  const CliResult result = cli_.RunConfigured({"backup", "now"});
  EXPECT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output, AllOf(StartsWith("backup b1\n3 documents"), HasSubstr("at local")));
  EXPECT_TRUE(agent_.trigger().has_max_age());
  EXPECT_EQ(agent_.trigger().max_age().seconds(), 0);
}

TEST_F(AgentCommandsTest, BackupNowPassesOnWhatIsAskedFor) {
  const CliResult result =
      cli_.RunConfigured({"backup", "now", "--min-revision", "42", "--destinations", "2",
                          "--request-id", "deploy-7", "--store", "main", "--json"});
  EXPECT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr(R"("backup_id":"b1")"), HasSubstr(R"("run_id":"r1")")));
  EXPECT_EQ(agent_.trigger().min_revision(), 42);
  EXPECT_EQ(agent_.trigger().required_destinations(), 2);
  EXPECT_EQ(agent_.trigger().request_id(), "deploy-7");
  EXPECT_EQ(agent_.trigger().store_name(), "main");
}

TEST_F(AgentCommandsTest, BackupNowTellsWhyItFailed) {
  agent_.set_trigger_status({grpc::StatusCode::ABORTED, "the run failed: no space"});
  CliResult result = cli_.RunConfigured({"backup", "now"});
  EXPECT_EQ(result.exit_code, kExitRefused);
  EXPECT_EQ(result.error, "holdfast: the run failed: no space\n");
  agent_.set_trigger_status({grpc::StatusCode::DEADLINE_EXCEEDED, "too late"});
  result = cli_.RunConfigured({"backup", "now"});
  EXPECT_EQ(result.exit_code, kExitUnreachable);
  EXPECT_THAT(result.error, HasSubstr("the backup goes on"));
}

TEST_F(AgentCommandsTest, BackupNowSaysHowToFindABackupThatItDidNotAwait) {
  // A deadline that has passed already may still let an answer through.
  agent_.set_trigger_status({grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded"});
  CliResult result =
      cli_.RunConfigured({"backup", "now", "--timeout", "0s", "--request-id", "deploy 7"});
  EXPECT_EQ(result.exit_code, kExitUnreachable);
  EXPECT_THAT(result.error, AllOf(HasSubstr("--request-id 'deploy 7' finds it again"),
                                  EndsWith("holdfast: the backup was not durable within 0.0 s\n")));
  // As gRPC says it where the agent is killed.
  agent_.set_trigger_status({grpc::StatusCode::UNAVAILABLE, "Socket closed"});
  result = cli_.RunConfigured({"backup", "now", "--request-id", "deploy-7"});
  EXPECT_EQ(result.exit_code, kExitUnreachable);
  EXPECT_THAT(result.error, AllOf(StartsWith("holdfast: the connection to holdfast-agent at "),
                                  EndsWith("the same --request-id deploy-7 finds it again\n")));
}

TEST_F(AgentCommandsTest, ListsAndShowsBackups) {
  EXPECT_THAT(cli_.RunConfigured({"backup", "list"}).output,
              AllOf(HasSubstr("\nb2 "), HasSubstr("\nb1 ")));
  const CliResult json = cli_.RunConfigured({"backup", "list", "--json", "--limit", "1"});
  EXPECT_THAT(json.output,
              AllOf(StartsWith(R"({"backups":[{"backup_id":"b2")"), Not(HasSubstr("b1"))));
  EXPECT_THAT(cli_.RunConfigured({"backup", "show"}).output, HasSubstr("b2"));
  EXPECT_THAT(cli_.RunConfigured({"backup", "show", "b1"}).output, HasSubstr("b1"));
  EXPECT_EQ(cli_.RunConfigured({"backup", "show", "nothing"}).exit_code, kExitNotFound);
}

TEST_F(AgentCommandsTest, ListsAndCancelsRuns) {
  const std::string runs = cli_.RunConfigured({"backup", "runs"}).output;
  EXPECT_THAT(runs, AllOf(HasSubstr("r19"), Not(HasSubstr("r20"))));
  const std::string json = cli_.RunConfigured({"backup", "runs", "--limit", "3", "--json"}).output;
  EXPECT_THAT(json, AllOf(StartsWith(R"({"runs":[)"), HasSubstr("r2"), Not(HasSubstr("r3"))));
  const CliResult cancelled = cli_.RunConfigured({"backup", "cancel"});
  EXPECT_EQ(cancelled.exit_code, kExitOk);
  EXPECT_THAT(cancelled.output, HasSubstr("run r1 cancelled"));
}

TEST_F(AgentCommandsTest, StatusExitsByTheVerdictWhereAskedTo) {
  EXPECT_EQ(cli_.RunConfigured({"status", "--check"}).exit_code, kExitOk);
  agent_.set_verdict(v1::BackupStatus::VERDICT_OVERDUE);
  const CliResult plain = cli_.RunConfigured({"status"});
  EXPECT_EQ(plain.exit_code, kExitOk);
  EXPECT_THAT(plain.output, StartsWith("main: OVERDUE"));
  const CliResult checked = cli_.RunConfigured({"status", "--check", "--json"});
  EXPECT_EQ(checked.exit_code, kExitRefused);
  EXPECT_EQ(checked.error, "holdfast: main is OVERDUE\n");
  EXPECT_THAT(checked.output, HasSubstr("VERDICT_OVERDUE"));
}

// A store that tells how it is, and no agent.
class ReportingStore : public v1::Checkpoints::Service {
 public:
  grpc::Status GetStoreStatus(grpc::ServerContext* /*context*/,
                              const v1::GetStoreStatusRequest* /*request*/,
                              v1::StoreStatus* response) override {
    response->set_document_count(1234);
    response->set_revision(99);
    response->mutable_last_backup()->set_backup_id("b9");
    response->mutable_last_backup()->set_revision(98);
    response->mutable_last_backup()->set_destination_count(2);
    *response->mutable_last_backup()->mutable_checkpoint_time() =
        ToProto(SystemClock().Now() - absl::Hours(3));
    response->mutable_sickness()->set_message("a sync failed");
    return grpc::Status::OK;
  }
};

TEST(StatusWithoutAgentTest, TellsWhatTheStoreTells) {
  CliRunner cli;
  cli.WriteConfig();
  CliResult result = cli.RunConfigured({"status"});
  EXPECT_EQ(result.exit_code, kExitUnreachable);
  EXPECT_THAT(result.error, AllOf(HasSubstr("cannot reach holdfast-agent"),
                                  HasSubstr("\nstore main: cannot reach holdfast-store")));

  ReportingStore store;
  ASSERT_OK_AND_ASSIGN(
      const auto server,
      RpcServer::Start({.socket = cli.store_socket(),
                        .services = {{v1::Checkpoints::service_full_name(), &store}}}));
  result = cli.RunConfigured({"status"});
  EXPECT_EQ(result.exit_code, kExitUnreachable);
  EXPECT_THAT(result.error, AllOf(HasSubstr("cannot reach holdfast-agent"),
                                  HasSubstr("no backup is taken"), Not(HasSubstr("main"))));
  EXPECT_THAT(result.output,
              AllOf(StartsWith("main: the store is sick: a sync failed\n"),
                    HasSubstr("1,234 at revision 99"),
                    HasSubstr("b9, taken 3 h ago: revision 98, at 2 destinations\n")));
  result = cli.RunConfigured({"status", "--json", "--check"});
  EXPECT_EQ(result.exit_code, kExitUnreachable);
  EXPECT_THAT(result.output, AllOf(StartsWith(R"({"agent_error":"cannot reach holdfast-agent)"),
                                   HasSubstr(R"("store_name":"main","error":"","store_status":{)"),
                                   HasSubstr(R"("backup_id":"b9")")));
  server->Shutdown(absl::Seconds(1));
}

// --- Several stores ----------------------------------------------------------------------------

TEST_F(AgentCommandsTest, CommandsAboutOneStoreAskWhichWhereThereAreSeveral) {
  ASSERT_OK_AND_ASSIGN(std::string config, ReadFile(cli_.config_path(), 10000));
  absl::StrAppend(&config, "[[agent.stores]]\nname = \"second\"\nsocket = \"run/second.sock\"\n",
                  "[[agent.stores.destinations]]\nname = \"local\"\nurl = \"file:///b\"\n");
  ASSERT_OK(WriteFileDurably(cli_.config_path(), config,
                             {.mode = 0600, .existing = DurableFile::Existing::kReplace}));
  for (const std::vector<std::string>& command : {std::vector<std::string>{"doc", "list"},
                                                  {"backup", "now"},
                                                  {"settings", "show"},
                                                  {"drill"},
                                                  {"prune"},
                                                  {"check"}}) {
    const CliResult result = cli_.RunConfigured(command);
    EXPECT_EQ(result.exit_code, kExitUsage) << command.front();
    EXPECT_EQ(result.error,
              "holdfast: there are several stores; name one with --store: main, second\n");
  }
  EXPECT_EQ(cli_.RunConfigured({"status"}).exit_code, kExitOk);
  EXPECT_EQ(cli_.RunConfigured({"backup", "now", "--store", "second"}).exit_code, kExitOk);
  EXPECT_EQ(agent_.trigger().store_name(), "second");
}

TEST_F(AgentCommandsTest, SettingsChangesWhatIsGivenAndLeavesTheRest) {
  const CliResult result = cli_.RunConfigured(
      {"settings", "set", "--interval", "6h", "--add-destination", "nas=/mnt/nas"});
  EXPECT_EQ(result.exit_code, kExitOk) << result.error;
  v1::Settings settings = agent_.settings();
  EXPECT_TRUE(settings.schedule().automatic());
  EXPECT_EQ(settings.schedule().interval().seconds(), 6 * 3600);
  ASSERT_EQ(settings.destinations_size(), 2);
  EXPECT_EQ(settings.destinations(1).url(), "file:///mnt/nas");

  EXPECT_EQ(cli_.RunConfigured({"settings", "set", "--remove-destination", "local"}).exit_code,
            kExitOk);
  settings = agent_.settings();
  ASSERT_EQ(settings.destinations_size(), 1);
  EXPECT_EQ(settings.destinations(0).name(), "nas");
  EXPECT_EQ(cli_.RunConfigured({"settings", "set", "--remove-destination", "local"}).exit_code,
            kExitNotFound);
  CliResult unchanged = cli_.RunConfigured(
      {"settings", "set", "--remove-destination", "nas", "--add-destination", "nas=/mnt/nas"});
  EXPECT_EQ(unchanged.exit_code, kExitUsage);
  EXPECT_THAT(unchanged.error, HasSubstr("add it with a second"));
  EXPECT_EQ(cli_.RunConfigured({"settings", "set"}).exit_code, kExitUsage);
  EXPECT_THAT(cli_.RunConfigured({"settings", "show"}).output, HasSubstr("every 6 h"));
  EXPECT_THAT(cli_.RunConfigured({"settings", "show", "--json"}).output,
              HasSubstr(R"("settings_revision":"3")"));
}

TEST_F(AgentCommandsTest, DestinationsAreThoseOfTheAgentsSettings) {
  ASSERT_EQ(cli_.RunConfigured({"settings", "set", "--add-destination",
                                absl::StrCat("nas=", cli_.Path("nas"))})
                .exit_code,
            kExitOk);
  // No destination is there, so each is named in what went wrong with it.
  CliResult result = cli_.RunConfigured({"check"});
  EXPECT_EQ(result.exit_code, kExitNotFound);
  EXPECT_THAT(result.error, AllOf(HasSubstr("holdfast: local (file:///backups): "),
                                  HasSubstr("holdfast: nas (file://" + cli_.Path("nas") + "): "),
                                  Not(HasSubstr("can't be asked"))));
  result = cli_.RunConfigured({"check", "--from", "nas"});
  EXPECT_EQ(result.exit_code, kExitNotFound);
  EXPECT_THAT(result.error, AllOf(HasSubstr(cli_.Path("nas")), Not(HasSubstr("/backups"))));
  result = cli_.RunConfigured({"backup", "list", "--from", "nas"});
  EXPECT_THAT(result.error, HasSubstr(cli_.Path("nas")));
  result = cli_.RunConfigured({"restore", "--from", "other", "--to", cli_.Path("target")});
  EXPECT_EQ(result.exit_code, kExitNotFound);
  EXPECT_THAT(result.error, HasSubstr("no destination 'other' in the agent's settings; there is "
                                      "local, nas\n"));
}

TEST_F(AgentCommandsTest, KeyVerifyConfirmsTheKeyWithTheAgent) {
  const std::string text = cli_.RunConfigured({"key", "show"}).output;
  const std::string fingerprint = cli_.RunConfigured({"key", "fingerprint"}).output;
  const CliResult result = cli_.RunConfigured({"key", "verify", "--confirm"}, text);
  EXPECT_EQ(result.exit_code, kExitOk) << result.error;
  EXPECT_EQ(agent_.settings().key_confirmed_fingerprint() + "\n", fingerprint);
}

}  // namespace
}  // namespace holdfast
