#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <mqueue.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/escapes.hpp"
#include "support/sockets.hpp"

/// Attempts to reach the host's sockets, its network, and what processes share by a name.
namespace sg = sysguard;
using namespace support;

namespace {

/// What the host has open to the world while attempts are made.
struct Services {
    sg::process::Descriptor abstract, datagram, path, tcp, udp;
    UnixAddress abstract_address{std::string(1, '\0') + "sysguard.escapes." + std::to_string(::getpid())};
    UnixAddress datagram_address{std::string(1, '\0') + "sysguard.escapes.d" + std::to_string(::getpid())};
    sockaddr_in tcp_address = loopback();
    sockaddr_in udp_address = loopback();

    Services()
        : abstract{open_socket(AF_UNIX, SOCK_STREAM)},
          datagram{open_socket(AF_UNIX, SOCK_DGRAM)},
          tcp{open_socket(AF_INET, SOCK_STREAM)},
          udp{open_socket(AF_INET, SOCK_DGRAM)} {
        REQUIRE(::bind(abstract.get(), plain(&abstract_address.address), abstract_address.size) == 0);
        REQUIRE(::listen(abstract.get(), 64) == 0);
        REQUIRE(::bind(datagram.get(), plain(&datagram_address.address), datagram_address.size) == 0);
        for (const auto& [socket, address] : {std::pair{&tcp, &tcp_address}, {&udp, &udp_address}}) {
            REQUIRE(::bind(socket->get(), plain(address), sizeof *address) == 0);
            socklen_t size = sizeof *address;
            REQUIRE(::getsockname(socket->get(), reinterpret_cast<sockaddr*>(address), &size) == 0);
        }
        REQUIRE(::listen(tcp.get(), 64) == 0);
    }
};

const Services& services() {
    static const Services all;
    return all;
}

const auto with_services = [](Scene&) { services(); };

int connect_to_abstract() {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const UnixAddress& address = services().abstract_address;
    return fd < 0 ? errno : errno_of(::connect(fd, plain(&address.address), address.size));
}

}  // namespace

SYSGUARD_ESCAPE_WITH("connect to an abstract socket", by_rules | by_scopes | by_spaces | by_root, with_services) {
    return connect_to_abstract();
}

SYSGUARD_ESCAPE_WITH("send to an abstract socket", by_rules | by_scopes | by_spaces | by_root, with_services) {
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const UnixAddress& address = services().datagram_address;
    return fd < 0 ? errno : errno_of(::sendto(fd, "x", 1, 0, plain(&address.address), address.size));
}

SYSGUARD_ESCAPE_WITH("pass a descriptor to an abstract socket", by_rules | by_scopes | by_spaces | by_root,
                     with_services) {
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    UnixAddress address = services().datagram_address;
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    msghdr message{};
    message.msg_name = &address.address;
    message.msg_namelen = address.size;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return errno_of(::sendmsg(fd, &message, 0));
}

SYSGUARD_ESCAPE_WITH("connect to a TCP port of the host's", by_rules | by_spaces | by_root, with_services) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : errno_of(::connect(fd, plain(&services().tcp_address), sizeof(sockaddr_in)));
}

SYSGUARD_ESCAPE_WITH("send to a UDP port of the host's", by_rules | by_spaces | by_root, with_services) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : errno_of(::sendto(fd, "x", 1, 0, plain(&services().udp_address), sizeof(sockaddr_in)));
}

SYSGUARD_ESCAPE_WITH("connect to a TCP port of the host's, with a loopback of its own", by_rules | by_spaces | by_root,
                     with_services) {
    if (enter_namespaces(0) == 0) {
        const int control = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ifreq request{};
        std::strcpy(request.ifr_name, "lo");
        request.ifr_flags = IFF_UP;
        ::ioctl(control, SIOCSIFFLAGS, &request);
    }
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : errno_of(::connect(fd, plain(&services().tcp_address), sizeof(sockaddr_in)));
}

SYSGUARD_ESCAPE_WITH("connect to a socket file outside", by_rules | by_root, [](Scene& scene) {
    const UnixAddress address{scene.out() + "/socket"};
    scene.give(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(scene.given(), plain(&address.address), address.size) == 0);
    REQUIRE(::listen(scene.given(), 8) == 0);
    REQUIRE(::chmod((scene.out() + "/socket").c_str(), 0777) == 0);
}) {
    const UnixAddress address{scene.out() + "/socket"};
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : errno_of(::connect(fd, plain(&address.address), address.size));
}

