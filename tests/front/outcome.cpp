#include <sysguard/detail/outcome_maker.hpp>
#include <sysguard/outcome.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <utility>

namespace sg = sysguard;
using namespace std::chrono_literals;
using Kind = sg::Outcome::Kind;
using sg::supervise::Ending;

namespace {

constexpr sg::Policy killing{sg::foreign.kill_now(), sg::otherwise.kill_now()};
constexpr sg::Policy silent{sg::foreign.deny(EPERM), sg::otherwise.deny(EPERM)};

sg::Outcome make(Ending ending, const sg::Limits& limits = {}, std::string name = "program",
                 const sg::Policy<0, 0, false>& policy = silent) {
    const sg::process::Confinement confinement{policy.view(), policy.program(), {.limits = limits}};
    return sg::detail::OutcomeMaker{std::move(ending), std::move(name), confinement}.program();
}

Ending exited(int code) {
    Ending ending;
    ending.status.exited = true;
    ending.status.value = code;
    return ending;
}

Ending killed(int signal) {
    Ending ending;
    ending.status.value = signal;
    return ending;
}

}  // namespace

TEST_CASE("an exit") {
    const sg::Outcome good = make(exited(0));
    CHECK(good);
    CHECK(good.kind() == Kind::exited);
    CHECK(good.explain() == "program exited.");
    const sg::Outcome bad = make(exited(2));
    CHECK_FALSE(bad);
    CHECK(bad.explain() == "program exited with code 2.");
    CHECK(bad.signal() == 0);
}

TEST_CASE("a signal") {
    const sg::Outcome outcome = make(killed(SIGBUS));
    CHECK(outcome.kind() == Kind::signalled);
    CHECK(outcome.exit_code() == -1);
    CHECK(outcome.explain() == "program was ended by SIGBUS.");
    CHECK(make(killed(40)).explain() == "program was ended by signal 40.");
}

TEST_CASE("a start that failed") {
    Ending ending;
    ending.failure = {sg::process::Step::directory, ENOENT};
    const sg::Outcome outcome = make(std::move(ending));
    CHECK(outcome.kind() == Kind::could_not_start);
    CHECK(std::string{outcome.step()} == "enter its working directory");
    CHECK(outcome.error() == ENOENT);
    CHECK(outcome.explain() ==
          "program could not start: to enter its working directory failed with ENOENT, No such file or directory.");
}

TEST_CASE("a violation, before anything else") {
    Ending ending = killed(SIGKILL);
    ending.timed_out = true;
    ending.violation.emplace();
    ending.violation->number = 5;
    ending.violation->architecture = 77;
    ending.violation->instruction_pointer = 0x1234;
    ending.violation->thread = 9;
    const sg::Outcome outcome = make(std::move(ending));
    CHECK(outcome.kind() == Kind::violation);
    CHECK(outcome.explain() ==
          "program was killed for a system call that its policy forbids: system call 5 of an unknown "
          "ABI at address 0x1234 in thread 9.");
    const sg::Outcome in_kernel = make(killed(SIGSYS), {}, "program", killing);
    CHECK(in_kernel.kind() == Kind::violation);
    CHECK(in_kernel.violation() == nullptr);
    CHECK(make(killed(SIGSYS)).kind() == Kind::signalled);  // a signal like others: its filter never kills
}

TEST_CASE("the two clocks") {
    Ending wall = killed(SIGKILL);
    wall.timed_out = true;
    CHECK(make(std::move(wall), {.wall = 5s}).explain() ==
          "program was ended because its wall-clock time of 5000 ms was over.");
    Ending in_time = exited(3);  // it ended before the host's signal came
    in_time.timed_out = true;
    CHECK(make(std::move(in_time), {.wall = 5s}).exit_code() == 3);
    Ending exceeded = killed(SIGXCPU);
    CHECK(make(exceeded, {.cpu = 1s}).kind() == Kind::signalled);
    exceeded.status.used.ru_utime = {0, 500000};
    CHECK(make(exceeded, {.cpu = 1s}).kind() == Kind::timed_out);
    CHECK(make(exceeded).kind() == Kind::signalled);
    Ending used_up = killed(SIGKILL);
    used_up.status.used.ru_utime.tv_sec = 2;
    CHECK(make(used_up, {.cpu = 1s}).kind() == Kind::timed_out);
    used_up.status.used.ru_utime.tv_sec = 0;
    CHECK(make(used_up, {.cpu = 1s}).kind() == Kind::signalled);
}

TEST_CASE("stopped, unsupervised and lost") {
    Ending unsupervised = killed(SIGKILL);
    unsupervised.supervision_error = ENOMEM;
    CHECK(make(std::move(unsupervised)).explain() ==
          "program was ended because the host could not watch it any more: Cannot allocate memory.");
    Ending faster = exited(0);
    faster.stopped = true;
    CHECK(make(std::move(faster)).kind() == Kind::exited);
    Ending stopped = killed(SIGKILL);
    stopped.stopped = true;
    CHECK(make(std::move(stopped)).kind() == Kind::stopped);
    Ending lost;
    lost.status.known = false;
    CHECK(make(std::move(lost)).kind() == Kind::lost);
    CHECK(sg::Outcome{}.kind() == Kind::lost);
}

