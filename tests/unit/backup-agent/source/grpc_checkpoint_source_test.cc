#include "backup-agent/source/grpc_checkpoint_source.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/thread.h"
#include "common/crypto/hash.h"
#include "common/rpc/unix_socket.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "holdfast/v1/checkpoints.grpc.pb.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace holdfast {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

// A store whose answers a test writes.
class ScriptedStore : public v1::Checkpoints::Service {
 public:
  using List = std::function<grpc::Status(const v1::ListCheckpointFilesRequest&,
                                          v1::ListCheckpointFilesResponse&)>;
  using Read =
      std::function<grpc::Status(grpc::ServerContext&, const v1::ReadCheckpointFileRequest&,
                                 grpc::ServerWriter<v1::ReadCheckpointFileResponse>&)>;

  grpc::Status CreateCheckpoint(grpc::ServerContext*, const v1::CreateCheckpointRequest* request,
                                v1::CreateCheckpointResponse* response) override {
    response->mutable_checkpoint()->set_checkpoint_id(absl::StrCat("c1 of ", request->holder()));
    return grpc::Status::OK;
  }

  grpc::Status ListCheckpointFiles(grpc::ServerContext*,
                                   const v1::ListCheckpointFilesRequest* request,
                                   v1::ListCheckpointFilesResponse* response) override {
    MutexLock lock(&mutex_);
    return list_(*request, *response);
  }

  grpc::Status ReadCheckpointFile(
      grpc::ServerContext* context, const v1::ReadCheckpointFileRequest* request,
      grpc::ServerWriter<v1::ReadCheckpointFileResponse>* writer) override {
    Read read;
    {
      MutexLock lock(&mutex_);
      read = read_;
    }
    return read(*context, *request, *writer);
  }

  grpc::Status RenewCheckpoint(grpc::ServerContext*, const v1::RenewCheckpointRequest*,
                               v1::RenewCheckpointResponse* response) override {
    MutexLock lock(&mutex_);
    response->mutable_lease_duration()->set_seconds(renewed_seconds_);
    return grpc::Status::OK;
  }

  grpc::Status ReleaseCheckpoint(grpc::ServerContext*, const v1::ReleaseCheckpointRequest* request,
                                 v1::ReleaseCheckpointResponse*) override {
    return request->checkpoint_id() == "c1"
               ? grpc::Status::OK
               : grpc::Status(grpc::StatusCode::NOT_FOUND, "no such checkpoint");
  }

  grpc::Status ReportBackup(grpc::ServerContext*, const v1::ReportBackupRequest* request,
                            v1::ReportBackupResponse*) override {
    MutexLock lock(&mutex_);
    reported_ = request->backup();
    return grpc::Status::OK;
  }

  grpc::Status GetStoreStatus(grpc::ServerContext*, const v1::GetStoreStatusRequest*,
                              v1::StoreStatus* response) override {
    response->set_version("1.2.3");
    return grpc::Status::OK;
  }

  void set_list(List list) {
    MutexLock lock(&mutex_);
    list_ = std::move(list);
  }
  void set_read(Read read) {
    MutexLock lock(&mutex_);
    read_ = std::move(read);
  }
  void set_renewed_seconds(int64_t seconds) {
    MutexLock lock(&mutex_);
    renewed_seconds_ = seconds;
  }
  v1::BackupReport reported() {
    MutexLock lock(&mutex_);
    return reported_;
  }

 private:
  Mutex mutex_;
  List list_ ABSL_GUARDED_BY(mutex_);
  Read read_ ABSL_GUARDED_BY(mutex_);
  int64_t renewed_seconds_ ABSL_GUARDED_BY(mutex_) = 600;
  v1::BackupReport reported_ ABSL_GUARDED_BY(mutex_);
};

// Streams `content` from the offset asked for, in pieces of that size.
auto Serve(const std::string& content, size_t piece_size_bytes) {
  return [=](grpc::ServerContext&, const v1::ReadCheckpointFileRequest& request,
             grpc::ServerWriter<v1::ReadCheckpointFileResponse>& writer) {
    for (size_t offset = request.offset(); offset < content.size(); offset += piece_size_bytes) {
      v1::ReadCheckpointFileResponse response;
      response.set_data(content.substr(offset, piece_size_bytes));
      if (!writer.Write(response)) break;
    }
    return grpc::Status::OK;
  };
}

absl::StatusOr<std::string> ReadAll(ByteSource& source) {
  std::string all;
  while (true) {
    const absl::StatusOr<absl::Span<const uint8_t>> piece = source.Next();
    if (!piece.ok()) return piece.status();
    if (piece->empty()) return all;
    absl::StrAppend(&all, AsText(*piece));
  }
}

