#pragma once

#include "block.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

namespace sysguard {

/// Ports of TCP, in host byte order.
class Ports {
public:
    Ports() noexcept = default;
    Ports(std::initializer_list<std::uint16_t> ports) : ports_{ports.begin(), ports.size()} {}

    void add(std::uint16_t port) {
        process::Block<std::uint16_t> more{ports_.size() + 1};
        for (std::size_t i = 0; i < ports_.size(); ++i) more[i] = ports_[i];
        more[ports_.size()] = port;
        ports_ = std::move(more);
    }

    std::size_t size() const noexcept { return ports_.size(); }
    const std::uint16_t* begin() const noexcept { return ports_.begin(); }
    const std::uint16_t* end() const noexcept { return ports_.end(); }

private:
    process::Block<std::uint16_t> ports_{};
};

struct TcpPorts {
    Ports connect{};  ///< of whoever a worker may connect to, at any address
    Ports bind{};     ///< a worker's own; 0: one that the kernel chooses (ip_local_port_range, ip(7))
};

/// The network that a worker has.
class Network {
public:
    enum Kind : std::uint8_t {
        host,      ///< the host's
        isolated,  ///< one of its own with nothing in it (network namespace)
        loopback,  ///< one of its own with a loopback interface that is up
    };

    Network(Kind kind = host) noexcept : kind_{kind} {}

    /// The host's, but of TCP these ports alone (Landlock, Linux 6.7): to connect or bind to another one fails with
    /// EACCES. What the kernel does not hold to that is refused, whatever the policy says: sockets of MPTCP and SMC,
    /// which reach TCP ports (EPROTONOSUPPORT), MSG_FASTOPEN and TCP_ULP (EOPNOTSUPP), and io_uring_setup (EPERM).
    ///
    /// Not held by this, so a matter of the policy's: which addresses; all that is no TCP, such as UDP and raw sockets;
    /// listen(2) on a socket that is not bound, which gets a port that the kernel chooses; sockets that the worker is
    /// given.
    static Network tcp(TcpPorts ports) {
        Network network;
        network.ports_ = std::move(ports);
        network.restricts_tcp_ = true;
        return network;
    }

    Kind kind() const noexcept { return kind_; }
    bool has_own_namespace() const noexcept { return kind_ != host; }
    bool restricts_tcp() const noexcept { return restricts_tcp_; }
    /// Of `tcp`.
    const TcpPorts& tcp_ports() const noexcept { return ports_; }

private:
    TcpPorts ports_{};
    Kind kind_ = host;
    bool restricts_tcp_ = false;
};

}  // namespace sysguard
