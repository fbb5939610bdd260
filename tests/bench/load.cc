#include "tests/bench/load.h"

#include <poll.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "etcd.pb.h"
#include "google/protobuf/message_lite.h"
#include "grpcpp/grpcpp.h"
#include "holdfast/v1/document_store.grpc.pb.h"
#include "sodium.h"
#include "tests/bench/unary_connection.h"

namespace holdfast::bench {

namespace {

constexpr absl::string_view kCollection = "bench";
constexpr size_t kBatchBytesMax = size_t{2} << 20;
constexpr uint64_t kBatchDocumentsMax = 500;
constexpr uint64_t kCallsAtOnce = 256;

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

// How a server's calls are written and read. Only the bytes differ.
class Api {
 public:
  virtual ~Api() = default;
  virtual const std::string& put_method() const = 0;
  virtual const std::string& get_method() const = 0;
  virtual std::string EncodePut(const std::string& id, std::string content) const = 0;
  virtual std::string EncodeGet(const std::string& id) const = 0;
  // Whether it is what a get of one document is answered with.
  virtual bool IsFound(absl::string_view response) const = 0;
};

bool Parse(absl::string_view bytes, google::protobuf::MessageLite& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

class HoldfastApi : public Api {
 public:
  const std::string& put_method() const override { return put_method_; }
  const std::string& get_method() const override { return get_method_; }
  std::string EncodePut(const std::string& id, std::string content) const override {
    v1::PutDocumentRequest request;
    request.set_collection(std::string(kCollection));
    request.set_id(id);
    request.set_content(std::move(content));
    return request.SerializeAsString();
  }
  std::string EncodeGet(const std::string& id) const override {
    v1::GetDocumentRequest request;
    request.set_collection(std::string(kCollection));
    request.set_id(id);
    return request.SerializeAsString();
  }
  bool IsFound(absl::string_view response) const override {
    v1::GetDocumentResponse parsed;
    return Parse(response, parsed) && !parsed.document().content().empty();
  }

 private:
  const std::string put_method_ = "/holdfast.v1.DocumentStore/PutDocument";
  const std::string get_method_ = "/holdfast.v1.DocumentStore/GetDocument";
};

class EtcdApi : public Api {
 public:
  const std::string& put_method() const override { return put_method_; }
  const std::string& get_method() const override { return get_method_; }
  std::string EncodePut(const std::string& id, std::string content) const override {
    etcdserverpb::PutRequest request;
    request.set_key(absl::StrCat(kCollection, "/", id));
    request.set_value(std::move(content));
    return request.SerializeAsString();
  }
  std::string EncodeGet(const std::string& id) const override {
    etcdserverpb::RangeRequest request;
    request.set_key(absl::StrCat(kCollection, "/", id));
    request.set_serializable(true);
    return request.SerializeAsString();
  }
  bool IsFound(absl::string_view response) const override {
    etcdserverpb::RangeResponse parsed;
    return Parse(response, parsed) && parsed.kvs_size() == 1 && !parsed.kvs(0).value().empty();
  }

 private:
  const std::string put_method_ = "/etcdserverpb.KV/Put";
  const std::string get_method_ = "/etcdserverpb.KV/Range";
};

// Connections to a server, and the one thread that reads and writes them all.
class Loop {
 public:
  static absl::StatusOr<std::unique_ptr<Loop>> Open(const Server& server, int connections) {
    auto loop = std::unique_ptr<Loop>(new Loop(server));
    for (int i = 0; i < connections; ++i) {
      HOLDFAST_ASSIGN_OR_RETURN(loop->connections_.emplace_back(),
                                UnaryConnection::Open(server.address));
    }
    return loop;
  }

  // Call from anywhere, also before Run. `connection` may be any number.
  void Put(size_t connection, const std::string& id, std::string content,
           UnaryConnection::Done done) {
    connections_[connection % connections_.size()]->Call(
        api_->put_method(), api_->EncodePut(id, std::move(content)), std::move(done));
  }
  void Get(size_t connection, const std::string& id, UnaryConnection::Done done) {
    connections_[connection % connections_.size()]->Call(
        api_->get_method(), api_->EncodeGet(id),
        [this, done = std::move(done)](const absl::Status& status, absl::string_view response) {
          const bool is_missing = status.ok() && !api_->IsFound(response);
          done(is_missing ? absl::NotFoundError("no such document") : status, response);
        });
  }
  void At(absl::Time time, std::function<void()> function) {
    timers_.emplace(time, std::move(function));
  }

  // Sends, takes answers and keeps the times until `is_done`.
  absl::Status RunUntil(const std::function<bool()>& is_done) {
    std::vector<pollfd> polled(connections_.size());
    while (!is_done()) {
      while (!timers_.empty() && timers_.begin()->first <= absl::Now()) {
        const std::function<void()> function = std::move(timers_.extract(timers_.begin()).mapped());
        function();
      }
      for (size_t i = 0; i < connections_.size(); ++i) {
        UnaryConnection& connection = *connections_[i];
        HOLDFAST_RETURN_IF_ERROR(connection.Write());
        const int wanted = connection.wants_to_write() ? POLLIN | POLLOUT : POLLIN;
        polled[i] = {connection.descriptor(), static_cast<short>(wanted), 0};
      }
      const absl::Time now = absl::Now();
      const absl::Duration wait = timers_.empty() ? kSilenceMax
                                                  : std::clamp(timers_.begin()->first - now,
                                                               absl::ZeroDuration(), kSilenceMax);
      const timespec timeout = absl::ToTimespec(wait);
      const int ready = ppoll(polled.data(), polled.size(), &timeout, nullptr);
      if (ready == 0 && wait == kSilenceMax) return absl::UnavailableError("no answer comes");
      for (size_t i = 0; ready > 0 && i < connections_.size(); ++i) {
        if ((polled[i].revents & ~POLLOUT) == 0) continue;
        HOLDFAST_RETURN_IF_ERROR(connections_[i]->Read());
      }
    }
    return absl::OkStatus();
  }

 private:
  // Longer than any server takes.
  static constexpr absl::Duration kSilenceMax = absl::Seconds(60);

  explicit Loop(const Server& server) {
    if (server.kind == Server::Kind::kEtcd) {
      api_ = std::make_unique<EtcdApi>();
    } else {
      api_ = std::make_unique<HoldfastApi>();
    }
  }

  std::unique_ptr<Api> api_;
  std::vector<std::unique_ptr<UnaryConnection>> connections_;
  std::multimap<absl::Time, std::function<void()>> timers_;
};

// One client: makes call after call until the end.
class Client {
 public:
  // All that is given must outlive this.
  Client(Loop& loop, const LoadOptions& options, uint64_t number, absl::Time start,
         absl::Duration interval)
      : loop_(loop),
        options_(options),
        number_(number),
        state_(number + 1),
        measured_from_(start + options.warm_up),
        end_(measured_from_ + options.duration),
        interval_(interval),
        turn_(start + interval * (static_cast<double>(Scatter(state_) % 1000) / 1000)) {}

  void Start() { Next(); }

  bool has_ended() const { return has_ended_; }
  const std::vector<absl::Duration>& latencies() const { return latencies_; }
  uint64_t failures() const { return failures_; }
  const std::string& first_failure() const { return first_failure_; }

 private:
  void Next() {
    const absl::Time now = absl::Now();
    if (std::max(now, turn_) >= end_) {
      has_ended_ = true;
      return;
    }
    if (interval_ > absl::ZeroDuration() && turn_ > now) {
      loop_.At(turn_, [this] { Call(); });
    } else {
      Call();
    }
  }

  void Call() {
    begin_ = interval_ > absl::ZeroDuration() ? turn_ : absl::Now();
    turn_ += interval_;
    state_ = Scatter(state_);
    const std::string id = MakeDocumentId(state_ % options_.documents);
    const auto done = [this](const absl::Status& status, absl::string_view /*response*/) {
      if (!status.ok()) {
        if (failures_++ == 0) first_failure_ = std::string(status.message());
      } else if (begin_ >= measured_from_) {
        latencies_.push_back(absl::Now() - begin_);
      }
      Next();
    };
    if (options_.operation == LoadOptions::Operation::kPut) {
      loop_.Put(number_, id, MakeDocument(state_, options_.size_bytes), done);
    } else {
      loop_.Get(number_, id, done);
    }
  }

  Loop& loop_;
  const LoadOptions& options_;
  const uint64_t number_;
  uint64_t state_;
  const absl::Time measured_from_;
  const absl::Time end_;
  const absl::Duration interval_;
  absl::Time turn_;
  absl::Time begin_;  // of the call that is under way
  bool has_ended_ = false;
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
    HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Loop> loop, Loop::Open(server, 1));
    uint64_t next = first;
    uint64_t under_way = 0;
    absl::Status failure;
    std::function<void()> put = [&] {
      const uint64_t number = next++;
      ++under_way;
      loop->Put(0, MakeDocumentId(number), MakeDocument(number, size_bytes),
                [&](const absl::Status& status, absl::string_view /*response*/) {
                  --under_way;
                  failure.Update(status);
                  if (next < first + count) put();
                });
    };
    while (next < std::min(first + count, first + kCallsAtOnce)) put();
    HOLDFAST_RETURN_IF_ERROR(loop->RunUntil([&] { return under_way == 0; }));
    return failure;
  }
  const auto stub = v1::DocumentStore::NewStub(
      grpc::CreateChannel(server.address, grpc::InsecureChannelCredentials()));
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
  HOLDFAST_ASSIGN_OR_RETURN(const std::unique_ptr<Loop> loop,
                            Loop::Open(server, options.connections));
  const absl::Duration interval =
      options.rate > 0 ? absl::Seconds(options.clients / options.rate) : absl::ZeroDuration();
  std::vector<std::unique_ptr<Client>> clients;
  const absl::Time start = absl::Now();
  for (int i = 0; i < options.clients; ++i) {
    clients.push_back(
        std::make_unique<Client>(*loop, options, static_cast<uint64_t>(i), start, interval));
  }
  for (const auto& client : clients) client->Start();
  const auto is_done = [&] {
    return std::all_of(clients.begin(), clients.end(),
                       [](const auto& client) { return client->has_ended(); });
  };
  HOLDFAST_RETURN_IF_ERROR(loop->RunUntil(is_done));

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