class GrpcCheckpointSourceTest : public testing::Test {
 protected:
  GrpcCheckpointSourceTest() : socket_(dir_.Path("store.sock")) {
    grpc_init();  // kept for good: gRPC takes up to 10 s to end after its last user has gone
    source_ = MakeGrpcCheckpointSource(socket_, SystemClock());
    Start();
  }
  ~GrpcCheckpointSourceTest() override {
    source_.reset();
    Stop();
  }

  void Start() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(UnixSocketAddress(socket_), grpc::InsecureServerCredentials());
    builder.RegisterService(&store_);
    // In a process that is client and server at once a thread of a synchronous server may sleep
    // over what it is to do until this has passed; it is 10 s unless set.
    builder.SetSyncServerOption(grpc::ServerBuilder::CQ_TIMEOUT_MSEC, 50);
    server_ = builder.BuildAndStart();
  }
  void Stop() {
    if (server_ != nullptr) server_->Shutdown(gpr_inf_past(GPR_CLOCK_REALTIME));
    server_.reset();
  }

  TempDir dir_;
  const std::string socket_;
  ScriptedStore store_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<CheckpointSource> source_;
};

TEST_F(GrpcCheckpointSourceTest, PassesOnWhatTheStoreSays) {
  ASSERT_OK_AND_ASSIGN(const v1::StoreStatus status, source_->GetStatus({}));
  EXPECT_EQ(status.version(), "1.2.3");
  ASSERT_OK_AND_ASSIGN(const v1::Checkpoint checkpoint, source_->CreateCheckpoint("agent-1", {}));
  EXPECT_EQ(checkpoint.checkpoint_id(), "c1 of agent-1");
  EXPECT_THAT(source_->Renew("c1", {}), IsOkAndHolds(absl::Minutes(10)));
  v1::BackupReport report;
  report.set_backup_id("b1");
  EXPECT_OK(source_->ReportBackup(report, {}));
  EXPECT_EQ(store_.reported().backup_id(), "b1");
  EXPECT_OK(source_->Release("c1"));
  EXPECT_THAT(source_->Release("c2"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no such checkpoint")));
}

TEST_F(GrpcCheckpointSourceTest, LeaseIsBoundedWhateverTheStoreSays) {
  store_.set_renewed_seconds(INT64_C(1) << 60);
  EXPECT_THAT(source_->Renew("c1", {}), IsOkAndHolds(absl::Hours(24)));
  store_.set_renewed_seconds(-7);
  EXPECT_THAT(source_->Renew("c1", {}), IsOkAndHolds(absl::ZeroDuration()));
}

TEST_F(GrpcCheckpointSourceTest, ListsAllPages) {
  store_.set_list(
      [](const v1::ListCheckpointFilesRequest& request, v1::ListCheckpointFilesResponse& response) {
        response.add_files()->set_name(request.page_token() + "x");
        if (request.page_token().size() < 2)
          response.set_next_page_token(request.page_token() + "p");
        return grpc::Status::OK;
      });
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::CheckpointFile> files,
                       source_->ListFiles("c1", 3, {}));
  ASSERT_THAT(files, SizeIs(3));
  EXPECT_EQ(files[2].name(), "ppx");
}

TEST_F(GrpcCheckpointSourceTest, ListWithoutEndIsCut) {
  store_.set_list(
      [](const v1::ListCheckpointFilesRequest&, v1::ListCheckpointFilesResponse& response) {
        response.add_files()->set_name("x");
        response.set_next_page_token("more");
        return grpc::Status::OK;
      });
  EXPECT_THAT(source_->ListFiles("c1", 50, {}), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(GrpcCheckpointSourceTest, ListOfEmptyPagesWithoutEndIsCut) {
  store_.set_list(
      [](const v1::ListCheckpointFilesRequest&, v1::ListCheckpointFilesResponse& response) {
        response.set_next_page_token("more");
        return grpc::Status::OK;
      });
  EXPECT_THAT(source_->ListFiles("c1", 50, {}), StatusIs(absl::StatusCode::kInternal));
}

TEST_F(GrpcCheckpointSourceTest, StreamsAFileFromAnOffset) {
  std::string content(3'000'000, 'a');
  content.replace(2'000'000, 3, "xyz");
  store_.set_read(Serve(content, 1 << 20));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ByteSource> all,
                       source_->ReadFile("c1", "000010.sst", 0, {}));
  ASSERT_OK_AND_ASSIGN(const std::string read, ReadAll(*all));
  EXPECT_TRUE(read == content);
  EXPECT_THAT(ReadAll(*all), IsOkAndHolds(""));  // the end stays the end
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ByteSource> rest,
                       source_->ReadFile("c1", "000010.sst", 2'000'000, {}));
  ASSERT_OK_AND_ASSIGN(const std::string read_rest, ReadAll(*rest));
  EXPECT_TRUE(read_rest == content.substr(2'000'000));
}

TEST_F(GrpcCheckpointSourceTest, ErrorOfTheStoreEndsTheStreamWithItsCode) {
  store_.set_read([](grpc::ServerContext&, const v1::ReadCheckpointFileRequest&,
                     grpc::ServerWriter<v1::ReadCheckpointFileResponse>& writer) {
    v1::ReadCheckpointFileResponse response;
    response.set_data("abc");
    writer.Write(response);
    return grpc::Status(grpc::StatusCode::DATA_LOSS, "000010.sst is damaged");
  });
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ByteSource> source,
                       source_->ReadFile("c1", "000010.sst", 0, {}));
  EXPECT_OK(source->Next());
  EXPECT_THAT(source->Next(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("is damaged")));
  EXPECT_THAT(source->Next(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(GrpcCheckpointSourceTest, PieceThatIsEmptyOrTooLargeIsRefused) {
  for (const size_t size_bytes : {size_t{0}, (size_t{1} << 20) + 1}) {
    store_.set_read([=](grpc::ServerContext&, const v1::ReadCheckpointFileRequest&,
                        grpc::ServerWriter<v1::ReadCheckpointFileResponse>& writer) {
      v1::ReadCheckpointFileResponse response;
      response.set_data(std::string(size_bytes, 'x'));
      writer.Write(response);
      return grpc::Status::OK;
    });
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ByteSource> source,
                         source_->ReadFile("c1", "000010.sst", 0, {}));
    EXPECT_THAT(source->Next(), StatusIs(absl::StatusCode::kInternal));
  }
}

TEST_F(GrpcCheckpointSourceTest, StreamThatIsGivenUpEndsAtTheStoreToo) {
  store_.set_read([](grpc::ServerContext&, const v1::ReadCheckpointFileRequest&,
                     grpc::ServerWriter<v1::ReadCheckpointFileResponse>& writer) {
    v1::ReadCheckpointFileResponse response;
    response.set_data(std::string(1000, 'x'));
    while (writer.Write(response)) {
    }
    return grpc::Status::OK;
  });
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<ByteSource> source,
                       source_->ReadFile("c1", "000010.sst", 0, {}));
  EXPECT_OK(source->Next());
  source.reset();
  Stop();  // would not return if the call still ran
}

// Lets a stream of the store wait until the client is gone.
grpc::Status WaitForClient(grpc::ServerContext& context, const v1::ReadCheckpointFileRequest&,
                           grpc::ServerWriter<v1::ReadCheckpointFileResponse>& writer) {
  v1::ReadCheckpointFileResponse response;
  response.set_data("abc");
  writer.Write(response);
  Mutex mutex;
  CondVar never;
  MutexLock lock(&mutex);
  while (!context.IsCancelled()) {
    SystemClock().WaitFor(&never, &mutex, absl::Milliseconds(1));
  }
  return grpc::Status::CANCELLED;
}

TEST_F(GrpcCheckpointSourceTest, CancellationEndsAStream) {
  store_.set_read(WaitForClient);
  CancellationSource cancel;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ByteSource> source,
                       source_->ReadFile("c1", "000010.sst", 0, cancel.token()));
  EXPECT_OK(source->Next());
  Thread thread("cancel", [&] { cancel.Cancel(absl::CancelledError("somebody left")); });
  EXPECT_THAT(source->Next(), StatusIs(absl::StatusCode::kCancelled, "somebody left"));
}

