// SPDX-License-Identifier: Apache-2.0
//
// A small S3 loader, for any server: threads with one connection each, sending PUTs or GETs of one
// size as fast as they are answered.
//
//   s3_bench --endpoint 127.0.0.1:9000 --access-key K --secret-key S --bucket B
//            --op put|get --size-bytes 4096 --clients 16 --seconds 3 [--keys 1000] [--requests N]
//
// Prints "requests/s MB/s p50_us p99_us". `get` reads the objects that `put` wrote with as many
// keys. Contents are random and differ, so that nothing is a duplicate. Payloads are not signed.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "auth/sigv4.h"
#include "http/http_date.h"
#include "http/text.h"
#include "strata/base/clock.h"
#include "strata/base/random.h"

namespace {

using namespace strata;      // NOLINT: a program's own file
using namespace strata::s3;  // NOLINT

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "s3_bench: %s\n", what.c_str());
  std::exit(1);
}

struct Settings {
  std::string endpoint = "127.0.0.1:9000";
  std::string access_key, secret_key;
  std::string bucket = "bench";
  std::string op = "put";
  size_t size_bytes = 4096;
  int clients = 16;
  double seconds = 3;
  uint64_t keys = 1000;
  uint64_t requests = 0;  // 0: as many as there is time for; else there is time for all.
};

Settings ParseSettings(int argc, char** argv) {
  Settings settings;
  std::map<std::string, std::string> values;
  for (int i = 1; i + 1 < argc; i += 2) values[argv[i]] = argv[i + 1];
  for (const auto& [name, value] : values) {
    if (name == "--endpoint") {
      settings.endpoint = value;
    } else if (name == "--access-key") {
      settings.access_key = value;
    } else if (name == "--secret-key") {
      settings.secret_key = value;
    } else if (name == "--bucket") {
      settings.bucket = value;
    } else if (name == "--op") {
      settings.op = value;
    } else if (name == "--size-bytes") {
      settings.size_bytes = std::stoul(value);
    } else if (name == "--clients") {
      settings.clients = std::stoi(value);
    } else if (name == "--seconds") {
      settings.seconds = std::stod(value);
    } else if (name == "--keys") {
      settings.keys = std::stoull(value);
    } else if (name == "--requests") {
      settings.requests = std::stoull(value);
      settings.seconds = 3600;
    } else {
      Fail("no flag " + name);
    }
  }
  return settings;
}

