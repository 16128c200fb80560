// expect: no pointers, and nothing that could hold one
#include <sysguard/service.hpp>

#include <string>

namespace sg = sysguard;

int main() {
    const sg::Sandbox box{sg::Policy{sg::otherwise.allow()}};
#ifdef SYSGUARD_CONTROL
    sg::Service service{box, [](const std::string& text) { return text.size(); }};
    return static_cast<bool>(service.call("text"));
#else
    sg::Service service{box, [](const char* text) { return text[0]; }};
    return static_cast<bool>(service.call("text"));
#endif
}
