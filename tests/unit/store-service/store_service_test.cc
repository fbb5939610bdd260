#include "store-service/store_service.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/base/thread.h"
#include "common/io/files.h"
#include "common/io/xxh3_stream.h"
#include "common/rpc/channel.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "holdfast/v1/checkpoints.grpc.pb.h"
#include "holdfast/v1/document_store.grpc.pb.h"
#include "store-service/documents/limits.h"
#include "store-service/service/checkpoint_service.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/log_capture.h"
#include "tests/testing/seeded_random.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

constexpr absl::Duration kCallTimeout = absl::Minutes(1);

class StoreServiceTest : public testing::Test {
 protected:
  StoreServiceTest() {
    EXPECT_OK(DataDirectory::Create(config_.data_directory, master_key_, SystemClock().Now()));
    Start();
  }

  void Start() {
    absl::StatusOr<std::unique_ptr<StoreService>> store =
        StoreService::Start(config_, master_key_, *clock_);
    ASSERT_OK(store);
    store_ = *std::move(store);
    channel_ = CreateUnixChannel(peer_);
    documents_ = v1::DocumentStore::NewStub(channel_);
    checkpoints_ = v1::Checkpoints::NewStub(channel_);
  }

  void Stop() {
    ASSERT_OK(store_->Shutdown());
    store_.reset();
  }

  // Makes a unary call.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(const std::unique_ptr<Stub>& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    grpc::ClientContext context;
    SetTimeout(context, kCallTimeout);
    Response response;
    const absl::Status status = CallStatus(((*stub).*method)(&context, request, &response), peer_);
    if (!status.ok()) return status;
    return response;
  }

  absl::StatusOr<v1::PutDocumentResponse> Put(const std::string& collection, const std::string& id,
                                              const std::string& content,
                                              const std::string& media_type = "text/plain") {
    v1::PutDocumentRequest request;
    request.set_collection(collection);
    request.set_id(id);
    request.set_content(content);
    request.set_media_type(media_type);
    return Call(documents_, &v1::DocumentStore::Stub::PutDocument, request);
  }

  absl::StatusOr<v1::Document> Get(const std::string& collection, const std::string& id) {
    v1::GetDocumentRequest request;
    request.set_collection(collection);
    request.set_id(id);
    HOLDFAST_ASSIGN_OR_RETURN(v1::GetDocumentResponse response,
                              Call(documents_, &v1::DocumentStore::Stub::GetDocument, request));
    return std::move(*response.mutable_document());
  }

  absl::StatusOr<v1::StoreStatus> GetStatus() {
    return Call(checkpoints_, &v1::Checkpoints::Stub::GetStoreStatus, v1::GetStoreStatusRequest());
  }

  absl::StatusOr<v1::Checkpoint> CreateCheckpoint(const std::string& store_id = "") {
    v1::CreateCheckpointRequest request;
    request.set_store_id(store_id);
    HOLDFAST_ASSIGN_OR_RETURN(
        v1::CreateCheckpointResponse response,
        Call(checkpoints_, &v1::Checkpoints::Stub::CreateCheckpoint, request));
    return std::move(*response.mutable_checkpoint());
  }

  absl::StatusOr<std::vector<v1::CheckpointFile>> ListFiles(const std::string& checkpoint_id) {
    std::vector<v1::CheckpointFile> files;
    v1::ListCheckpointFilesRequest request;
    request.set_checkpoint_id(checkpoint_id);
    request.set_page_size(2);
    do {
      HOLDFAST_ASSIGN_OR_RETURN(
          const v1::ListCheckpointFilesResponse response,
          Call(checkpoints_, &v1::Checkpoints::Stub::ListCheckpointFiles, request));
      files.insert(files.end(), response.files().begin(), response.files().end());
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    return files;
  }

  absl::StatusOr<std::string> ReadCheckpointFile(const std::string& checkpoint_id,
                                                 const std::string& name, uint64_t offset = 0) {
    v1::ReadCheckpointFileRequest request;
    request.set_checkpoint_id(checkpoint_id);
    request.set_name(name);
    request.set_offset(offset);
    grpc::ClientContext context;
    SetTimeout(context, kCallTimeout);
    const auto stream = checkpoints_->ReadCheckpointFile(&context, request);
    std::string all;
    for (v1::ReadCheckpointFileResponse response; stream->Read(&response);) {
      EXPECT_THAT(response.data().size(), AllOf(Gt(0), Le(1024 * 1024)));
      all += response.data();
    }
    const absl::Status status = CallStatus(stream->Finish(), peer_);
    if (!status.ok()) return status;
    return all;
  }

  TempDir dir_;
  const MasterKey master_key_ = MasterKey::Generate();
  StoreConfig config_{.data_directory = dir_.Path("store"),
                      .socket = dir_.Path("run/store.sock"),
                      .master_key = "-",
                      .instance_files = {}};
  const RpcPeer peer_{.program = "holdfast-store", .socket = config_.socket};
  FakeClock fake_clock_;
  Clock* clock_ = &SystemClock();
  std::unique_ptr<StoreService> store_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::DocumentStore::Stub> documents_;
  std::unique_ptr<v1::Checkpoints::Stub> checkpoints_;
};

