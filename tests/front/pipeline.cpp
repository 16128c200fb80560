#include <sysguard/pipeline.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/skip.hpp"
#include "support/workers.hpp"

namespace sg = sysguard;
using namespace std::chrono_literals;
using Kind = sg::Outcome::Kind;
using sg::OnFailure;
using sg::Stage;
using support::anything;
using support::helper;
using support::static_program;

namespace {

/// With a listener.
constexpr sg::Policy watched{sg::Rule<SYS_ptrace>{}.kill(), sg::otherwise.allow()};

const sg::Launch captured{.output = sg::Stdio::capture()};

int descriptors_of_host() {
    int count = 0;
    DIR* const open = ::opendir("/proc/self/fd");
    while (::readdir(open) != nullptr) ++count;
    ::closedir(open);
    return count;
}

bool has_no_children() {
    return ::waitpid(-1, nullptr, WNOHANG | __WALL) == -1 && errno == ECHILD;
}

/// Runs them, bounded in time: a pipe that somebody still holds would hide an end.
std::vector<sg::Outcome> run(const sg::Pipeline& pipeline, OnFailure on_failure = OnFailure::go_on) {
    const int before = descriptors_of_host();
    std::vector<sg::Outcome> outcomes;
    {
        sg::RunningPipeline running = pipeline.spawn(on_failure);
        const bool has_ended = running.wait_for(120s);
        CHECK(has_ended);
        outcomes = running.stop();
    }
    CHECK(descriptors_of_host() == before);
    CHECK(has_no_children());
    return outcomes;
}

std::vector<std::string> sleeper() {
    return {helper("behave"), "ignore"};
}

}  // namespace

TEST_CASE("64 MiB go through three stages, of sandboxes with and without a listener") {
    const sg::Sandbox plain{anything};
    const sg::Sandbox listening{watched};
    const sg::Pipeline pipeline{{plain, {"/usr/bin/head", "-c", "67108864", "/dev/zero"}},
                                {listening, {"/bin/cat"}},
                                {plain, {"/usr/bin/wc", "-c"}, captured}};
    const auto outcomes = run(pipeline);
    REQUIRE(outcomes.size() == 3);
    for (const sg::Outcome& outcome : outcomes) {
        CAPTURE(outcome.explain());
        CHECK(outcome);
    }
    CHECK(outcomes[2].output() == "67108864\n");
    CHECK(outcomes[0].name() == "/usr/bin/head");
    CHECK(outcomes[2].name() == "/usr/bin/wc");
}

TEST_CASE("one stage, and as many as there may be") {
    const sg::Sandbox box{anything};
    const sg::Pipeline one{{box, {"/bin/echo", "hello"}, captured}};
    const auto alone = one.run();
    REQUIRE(alone.size() == 1);
    CHECK(alone[0].output() == "hello\n");

    std::vector<Stage> stages{{box, {"/bin/echo", "hello"}}};
    while (stages.size() < sg::Pipeline::most_stages) stages.push_back({box, {"/bin/cat"}});
    stages.back().launch = captured;
    const auto many = run(sg::Pipeline{stages});
    REQUIRE(many.size() == sg::Pipeline::most_stages);
    CHECK(many.back().output() == "hello\n");
    for (const sg::Outcome& outcome : many) CHECK(outcome);

    stages.push_back({box, {"/bin/cat"}});
    CHECK_THROWS_AS(sg::Pipeline{stages}, sg::Error);
    CHECK_THROWS_AS(sg::Pipeline{std::vector<Stage>{}}, sg::Error);
}

