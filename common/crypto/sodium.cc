#include "common/crypto/sodium.h"

#include <sodium.h>

#include "common/base/check.h"

namespace holdfast::internal {

void EnsureSodium() {
  [[maybe_unused]] static const bool kIsReady = [] {
    HOLDFAST_CHECK(sodium_init() >= 0, "libsodium cannot be initialised");
    return true;
  }();
}

}  // namespace holdfast::internal
