#include <sysguard/sandbox.hpp>

#include <cerrno>
#include <cstdio>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using namespace sg::literals;
using namespace std::chrono_literals;
using sg::Rule;

constexpr sg::Policy policy{
    sg::preset::cpp_runtime,                                                       // start, allocate, print, exit
    sg::allow<SYS_getrandom, SYS_clock_nanosleep>,                                 // by name
    Rule<SYS_socket>{arg::domain == AF_INET && arg::type == SOCK_STREAM}.allow(),  // by its arguments
    Rule<SYS_fchmodat>{(arg::mode & 07002) != 0}.deny(EPERM),                      // the first match wins
    sg::otherwise.kill(),
};
static_assert(policy.decide<SYS_socket>(AF_INET, SOCK_STREAM, 0) == sg::Action::allow);
static_assert(policy.decide<SYS_ptrace>(0, 0, 0, 0) == sg::Action::kill);

int main() {
    const sg::Sandbox box{policy,
                          {.files = {sg::read_only("/usr")},
                           .network = sg::Network::isolated,
                           .limits = {.memory = 256_MiB, .cpu = 2s, .wall = 10s},
                           .optional = sg::Layers::all()}};  // where a machine lacks one, the outcome says so

    const sg::Result<int> answer = box.call([](int x) { return x + 1; }, 41);  // a function of yours
    if (answer) std::printf("the function returned %d\n", *answer);
    std::fflush(stdout);

    const sg::Outcome outcome = box.run({"/bin/sh", "-c", "echo hello; exec /usr/bin/id"});  // a program
    if (!outcome) std::puts(outcome.explain().c_str());
}