TEST_CASE("the limit that ended it") {
    Ending wall = killed(SIGKILL);
    wall.timed_out = true;
    CHECK(make(std::move(wall), {.wall = 5s}).limit() == sg::Limit::wall);
    Ending together = killed(SIGKILL);
    together.used_up = true;
    const sg::Outcome cpu = make(together, {.cpu = 2s});
    CHECK(cpu.kind() == Kind::timed_out);
    CHECK(cpu.limit() == sg::Limit::cpu);
    CHECK(cpu.explain() == "program was ended because its processor time of 2000 ms was over.");
    Ending in_time = exited(0);
    in_time.used_up = true;
    CHECK(make(std::move(in_time), {.cpu = 2s}).limit() == sg::Limit::none);
    CHECK(make(killed(SIGXFSZ)).limit() == sg::Limit::none);
    const sg::Outcome file = make(killed(SIGXFSZ), {.file_size = 10});
    CHECK(file.limit() == sg::Limit::file_size);
    CHECK(file.kind() == Kind::signalled);
    Ending memory = killed(SIGKILL);
    memory.cgroup.known = true;
    memory.cgroup.killed_for_memory = 1;
    CHECK(make(memory, {.memory = 4096}).limit() == sg::Limit::none);  // the machine's, or that of a cgroup above
    memory.cgroup.reached_memory_limit = true;
    const sg::Outcome killed_for_memory = make(memory, {.memory = 4096});
    CHECK(killed_for_memory.kind() == Kind::out_of_memory);
    CHECK(killed_for_memory.limit() == sg::Limit::memory);
    CHECK(killed_for_memory.explain() == "program was killed by the kernel as it used up its memory of 4096 bytes.");
}

TEST_CASE("what all processes of a cgroup used") {
    Ending ending = exited(0);
    ending.status.used.ru_utime = {1, 0};
    ending.status.used.ru_maxrss = 3;
    ending.status.used.ru_nvcsw = 4;
    ending.status.used.ru_nivcsw = 5;
    ending.status.used.ru_oublock = 6;
    const sg::Usage first = make(ending).usage();
    CHECK(first.voluntary_switches == 4);
    CHECK(first.involuntary_switches == 5);
    CHECK(first.written == 3072);
    CHECK_FALSE((first.cpu_of_all || first.memory_of_all || first.written_of_all));
    ending.cgroup = {.known = true, .user = 2'000'000, .system = 1, .peak_tasks = 7, .refused_tasks = 8};
    const sg::Usage some = make(ending).usage();
    CHECK(some.cpu_of_all);
    CHECK(some.user == 2s);
    CHECK(some.system == 1us);
    CHECK_FALSE((some.memory_of_all || some.written_of_all));
    CHECK(some.peak_memory == 3072);
    CHECK(some.peak_processes == 7);
    CHECK(some.refused_processes == 8);
    ending.cgroup.knows_memory = ending.cgroup.knows_written = true;
    ending.cgroup.peak_memory = 9;
    ending.cgroup.written = 10;
    const sg::Usage all = make(ending).usage();
    CHECK((all.memory_of_all && all.written_of_all));
    CHECK(all.peak_memory == 9);
    CHECK(all.written == 10);
}

TEST_CASE("what was used") {
    Ending ending = exited(0);
    ending.wall = 7ms;
    ending.status.used.ru_utime = {1, 500000};
    ending.status.used.ru_stime = {0, 250000};
    ending.status.used.ru_maxrss = 3;
    const sg::Outcome outcome = make(std::move(ending));
    CHECK(outcome.usage().wall == 7ms);
    CHECK(outcome.usage().user == 1500ms);
    CHECK(outcome.usage().system == 250ms);
    CHECK(outcome.usage().peak_memory == 3072);
}

TEST_CASE("a name with control characters is shown with escapes") {
    CHECK(make(exited(0), {}, "a\x1b[2Jb\x7f").explain() == "a\\x1b[2Jb\\x7f exited.");
}

TEST_CASE("nothing but ASCII is shown of a worker's texts: C1 controls would act on a terminal too") {
    CHECK(make(exited(0), {},
               "\xc2\x9b"
               "31m \x9d"
               "0;t\x07 \xc3\xa9")
              .explain() == "\\xc2\\x9b31m \\x9d0;t\\x07 \\xc3\\xa9 exited.");
    Ending ending = exited(0);
    ending.failed_handlers = 1;
    ending.handler_message =
        "\x9b"
        "2J";
    CHECK(make(std::move(ending)).explain().find("\\x9b2J") != std::string::npos);
}

TEST_CASE("a result without a value throws the explanation") {
    const sg::Result<int> none{make(exited(3)), std::nullopt};
    CHECK_FALSE(none);
    try {
        (void)*none;
        FAIL("had a value");
    } catch (const sg::Error& error) {
        CHECK(error.code().value() == ECANCELED);
        CHECK(error.step() == "program exited with code 3.");
    }
    const sg::Result<std::string> some{make(exited(0)), "text"};
    CHECK(some);
    CHECK(some->size() == 4);
    CHECK(*some == "text");
}
