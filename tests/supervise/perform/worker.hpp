#pragma once

#include <sysguard/abi/table.hpp>
#include <sysguard/process/task.hpp>
#include <sysguard/supervise/perform/credentials.hpp>
#include <sysguard/supervise/perform/job.hpp>
#include <sysguard/supervise/perform/performers.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

/// A worker that makes calls, and a performer that makes the same calls on its behalf.
namespace performing {

namespace sg = sysguard;
namespace abi = sysguard::abi;
namespace perform = sysguard::supervise::perform;

/// An argument: a number, a string or a structure's bytes (by address, nullptr and unreadable memory included).
struct Bytes {
    std::string bytes;
};
struct Room {
    std::size_t size;
};
struct Unreadable {};
using Argument = std::variant<long, std::string, Bytes, Room, Unreadable, std::nullptr_t>;

/// Memory at the same address in worker, performer and test.
struct Shared {
    static constexpr std::size_t slot_size = 128 * 1024;
    int number;
    std::uint64_t arguments[6];
    long result;
    int fd_flags;
    char fd_place[PATH_MAX];
    std::size_t out_size[6];
    alignas(8) char slots[6][slot_size];
    alignas(8) char extra[slot_size];
};

template <class T>
Bytes bytes_of(const T& value) {
    return {std::string(reinterpret_cast<const char*>(&value), sizeof value)};
}

inline std::string text_of_fd(int fd) {
    char text[PATH_MAX];
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t size = ::readlink(path.c_str(), text, sizeof text);
    return size < 0 ? std::string{} : std::string(text, static_cast<std::size_t>(size));
}

struct Answer {
    long result = 0;
    std::string place;  ///< of a new descriptor
    int fd_flags = 0;
    std::string out[6];
};

class Worker {
public:
    template <class Setup>
    explicit Worker(Setup&& setup)
        : shared_{static_cast<Shared*>(
              ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))} {
        REQUIRE(shared_ != MAP_FAILED);
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::close(ends[0]);
            ::setsid();
            ::signal(SIGXFSZ, SIG_IGN);
            setup();
            ::prctl(PR_SET_DUMPABLE, 1);  // as after an execve
            serve(ends[1]);
        }
        ::close(ends[1]);
        channel_ = ends[0];
        char ready;
        REQUIRE(::read(channel_, &ready, 1) == 1);
    }
    Worker() : Worker{[] {}} {}
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        ::close(channel_);
        ::munmap(shared_, sizeof(Shared));
    }

    pid_t pid() const { return pid_; }
    perform::Caller caller() const { return {pid_, pid_, pid_}; }

    /// The worker makes the call itself.
    Answer make(int number, const std::vector<Argument>& arguments) {
        place(number, arguments);
        char byte = 0;
        REQUIRE(::write(channel_, &byte, 1) == 1);
        REQUIRE(::read(channel_, &byte, 1) == 1);
        Answer answer = read_answer();
        for (int i = 0; i < 6; ++i)
            if (is_room_[i]) answer.out[i] = std::string(shared_->slots[i], size_[i]);
        return answer;
    }

    /// A performer makes it.
    Answer perform(int number, const std::vector<Argument>& arguments, const char* decided = nullptr,
                   std::string extra = {}) {
        place(number, arguments);
        for (std::size_t& size : shared_->out_size) size = 0;
        extra_ = extra;
        decided_ = decided;
        has_performed_ = false;
        int pidfd = -1;
        const auto carry_out_of = [](void* self) { static_cast<Worker*>(self)->carry_out(); };
        const long performer = sg::process::start_task(carry_out_of, this, stack_, stack_size, pidfd);
        REQUIRE(performer > 0);
        ::close(pidfd);
        sg::process::reap_task(performer);
        ::prctl(PR_SET_DUMPABLE, 1);  // who took on other credentials has cleared it
        REQUIRE(has_performed_);
        Answer answer = read_answer();
        for (int i = 0; i < 6; ++i)
            if (is_room_[i]) answer.out[i] = std::string(shared_->slots[i], shared_->out_size[i]);
        if (number == sg::sys::getxattrat) answer.out[5] = std::string(shared_->extra, shared_->out_size[5]);
        return answer;
    }