TEST_F(StoreServiceTest, PutsGetsAndDeletes) {
  ASSERT_OK_AND_ASSIGN(const v1::PutDocumentResponse put,
                       Put("projects", "p/1", "{\"name\": \"x\"}", ""));
  EXPECT_EQ(put.revision(), 1U);
  ASSERT_OK_AND_ASSIGN(const v1::Document document, Get("projects", "p/1"));
  EXPECT_EQ(document.collection(), "projects");
  EXPECT_EQ(document.id(), "p/1");
  EXPECT_EQ(document.content(), "{\"name\": \"x\"}");
  EXPECT_EQ(document.media_type(), "application/json");
  EXPECT_EQ(document.revision(), 1U);
  EXPECT_EQ(document.create_time().seconds(), put.commit_time().seconds());
  EXPECT_EQ(document.change_time().nanos(), put.commit_time().nanos());

  v1::DeleteDocumentRequest deletion;
  deletion.set_collection("projects");
  deletion.set_id("p/1");
  ASSERT_OK_AND_ASSIGN(const v1::DeleteDocumentResponse deleted,
                       Call(documents_, &v1::DocumentStore::Stub::DeleteDocument, deletion));
  EXPECT_EQ(deleted.revision(), 2U);
  EXPECT_THAT(Get("projects", "p/1"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(StoreServiceTest, ErrorsKeepTheirCodesAndWords) {
  EXPECT_THAT(Put("projects", "x", "{", ""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not valid JSON")));
  ASSERT_OK(Put("projects", "x", "1"));
  v1::PutDocumentRequest request;
  request.set_collection("projects");
  request.set_id("x");
  request.mutable_precondition()->set_must_not_exist(false);
  EXPECT_THAT(Call(documents_, &v1::DocumentStore::Stub::PutDocument, request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("can only be true")));
  request.set_media_type("text/plain");
  request.mutable_precondition()->set_must_not_exist(true);
  EXPECT_THAT(Call(documents_, &v1::DocumentStore::Stub::PutDocument, request),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("at revision 1")));
  request.mutable_precondition()->set_must_be_at_revision(9);
  EXPECT_THAT(Call(documents_, &v1::DocumentStore::Stub::PutDocument, request),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("not 9")));

  v1::WriteDocumentsRequest writes;
  EXPECT_THAT(Call(documents_, &v1::DocumentStore::Stub::WriteDocuments, writes),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("1 to 1000")));
  *writes.add_writes()->mutable_put() = request;
  writes.add_writes();
  EXPECT_THAT(Call(documents_, &v1::DocumentStore::Stub::WriteDocuments, writes),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("write 1: ")));
}

TEST_F(StoreServiceTest, ADocumentAtTheLimitCanBePutGotListedAndWrittenWithOthers) {
  SeededRandom random;
  std::string content(kContentSizeMaxBytes, '\0');
  random.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(content.data()), content.size()));
  const std::string id(kDocumentIdSizeMaxBytes, 'i');
  const std::string collection(kCollectionNameSizeMaxBytes, 'c');
  const std::string media_type(kMediaTypeSizeMaxBytes, 'm');
  ASSERT_OK(Put(collection, id, content, media_type));
  ASSERT_OK_AND_ASSIGN(const v1::Document document, Get(collection, id));
  EXPECT_EQ(document.content(), content);
  v1::ListDocumentsRequest list;
  list.set_collection(collection);
  ASSERT_OK_AND_ASSIGN(const v1::ListDocumentsResponse page,
                       Call(documents_, &v1::DocumentStore::Stub::ListDocuments, list));
  ASSERT_THAT(page.documents(), SizeIs(1));
  EXPECT_EQ(page.documents(0).content(), content);

  v1::WriteDocumentsRequest writes;
  for (int i = 0; i < 2; ++i) {
    v1::PutDocumentRequest& put = *writes.add_writes()->mutable_put();
    put.set_collection("c");
    put.set_id(absl::StrCat(i));
    put.set_content(content);
    put.set_media_type(media_type);
  }
  ASSERT_OK_AND_ASSIGN(const v1::WriteDocumentsResponse written,
                       Call(documents_, &v1::DocumentStore::Stub::WriteDocuments, writes));
  EXPECT_THAT(written.revisions(), ElementsAre(2U, 3U));
  v1::PutDocumentRequest& third = *writes.add_writes()->mutable_put();
  third = writes.writes(0).put();
  third.set_content(content + "x");
  EXPECT_THAT(Call(documents_, &v1::DocumentStore::Stub::WriteDocuments, writes),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("write 2: ")));
}

