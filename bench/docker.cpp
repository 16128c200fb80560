// Docker's default profile, as tests/oci/profiles has it, for a container without capabilities: our filter beside
// libseccomp's for the same rules. Fails where ours is slower than it has to be.

#include "filter_table.hpp"

#include <sysguard/json.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <seccomp.h>

namespace sg = sysguard;

namespace {

using nlohmann::json;

const std::string path = BENCH_PROFILES "/docker-default.json";

#if defined(__x86_64__)
const std::string architecture = "amd64";
#else
const std::string architecture = "arm64";
#endif

bool holds(const json& conditions, bool included) {
    if (conditions.contains("caps")) return !included;
    if (!conditions.contains("arches")) return included;
    const json& list = conditions["arches"];
    return std::find(list.begin(), list.end(), architecture) != list.end();
}

scmp_compare comparison(const std::string& name) {
    for (const auto& [known, compare] : {std::pair{"SCMP_CMP_EQ", SCMP_CMP_EQ},
                                         {"SCMP_CMP_LT", SCMP_CMP_LT},
                                         {"SCMP_CMP_GT", SCMP_CMP_GT},
                                         {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}})
        if (name == known) return compare;
    bench::expect(false, "the profile has a comparison that was not expected");
    return SCMP_CMP_EQ;
}

/// The rules as a container's runtime gives them to libseccomp: as they are written.
bench::Peer runtime() {
    std::ifstream file{path};
    const json profile = json::parse(file);
    std::vector<bench::Peer::Rule> rules;
    for (const json& block : profile["syscalls"]) {
        if (!holds(block.value("includes", json::object()), true)) continue;
        if (block.contains("excludes") && holds(block["excludes"], false)) continue;
        const std::uint32_t action =
            block["action"] == "SCMP_ACT_ALLOW" ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(block["errnoRet"].get<unsigned>());
        std::vector<scmp_arg_cmp> comparisons;
        for (const json& test : block.value("args", json::array()))
            comparisons.push_back({test["index"].get<unsigned>(), comparison(test["op"]),
                                   test["value"].get<std::uint64_t>(), test.value("valueTwo", std::uint64_t{0})});
        for (const json& name : block["names"]) {
            const int number = ::seccomp_syscall_resolve_name(name.get<std::string>().c_str());
            if (number >= 0) rules.push_back({number, action, comparisons});
        }
    }
    return {SCMP_ACT_ERRNO(profile["defaultErrnoRet"].get<unsigned>()), rules};
}

/// Prints a ratio, and whether it is what it has to be.
bool check(const char* what, double ratio, bool fine, const char* bound, const char* otherwise = "FAIL") {
    std::printf("%-66s %6.2f x (%s): %s\n", what, ratio, bound, fine ? "pass" : otherwise);
    return fine;
}

}  // namespace

int main() {
    const sg::OciProfile profile = sg::load_oci_profile(path);
    const bench::Peer peer = runtime();
    const std::vector<bench::Filter> by_tar =
        bench::compare(profile.rules(), profile.otherwise(), peer, bench::tar_run);
    const std::vector<bench::Filter> by_python =
        bench::compare(profile.rules(), profile.otherwise(), peer, bench::python_run);
    bench::print_heading();
    bench::print("Docker's default; tar", by_tar);
    bench::print("Docker's default; python3", by_python);
    std::printf("\nBeside libseccomp's tree:\n");
    bool fine = true;
    for (const std::vector<bench::Filter>* filters : {&by_tar, &by_python}) {
        const bench::Filter& plain = (*filters)[0];
        const bench::Filter& weighed = (*filters)[1];
        const bench::Filter& tree = (*filters)[3];
        const double executed = weighed.executed.recorded / tree.executed.recorded;
        const double alike = plain.executed.mean / tree.executed.mean;
        const double built = tree.build / plain.build;
        fine = check("instructions executed by the recorded run, weighed", executed, executed <= 0.5, "at most 0.5") &&
               fine;
        check("instructions executed, all allowed calls alike, not weighed", alike, alike <= 0.5, "at most 0.5",
              "not without weights");
        fine = check("time to build, libseccomp's to ours", built, built >= 20, "at least 20") && fine;
    }
    return fine ? 0 : 1;
}
