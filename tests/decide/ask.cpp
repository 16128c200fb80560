#include <sysguard/decide/ask.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/reach.hpp"

namespace sg = sysguard;
using namespace std::chrono_literals;
using sg::Answer;
using sg::Question;
using sg::Rule;

namespace {

/// A server on loopback, and how many connections came.
class Server {
public:
    Server() {
        fd_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
        ::listen(fd_.get(), 64);
        socklen_t size = sizeof address_;
        ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address_), &size);
    }

    const sockaddr_in& address() const { return address_; }

    int accepted() const {
        int count = 0;
        for (int fd = ::accept(fd_.get(), nullptr, nullptr); fd >= 0; fd = ::accept(fd_.get(), nullptr, nullptr)) {
            ++count;
            ::close(fd);
        }
        return count;
    }

private:
    sg::process::Descriptor fd_;
    sockaddr_in address_{};
};

/// Connects, in a worker. Returns 0 or the errno.
int connect_to(const sockaddr_in& address) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int error = result == 0 ? 0 : errno;
    ::close(fd);
    return error;
}

template <class Asker>
sg::Sandbox asking(Asker asker, sg::Asking how = {}) {
    return sg::Sandbox{sg::Policy{Rule<SYS_connect>{}.ask(std::move(asker), how), sg::otherwise.allow()}};
}

int tasks_of_host() {
    int count = 0;
    while (::waitpid(-1, nullptr, WNOHANG | __WALL) > 0) ++count;
    return count;
}

}  // namespace

TEST_CASE("a yes runs the call, a no does not: the server sees it") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    const Server server;
    int asked = 0;
    std::string text;
    const sg::Sandbox box = asking([&](const Question& question) {
        text = question.call().text();
        CHECK(question.time_left() > 0ms);
        CHECK(question.program().find("test.decide.ask") != std::string::npos);
        return ++asked == 2 ? Answer::allow : Answer::refuse;
    });
    const auto result = box.call([&] {
        const int first = connect_to(server.address());
        const int second = connect_to(server.address());
        return first * 1000 + second;
    });
    REQUIRE(result);
    CHECK(*result == EPERM * 1000);
    CHECK(asked == 2);  // once for each call
    CHECK(server.accepted() == 1);
    CHECK(text == "connect(fd=" + text.substr(11, text.find(',') - 11) +
                      ", addr=127.0.0.1:" + std::to_string(ntohs(server.address().sin_port)) + ", addrlen=16)");
}

TEST_CASE("a call whose arguments are all in registers is run by the kernel") {
    const sg::Policy policy{Rule<SYS_getpriority>{}.ask([](const Question&) { return Answer::allow; }),
                            sg::otherwise.allow()};
    CHECK(*sg::Sandbox{policy}.call([] { return static_cast<int>(::syscall(SYS_getpriority, 0, 0)); }) == 20);
}

TEST_CASE("who says kill ends the worker") {
    const Server server;
    const auto result =
        asking([](const Question&) { return Answer::kill; }).call([&] { return connect_to(server.address()); });
    CHECK(result.outcome().kind() == sg::Outcome::Kind::violation);
    CHECK(result.explain().find("addr=127.0.0.1:") != std::string::npos);
    CHECK(server.accepted() == 0);
}

TEST_CASE("who does not answer in time has said no, and what is said afterwards does not count") {
    const Server server;
    std::atomic<bool> released{false};
    std::atomic<bool> answered{false};
    const sg::Sandbox box = asking(
        [&](const Question& question) {
            while (!released) std::this_thread::sleep_for(1ms);
            CHECK(question.time_left() == 0ms);
            answered = true;
            return Answer::allow;
        },
        {.time = 50ms, .error = EACCES});
    CHECK(*box.call([&] { return connect_to(server.address()); }) == EACCES);
    released = true;
    CHECK(support::eventually([&] { return answered.load(); }));
    CHECK(server.accepted() == 0);
}

TEST_CASE("an asker that throws has said no") {
    const Server server;
    const sg::Sandbox box = asking([](const Question&) -> Answer { throw std::runtime_error{"lost"}; });
    CHECK(*box.call([&] { return connect_to(server.address()); }) == EPERM);
    CHECK(server.accepted() == 0);
}

