// Filters of several policies beside libseccomp's for the same: instructions in the program; instructions that run for
// an allowed call, all calls alike, as often as in a recorded run, and at worst; the time to build and to install.

#include "filter_table.hpp"
#include "support/large_policy.hpp"

#include <sysguard/policy/presets.hpp>

namespace sg = sysguard;
using bench::python_run;
using bench::tar_run;

int main() {
    namespace preset = sg::preset;
    const sg::Decision denied{sg::Action::deny, EPERM};
    bench::print_heading();
    bench::print("compute; python3", bench::compare(sg::RuleList{preset::compute}, denied, python_run));
    bench::print("cpp_runtime; python3", bench::compare(sg::RuleList{preset::cpp_runtime}, denied, python_run));
    bench::print("a server's presets; tar",
                 bench::compare(sg::RuleList{preset::cpp_runtime, preset::threads, preset::network_server,
                                             preset::write_files, preset::event_loop, preset::processes},
                                denied, tar_run));
    bench::print("350 calls, 20 by arguments; tar",
                 bench::compare(sg::RuleList{support::large_policy()}, denied, tar_run));
}