TEST_F(GrpcCheckpointSourceTest, CallThatIsCancelledBeforeIsNotMade) {
  CancellationSource cancel;
  cancel.Cancel(absl::CancelledError("too late"));
  EXPECT_THAT(source_->GetStatus(cancel.token()),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("too late")));
  EXPECT_THAT(source_->ReadFile("c1", "x", 0, cancel.token()),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(GrpcCheckpointSourceTest, StoreThatStopsSendingIsGivenUp) {
  FakeClock clock;
  source_ = MakeGrpcCheckpointSource(socket_, clock);
  store_.set_read(WaitForClient);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ByteSource> source,
                       source_->ReadFile("c1", "000010.sst", 0, {}));
  EXPECT_OK(source->Next());
  // The alarm is set when the read begins; time passes until it rings.
  bool has_ended = false;
  Mutex mutex;
  Thread thread("time", [&] {
    while (true) {
      {
        MutexLock lock(&mutex);
        if (has_ended) return;
      }
      clock.Advance(absl::Seconds(60));
    }
  });
  EXPECT_THAT(source->Next(),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("sent nothing for 1m")));
  MutexLock lock(&mutex);
  has_ended = true;
}

TEST_F(GrpcCheckpointSourceTest, StoreThatIsNotThereIsUnavailableAndFoundAgainLater) {
  Stop();
  EXPECT_THAT(source_->GetStatus({}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("cannot reach holdfast-store")));
  Start();
  absl::Status status;
  do {  // it connects again by itself, soon
    status = source_->GetStatus({}).status();
  } while (absl::IsUnavailable(status));
  EXPECT_OK(status);
}

}  // namespace
}  // namespace holdfast
