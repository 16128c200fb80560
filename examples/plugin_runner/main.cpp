// Runs plugins that nobody vouches for on a file:
//
//     plugin_runner FILE PLUGIN...
//
// A plugin is a shared library with the C interface of plugin.h. It is never loaded into this process: it runs in a
// worker, three times, held by rules alone, by isolation alone, and by both. One that does its job then does it again
// and again, in workers that a pool keeps ready.
#include "plugin.h"

#include <sysguard/capabilities.hpp>
#include <sysguard/pool.hpp>
#include <sysguard/sandbox.hpp>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

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
        for (const std::string& call : first_) std::printf("                   refused: %s\n", call.c_str());
        if (count_ > first_.size()) std::printf("                   refused: %zu calls more\n", count_ - first_.size());
        first_.clear();
        count_ = 0;
    }

private:
    std::mutex mutex_{};
    std::vector<std::string> first_{};
    std::size_t count_ = 0;
};

Refusals refusals;

std::string plugin;  // the path of the one that runs now

/// What a plugin may ask. Its initializers run while it is loaded, so one policy serves for all its life. It opens
/// nothing: this process opens its own file for it, and nothing else. Nothing but that file becomes code.
constexpr sg::Policy rules{
    preset::compute,
    preset::stdio,
    sg::allow<SYS_pread64>,
    Rule<SYS_mmap>{(arg::flags & MAP_ANONYMOUS) == 0 && (arg::prot & PROT_WRITE) == 0}.allow(),
    Rule<family::open>{}.handle([](const sg::Call<family::open>& call) -> sg::Verdict {
        if (call[arg::path].text() == plugin)
            return call.return_fd(sg::process::Descriptor{::open(plugin.c_str(), O_RDONLY | O_CLOEXEC)}.get());
        refusals.note(call.text());
        return call.deny(EACCES);
    }),
    Rule<SYS_socket>{}.handle([](const sg::Call<SYS_socket>& call) -> sg::Verdict {
        refusals.note(call.text());
        return call.deny(EACCES);
    }),
    sg::otherwise.kill(),
};

/// It may ask anything.
constexpr sg::Policy no_rules{sg::otherwise.allow()};

/// What holds a plugin however it is run.
const sg::Limits limits{.memory = 64_MiB, .cpu = 2s, .wall = 1s};

/// What there is for a plugin to reach: its own file, no network, no other processes. What this machine does not offer
/// of that, it goes without.
sg::Options isolation() {
    return {.files = {sg::read_only(plugin)},
            .network = sg::Network::isolated,
            .scopes = {.abstract_sockets = true, .signals = true},
            .namespaces = sg::Namespaces::all(),
            .limits = limits,
            .optional = sg::Layers::all()};
}

/// In the worker: loads the plugin, and has it do its job.
std::string run_plugin(const std::vector<unsigned char>& input) {
    void* const library = ::dlopen(plugin.c_str(), RTLD_NOW | RTLD_LOCAL);
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
        std::printf("                   it says: %s\n", printable(text.substr(begin, end - begin)).c_str());
        begin = end + 1;
    }
}

std::string name_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
}

/// Runs the plugin once, and prints what became of it. Returns whether it did its job.
bool run_and_report(const char* how, const sg::Sandbox& box, const std::vector<unsigned char>& input) {
    std::printf("  %-15s  ", how);
    const sg::Launch launch{.output = sg::Stdio::capture(4_KiB), .error = sg::Stdio::capture(4_KiB)};
    const sg::Result<std::string> result = box.call(launch, [&] { return run_plugin(input); });
    const std::string explanation = result.explain();
    if (result)
        std::printf("returned: %s\n", printable(*result).c_str());
    else
        std::printf("%s\n", explanation.substr(0, explanation.find(" It went without")).c_str());
    refusals.print_and_forget();
    print_lines(result.outcome().output());
    print_lines(result.outcome().error_output());
    return static_cast<bool>(result);
}

/// Has the plugin do its job many times, each time in a worker that has not seen another's file.
void use_pool(const std::vector<unsigned char>& input) {
    constexpr int times = 200;
    sg::Options options = isolation();
    options.limits.wall.reset();  // a worker waits as long as nobody needs it
    sg::Pool<std::string(const std::vector<unsigned char>&)> pool{
        sg::Sandbox{rules, options}, run_plugin, {.workers = 2, .most_requests = 1}};
    int done = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) done += static_cast<bool>(pool.call(1s, input));
    const auto time = std::chrono::steady_clock::now() - begin;
    std::printf("  from a pool      did its job %d times of %d, each in a new worker, in %.1f ms each\n", done, times,
                std::chrono::duration<double, std::milli>(time).count() / times);
}

/// Returns whether the plugin did its job, held by both rules and isolation.
bool try_plugin(const std::vector<unsigned char>& input) {
    std::printf("%s\n", name_of(plugin).c_str());
    run_and_report("rules alone", sg::Sandbox{rules, {.limits = limits}}, input);
    run_and_report("isolation alone", sg::Sandbox{no_rules, isolation()}, input);
    const bool did_its_job = run_and_report("both", sg::Sandbox{rules, isolation()}, input);
    if (did_its_job) use_pool(input);
    std::printf("\n");
    return did_its_job;
}

/// What of the isolation this machine does not offer, and why.
void print_missing() {
    const sg::LayerOffers offers = sg::capabilities();
    using sg::Layer;
    std::map<std::string, std::string> layers;  // by the reason
    for (const Layer layer :
         {Layer::file_access, Layer::device_control, Layer::scopes, Layer::user_namespace, Layer::pid_namespace,
          Layer::mount_namespace, Layer::network_namespace, Layer::ipc_namespace, Layer::uts_namespace,
          Layer::cgroup_namespace, Layer::time_namespace})
        if (!offers.has(layer)) layers[offers.why_not(layer)] += std::string{", "} + sg::name(layer);
    for (const auto& [reason, names] : layers)
        std::printf("not offered here: %s: %s\n", names.substr(2).c_str(), reason.c_str());
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

    print_missing();
    std::printf("%zu bytes of %s for %d plugins\n\n", input.size(), argv[1], argc - 2);
    int good = 0;
    for (int i = 2; i < argc; ++i) {
        plugin = argv[i];
        if (::access(argv[i], R_OK) == 0)
            good += try_plugin(input);
        else
            std::printf("%s\n  cannot be opened: %s\n\n", argv[i], std::strerror(errno));
    }
    std::printf("%d of %d plugins did their job; this process is none the worse for the others.\n", good, argc - 2);
    return 0;
}
