#pragma once

#include <sysguard/abi/table.hpp>
#include <sysguard/process/descriptor.hpp>
#include <sysguard/process/detail/clone.hpp>
#include <sysguard/supervise/memory.hpp>
#include <sysguard/supervise/messages.hpp>
#include <sysguard/supervise/perform/job.hpp>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace support {

inline std::uint64_t at(const void* pointer) {
    return reinterpret_cast<std::uint64_t>(pointer);
}

/// A process with the memory and the descriptors that this one has when it is made, and somebody who performs calls on
/// its behalf.
class Worker final : public sysguard::supervise::MessageSource {
public:
    Worker() : Worker{[] { return true; }} {}

    /// `prepare` runs in the worker.
    template <class Prepare>
    explicit Worker(Prepare&& prepare) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw std::bad_alloc{};
        pid_ = ::fork();
        if (pid_ == 0) {
            const char byte = prepare() ? 1 : 0;
            if (::write(ends[1], &byte, 1) == 1) ::close(ends[1]);
            for (;;) ::pause();
        }
        char byte = 0;
        ::close(ends[1]);
        if (::read(ends[0], &byte, 1) != 1 || byte != 1) throw std::bad_alloc{};
        ::close(ends[0]);
        pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
        root_ = directory("root");
        cwd_ = directory("cwd");
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    /// What a performer makes of a call of the worker's.
    template <class... T>
    long make(int number, sysguard::supervise::perform::Performer performer, T... values) {
        using sysguard::abi::Type;
        Run run;
        run.performer = performer;
        run.umask = umask;
        sysguard::supervise::perform::Job& job = run.job;
        job.call = sysguard::abi::find(number);
        const std::uint64_t arguments[] = {static_cast<std::uint64_t>(values)...};
        std::memcpy(job.arguments, arguments, sizeof arguments);
        job.caller = {pid_, pid_, ::getsid(pid_)};
        job.root = root_.get();
        job.cwd = cwd_.get();
        run.spared = {2, job.root, job.cwd};

        std::vector<char> copies[sysguard::abi::max_arguments];
        sysguard::process::Descriptor socket = duplicate(static_cast<int>(arguments[0]));
        job.fds[0] = socket ? socket.get() : -EBADF;
        run.spared.push_back(socket.get());
        for (int i = 0; i < job.call->argument_count(); ++i) {
            const sysguard::abi::Argument& argument = job.call->arguments[i];
            if (argument.type == Type::socket_address || argument.type == Type::bytes) {
                std::uint64_t size = arguments[job.position(argument.length)];
                if (argument.type == Type::bytes && size > most) size = most;
                if (size <= sizeof(sockaddr_storage) || argument.type == Type::bytes)
                    fetch(arguments[i], size, copies[i], job.in[i]);
            }
            if (argument.type == Type::socket_address || argument.type == Type::msghdr ||
                argument.type == Type::mmsghdr)
                job.decided[i] = decided;
        }
        using sysguard::supervise::Messages;
        Messages messages = number == SYS_sendmmsg
                                ? Messages::of_sendmmsg(*this, socket.get(), arguments[1], arguments[2], most)
                                : Messages::of_sendmsg(*this, socket.get(), arguments[1], most);
        if (number == SYS_sendmsg || number == SYS_sendmmsg) job.extra = messages.outgoing();
        for (const sysguard::process::Descriptor& carried : messages.descriptors())
            if (carried) run.spared.push_back(carried.get());

        const long result = perform(run);
        failed = messages.failed();
        lengths.clear();
        for (unsigned i = 0; number == SYS_sendmmsg && i < messages.sent(); ++i)
            lengths.emplace_back(messages.place_of_length(i), messages.length(i));
        return result;
    }

    std::size_t read(std::uint64_t address, void* to, std::size_t bytes) noexcept override {
        return sysguard::supervise::read_memory(pid_, address, static_cast<char*>(to), bytes);
    }
    sysguard::process::Descriptor duplicate(int fd) noexcept override {
        const auto copy = static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd_.get(), fd, 0));
        if (copy >= 0 || errno != EPERM) return sysguard::process::Descriptor{copy};
        return sysguard::process::Descriptor{::fcntl(fd, F_DUPFD_CLOEXEC, 3)};  // what the worker has, this process had
    }
    pid_t own_pid() noexcept override { return pid_; }
    pid_t pid() noexcept override { return pid_; }

    mode_t umask = 022;
    std::size_t most = 1 << 20;     ///< bytes of payload
    const char* decided = nullptr;  ///< where the call's path leads

    // After a call.
    std::vector<std::pair<std::uint64_t, std::uint32_t>> lengths{};
    int failed = 0;
    bool performer_was_killed = false;

private:
    struct Run {
        sysguard::supervise::perform::Job job{};
        sysguard::supervise::perform::Performer performer = nullptr;
        mode_t umask = 0;
        std::vector<int> spared{};
        const int* first_spared = nullptr;
        std::size_t spared_count = 0;
        long result = 0;
    };

    sysguard::process::Descriptor directory(const char* name) const {
        char path[64];
        std::snprintf(path, sizeof path, "/proc/%d/%s", pid_, name);
        return sysguard::process::Descriptor{::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)};
    }

    void fetch(std::uint64_t address, std::uint64_t size, std::vector<char>& copy,
               sysguard::supervise::perform::Input& input) {
        copy.resize(size + 1);
        if (read(address, copy.data(), size) == size)
            input = {copy.data(), size, 0};
        else
            input.error = EFAULT;
    }

    SYSGUARD_BARE static void enter(void* argument) noexcept {
        using sysguard::process::detail::raw_call;
        Run& run = *static_cast<Run*>(argument);
        raw_call(SYS_umask, run.umask);
        for (int fd = 0; fd < 256; ++fd) {
            bool spare = false;
            for (std::size_t i = 0; i < run.spared_count; ++i) spare = spare || run.first_spared[i] == fd;
            if (!spare) raw_call(SYS_close, fd);
        }
        run.result = run.performer(run.job);
    }

    /// A task in this process' memory, with descriptors and directories of its own.
    long perform(Run& run) {
        run.first_spared = run.spared.data();
        run.spared_count = run.spared.size();
        run.result = -EIO;
        static std::vector<char> stack(1 << 18);
        sysguard::process::detail::CloneArguments arguments;
        arguments.flags = CLONE_VM;
        arguments.exit_signal = SIGCHLD;
        arguments.stack = at(stack.data());
        arguments.stack_size = stack.size();
        const long task = sysguard::process::detail::start_task(arguments, enter, &run);
        int status = 0;
        ::waitpid(static_cast<pid_t>(task), &status, 0);
        performer_was_killed = !WIFEXITED(status);
        return run.result;
    }

    pid_t pid_ = -1;
    sysguard::process::Descriptor pidfd_{};
    sysguard::process::Descriptor root_{};
    sysguard::process::Descriptor cwd_{};
};

}  // namespace support