TEST_CASE("a question that nobody answers yet holds up no other worker, and no other call") {
    const Server server;
    std::atomic<bool> asked{false};
    std::atomic<bool> released{false};
    const sg::Policy policy{Rule<SYS_connect>{}.ask([&](const Question&) {
                                asked = true;
                                while (!released) std::this_thread::sleep_for(1ms);
                                return Answer::refuse;
                            }),
                            Rule<SYS_getpriority>{}.handle([](const sg::AnyCall& call) { return call.fake(33); }),
                            sg::otherwise.allow()};
    const sg::Sandbox box{policy};
    std::thread first{[&] { CHECK(*box.call([&] { return connect_to(server.address()); }) == EPERM); }};
    CHECK(support::eventually([&] { return asked.load(); }));
    CHECK(*box.call([] { return static_cast<int>(::syscall(SYS_getpriority, 0, 0)); }) == 33);
    released = true;
    first.join();
}

TEST_CASE("a worker that dies while it is asked about leaves nothing behind") {
    std::atomic<bool> released{false};
    const Server server;
    {
        const sg::Policy policy{Rule<SYS_connect>{}.ask([&](const Question& question) {
                                    ::kill(question.call().worker(), SIGKILL);
                                    released = support::eventually([&] { return question.time_left() == 0ms; });
                                    return Answer::allow;
                                }),
                                sg::otherwise.allow()};
        const auto result = sg::Sandbox{policy}.call([&] { return connect_to(server.address()); });
        CHECK(result.outcome().signal() == SIGKILL);
    }
    CHECK(released);
    CHECK(server.accepted() == 0);
    CHECK(tasks_of_host() == 0);
}

TEST_CASE("an asker that wants to know is told of those that it was not asked about, as their time was over") {
    struct Slow {
        Answer operator()(const Question& question) const {
            CHECK(support::eventually([&] { return *missed_time || question.time_left() == 0ms; }));
            std::this_thread::sleep_for(150ms);  // by now the time of the others is over too
            return Answer::refuse;
        }
        void missed(const Question& question) const {
            *missed_time += question.time_left() == 0ms && question.call().name() == "connect";
        }
        std::atomic<int>* missed_time;
    };
    const Server server;
    std::atomic<int> missed{0};
    const sg::Policy policy{Rule<SYS_connect>{}.ask(Slow{&missed}, {.time = 100ms}), sg::otherwise.allow()};
    {
        const auto result = sg::Sandbox{policy}.call([&] {
            std::vector<std::thread> threads;
            std::atomic<int> refused{0};
            for (int i = 0; i < 3; ++i) threads.emplace_back([&] { refused += connect_to(server.address()) == EPERM; });
            for (std::thread& thread : threads) thread.join();
            return refused.load();
        });
        CHECK(*result == 3);
        CHECK(support::eventually([&] { return missed == 2; }));
    }
    CHECK(server.accepted() == 0);
}

TEST_CASE("time without end") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    const Server server;
    const sg::Policy policy{Rule<SYS_connect>{}.ask([](const Question&) { return Answer::allow; },
                                                    {.time = std::chrono::milliseconds::max()}),
                            sg::otherwise.allow()};
    CHECK(*sg::Sandbox{policy}.call([&] { return connect_to(server.address()); }) == 0);
}

TEST_CASE("children and threads of a worker are asked about") {
    const Server server;
    std::atomic<int> asked{0};
    const sg::Sandbox box = asking([&](const Question&) {
        ++asked;
        return Answer::refuse;
    });
    const auto result = box.call([&] {
        std::thread{[&] { connect_to(server.address()); }}.join();
        const pid_t child = ::fork();
        if (child == 0) ::_exit(connect_to(server.address()));
        int status = 0;
        ::waitpid(child, &status, 0);
        return WEXITSTATUS(status);
    });
    CHECK(*result == EPERM);
    CHECK(asked == 2);
    CHECK(server.accepted() == 0);
}
