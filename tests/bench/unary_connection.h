#ifndef HOLDFAST_TESTS_BENCH_UNARY_CONNECTION_H_
#define HOLDFAST_TESTS_BENCH_UNARY_CONNECTION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/io/fd.h"

struct nghttp2_session;

namespace holdfast::bench {

// A UnaryConnection makes unary gRPC calls, many at once, over one HTTP/2 connection without TLS:
//
//   connection->Call("/etcdserverpb.KV/Put", request, [](absl::Status, absl::string_view) { … });
//   … wait until connection->descriptor() can be read, or be written while wants_to_write() …
//   connection->Read(); connection->Write();
//
// It does by nghttp2 what gRPC's own client does at ten times the cost; on a machine whose cores
// the client shares with the server, the client's cost is what would be measured.
//
// Not thread-safe. What is still under way when it is destroyed is never answered.
class UnaryConnection {
 public:
  // Told once how a call ended, by Read; the response is what protobuf parses, and is gone
  // afterwards. May make further calls.
  using Done = std::function<void(const absl::Status& status, absl::string_view response)>;

  // `address` is "unix:/path" or "127.0.0.1:port". Errors: those of connecting.
  static absl::StatusOr<std::unique_ptr<UnaryConnection>> Open(const std::string& address);

  ~UnaryConnection();
  UnaryConnection(const UnaryConnection&) = delete;
  UnaryConnection& operator=(const UnaryConnection&) = delete;

  // Queues a call of a method, "/package.Service/Method"; Write sends it. `path` must stay.
  void Call(const std::string& path, absl::string_view request, Done done);

  // Takes what has come. An error is the end of the connection.
  absl::Status Read();
  // Sends what is queued, as far as the other side takes it now. Errors as Read.
  absl::Status Write();

  int descriptor() const { return descriptor_.get(); }
  bool wants_to_write() const { return !unsent_.empty(); }

 private:
  struct Stream;
  struct Callbacks;

  explicit UnaryConnection(UniqueFd descriptor);

  const UniqueFd descriptor_;
  nghttp2_session* session_ = nullptr;
  std::string unsent_;
};

}  // namespace holdfast::bench

#endif  // HOLDFAST_TESTS_BENCH_UNARY_CONNECTION_H_
