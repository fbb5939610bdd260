#ifndef HOLDFAST_COMMON_MESSAGES_BACKUP_MESSAGE_H_
#define HOLDFAST_COMMON_MESSAGES_BACKUP_MESSAGE_H_

#include "holdfast/repository/v1/repository.pb.h"
#include "holdfast/v1/backup_agent.pb.h"

namespace holdfast {

// A backup as its manifest's summary tells of it. What only a listing knows is left empty: the hash
// of the manifest, and the destinations that hold it.
v1::Backup DescribeBackup(const repository::v1::BackupSummary& summary);

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_MESSAGES_BACKUP_MESSAGE_H_
