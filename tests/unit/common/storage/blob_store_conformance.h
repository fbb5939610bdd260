#ifndef HOLDFAST_TESTS_UNIT_COMMON_STORAGE_BLOB_STORE_CONFORMANCE_H_
#define HOLDFAST_TESTS_UNIT_COMMON_STORAGE_BLOB_STORE_CONFORMANCE_H_

#include <functional>
#include <memory>
#include <string>

#include "common/storage/blob_store.h"
#include "gtest/gtest.h"

namespace holdfast {

// An implementation or a decorator, with all that it stands on.
class BlobStoreUnderTest {
 public:
  virtual ~BlobStoreUnderTest() = default;
  virtual BlobStore& store() = 0;
};

struct BlobStoreMaker {
  std::string name;
  // Makes an empty one.
  std::function<std::unique_ptr<BlobStoreUnderTest>()> make;
  // Whether the medium keeps folders apart from blobs; a bucket does not.
  bool has_folders = true;
};

// What every BlobStore does. To run it over another one:
//   INSTANTIATE_TEST_SUITE_P(Local, BlobStoreConformanceTest,
//                            testing::Values(BlobStoreMaker{"Local", [] { … }}),
//                            BlobStoreConformanceTest::NameOf);
class BlobStoreConformanceTest : public testing::TestWithParam<BlobStoreMaker> {
 public:
  static std::string NameOf(const testing::TestParamInfo<BlobStoreMaker>& info) {
    return info.param.name;
  }

 protected:
  void SetUp() override { under_test_ = GetParam().make(); }
  BlobStore& store() { return under_test_->store(); }

 private:
  std::unique_ptr<BlobStoreUnderTest> under_test_;
};

}  // namespace holdfast

#endif  // HOLDFAST_TESTS_UNIT_COMMON_STORAGE_BLOB_STORE_CONFORMANCE_H_