TEST_F(StoreServiceTest, ListsPagesAndCollections) {
  for (int i = 0; i < 5; ++i) ASSERT_OK(Put("a", absl::StrCat(i), "x"));
  ASSERT_OK(Put("b", "0", "x"));
  v1::ListDocumentsRequest list;
  list.set_collection("a");
  list.set_page_size(2);
  std::vector<std::string> ids;
  do {
    ASSERT_OK_AND_ASSIGN(const v1::ListDocumentsResponse page,
                         Call(documents_, &v1::DocumentStore::Stub::ListDocuments, list));
    for (const v1::Document& document : page.documents()) ids.push_back(document.id());
    EXPECT_EQ(page.revision(), 6U);
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());
  EXPECT_THAT(ids, ElementsAre("0", "1", "2", "3", "4"));

  ASSERT_OK_AND_ASSIGN(
      const v1::ListCollectionsResponse collections,
      Call(documents_, &v1::DocumentStore::Stub::ListCollections, v1::ListCollectionsRequest()));
  ASSERT_THAT(collections.collections(), SizeIs(2));
  EXPECT_EQ(collections.collections(0).name(), "a");
  EXPECT_EQ(collections.collections(0).document_count(), 5U);
}

TEST_F(StoreServiceTest, AViewIsGoneAfterARestart) {
  for (int i = 0; i < 3; ++i) ASSERT_OK(Put("a", absl::StrCat(i), "x"));
  v1::ListDocumentsRequest list;
  list.set_collection("a");
  list.set_page_size(1);
  ASSERT_OK_AND_ASSIGN(const v1::ListDocumentsResponse page,
                       Call(documents_, &v1::DocumentStore::Stub::ListDocuments, list));
  Stop();
  Start();
  list.set_page_token(page.next_page_token());
  EXPECT_THAT(Call(documents_, &v1::DocumentStore::Stub::ListDocuments, list),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("begin the listing again")));
}

