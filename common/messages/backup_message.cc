#include "common/messages/backup_message.h"

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "common/messages/proto_time.h"

namespace holdfast {

v1::Backup DescribeBackup(const repository::v1::BackupSummary& summary) {
  v1::Backup backup;
  backup.set_backup_id(summary.backup_id());
  backup.set_store_id(absl::BytesToHexString(summary.store_id()));
  backup.set_incarnation(absl::BytesToHexString(summary.incarnation()));
  backup.set_ordinal(summary.ordinal());
  *backup.mutable_checkpoint_time() = ToProto(absl::FromUnixMicros(summary.checkpoint_time_us()));
  backup.set_revision(summary.revision());
  *backup.mutable_commit_time() = ToProto(absl::FromUnixMicros(summary.commit_time_us()));
  backup.set_document_count(summary.document_count());
  backup.set_state_digest(absl::BytesToHexString(summary.state_digest()));
  backup.set_file_count(summary.file_count());
  backup.set_size_bytes(summary.size_bytes());
  backup.set_added_bytes(summary.added_bytes());
  return backup;
}

}  // namespace holdfast
