#pragma once

#include "../../policy/possibilities.hpp"
#include "siblings.hpp"

#include <cstdint>

#include <fcntl.h>
#include <sys/socket.h>

namespace sysguard::filter::detail {

/// What a worker can do under a policy, as far as lint asks.
class Abilities {
protected:
    using Fate = policy::Fate;

    static constexpr std::uint64_t int_bits = 0xffffffff;

    static constexpr policy::Known equals(abi::ArgName argument, std::uint64_t value) noexcept {
        return {argument, int_bits, value};
    }
    static constexpr policy::Known differs(abi::ArgName argument, std::uint64_t value) noexcept {
        return {argument, int_bits, value, true};
    }
    static constexpr policy::Known has(abi::ArgName argument, std::uint64_t bits) noexcept {
        return {argument, bits, bits};
    }

    constexpr bool runs(int number, const policy::Knowledge& knowledge = {}) const noexcept {
        return can_.may(Fate::runs, number, knowledge);
    }

    constexpr explicit Abilities(const policy::View& view) noexcept : can_{view} {}

    constexpr bool opens_to_write(int number) const noexcept {
        return runs(number, policy::Known{abi::ArgName::flags, O_ACCMODE, O_WRONLY}) ||
               runs(number, policy::Known{abi::ArgName::flags, O_ACCMODE, O_RDWR});
    }

    /// What takes a worker's data out of the machine: a socket, and a call that gives it a peer.
    constexpr bool reaches_the_network() const noexcept {
        bool has_sockets = false;
        for (const int domain : {AF_INET, AF_INET6, AF_PACKET, AF_VSOCK})
            has_sockets =
                has_sockets || runs(sys::socket, equals(abi::ArgName::domain, static_cast<std::uint64_t>(domain)));
        return has_sockets && (runs(sys::connect) || runs(sys::sendto, differs(abi::ArgName::addrlen, 0)) ||
                               runs(sys::sendmsg) || runs(sys::sendmmsg) || runs(sys::accept) || runs(sys::accept4));
    }

    constexpr bool reads() const noexcept {
        for (const int number : {sys::read, sys::pread64, sys::readv, sys::preadv, sys::preadv2, sys::mmap,
                                 sys::sendfile, sys::splice, sys::copy_file_range})
            if (runs(number)) return true;
        return false;
    }

    constexpr bool opens_to_read(int number) const noexcept {
        return runs(number, policy::Known{abi::ArgName::flags, O_ACCMODE, O_RDONLY});
    }

    /// What must become of a path's calls for those that take open files to do the same; `runs` for nothing that does.
    constexpr Fate fate_beside(Role role) const noexcept {
        if (role == Role::any || role == Role::door) return Fate::refused;
        bool by_the_host = false;
        for (const int number : {sys::openat, sys::open, sys::openat2, sys::creat}) {
            if (runs(number)) return Fate::refused;
            if (number < 0 || role != Role::changes_an_open_file) continue;
            can_.each_decision(number, [&](const Decision& each) { by_the_host |= each == Action::handle; });
        }
        return by_the_host ? Fate::denied : Fate::runs;
    }

    policy::Possibilities can_;
};

}  // namespace sysguard::filter::detail