// One connection: requests go out whole, replies are read whole.
class Client {
 public:
  explicit Client(const Settings& settings) : settings_(settings), buffer_(1 << 20) {
    const auto [host, port] = SplitOnce(settings.endpoint, ':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(std::string(port))));
    inet_pton(AF_INET, std::string(host).c_str(), &address.sin_addr);
    socket_ = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      Fail("cannot connect to " + settings.endpoint);
    }
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  ~Client() { close(socket_); }

  // The reply's status.
  int Request(std::string_view method, const std::string& path, std::string_view body) {
    const std::string timestamp = FormatBasicDate(static_cast<uint64_t>(SystemClock().WallNanos()));
    const CredentialScope scope{timestamp.substr(0, 8), "us-east-1", "s3"};
    if (signing_key_.empty()) signing_key_ = DeriveSigningKey(settings_.secret_key, scope);
    HttpHead head;
    head.method = method;
    head.headers = {{"host", settings_.endpoint},
                    {"x-amz-content-sha256", "UNSIGNED-PAYLOAD"},
                    {"x-amz-date", timestamp}};
    const std::vector<std::string> names = {"host", "x-amz-content-sha256", "x-amz-date"};
    const std::string signature = Sign(
        signing_key_, StringToSign(timestamp, scope,
                                   CanonicalRequest(head, path, {}, names, "UNSIGNED-PAYLOAD")));
    std::string request = Concat(
        {method, " ", path, " HTTP/1.1\r\nhost: ", settings_.endpoint,
         "\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-date: ", timestamp,
         "\r\nauthorization: AWS4-HMAC-SHA256 Credential=", settings_.access_key, "/", scope.Text(),
         ",SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=", signature,
         "\r\ncontent-length: ", std::to_string(body.size()), "\r\n\r\n"});
    request += body;
    SendAll(request);
    return ReadReply();
  }

 private:
  void SendAll(std::string_view data) {
    while (!data.empty()) {
      const ssize_t sent = send(socket_, data.data(), data.size(), MSG_NOSIGNAL);
      if (sent <= 0) Fail("the server closed the connection");
      data.remove_prefix(static_cast<size_t>(sent));
    }
  }

  size_t Receive(size_t offset) {
    const ssize_t size = recv(socket_, buffer_.data() + offset, buffer_.size() - offset, 0);
    if (size <= 0) Fail("the server closed the connection");
    return static_cast<size_t>(size);
  }

  int ReadReply() {
    size_t filled = 0;
    size_t head_end = std::string_view::npos;
    while (head_end == std::string_view::npos) {
      filled += Receive(filled);
      head_end = std::string_view(buffer_.data(), filled).find("\r\n\r\n");
    }
    const std::string head = ToLower({buffer_.data(), head_end});
    size_t left = 0;
    if (const size_t at = head.find("content-length: "); at != std::string::npos) {
      left = std::strtoull(head.c_str() + at + 16, nullptr, 10);
    }
    left -= std::min(left, filled - head_end - 4);
    while (left > 0) left -= std::min(left, Receive(0));
    return std::atoi(head.c_str() + 9);
  }

  const Settings& settings_;
  std::string signing_key_;
  std::vector<char> buffer_;
  int socket_ = -1;
};

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = ParseSettings(argc, argv);
  Client(settings).Request("PUT", "/" + settings.bucket, "");  // 409 where it exists.

  using SteadyClock = std::chrono::steady_clock;
  std::atomic<uint64_t> next{0};
  std::atomic<uint64_t> errors{0};
  std::vector<std::vector<uint32_t>> latencies_us(static_cast<size_t>(settings.clients));
  std::vector<std::thread> threads;
  const auto began = SteadyClock::now();
  const auto end = began + std::chrono::duration<double>(settings.seconds);
  for (int i = 0; i < settings.clients; ++i) {
    threads.emplace_back([&, i] {
      Client client(settings);
      Random random(static_cast<uint64_t>(SystemClock().WallNanos()) + static_cast<uint64_t>(i));
      std::string body(settings.op == "put" ? settings.size_bytes : 0, '\0');
      while (SteadyClock::now() < end) {
        const uint64_t turn = next.fetch_add(1);
        if (settings.requests > 0 && turn >= settings.requests) break;
        const uint64_t key = turn % settings.keys;
        random.Fill(std::as_writable_bytes(std::span(body)));
        const auto sent = SteadyClock::now();
        const int status =
            client.Request(settings.op == "put" ? "PUT" : "GET",
                           Concat({"/", settings.bucket, "/", std::to_string(settings.size_bytes),
                                   "-", std::to_string(key)}),
                           body);
        if (status != 200) errors.fetch_add(1);
        latencies_us[static_cast<size_t>(i)].push_back(static_cast<uint32_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - sent)
                .count()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - began).count();

  std::vector<uint32_t> all;
  for (const auto& some : latencies_us) all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end());
  if (all.empty() || errors > 0) {
    Fail(std::to_string(errors) + " of " + std::to_string(all.size()) + " requests failed");
  }
  const double rate = static_cast<double>(all.size()) / seconds;
  std::printf("%.1f requests/s %.1f MB/s p50 %u us p99 %u us\n", rate,
              rate * static_cast<double>(settings.size_bytes) / 1e6, all[all.size() / 2],
              all[all.size() * 99 / 100]);
  return 0;
}
