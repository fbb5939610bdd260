#ifndef HOLDFAST_COMMON_CRYPTO_SODIUM_H_
#define HOLDFAST_COMMON_CRYPTO_SODIUM_H_

namespace holdfast::internal {

// Makes libsodium ready: without it sodium_malloc crashes, and everything else takes the slow
// portable code. To be called before anything of libsodium's; cheap when it was called before. The
// process ends if it fails.
//
// Private to this folder. Thread-safe.
void EnsureSodium();

}  // namespace holdfast::internal

#endif  // HOLDFAST_COMMON_CRYPTO_SODIUM_H_
