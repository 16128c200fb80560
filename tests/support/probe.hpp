#pragma once

#include <sysguard/filter/install.hpp>

#include <cerrno>

#include <cstddef>
#include <cstdint>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace support {

/// One system call to make.
struct Probe {
    int number = 0;
    std::uint64_t arguments[6]{};
};

/// What it came to: a result, or a negative errno.
struct Answer {
    bool made = false;  ///< false: the process was killed before or in it
    long result = 0;
};

/// Makes calls in a child process under a filter, which must let exit_group through. The kernel's word on a filter.
inline std::vector<Answer> make_calls(const sysguard::filter::ProgramView& program, const std::vector<Probe>& probes) {
    const std::size_t size = probes.size() * sizeof(Answer);
    auto* const shared =
        static_cast<Answer*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t child = ::fork();
    if (child == 0) {
        sysguard::filter::install(program);
        for (std::size_t i = 0; i < probes.size(); ++i) {
            const std::uint64_t* a = probes[i].arguments;
            const long result = ::syscall(probes[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
            shared[i].result = result == -1 ? -errno : result;
            shared[i].made = true;
        }
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    std::vector<Answer> answers(shared, shared + probes.size());
    ::munmap(shared, size);
    return answers;
}

}  // namespace support