TEST_CASE("a stage holds its own two ends and no other") {
    const sg::Sandbox box{anything};
    const sg::Launch both{.error = sg::Stdio::capture()};
    const std::vector<std::string> list = {"/bin/sh", "-c", "(exec ls -l /proc/$$/fd >&2); cat; true"};
    sg::Launch last = captured;
    last.error = sg::Stdio::capture();
    const auto outcomes = run(sg::Pipeline{{box, list, both}, {box, list, both}, {box, list, both}, {box, list, last}});
    std::vector<std::string> pipes;  // of each stage: those of its input and its output
    for (const sg::Outcome& outcome : outcomes) {
        CAPTURE(outcome.error_output());
        REQUIRE(outcome);
        std::string own;
        for (const std::string& line : support::lines(outcome.error_output())) {
            const std::size_t at = line.find("pipe:");
            if (at == std::string::npos) continue;
            CHECK((support::has(line, " 0 -> ") || support::has(line, " 1 -> ") || support::has(line, " 2 -> ")));
            if (!support::has(line, " 2 -> ")) own += line.substr(at) + " ";
        }
        pipes.push_back(own);
    }
    for (std::size_t i = 0; i + 1 < pipes.size(); ++i) {
        const std::string between = pipes[i].substr(pipes[i].rfind("pipe:"));
        CAPTURE(between);
        for (std::size_t j = 0; j < pipes.size(); ++j) CHECK(support::has(pipes[j], between) == (j == i || j == i + 1));
    }
}

TEST_CASE("the host holds no end: who writes to a stage that reads no more is told") {
    const sg::Sandbox box{anything};
    SUBCASE("the last one ends early") {
        const auto outcomes = run(
            sg::Pipeline{{box, {"/usr/bin/yes"}}, {box, {"/bin/cat"}}, {box, {"/usr/bin/head", "-n", "1"}, captured}});
        CHECK(outcomes[0].signal() == SIGPIPE);
        CHECK(outcomes[1].signal() == SIGPIPE);
        CHECK(outcomes[2].output() == "y\n");
    }
    SUBCASE("the first one ends early") {
        const auto outcomes =
            run(sg::Pipeline{{box, {helper("noop")}}, {box, {"/bin/cat"}}, {box, {"/usr/bin/wc", "-c"}, captured}});
        for (const sg::Outcome& outcome : outcomes) CHECK(outcome);
        CHECK(outcomes[2].output() == "0\n");
    }
    SUBCASE("one in the middle crashes") {
        const auto outcomes = run(sg::Pipeline{
            {box, {"/usr/bin/yes"}}, {box, {helper("behave"), "crash"}}, {box, {"/usr/bin/wc", "-c"}, captured}});
        CHECK(outcomes[0].signal() == SIGPIPE);
        CHECK(outcomes[1].signal() == SIGSEGV);
        CHECK(outcomes[2].output() == "0\n");
    }
    SUBCASE("one in the middle does what its policy forbids") {
        const auto outcomes = run(sg::Pipeline{{box, {"/usr/bin/yes"}},
                                               {sg::Sandbox{static_program}, {helper("behave"), "execute", "/bin/cat"}},
                                               {box, {"/usr/bin/wc", "-c"}, captured}});
        CHECK(outcomes[0].signal() == SIGPIPE);
        CHECK(outcomes[1].kind() == Kind::violation);
        CHECK(outcomes[2].output() == "0\n");
    }
}

TEST_CASE("a stage that cannot start, in each place") {
    for (const bool with_listener : {false, true}) {
        const sg::Sandbox box = with_listener ? sg::Sandbox{watched} : sg::Sandbox{anything};
        for (std::size_t nowhere = 0; nowhere < 3; ++nowhere) {
            CAPTURE(nowhere);
            std::vector<Stage> stages{
                {box, {"/usr/bin/yes"}}, {box, {"/bin/cat"}}, {box, {"/usr/bin/wc", "-c"}, captured}};
            stages[nowhere].command = {"/nowhere"};
            const auto outcomes = run(sg::Pipeline{stages});
            CHECK(outcomes[nowhere].kind() == Kind::could_not_start);
            for (std::size_t i = 0; i < nowhere; ++i) CHECK(outcomes[i].signal() == SIGPIPE);
            for (std::size_t i = nowhere + 1; i < 3; ++i) CHECK(outcomes[i]);
            if (nowhere < 2) CHECK(outcomes[2].output() == "0\n");
        }
    }
}