// The one call whose messages are not taken apart by gRPC.
TEST_F(StoreServiceTest, ARequestForAFileThatIsNoneIsRefused) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  SetTimeout(context, kCallTimeout);
  const grpc::Slice garbage("\xff\xff\xff");
  const grpc::ByteBuffer request(&garbage, 1);
  grpc::ByteBuffer response;
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, "/holdfast.v1.Checkpoints/ReadCheckpointFile",
                                          request, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool is_ok = false;
  ASSERT_TRUE(queue.Next(&tag, &is_ok));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(StoreServiceTest, StreamsCheckpointFilesFromAnyOffset) {
  SeededRandom random;
  std::string content(kContentSizeMaxBytes, '\0');
  random.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(content.data()), content.size()));
  for (int i = 0; i < 5; ++i) ASSERT_OK(Put("c", absl::StrCat(i), content));
  ASSERT_OK_AND_ASSIGN(const v1::StoreStatus status, GetStatus());
  ASSERT_OK_AND_ASSIGN(const v1::Checkpoint checkpoint, CreateCheckpoint(status.store_id()));
  EXPECT_EQ(checkpoint.revision(), 5U);
  EXPECT_EQ(checkpoint.document_count(), 5U);
  EXPECT_EQ(checkpoint.state_digest(), status.state_digest());
  EXPECT_EQ(checkpoint.incarnation(), status.incarnation());
  EXPECT_THAT(checkpoint.lease_duration().seconds(), AllOf(Gt(500), Le(600)));
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::CheckpointFile> files,
                       ListFiles(checkpoint.checkpoint_id()));
  EXPECT_EQ(files.size(), checkpoint.file_count());
  uint64_t size_bytes = 0;
  {
    // Several at a time.
    std::vector<Thread> readers;
    for (const v1::CheckpointFile& file : files) {
      size_bytes += file.size_bytes();
      readers.emplace_back("reader", [&, this] {
        const absl::StatusOr<std::string> whole =
            ReadCheckpointFile(checkpoint.checkpoint_id(), file.name());
        ASSERT_OK(whole);
        EXPECT_EQ(whole->size(), file.size_bytes());
        EXPECT_EQ(Xxh3Of(*whole), file.xxh3_128()) << file.name();
        for (const uint64_t offset : {file.size_bytes() / 3, file.size_bytes()}) {
          EXPECT_THAT(ReadCheckpointFile(checkpoint.checkpoint_id(), file.name(), offset),
                      IsOkAndHolds(whole->substr(offset)));
        }
      });
    }
  }
  EXPECT_EQ(size_bytes, checkpoint.size_bytes());
  EXPECT_GT(size_bytes, 5 * kContentSizeMaxBytes);

  EXPECT_THAT(ReadCheckpointFile(checkpoint.checkpoint_id(), "../state"),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadCheckpointFile(checkpoint.checkpoint_id(), "CURRENT", 1'000'000),
              StatusIs(absl::StatusCode::kOutOfRange));

  v1::RenewCheckpointRequest renewal;
  renewal.set_checkpoint_id(checkpoint.checkpoint_id());
  ASSERT_OK_AND_ASSIGN(const v1::RenewCheckpointResponse renewed,
                       Call(checkpoints_, &v1::Checkpoints::Stub::RenewCheckpoint, renewal));
  EXPECT_THAT(renewed.lease_duration().seconds(), AllOf(Gt(500), Le(600)));
  v1::ReleaseCheckpointRequest release;
  release.set_checkpoint_id(checkpoint.checkpoint_id());
  EXPECT_OK(Call(checkpoints_, &v1::Checkpoints::Stub::ReleaseCheckpoint, release));
  EXPECT_THAT(ReadCheckpointFile(checkpoint.checkpoint_id(), "CURRENT"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("create a new one")));
}

TEST_F(StoreServiceTest, ACheckpointOfAnotherStoreIsRefused) {
  EXPECT_THAT(CreateCheckpoint(std::string(32, '0')),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not the one")));
}

TEST_F(StoreServiceTest, AReaderThatGoesAwayHoldsUpNothing) {
  for (int i = 0; i < 5; ++i) ASSERT_OK(Put("c", absl::StrCat(i), std::string(1'000'000, 'x')));
  ASSERT_OK_AND_ASSIGN(const v1::Checkpoint checkpoint, CreateCheckpoint());
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::CheckpointFile> files,
                       ListFiles(checkpoint.checkpoint_id()));
  for (const v1::CheckpointFile& file : files) {
    for (int i = 0; i < 20; ++i) {
      v1::ReadCheckpointFileRequest request;
      request.set_checkpoint_id(checkpoint.checkpoint_id());
      request.set_name(file.name());
      grpc::ClientContext context;
      SetTimeout(context, kCallTimeout);
      const auto stream = checkpoints_->ReadCheckpointFile(&context, request);
      v1::ReadCheckpointFileResponse response;
      stream->Read(&response);
      context.TryCancel();
      stream->Finish();
    }
    EXPECT_THAT(ReadCheckpointFile(checkpoint.checkpoint_id(), file.name()),
                IsOkAndHolds(SizeIs(file.size_bytes())));
  }
}

