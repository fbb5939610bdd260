// Writes document after document to the store at argv[1], whose master key is in the file argv[2],
// and tells file descriptor 3 of each that was acknowledged. DatabaseTest kills it while it writes.

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/crypto/key_source.h"
#include "tests/testing/test_store.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto key = holdfast::ReadMasterKey(argv[2]);
  if (!key.ok()) {
    holdfast::LogError("the writer failed", {{"error", key.status()}});
    return 1;
  }
  const auto store = holdfast::TestStore::Open(argv[1], *key);
  if (!store.ok()) {
    holdfast::LogError("the writer failed", {{"error", store.status()}});
    return 1;
  }
  for (int i = 0;; ++i) {
    const absl::Status put = (*store)->Put("projects", absl::StrCat("id", i), "content");
    if (!put.ok()) {
      holdfast::LogError("the writer failed", {{"error", put}});
      return 1;
    }
    if (write(3, "a", 1) != 1) return 0;
  }
}
