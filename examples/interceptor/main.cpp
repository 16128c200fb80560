// Turns the interception of system calls on and off while programs run, and tells of those that chosen processes make.
// Takes its orders from the standard input, a line each, and answers each with "ok" or what is wrong.
#include <sysguard/interceptor.hpp>

#include <charconv>
#include <cstdio>
#include <exception>
#include <iostream>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

namespace sg = sysguard;

namespace {

constexpr const char* help =
    "intercept CALL        be able to monitor a call (root only)\n"
    "release CALL          the opposite; nobody is monitored for it any more (root only)\n"
    "monitor CALL PID      tell of a process's calls; 0: of every process's (root only)\n"
    "unmonitor CALL PID    the opposite\n"
    "dropped               how many calls have not been told of\n"
    "quit\n"
    "A call is written by its name or its number.\n";

std::mutex printing;

void print(const std::string& line) {
    const std::lock_guard locked{printing};
    std::puts(line.c_str());
    std::fflush(stdout);
}

/// The number of a call that is written by its name or its number, or -1.
int number_of(const std::string& text) {
    if (const sg::abi::Syscall* const call = sg::abi::find(text)) return call->number();
    int number = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() ? number : -1;
}

std::string obey(sg::Interceptor& interceptor, const std::string& line) {
    std::istringstream words{line};
    std::string order;
    std::string call;
    pid_t process = 0;
    words >> order >> call;
    const bool names_process = order == "monitor" || order == "unmonitor";
    if (order == "dropped" && call.empty()) return std::to_string(interceptor.dropped());
    const bool is_known = names_process || order == "intercept" || order == "release";
    if (!is_known || call.empty() || (names_process && !(words >> process)) || words >> order) return help;
    const int number = number_of(call);
    const std::errc error = order == "intercept" ? interceptor.intercept(number)
                            : order == "release" ? interceptor.release(number)
                            : order == "monitor" ? interceptor.monitor(number, process)
                                                 : interceptor.unmonitor(number, process);
    return error == std::errc{} ? "ok" : std::make_error_code(error).message();
}

}  // namespace

int main(int argc, char**) {
    if (argc > 1) {
        std::fputs(help, stderr);
        return 2;
    }
    try {
        sg::Interceptor interceptor{[](const sg::Hit& hit) { print(hit.text()); }};
        std::string line;
        while (std::getline(std::cin, line) && line != "quit")
            if (!line.empty()) print(obey(interceptor, line));
        return 0;
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "interceptor: %s\n", exception.what());
        return 1;
    }
}