SYSGUARD_ESCAPE("see an interface of the host's that is up", by_rules | by_spaces | by_root) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    if (fd < 0 || ::ioctl(fd, SIOCGIFFLAGS, &request) != 0) return errno;
    return (request.ifr_flags & IFF_UP) != 0 ? 0 : ENETDOWN;
}

SYSGUARD_ESCAPE("change an interface of the host's", by_sandbox | by_rules | by_spaces | by_root) {
    if (!is_root()) return not_here;
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    if (fd < 0 || ::ioctl(fd, SIOCGIFFLAGS, &request) != 0) return errno;
    return errno_of(::ioctl(fd, SIOCSIFFLAGS, &request));
}

SYSGUARD_ESCAPE("open a raw socket", by_sandbox | by_rules | by_spaces | by_root) {
    if (!is_root()) return not_here;
    return errno_of(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
}

SYSGUARD_ESCAPE("ask the kernel for the addresses of the host", by_rules | by_spaces | by_root) {
    const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) return errno;
    struct {
        nlmsghdr header;
        ifaddrmsg message;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = RTM_GETADDR;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    if (::send(fd, &request, sizeof request, 0) < 0) return errno;
    alignas(nlmsghdr) char answer[8192];
    const ssize_t size = ::recv(fd, answer, sizeof answer, 0);
    if (size < static_cast<ssize_t>(sizeof(nlmsghdr))) return errno;
    return reinterpret_cast<nlmsghdr*>(answer)->nlmsg_type == RTM_NEWADDR ? 0 : ENODATA;
}

namespace {

/// A segment, semaphores, a message queue and a named queue of the host's, which are removed at the end.
struct Names {
    key_t key = 0x5e500000 + ::getpid();
    int memory = ::shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0666);
    int semaphores = ::semget(key, 1, IPC_CREAT | IPC_EXCL | 0666);
    int messages = ::msgget(key, IPC_CREAT | IPC_EXCL | 0666);
    std::string name = "/sysguard." + std::to_string(::getpid());
    mqd_t queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666, nullptr);

    Names() = default;
    Names(const Names&) = delete;
    Names& operator=(const Names&) = delete;
    ~Names() {
        if (::getpid() != host) return;
        ::shmctl(memory, IPC_RMID, nullptr);
        ::semctl(semaphores, 0, IPC_RMID);
        ::msgctl(messages, IPC_RMID, nullptr);
        ::mq_close(queue);
        ::mq_unlink(name.c_str());
    }
    pid_t host = ::getpid();
};

const Names& names() {
    static const Names all;
    return all;
}

const auto with_names = [](Scene&) { names(); };

}  // namespace

SYSGUARD_ESCAPE_WITH("attach shared memory of the host's by its key", by_rules | by_spaces | by_root, with_names) {
    const int id = ::shmget(names().key, 4096, 0);
    if (id < 0) return errno;
    return ::shmat(id, nullptr, 0) == reinterpret_cast<void*>(-1) ? errno : 0;
}

SYSGUARD_ESCAPE_WITH("attach shared memory of the host's by its id", by_rules | by_spaces | by_root, with_names) {
    return ::shmat(names().memory, nullptr, 0) == reinterpret_cast<void*>(-1) ? errno : 0;
}

SYSGUARD_ESCAPE_WITH("remove shared memory of another's", by_rules | by_spaces | by_root, with_names) {
    shmid_ds about{};
    return errno_of(::shmctl(names().memory, IPC_STAT, &about));
}

SYSGUARD_ESCAPE_WITH("change semaphores of the host's", by_rules | by_spaces | by_root, with_names) {
    return errno_of(::semctl(names().semaphores, 0, SETVAL, 1));
}

SYSGUARD_ESCAPE_WITH("send to a message queue of the host's", by_rules | by_spaces | by_root, with_names) {
    const struct {
        long type;
        char text[8];
    } message{1, {}};
    return errno_of(::msgsnd(names().messages, &message, sizeof message.text, IPC_NOWAIT));
}

SYSGUARD_ESCAPE_WITH("open a named message queue of the host's", by_rules | by_spaces | by_root, with_names) {
    if (names().queue < 0) return not_here;
    return errno_of(::mq_open(names().name.c_str(), O_RDWR | O_CLOEXEC));
}