TEST_CASE("the rest is stopped when one fails, if that is wanted") {
    const sg::Sandbox box{anything};
    SUBCASE("whichever it is") {
        for (std::size_t failing = 0; failing < 3; ++failing) {
            std::vector<Stage> stages{{box, sleeper()}, {box, sleeper()}, {box, sleeper()}};
            stages[failing].command = {helper("behave"), "exit", "3"};
            const auto outcomes = run(sg::Pipeline{stages}, OnFailure::stop_rest);
            for (std::size_t i = 0; i < 3; ++i)
                CHECK(outcomes[i].kind() == (i == failing ? Kind::exited : Kind::stopped));
            CHECK(outcomes[failing].exit_code() == 3);
        }
    }
    SUBCASE("it cannot start") {
        const auto outcomes = run(sg::Pipeline{{box, sleeper()}, {box, {"/nowhere"}}}, OnFailure::stop_rest);
        CHECK(outcomes[0].kind() == Kind::stopped);
        CHECK(outcomes[1].kind() == Kind::could_not_start);
    }
    SUBCASE("not for who writes to one that had enough") {
        const auto outcomes = run(sg::Pipeline{{box, {"/usr/bin/yes"}},
                                               {box, {"/usr/bin/head", "-n", "1"}},
                                               {box, {"/bin/sh", "-c", "cat; sleep 0.2; echo end"}, captured}},
                                  OnFailure::stop_rest);
        CHECK(outcomes[0].signal() == SIGPIPE);
        CHECK(outcomes[1]);
        CHECK(outcomes[2].output() == "y\nend\n");
    }
}

TEST_CASE("what connects the stages is not to be said, and what is to come from the host is") {
    const sg::Sandbox box{anything};
    const auto second = [&](const sg::Launch& launch) {
        return sg::Pipeline{{box, {"/bin/cat"}}, {box, {"/bin/cat"}, launch}};
    };
    CHECK_THROWS_AS(second({.input = sg::Stdio::inherit()}), sg::Error);
    CHECK_THROWS_AS(second({.input = sg::Stdio::pipe()}), sg::Error);
    CHECK_THROWS_AS((sg::Pipeline{{box, {"/bin/cat"}, captured}, {box, {"/bin/cat"}}}), sg::Error);
    CHECK_THROWS_AS((sg::Pipeline{{box, {}}}), sg::Error);
    CHECK_THROWS_AS((sg::Pipeline{{box, {"/bin/cat"}, {.input = sg::Stdio::pipe()}}}.run()), sg::Error);
    CHECK_THROWS_AS((sg::Pipeline{{box, {"/bin/cat"}, {.input = sg::Stdio::from(876)}}}.run()), sg::Error);
}

TEST_CASE("a descriptor that is not open is no pipe of the pipeline's") {
    const sg::Sandbox box{anything};
    const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(next);
    for (int fd = next; fd < next + 8; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0) continue;
        const sg::Pipeline pipeline{{box, {"/bin/echo"}}, {box, {"/bin/cat"}, {.error = sg::Stdio::from(fd)}}};
        CHECK_THROWS_AS(pipeline.run(), sg::Error);
    }
}

TEST_CASE("what is found to be wrong while the stages start stops those that run") {
    const sg::Sandbox box{anything};
    const int before = descriptors_of_host();
    CHECK_THROWS_AS(
        (sg::Pipeline{{box, sleeper()}, {box, {"/bin/cat"}, {.descriptors = {{0, 9}, {0, 9}}}}, {box, {"/bin/cat"}}}
             .run()),
        sg::Error);
    CHECK(has_no_children());
    CHECK(descriptors_of_host() == before);
}

