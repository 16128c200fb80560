#include <sysguard/sandbox.hpp>

namespace sg = sysguard;
namespace abi = sysguard::abi;  // a name that libstdc++'s <cxxabi.h> would have taken

constexpr sg::Policy policy{sg::preset::compute, sg::otherwise.kill()};

int main() {
    const sg::Result<int> answer = sg::Sandbox{policy}.call([](int x) { return x + 1; }, 41);
    if (!answer) return 1;
    const char narrowed = *answer;  // -Wconversion -Werror must not come with the package
    return narrowed == 42 ? 0 : 1;
}