// Streams of one file whose readers read nothing of it.
class StuckReaders {
 public:
  StuckReaders(const std::string& socket, const v1::ReadCheckpointFileRequest& request,
               size_t count) {
    // Else gRPC takes some megabytes on behalf of a reader.
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    checkpoints_ = v1::Checkpoints::NewStub(grpc::CreateCustomChannel(
        absl::StrCat("unix:", socket), grpc::InsecureChannelCredentials(), arguments));
    for (size_t i = 0; i < count; ++i) {
      contexts_.push_back(std::make_unique<grpc::ClientContext>());
      SetTimeout(*contexts_.back(), kCallTimeout);
      streams_.push_back(checkpoints_->ReadCheckpointFile(contexts_.back().get(), request));
      // A chunk tells that it is under way; the next one stays where it is.
      v1::ReadCheckpointFileResponse response;
      EXPECT_TRUE(streams_.back()->Read(&response));
    }
  }

  // How each ended.
  std::set<grpc::StatusCode> Finish() {
    std::set<grpc::StatusCode> codes;
    for (const auto& stream : streams_) {
      v1::ReadCheckpointFileResponse response;
      while (stream->Read(&response)) continue;
      codes.insert(stream->Finish().error_code());
    }
    return codes;
  }

 private:
  std::unique_ptr<v1::Checkpoints::Stub> checkpoints_;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts_;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::ReadCheckpointFileResponse>>> streams_;
};

TEST_F(StoreServiceTest, ReadersThatDoNotReadAreBoundedAndEndInTime) {
  Stop();
  clock_ = &fake_clock_;
  Start();
  std::string content(kContentSizeMaxBytes, '\0');
  SeededRandom random;
  random.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(content.data()), content.size()));
  for (int i = 0; i < 5; ++i) ASSERT_OK(Put("c", absl::StrCat(i), content));
  // The store keeps house, and sleeps again.
  size_t sleeps = 1;
  const auto pass = [&](absl::Duration duration) {
    fake_clock_.AwaitWaitsBegun(sleeps);
    fake_clock_.Advance(duration);
    fake_clock_.AwaitWaitsBegun(++sleeps);
  };
  // They end for one reason, then for the other.
  for (const bool is_released : {true, false}) {
    SCOPED_TRACE(is_released);
    ASSERT_OK_AND_ASSIGN(const v1::Checkpoint checkpoint, CreateCheckpoint());
    ASSERT_OK_AND_ASSIGN(const std::vector<v1::CheckpointFile> files,
                         ListFiles(checkpoint.checkpoint_id()));
    const auto largest = std::max_element(files.begin(), files.end(), [](auto& a, auto& b) {
      return a.size_bytes() < b.size_bytes();
    });
    ASSERT_GT(largest->size_bytes(), 4'000'000U);
    v1::ReadCheckpointFileRequest request;
    request.set_checkpoint_id(checkpoint.checkpoint_id());
    request.set_name(largest->name());
    StuckReaders readers(config_.socket, request, CheckpointService::kFileStreamsMax);
    EXPECT_THAT(ReadCheckpointFile(checkpoint.checkpoint_id(), "CURRENT"),
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("64")));

    if (is_released) {
      v1::ReleaseCheckpointRequest release;
      release.set_checkpoint_id(checkpoint.checkpoint_id());
      EXPECT_OK(Call(checkpoints_, &v1::Checkpoints::Stub::ReleaseCheckpoint, release));
      pass(absl::Seconds(5));
    } else {
      // The checkpoint itself stays: the agent renews its lease. A stream that the store gets round
      // to late waits from then on, so this goes on until none has ended for long.
      const LogCapture log;
      size_t ended = 0;
      for (absl::Duration quiet; ended == 0 || quiet <= 2 * CheckpointService::kReaderPauseMax;
           quiet += absl::Minutes(1)) {
        if (log.lines().size() > ended) quiet = absl::ZeroDuration();
        ended = log.lines().size();
        v1::RenewCheckpointRequest renewal;
        renewal.set_checkpoint_id(checkpoint.checkpoint_id());
        EXPECT_OK(Call(checkpoints_, &v1::Checkpoints::Stub::RenewCheckpoint, renewal));
        pass(absl::Minutes(1));
      }
    }
    // One that was about to read on when the checkpoint went finds that it is gone.
    const std::set<grpc::StatusCode> ends = readers.Finish();
    EXPECT_THAT(ends, Contains(grpc::StatusCode::CANCELLED));
    for (const grpc::StatusCode end : ends) {
      EXPECT_TRUE(end == grpc::StatusCode::CANCELLED ||
                  (is_released && end == grpc::StatusCode::NOT_FOUND))
          << end;
    }
    ASSERT_OK_AND_ASSIGN(const v1::Checkpoint next, CreateCheckpoint());
    EXPECT_OK(ReadCheckpointFile(next.checkpoint_id(), largest->name()));
    v1::ReleaseCheckpointRequest release;
    release.set_checkpoint_id(next.checkpoint_id());
    EXPECT_OK(Call(checkpoints_, &v1::Checkpoints::Stub::ReleaseCheckpoint, release));
  }
}