private:
    void place(int number, const std::vector<Argument>& arguments) {
        shared_->number = number;
        shared_->result = 0;
        shared_->fd_place[0] = 0;
        shared_->fd_flags = 0;
        int i = 0;
        for (bool& is : is_room_) is = false;
        for (std::size_t& size : size_) size = 0;
        for (std::uint64_t& argument : shared_->arguments) argument = 0;
        for (const Argument& argument : arguments) {
            std::uint64_t& target = shared_->arguments[i];
            char* const slot = shared_->slots[i];
            const auto address = reinterpret_cast<std::uintptr_t>(slot);
            if (const long* value = std::get_if<long>(&argument)) {
                target = static_cast<std::uint64_t>(*value);
            } else if (const std::string* text = std::get_if<std::string>(&argument)) {
                std::memcpy(slot, text->c_str(), text->size() + 1);
                size_[i] = text->size();
                target = address;
            } else if (const Bytes* bytes = std::get_if<Bytes>(&argument)) {
                std::memcpy(slot, bytes->bytes.data(), bytes->bytes.size());
                size_[i] = bytes->bytes.size();
                target = address;
            } else if (const Room* room = std::get_if<Room>(&argument)) {
                std::memset(slot, 0, room->size);
                size_[i] = room->size;
                is_room_[i] = true;
                target = address;
            } else if (std::holds_alternative<Unreadable>(argument)) {
                target = 8;
            }
            ++i;
        }
    }

    Answer read_answer() const {
        Answer answer;
        answer.result = shared_->result;
        answer.place = shared_->fd_place;
        answer.fd_flags = shared_->fd_flags;
        return answer;
    }

    void note(long result) const {
        shared_->result = result;
        if (result < 0 || abi::find(shared_->number)->returns != abi::Return::fd) return;
        const int fd = static_cast<int>(result);
        std::strcpy(shared_->fd_place, text_of_fd(fd).c_str());
        shared_->fd_flags = ::fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_PATH | O_SYNC | O_DIRECT);
        ::close(fd);
        shared_->result = 0;
    }

    [[noreturn]] void serve(int channel) const {
        char byte = 0;
        for (;;) {
            if (::write(channel, &byte, 1) != 1 || ::read(channel, &byte, 1) != 1) ::_exit(0);
            const std::uint64_t* const a = shared_->arguments;
            long result;
            // Renames anywhere keep the kernel from seeing that ".." stays inside (openat2(2), EAGAIN).
            do result = ::syscall(shared_->number, a[0], a[1], a[2], a[3], a[4], a[5]);
            while (result < 0 && errno == EAGAIN && shared_->number == SYS_openat2);
            note(result < 0 ? -errno : result);
        }
    }

    int copy_descriptor(int fd) const {
        if (fd == AT_FDCWD) return fd;
        const long process = ::syscall(SYS_pidfd_open, pid_, 0);
        long copy = ::syscall(SYS_pidfd_getfd, process, fd, 0);
        if (copy < 0 && errno == EPERM)  // refused in a container
            copy = ::open(("/proc/" + std::to_string(pid_) + "/fd/" + std::to_string(fd)).c_str(), O_PATH | O_CLOEXEC);
        ::close(static_cast<int>(process));
        return copy < 0 ? -EBADF : static_cast<int>(copy);
    }

    /// In a task that shares this process's memory, as a fork for each call would cost far more. While it runs, nobody
    /// else does.
    void carry_out() {
        const std::string process = "/proc/" + std::to_string(pid_);
        perform::Job job;
        job.call = abi::find(shared_->number);
        job.caller = caller();
        job.root = ::open((process + "/root").c_str(), O_PATH | O_CLOEXEC);
        job.cwd = ::open((process + "/cwd").c_str(), O_PATH | O_CLOEXEC);
        perform::Input extra_in{shared_->extra, extra_.size(), 0};
        perform::Output extra_out{shared_->extra, sizeof shared_->extra, 0};
        for (int i = 0; i < job.call->argument_count(); ++i) {
            const abi::Argument& argument = job.call->arguments[i];
            const std::uint64_t value = shared_->arguments[i];
            job.arguments[i] = value;
            const bool is_text = argument.type == abi::Type::path || argument.type == abi::Type::string;
            if (argument.type == abi::Type::fd || argument.type == abi::Type::dirfd)
                job.fds[i] = copy_descriptor(static_cast<int>(value));
            if (is_room_[i]) {
                job.out[i].data = shared_->slots[i];
                job.out[i].capacity = size_[i];
            } else if (value >= 4096 && (is_text || abi::is_pointer(argument.type))) {
                if (argument.type == abi::Type::path && size_[i] >= PATH_MAX)
                    job.in[i].error = ENAMETOOLONG;
                else
                    job.in[i] = {shared_->slots[i], size_[i], 0};
            } else if (abi::is_pointer(argument.type) && value != 0) {
                job.in[i].error = EFAULT;
            }
            if (argument.type == abi::Type::path) job.decided[i] = decided_;
            if (argument.type == abi::Type::xattr_args) {
                std::memcpy(shared_->extra, extra_.data(), extra_.size());
                job.extra = job.call->name == "getxattrat" ? static_cast<void*>(&extra_out) : &extra_in;
            }
        }
        long result = perform::assume(job.caller, job.has_own_users);
        if (result == 0) result = perform::performer(shared_->number)(job);
        note(result);
        for (int i = 0; i < 6; ++i) shared_->out_size[i] = job.out[i].size;
        if (job.extra == &extra_out) shared_->out_size[5] = extra_out.size;
        has_performed_ = true;
    }

    Shared* shared_;
    pid_t pid_ = 0;
    int channel_ = -1;
    bool is_room_[6]{};
    std::size_t size_[6]{};
    std::string extra_;
    const char* decided_ = nullptr;
    bool has_performed_ = false;

    static constexpr std::size_t stack_size = 256 * 1024;
    alignas(64) char stack_[stack_size];
};

}  // namespace performing
