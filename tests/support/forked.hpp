#pragma once

#include <doctest/doctest.h>

#include <exception>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "support/supervised.hpp"

namespace support {

/// Runs a test in a process of its own, as what it makes of itself; one that hangs is ended after a minute. Returns
/// what it says.
template <class Test>
std::string in_fork(Test&& test) {
    struct Text {
        char text[4096];
    };
    const Shared<Text> said;
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::alarm(60);
        std::string text;
        try {
            text = test();
        } catch (const std::exception& exception) {
            text = exception.what();
        }
        text.copy(said->text, sizeof said->text - 1);
        ::_exit(0);
    }
    int status = -1;
    ::waitpid(pid, &status, 0);
    CHECK(status == 0);
    return said->text;
}

}  // namespace support
