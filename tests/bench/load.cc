#include "tests/bench/load.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/mutex.h"
#include "etcd.grpc.pb.h"
#include "grpcpp/alarm.h"
#include "grpcpp/grpcpp.h"
#include "holdfast/v1/document_store.grpc.pb.h"
#include "sodium.h"

namespace holdfast::bench {

namespace {

constexpr absl::string_view kCollection = "bench";
constexpr size_t kBatchBytesMax = size_t{2} << 20;
constexpr uint64_t kBatchDocumentsMax = 500;
constexpr int kCallsAtOnce = 256;

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // else all share one connection
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// Deterministic bytes for a number.
std::string RandomBytes(uint64_t number, size_t size_bytes) {
  unsigned char seed[randombytes_SEEDBYTES] = {};
  for (size_t i = 0; i < sizeof(number); ++i) seed[i] = static_cast<unsigned char>(number >> 8 * i);
  std::string bytes(size_bytes, '\0');
  randombytes_buf_deterministic(bytes.data(), bytes.size(), seed);
  return bytes;
}

// A number that looks random, and is another for each.
uint64_t Scatter(uint64_t number) {
  // splitmix64, https://prng.di.unimi.it/splitmix64.c
  uint64_t z = number + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// Counts what is under way.
class InFlight {
 public:
  void Add() {
    MutexLock lock(&mutex_);
    ++count_;
  }
  void Remove() {
    MutexLock lock(&mutex_);
    --count_;
    changed_.SignalAll();
  }
  // Returns once there are at most so many.
  void AwaitAtMost(int count) {
    MutexLock lock(&mutex_);
    while (count_ > count) changed_.Wait(&mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Makes one call; `done` is told how it ended.
using Done = std::function<void(const grpc::Status&)>;
class Caller {
 public:
  virtual ~Caller() = default;
  virtual void Put(const std::string& id, std::string content, Done done) = 0;
  virtual void Get(const std::string& id, Done done) = 0;
};

// What a call needs until it has ended.
template <typename Request, typename Response>
struct Call {
  grpc::ClientContext context;
  Request request;
  Response response;
};

class HoldfastCaller : public Caller {
 public:
  explicit HoldfastCaller(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::DocumentStore::NewStub(channel)) {}

  void Put(const std::string& id, std::string content, Done done) override {
    auto call = std::make_shared<Call<v1::PutDocumentRequest, v1::PutDocumentResponse>>();
    call->request.set_collection(std::string(kCollection));
    call->request.set_id(id);
    call->request.set_content(std::move(content));
    stub_->async()->PutDocument(&call->context, &call->request, &call->response,
                                [call, done = std::move(done)](const grpc::Status& s) { done(s); });
  }

  void Get(const std::string& id, Done done) override {
    auto call = std::make_shared<Call<v1::GetDocumentRequest, v1::GetDocumentResponse>>();
    call->request.set_collection(std::string(kCollection));
    call->request.set_id(id);
    stub_->async()->GetDocument(&call->context, &call->request, &call->response,
                                [call, done = std::move(done)](const grpc::Status& s) { done(s); });
  }

 private:
  const std::unique_ptr<v1::DocumentStore::Stub> stub_;
};

class EtcdCaller : public Caller {
 public:
  explicit EtcdCaller(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(etcdserverpb::KV::NewStub(channel)) {}

  void Put(const std::string& id, std::string content, Done done) override {
    auto call = std::make_shared<Call<etcdserverpb::PutRequest, etcdserverpb::PutResponse>>();
    call->request.set_key(absl::StrCat(kCollection, "/", id));
    call->request.set_value(std::move(content));
    stub_->async()->Put(&call->context, &call->request, &call->response,
                        [call, done = std::move(done)](const grpc::Status& s) { done(s); });
  }

  void Get(const std::string& id, Done done) override {
    auto call = std::make_shared<Call<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>>();
    call->request.set_key(absl::StrCat(kCollection, "/", id));
    call->request.set_serializable(true);
    stub_->async()->Range(&call->context, &call->request, &call->response,
                          [call, done = std::move(done)](const grpc::Status& s) {
                            if (s.ok() && call->response.kvs_size() != 1) {
                              done(grpc::Status(grpc::StatusCode::NOT_FOUND, "no such key"));
                            } else {
                              done(s);
                            }
                          });
  }

 private:
  const std::unique_ptr<etcdserverpb::KV::Stub> stub_;
};

std::unique_ptr<Caller> MakeCaller(const Server& server) {
  const std::shared_ptr<grpc::Channel> channel = Connect(server.address);
  if (server.kind == Server::Kind::kEtcd) return std::make_unique<EtcdCaller>(channel);
  return std::make_unique<HoldfastCaller>(channel);
}

// One client: makes call after call until the end.
class Client {
 public:
  // All that is given must outlive this. It leaves `running` after its last call.
  Client(Caller& caller, const LoadOptions& options, uint64_t seed, absl::Time start,
         absl::Duration interval, InFlight& running)
      : caller_(caller),
        options_(options),
        state_(seed),
        measured_from_(start + options.warm_up),
        end_(measured_from_ + options.duration),
        interval_(interval),
        turn_(start + interval * (static_cast<double>(Scatter(seed) % 1000) / 1000)),
        running_(running) {
    running_.Add();
  }

  void Start() { Next(); }

  // REQUIRES, of these: the client has ended.
  const std::vector<absl::Duration>& latencies() const { return latencies_; }
  uint64_t failures() const { return failures_; }
  const std::string& first_failure() const { return first_failure_; }

 private:
  void Next() {
    const absl::Time now = absl::Now();
    if (std::max(now, turn_) >= end_) {
      running_.Remove();
      return;
    }
    if (interval_ > absl::ZeroDuration() && turn_ > now) {
      alarm_.Set(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(turn_ - now),
                 [this](bool /*is_ok*/) { Call(); });
    } else {
      Call();
    }
  }

  void Call() {
    const absl::Time begin = interval_ > absl::ZeroDuration() ? turn_ : absl::Now();
    turn_ += interval_;
    state_ = Scatter(state_);
    const std::string id = MakeDocumentId(state_ % options_.documents);
    const Done done = [this, begin](const grpc::Status& status) {
      if (!status.ok()) {
        if (failures_++ == 0) first_failure_ = status.error_message();
      } else if (begin >= measured_from_) {
        latencies_.push_back(absl::Now() - begin);
      }
      Next();
    };
    if (options_.operation == LoadOptions::Operation::kPut) {
      caller_.Put(id, MakeDocument(state_, options_.size_bytes), done);
    } else {
      caller_.Get(id, done);
    }
  }

  Caller& caller_;
  const LoadOptions& options_;
  uint64_t state_;
  const absl::Time measured_from_;
  const absl::Time end_;
  const absl::Duration interval_;
  absl::Time turn_;
  InFlight& running_;
  grpc::Alarm alarm_;
  std::vector<absl::Duration> latencies_;
  uint64_t failures_ = 0;
  std::string first_failure_;
};

absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace

std::string MakeDocument(uint64_t number, size_t size_bytes) {
  std::string text = absl::Base64Escape(RandomBytes(number, size_bytes * 3 / 4 + 3));
  text.resize(size_bytes < 2 ? 0 : size_bytes - 2);
  return absl::StrCat("\"", text, "\"");
}

std::string MakeDocumentId(uint64_t number) { return absl::StrFormat("%016x", Scatter(number)); }

absl::Status Fill(const Server& server, uint64_t first, uint64_t count, size_t size_bytes) {
  if (server.kind == Server::Kind::kEtcd) {
    // It has no batches of use; many calls at once do.
    const std::unique_ptr<Caller> caller = MakeCaller(server);
    InFlight calls;
    std::atomic<int> failures = 0;
    for (uint64_t number = first; number < first + count; ++number) {
      calls.AwaitAtMost(kCallsAtOnce - 1);
      calls.Add();
      caller->Put(MakeDocumentId(number), MakeDocument(number, size_bytes),
                  [&](const grpc::Status& status) {
                    if (!status.ok()) ++failures;
                    calls.Remove();
                  });
    }
    calls.AwaitAtMost(0);
    return failures == 0 ? absl::OkStatus()
                         : absl::UnavailableError(absl::StrCat(failures.load(), " puts failed"));
  }
  const auto stub = v1::DocumentStore::NewStub(Connect(server.address));
  const uint64_t batch = std::clamp<uint64_t>(kBatchBytesMax / size_bytes, 1, kBatchDocumentsMax);
  for (uint64_t number = first; number < first + count;) {
    v1::WriteDocumentsRequest request;
    for (uint64_t i = 0; i < batch && number < first + count; ++i, ++number) {
      v1::PutDocumentRequest& put = *request.add_writes()->mutable_put();
      put.set_collection(std::string(kCollection));
      put.set_id(MakeDocumentId(number));
      put.set_content(MakeDocument(number, size_bytes));
    }
    grpc::ClientContext context;
    v1::WriteDocumentsResponse response;
    const grpc::Status status = stub->WriteDocuments(&context, request, &response);
    if (!status.ok()) return ToAbsl(status);
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadResult> RunLoad(const Server& server, const LoadOptions& options) {
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < options.connections; ++i) callers.push_back(MakeCaller(server));
  InFlight running;
  const absl::Duration interval =
      options.rate > 0 ? absl::Seconds(options.clients / options.rate) : absl::ZeroDuration();
  std::vector<std::unique_ptr<Client>> clients;
  const absl::Time start = absl::Now();
  for (int i = 0; i < options.clients; ++i) {
    clients.push_back(
        std::make_unique<Client>(*callers[static_cast<size_t>(i % options.connections)], options,
                                 static_cast<uint64_t>(i) + 1, start, interval, running));
  }
  for (const auto& client : clients) client->Start();
  running.AwaitAtMost(0);

  LoadResult result;
  std::vector<absl::Duration> latencies;
  for (const auto& client : clients) {
    latencies.insert(latencies.end(), client->latencies().begin(), client->latencies().end());
    if (result.failures == 0) result.first_failure = client->first_failure();
    result.failures += client->failures();
  }
  if (latencies.empty()) {
    return absl::UnavailableError(absl::StrCat("no call succeeded: ", result.first_failure));
  }
  std::sort(latencies.begin(), latencies.end());
  const auto quantile = [&](double q) {
    return latencies[static_cast<size_t>(q * static_cast<double>(latencies.size() - 1))];
  };
  result.calls = latencies.size();
  result.calls_per_second =
      static_cast<double>(latencies.size()) / absl::ToDoubleSeconds(options.duration);
  result.p50 = quantile(0.5);
  result.p99 = quantile(0.99);
  result.p999 = quantile(0.999);
  result.max = latencies.back();
  return result;
}

}  // namespace holdfast::bench