TEST_F(StoreServiceTest, StatusTellsWhatTheStoreIs) {
  ASSERT_OK_AND_ASSIGN(const v1::StoreStatus empty, GetStatus());
  EXPECT_EQ(empty.revision(), 0U);
  EXPECT_FALSE(empty.has_last_backup());
  EXPECT_FALSE(empty.has_sickness());
  EXPECT_THAT(empty.checkpoints(), IsEmpty());
  ASSERT_OK(Put("c", "a", "x"));
  ASSERT_OK(CreateCheckpoint());
  ASSERT_OK_AND_ASSIGN(const v1::StoreStatus status, GetStatus());
  EXPECT_THAT(status.store_id(), SizeIs(32));
  EXPECT_THAT(status.incarnation(), SizeIs(32));
  EXPECT_EQ(status.revision(), 1U);
  EXPECT_EQ(status.document_count(), 1U);
  EXPECT_EQ(status.collection_count(), 1U);
  EXPECT_NE(status.state_digest(), empty.state_digest());
  EXPECT_THAT(status.checkpoints(), SizeIs(1));
  EXPECT_GT(status.database_size_bytes(), 0U);
  EXPECT_GT(status.free_space_bytes(), 0U);
  EXPECT_GT(status.open_time().seconds(), 0);
  EXPECT_NE(status.version(), "");
}

