#ifndef HOLDFAST_STORE_SERVICE_SERVICE_CHECKPOINT_SERVICE_H_
#define HOLDFAST_STORE_SERVICE_SERVICE_CHECKPOINT_SERVICE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/executor.h"
#include "holdfast/v1/checkpoints.grpc.pb.h"
#include "store-service/checkpoints/backup_memory.h"
#include "store-service/checkpoints/checkpoint_manager.h"
#include "store-service/documents/committer.h"
#include "store-service/documents/sickness.h"

namespace holdfast {

// The streams of checkpoint files that are under way.
class FileStreams;

// holdfast.v1.Checkpoints over a CheckpointManager. It only translates. Files are read on an
// executor of their own, so that slow readers hold up neither each other nor anything else; of each
// stream one chunk is on its way at a time. A stream costs memory and an open file for as long as
// its reader likes, so there are at most kFileStreamsMax, and EndStuckStreams ends those that get
// nowhere.
//
// Thread-safe. Does not take ownership; all that Options points to must outlive all calls, and the
// executors must still work while calls end.
class CheckpointService : public v1::Checkpoints::WithRawCallbackMethod_ReadCheckpointFile<
                              v1::Checkpoints::CallbackService> {
 public:
  // An agent has three.
  static constexpr size_t kFileStreamsMax = 64;
  // How long a chunk may wait for its reader.
  static constexpr absl::Duration kReaderPauseMax = absl::Minutes(10);

  struct Options {
    CheckpointManager* checkpoints;
    BackupMemory* backups;
    Committer* committer;
    SicknessRecord* sickness;
    Clock* clock;
    Committer::FreeSpace free_space;
    Executor* executor;       // for all but the reading of files
    Executor* read_executor;  // for that
    // What never changes while the store is open.
    std::string store_id;
    std::string incarnation;
    std::vector<std::string> earlier_incarnations;
    std::vector<v1::RevisionGap> revision_gaps;
    absl::Time open_time;
    std::string version;
  };

  explicit CheckpointService(Options options);
  ~CheckpointService() override;

  // Cancels the streams whose reader has not taken a chunk for kReaderPauseMax, and those that wait
  // for a reader although their checkpoint was dropped. To be called now and then.
  void EndStuckStreams();

  grpc::ServerUnaryReactor* CreateCheckpoint(grpc::CallbackServerContext* context,
                                             const v1::CreateCheckpointRequest* request,
                                             v1::CreateCheckpointResponse* response) override;
  grpc::ServerUnaryReactor* ListCheckpointFiles(grpc::CallbackServerContext* context,
                                                const v1::ListCheckpointFilesRequest* request,
                                                v1::ListCheckpointFilesResponse* response) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* ReadCheckpointFile(
      grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* RenewCheckpoint(grpc::CallbackServerContext* context,
                                            const v1::RenewCheckpointRequest* request,
                                            v1::RenewCheckpointResponse* response) override;
  grpc::ServerUnaryReactor* ReleaseCheckpoint(grpc::CallbackServerContext* context,
                                              const v1::ReleaseCheckpointRequest* request,
                                              v1::ReleaseCheckpointResponse* response) override;
  grpc::ServerUnaryReactor* ReportBackup(grpc::CallbackServerContext* context,
                                         const v1::ReportBackupRequest* request,
                                         v1::ReportBackupResponse* response) override;
  grpc::ServerUnaryReactor* GetStoreStatus(grpc::CallbackServerContext* context,
                                           const v1::GetStoreStatusRequest* request,
                                           v1::StoreStatus* response) override;

 private:
  v1::Checkpoint Describe(const CheckpointInfo& info) const;
  void FillStatus(v1::StoreStatus& status) const;

  const Options options_;
  const std::unique_ptr<FileStreams> streams_;
};

}  // namespace holdfast

#endif  // HOLDFAST_STORE_SERVICE_SERVICE_CHECKPOINT_SERVICE_H_
