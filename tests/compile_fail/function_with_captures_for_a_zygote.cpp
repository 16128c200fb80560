// expect: a zygote was forked before there was what this function has captured
#include <sysguard/zygote.hpp>

namespace sg = sysguard;

int main() {
    sg::Zygote zygote;
    const sg::Sandbox box{sg::Policy{sg::otherwise.allow()}};
    const int one = 1;
#ifdef SYSGUARD_CONTROL
    return static_cast<bool>(zygote.call(
        box, [](int x) { return x; }, one));
#else
    return static_cast<bool>(zygote.call(box, [one] { return one; }));
#endif
}