TEST_F(StoreServiceTest, ABackupThatWasReportedIsRememberedAcrossRestarts) {
  ASSERT_OK(Put("c", "a", "x"));
  ASSERT_OK_AND_ASSIGN(const v1::Checkpoint checkpoint, CreateCheckpoint());
  v1::ReportBackupRequest request;
  v1::BackupReport& report = *request.mutable_backup();
  report.set_backup_id("20261122T183500.123Z-1f9a2b3c");
  report.set_store_id(checkpoint.store_id());
  report.set_incarnation(checkpoint.incarnation());
  report.set_revision(checkpoint.revision());
  report.set_state_digest(checkpoint.state_digest());
  report.set_manifest_hash(std::string(32, 'm'));
  *report.mutable_checkpoint_time() = checkpoint.create_time();
  EXPECT_OK(Call(checkpoints_, &v1::Checkpoints::Stub::ReportBackup, request));
  EXPECT_OK(Call(checkpoints_, &v1::Checkpoints::Stub::ReportBackup, request));
  Stop();
  Start();
  ASSERT_OK_AND_ASSIGN(const v1::StoreStatus status, GetStatus());
  EXPECT_EQ(status.last_backup().backup_id(), report.backup_id());
  EXPECT_GT(status.last_backup().report_time().seconds(), 0);
  EXPECT_THAT(status.checkpoints(), IsEmpty());
  report.set_revision(2);
  EXPECT_THAT(Call(checkpoints_, &v1::Checkpoints::Stub::ReportBackup, request),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

// What was answered OK is there after a shutdown in the middle of it; every call is answered.
TEST_F(StoreServiceTest, AShutdownUnderLoadAnswersAllAndLosesNothing) {
  constexpr int kWriters = 8;
  std::vector<std::vector<std::string>> acknowledged(kWriters);
  std::atomic<int> started = 0;
  {
    std::vector<Thread> writers;
    for (int t = 0; t < kWriters; ++t) {
      writers.emplace_back("writer", [&, t] {
        for (int i = 0;; ++i) {
          const std::string id = absl::StrCat(t, "/", i);
          const absl::Status status = Put("c", id, "x").status();
          if (!status.ok()) {
            EXPECT_THAT(status, StatusIs(testing::AnyOf(absl::StatusCode::kUnavailable,
                                                        absl::StatusCode::kCancelled)));
            return;
          }
          acknowledged[t].push_back(id);
          ++started;
        }
      });
    }
    while (started < 200) {
      ASSERT_OK(Put("d", "pace", "x"));
    }
    Stop();
  }
  Start();
  for (const std::vector<std::string>& ids : acknowledged) {
    for (const std::string& id : ids) EXPECT_OK(Get("c", id));
  }
}

TEST_F(StoreServiceTest, ASecondStoreOnTheSameDirectoryIsRefused) {
  StoreConfig second = config_;
  second.socket = dir_.Path("run2/store.sock");
  EXPECT_THAT(StoreService::Start(second, master_key_, SystemClock()),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_OK(Put("c", "a", "x"));
}

TEST_F(StoreServiceTest, ADamagedLogIsReportedInStatusAndLogAndStillServes) {
  for (int i = 0; i < 50; ++i) ASSERT_OK(Put("c", absl::StrCat(i), std::string(1000, 'x')));
  ASSERT_OK_AND_ASSIGN(const v1::StoreStatus before, GetStatus());
  Stop();
  // One byte is flipped in the middle of the newest log.
  const std::string db = dir_.Path("store/db");
  ASSERT_OK_AND_ASSIGN(const std::vector<DirectoryEntry> entries, ListDirectory(db));
  std::string log_path;
  for (const DirectoryEntry& entry : entries) {
    if (entry.name.ends_with(".log")) log_path = db + "/" + entry.name;
  }
  ASSERT_OK_AND_ASSIGN(const int64_t size, FileSizeBytes(log_path));
  FILE* const raw = std::fopen(log_path.c_str(), "r+b");
  ASSERT_NE(raw, nullptr);
  ASSERT_EQ(std::fseek(raw, size / 2, SEEK_SET), 0);
  const int byte = std::fgetc(raw);
  ASSERT_EQ(std::fseek(raw, size / 2, SEEK_SET), 0);
  ASSERT_EQ(std::fputc(byte ^ 1, raw), byte ^ 1);
  ASSERT_EQ(std::fclose(raw), 0);

  LogCapture log;
  Start();
  EXPECT_TRUE(store_->recovery().is_log_damaged);
  ASSERT_OK_AND_ASSIGN(const v1::StoreStatus status, GetStatus());
  EXPECT_EQ(status.sickness().kind(), v1::Sickness::KIND_LOG_DAMAGED);
  EXPECT_GT(status.sickness().lost_from_revision(), 1U);
  EXPECT_LE(status.sickness().lost_from_revision(), before.revision());
  EXPECT_NE(status.incarnation(), before.incarnation());
  EXPECT_GT(status.revision(), before.revision());
  EXPECT_LT(status.document_count(), before.document_count());
  EXPECT_THAT(log.lines(), testing::Contains(HasSubstr("acknowledged writes are missing")));
  EXPECT_OK(Put("c", "new", "x"));
  EXPECT_OK(CreateCheckpoint());
}

}  // namespace
}  // namespace holdfast
