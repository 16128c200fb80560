// Tries what a plugin has no business with, and tells how it went.
#include "plugin.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

void say(const char* what) {
    std::printf("%s: ", what);
    std::fflush(stdout);
    errno = 0;
}

void tell(bool worked) {
    std::printf("%s\n", worked ? "WORKED" : errno != 0 ? std::strerror(errno) : "failed");
    std::fflush(stdout);
}

/// Finds a way to an address that is nobody's (RFC 5737). Nothing is sent there.
bool reach_network() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(9);
    inet_pton(AF_INET, "192.0.2.1", &address.sin_addr);
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    return fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

int plugin_run(plugin_job* job) {
    char secret[64];
    say("read /etc/shadow");
    const int file = open("/etc/shadow", O_RDONLY);
    tell(file >= 0 && read(file, secret, sizeof secret) > 0);
    say("reach the network");
    tell(reach_network());
    say("spawn a shell");
    tell(std::system("id") == 0);
    std::snprintf(job->result, job->result_size, "still here");
    return 0;
}