TEST_CASE("pipes to and from the host") {
    const sg::Sandbox box{anything};
    sg::RunningPipeline running =
        sg::Pipeline{{box, {"/bin/cat"}, {.input = sg::Stdio::pipe()}},
                     {box, {"/bin/sh", "-c", "cat; echo complaint >&2"}, {.error = sg::Stdio::pipe()}},
                     {box, {"/usr/bin/tr", "a-z", "A-Z"}, {.output = sg::Stdio::pipe()}}}
            .spawn();
    CHECK(running.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) CHECK(running.pid(i) > 0);
    CHECK(running.write("hello"));
    CHECK_FALSE(running.wait_for(10ms));
    running.input().reset();
    const auto all_of = [](int fd) {
        std::string text;
        char buffer[256];
        for (ssize_t bytes = 0; (bytes = ::read(fd, buffer, sizeof buffer)) > 0;)
            text.append(buffer, static_cast<std::size_t>(bytes));
        return text;
    };
    CHECK(all_of(running.output().get()) == "HELLO");
    CHECK(all_of(running.error(1).get()) == "complaint\n");
    for (const sg::Outcome& outcome : running.wait()) CHECK(outcome);
    CHECK_FALSE(running.write("more"));
}

TEST_CASE("each stage has the limits of its sandbox") {
    const sg::Sandbox box{anything};
    const sg::Sandbox hasty{anything, {.limits = {.wall = 100ms}}};
    const auto outcomes =
        run(sg::Pipeline{{box, {"/usr/bin/yes"}}, {hasty, sleeper()}, {box, {"/usr/bin/wc", "-c"}, captured}});
    CHECK(outcomes[0].signal() == SIGPIPE);
    CHECK(outcomes[1].kind() == Kind::timed_out);
    CHECK(outcomes[2].output() == "0\n");
}

TEST_CASE("one that is dropped is stopped; one that is moved is not") {
    const sg::Sandbox box{watched};
    const sg::Pipeline pipeline{{box, sleeper()}, {box, sleeper()}};
    pid_t pids[2];
    {
        sg::RunningPipeline first = pipeline.spawn();
        for (std::size_t i = 0; i < 2; ++i) pids[i] = first.pid(i);
        sg::RunningPipeline second{std::move(first)};
        sg::RunningPipeline third = sg::Pipeline{{box, {helper("noop")}}}.spawn();
        third = std::move(second);
        for (const pid_t pid : pids) CHECK(support::lives(pid));
    }
    for (const pid_t pid : pids) CHECK_FALSE(support::lives(pid));
    CHECK(has_no_children());
    sg::RunningPipeline running = pipeline.spawn();
    for (const sg::Outcome& outcome : running.stop()) CHECK(outcome.kind() == Kind::stopped);
}

TEST_CASE("several threads run one pipeline at a time, of sandboxes that serve others, too") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const sg::Sandbox box{watched};
    const sg::Pipeline pipeline{{box, {"/bin/echo", "hello"}}, {box, {"/bin/cat"}}, {box, {"/bin/cat"}, captured}};
    sg::Worker beside = box.spawn(sleeper());
    std::string said[4];
    std::vector<std::thread> threads;
    for (std::string& each : said)
        threads.emplace_back([&] {
            for (int i = 0; i < 10; ++i) each += pipeline.run().back().output();
        });
    for (std::thread& thread : threads) thread.join();
    for (const std::string& each : said) CHECK(each.size() == 60);
    CHECK(beside.stop().kind() == Kind::stopped);
}

TEST_CASE("handlers serve every stage") {
    int asked = 0;
    const sg::Policy counting{sg::Rule<SYS_getpriority>{}.handle([&](const sg::AnyCall& call) {
                                  __atomic_fetch_add(&asked, 1, __ATOMIC_SEQ_CST);
                                  return call.fake(7);
                              }),
                              sg::otherwise.allow()};
    const sg::Sandbox box{counting};
    const auto outcomes = run(sg::Pipeline{{box, {helper("behave"), "ask"}}, {box, {helper("behave"), "ask"}}});
    for (const sg::Outcome& outcome : outcomes) CHECK(outcome.exit_code() == 7);
    CHECK(asked == 2);
}

TEST_CASE("a sandbox that the host's event loop serves is no stage's") {
    const sg::Sandbox box{watched};
    CHECK(box.event_fd() >= 0);
    CHECK_THROWS_AS((sg::Pipeline{{box, {"/bin/cat"}}}.run()), sg::Error);
}
