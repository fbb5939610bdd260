#ifndef HOLDFAST_TESTS_TESTING_FAULT_BLOB_STORE_H_
#define HOLDFAST_TESTS_TESTING_FAULT_BLOB_STORE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/storage/blob_store.h"

namespace holdfast {

// A FaultBlobStore makes things go wrong that stand between a program and its medium:
//
//   FaultBlobStore faults(medium);
//   faults.Inject({.operation = Operation::kPut, .after_calls = 2});      // the third Put fails
//   faults.InjectRandomly(random, 0.1);                                   // a tenth of all calls
//   fails faults.StopAfter(17);      // as if the program, or the machine, were gone after 17 more
//   calls
//
// Thread-safe. Does not take ownership; `inner` must outlive this, and survives it as a disk
// survives a crash.
class FaultBlobStore : public BlobStore {
 public:
  enum class Operation { kAny, kPut, kGet, kRead, kStat, kList, kListFolders, kDelete };

  enum class Point {
    kBefore,  // nothing was done
    kMidway,  // Put: something of the source was consumed. Others: as kBefore
    kAfter,   // it was done, but the answer was lost
  };

  struct Fault {
    Operation operation = Operation::kAny;  // kRead: a Next of what Get gave
    std::string name_contains = "";         // only calls for such names; empty: all
    int after_calls = 0;                    // let so many go well
    int times = 1;                          // then let so many fail
    absl::Status status = absl::UnavailableError("injected fault");
    Point point = Point::kBefore;
  };

  explicit FaultBlobStore(BlobStore& inner) : inner_(inner) {}

  void Inject(Fault fault);

  // Every call fails with that probability, at a random point. `random` must outlive this.
  void InjectRandomly(RandomSource& random, double probability,
                      absl::Status status = absl::UnavailableError("injected random fault"));

  // Lets so many more calls go well (each Next of a source is one). From then on every call fails;
  // a Put that comes last is cut midway. As after a power loss, of what was acknowledged nothing is
  // missing.
  void StopAfter(int calls);
  bool is_stopped() const;

  // Whether it can replace a blob at once, or deletes it first and then puts the new one.
  void set_can_replace(bool can_replace) { can_replace_ = can_replace; }

  // No more faults; forgets those that were to come.
  void Clear();

  // How many calls were made.
  int calls(Operation operation = Operation::kAny) const;

  absl::Status Put(absl::string_view name, ByteSource& source) override;
  absl::Status Replace(absl::string_view name, ByteSource& source) override;
  absl::StatusOr<std::unique_ptr<ByteSource>> Get(absl::string_view name, uint64_t offset,
                                                  uint64_t length_max) override;
  absl::StatusOr<BlobInfo> Stat(absl::string_view name) override;
  absl::Status List(absl::string_view prefix,
                    const std::function<absl::Status(const BlobInfo&)>& visit) override;
  absl::StatusOr<std::vector<std::string>> ListFolders(absl::string_view prefix) override;
  absl::Status Delete(absl::string_view name) override;
  std::string Describe() const override { return inner_.Describe(); }

 private:
  class CutSource;
  class Source;

  struct Failure {
    absl::Status status;
    Point point;
  };

  // Counts a call, and tells how it is to fail, if it is.
  std::optional<Failure> NextFailure(Operation operation, absl::string_view name);

  BlobStore& inner_;
  std::atomic<bool> can_replace_ = true;

  mutable Mutex mutex_;
  std::map<Operation, int> calls_ ABSL_GUARDED_BY(mutex_);
  std::vector<Fault> faults_ ABSL_GUARDED_BY(mutex_);
  RandomSource* random_ ABSL_GUARDED_BY(mutex_) = nullptr;
  double probability_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status random_status_ ABSL_GUARDED_BY(mutex_);
  std::optional<int> calls_left_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_TESTING_FAULT_BLOB_STORE_H_
