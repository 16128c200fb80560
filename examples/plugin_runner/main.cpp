// Runs plugins that nobody vouches for, each in a worker of its own, on a file:
//
//     plugin_runner FILE PLUGIN...
//
// A plugin is a shared library with the C interface of plugin.h. It is never loaded into this process.
#include "plugin.h"

#include <sysguard/sandbox.hpp>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace preset = sysguard::preset;
namespace family = sysguard::family;
using namespace sg::literals;
using namespace std::chrono_literals;
using sg::Rule;

namespace {

/// The calls that one plugin was refused, as this process saw them: of more than a few, how many there were. Handlers
/// may run in several threads.
class Refusals {
public:
    void note(std::string call) {
        const std::lock_guard alone{mutex_};
        if (first_.size() < 5) first_.push_back(std::move(call));
        ++count_;
    }

    void print_and_forget() {
        const std::lock_guard alone{mutex_};
        for (const std::string& call : first_) std::printf("             refused: %s\n", call.c_str());
        if (count_ > first_.size()) std::printf("             refused: %zu calls more\n", count_ - first_.size());
        first_.clear();
        count_ = 0;
    }

private:
    std::mutex mutex_{};
    std::vector<std::string> first_{};
    std::size_t count_ = 0;
};

Refusals refusals;

constexpr const char* plugin_path = "/plugin";  // where the plugin finds its own file, and nothing else

/// A plugin's initializers run while it is loaded, so one policy serves for all its life. Nothing is opened: who loads
/// the plugin is told that its file is descriptor 0, which it is already. Nothing but that file becomes code.
constexpr sg::Policy policy{
    preset::compute,
    preset::stdio,
    sg::allow<SYS_pread64>,
    Rule<SYS_mmap>{arg::fd == 0 && (arg::flags & MAP_ANONYMOUS) == 0 && (arg::prot & PROT_WRITE) == 0}.allow(),
    Rule<family::open>{}.handle([](const sg::Call<family::open>& call) -> sg::Verdict {
        if (call[arg::path].text() == plugin_path) return call.fake(0);
        refusals.note(call.text());
        return call.deny(EACCES);
    }),
    Rule<SYS_socket>{}.handle([](const sg::Call<SYS_socket>& call) -> sg::Verdict {
        refusals.note(call.text());
        return call.deny(EACCES);
    }),
    sg::otherwise.kill(),
};

/// In the worker: loads the plugin that is standard input, and has it do its job.
std::string run_plugin(const std::vector<unsigned char>& input) {
    void* const library = ::dlopen(plugin_path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error{::dlerror()};
    const auto run = reinterpret_cast<decltype(&plugin_run)>(::dlsym(library, "plugin_run"));
    if (run == nullptr) throw std::runtime_error{::dlerror()};

    std::string result(200, '\0');
    plugin_job job{input.data(), input.size(), result.data(), result.size()};
    if (run(&job) != 0) throw std::runtime_error{"the plugin says that it failed"};
    result.resize(std::strlen(result.c_str()));
    return result;
}

/// What a plugin wrote is not to be trusted with the terminal: some take bytes above 0x7f for control characters too.
std::string printable(std::string text) {
    for (char& c : text)
        if (c < ' ' || c > '~') c = '?';
    return text;
}

void print_lines(const std::string& text) {
    for (std::size_t begin = 0; begin < text.size();) {
        std::size_t end = text.find('\n', begin);
        if (end == std::string::npos) end = text.size();
        std::printf("             it says: %s\n", printable(text.substr(begin, end - begin)).c_str());
        begin = end + 1;
    }
}

std::string name_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
}

/// Returns whether the plugin did its job.
bool run_and_report(const sg::Sandbox& box, const std::string& path, const std::vector<unsigned char>& input) {
    std::printf("%-12s ", name_of(path).c_str());
    const sg::process::Descriptor plugin{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!plugin) {
        std::printf("cannot be opened: %s\n\n", std::strerror(errno));
        return false;
    }
    const sg::Launch launch{.input = sg::Stdio::from(plugin.get()),
                            .output = sg::Stdio::capture(4_KiB),
                            .error = sg::Stdio::capture(4_KiB)};
    const sg::Result<std::string> result = box.call(launch, [&] { return run_plugin(input); });
    if (result)
        std::printf("did its job: %s\n", printable(*result).c_str());
    else
        std::printf("%s\n", result.explain().c_str());
    refusals.print_and_forget();
    print_lines(result.outcome().output());
    print_lines(result.outcome().error_output());
    std::printf("             used %.0f ms, %llu MiB\n\n",
                std::chrono::duration<double, std::milli>(result.outcome().usage().wall).count(),
                static_cast<unsigned long long>(result.outcome().usage().peak_memory >> 20));
    return static_cast<bool>(result);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s FILE PLUGIN...\n", argv[0]);
        return 2;
    }
    std::ifstream file{argv[1], std::ios::binary};
    if (!file) {
        std::fprintf(stderr, "%s: cannot be read\n", argv[1]);
        return 2;
    }
    const std::vector<unsigned char> input{std::istreambuf_iterator<char>{file}, {}};

    const sg::Sandbox box{policy, {.limits = {.memory = 64_MiB, .cpu = 2s, .wall = 1s}}};
    std::printf("%zu bytes of %s for %d plugins\n\n", input.size(), argv[1], argc - 2);
    int good = 0;
    for (int i = 2; i < argc; ++i) good += run_and_report(box, argv[i], input);
    std::printf("%d of %d plugins did their job; this process is none the worse for the others.\n", good, argc - 2);
    return 0;
}
