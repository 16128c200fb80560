#pragma once

#include "../../abi/error.hpp"
#include "../block.hpp"
#include "../child.hpp"
#include "../descriptor.hpp"
#include "../launch.hpp"
#include "plan.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sysguard::process::detail {

/// The worker's descriptors as the host prepares them: what goes where, and the ends that stay.
class Streams {
public:
    /// Opens what the launch asks for. Throws `Error`.
    Streams(const Launch& launch, Child& child, bool with_channel) : moves_{3 + launch.descriptors.size()} {
        check_all_open(launch);  // before anything is opened here that could get the number of one that is not
        add(launch.input, 0, child.input);
        add(launch.output, 1, child.output);
        add(launch.error, 2, child.error);
        for (const PassedDescriptor& passed : launch.descriptors) {
            if (passed.worker < 3) throw Error{EINVAL, "pass a descriptor: 0, 1 and 2 are input, output and error"};
            if (static_cast<rlim_t>(passed.worker) >= most_files())
                throw Error{EBADF, "pass a descriptor as " + std::to_string(passed.worker) +
                                       ": that is beyond the limit on open files (RLIMIT_NOFILE)"};
            if (is_target(passed.worker)) throw Error{EINVAL, "pass a descriptor: two get the same number"};
            move(passed.host, passed.worker);
        }
        if (with_channel) open_channel(child);
    }

    void enter(Plan& plan) noexcept {
        plan.moves = moves_.data();
        plan.move_count = move_count_;
        plan.channel = channel_.get();
    }

    /// The limit on open files that leaves room for what a starting worker opens, besides what it is given: its
    /// listener and, of a program, its pidfd.
    std::uint64_t descriptors_to_start() const noexcept {
        int lowest = 0;
        for (int room = channel_ ? 2 : 0; room > 0; ++lowest) room -= !is_target(lowest) && lowest != channel_.get();
        return static_cast<std::uint64_t>(lowest);
    }

    /// Closes what only the worker is to hold, once it has started.
    void close_worker_ends() noexcept {
        for (Descriptor& end : kept_) end.reset();
        channel_.reset();
    }

private:
    static rlim_t most_files() {
        rlimit limit{};
        if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) throw Error{errno, "read the host's limits"};
        return limit.rlim_cur;
    }

    static void check_open(int fd) {
        if (::fcntl(fd, F_GETFD) < 0) throw Error{errno, "pass descriptor " + std::to_string(fd)};
    }

    static void check_all_open(const Launch& launch) {
        for (const Stdio* const stream : {&launch.input, &launch.output, &launch.error})
            if (stream->kind() == Stdio::Kind::descriptor) check_open(stream->fd());
        for (const PassedDescriptor& passed : launch.descriptors) check_open(passed.host);
    }

    void add(const Stdio& stream, int to, Descriptor& host_end) {
        switch (stream.kind()) {
            case Stdio::Kind::closed: move(-1, to); return;
            case Stdio::Kind::descriptor: move(stream.fd(), to); return;
            case Stdio::Kind::inherited:
                // Where the host has none, its number can be that of something which another thread has just opened.
                if (const int flags = ::fcntl(to, F_GETFD); flags < 0 || (flags & FD_CLOEXEC) != 0) break;
                move(to, to);
                return;
            case Stdio::Kind::captured:
                if (to == 0) throw Error{EINVAL, "capture the input: only output can be captured"};
                add_pipe(to, host_end, O_NONBLOCK);
                return;
            case Stdio::Kind::piped: add_pipe(to, host_end, 0); return;
            case Stdio::Kind::null: break;
        }
        Descriptor null{above_streams(::open("/dev/null", O_RDWR | O_CLOEXEC))};
        if (!null) throw Error{errno, "open /dev/null"};
        keep(std::move(null), to);
    }

    void add_pipe(int to, Descriptor& host_end, int flags) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw Error{errno, "make a pipe"};
        Descriptor reading{above_streams(ends[0])};
        Descriptor writing{above_streams(ends[1])};
        if (!reading || !writing) throw Error{errno, "make a pipe"};
        Descriptor& hosts = to == 0 ? writing : reading;
        if (flags != 0 && ::fcntl(hosts.get(), F_SETFL, flags) != 0) throw Error{errno, "make a pipe non-blocking"};
        host_end = std::move(hosts);
        keep(std::move(to == 0 ? reading : writing), to);
    }

    void keep(Descriptor descriptor, int to) {
        move(descriptor.get(), to);
        kept_[to] = std::move(descriptor);
    }

    /// Sorted by the worker's number.
    void move(int from, int to) {
        std::size_t at = move_count_++;
        for (; at > 0 && to < moves_[at - 1].to; --at) moves_[at] = moves_[at - 1];
        moves_[at] = {from, to};
    }

    bool is_target(int fd) const noexcept {
        for (std::size_t i = 0; i < move_count_; ++i)
            if (moves_[i].to == fd) return true;
        return false;
    }

    /// The worker's end has a number that is nobody else's.
    void open_channel(Child& child) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
            throw Error{errno, "make a socket pair"};
        child.channel.reset(above_streams(ends[0]));
        channel_.reset(above_streams(ends[1]));
        if (!child.channel || !channel_) throw Error{errno, "make a socket pair"};
        while (is_target(channel_.get())) {
            channel_.reset(::fcntl(channel_.get(), F_DUPFD_CLOEXEC, channel_.get() + 1));
            if (!channel_) throw Error{errno, "make a socket pair"};
        }
    }

    Block<DescriptorMove> moves_;
    std::size_t move_count_ = 0;
    Descriptor kept_[3];  ///< the worker's ends of the standard streams
    Descriptor channel_;
};

}  // namespace sysguard::process::detail
