#pragma once

#include "../../abi/table.hpp"
#include "../../policy/performable.hpp"
#include "../../policy/rule_list.hpp"
#include "../conditions.hpp"
#include "conjunction.hpp"
#include "field.hpp"
#include "reading.hpp"
#include "words.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sysguard::oci::detail {

/// What a profile says, for this architecture and some conditions.
struct Loaded {
    RuleList rules{};
    Decision otherwise{};
    Decision foreign{Action::kill};
    std::vector<std::string> unknown_names{};
    std::vector<std::string> foreign_names{};
    std::vector<std::string> notes{};
    bool notifies = false;
};

/// The bits of a set, where it is what the host has its permitted set.
inline std::uint64_t capabilities_of(const Capabilities& set) {
    if (!set.is_kept()) return set.bits();
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (::syscall(SYS_capget, &header, data) != 0) throw Error{errno, "find out the host's capabilities (capget)"};
    return data[0].permitted | std::uint64_t{data[1].permitted} << 32;
}

/// Reads a profile. All of it is checked, also what the conditions leave out. Each rule keeps its place in the profile
/// in the notes.
class Loader {
public:
    Loader(const Field& profile, const OciConditions& conditions, Loaded& into)
        : profile_{profile},
          kernel_{conditions.kernel},
          capabilities_{capabilities_of(conditions.capabilities)},
          into_{into} {}

    void load() {
        profile_.object({"defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "flags",
                         "listenerPath", "listenerMetadata", "syscalls", "comment"});
        (void)profile_["comment"].text();
        into_.otherwise =
            read_decision(profile_["defaultAction"], profile_["defaultErrnoRet"], profile_["defaultErrno"]);
        if (into_.otherwise == Action::handle)
            profile_["defaultAction"].refuse("SCMP_ACT_NOTIFY is no default: no runtime takes it for one");
        architectures();
        flags();
        if (!profile_["listenerPath"].text().empty() || !profile_["listenerMetadata"].text().empty())
            note(
                "listenerPath and listenerMetadata are not used: what the profile notifies of goes to a handler of "
                "the host's");
        for (const Field& block : profile_["syscalls"].array()) this->block(block);
        add_rules();
        refuse_newer_calls();
    }

private:
    struct Draft {
        int number;
        std::size_t count;  ///< of nodes
        policy::BoundNode nodes[1 + abi::max_arguments];
        Decision decision;
        std::string place;
        std::size_t order;  ///< in the profile
    };

    void note(std::string text) { add_once(into_.notes, std::move(text)); }

    void add_once(std::vector<std::string>& list, std::string text) {
        if (known_texts_.insert(text).second) list.push_back(std::move(text));
    }

    void architectures() {
        const std::vector<Field> list = profile_["architectures"].array();
        const std::vector<Field> map = profile_["archMap"].array();
        if (!list.empty() && !map.empty()) profile_["archMap"].refuse("write either architectures or archMap");
        std::vector<std::string_view> admitted;
        for (const Field& each : list) admitted.push_back(read_architecture(each));
        for (const Field& entry : map) {
            entry.object({"architecture", "subArchitectures"});
            const bool here = read_architecture(entry["architecture"]) == native_architecture;
            if (here) admitted.push_back(native_architecture);
            for (const Field& each : entry["subArchitectures"].array()) {
                const std::string_view word = read_architecture(each);
                if (here) admitted.push_back(word);
            }
        }
        if (admitted.empty() && list.empty() && map.empty()) return;  // libseccomp's default: the native one alone
        bool native = false;
        for (const std::string_view each : admitted) {
            native = native || each == native_architecture;
            if (each == native_architecture) continue;
            std::string unless;
            if (each == compat_architecture)
                unless = std::string{", unless policy() gets sg::admit<sg::Abi::"} + abi::name(abi::compat_abi) + ">";
            note(std::string{each} + " is not admitted" + unless +
                 ": calls through it are killed, as through any foreign ABI");
        }
        if (!native)
            profile_[list.empty() ? "archMap" : "architectures"].refuse(
                "it has no " + std::string{native_architecture} +
                ", which this program runs on: add it, or take a profile "
                "for this architecture");
    }

    void flags() {
        for (const Field& flag : profile_["flags"].array()) {
            const std::string_view word = flag.text();
            if (word == "SECCOMP_FILTER_FLAG_LOG")
                note(
                    "SECCOMP_FILTER_FLAG_LOG is not taken over: calls that are refused are not written to the audit "
                    "log");
            else if (word == "SECCOMP_FILTER_FLAG_SPEC_ALLOW")
                note(
                    "SECCOMP_FILTER_FLAG_SPEC_ALLOW is not taken over: the mitigation of Speculative Store Bypass "
                    "stays");
            else if (word != "SECCOMP_FILTER_FLAG_TSYNC" && word != "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")
                flag.refuse("there is no flag " + shown(word));
        }
    }

    /// Whether one of the conditions of a filter holds (`any`), or all that there are.
    struct Holds {
        bool any = false;
        bool all = true;
        void add(bool holds) {
            any = any || holds;
            all = all && holds;
        }
    };

    /// As in setupSeccomp() of moby/profiles: of several architectures one suffices, of several capabilities a block
    /// that includes needs all, and one excludes.
    Holds conditions(const Field& filter) {
        Holds holds;
        if (filter.is_absent()) return holds;
        filter.object({"arches", "caps", "minKernel"});
        const std::vector<Field> machines = filter["arches"].array();
        bool here = false;
        for (const Field& machine : machines) {
            here = here || machine.text() == native_machine;
            if (index_of(machine_words, machine.text()) < 0)
                note(machine.place() + ": " + shown(machine.text()) + " is no architecture that sysguard knows");
        }
        if (!machines.empty()) holds.add(here);
        for (const Field& capability : filter["caps"].array()) {
            const int number = index_of(capability_words, capability.text());
            if (number < 0)
                note(capability.place() + ": " + shown(capability.text()) +
                     " is no capability that sysguard knows: workers do not have it");
            holds.add(number >= 0 && (capabilities_ >> number & 1) != 0);
        }
        const Field least = filter["minKernel"];
        if (!least.text().empty()) holds.add(!(kernel_ < read_version(least)));
        return holds;
    }

    void block(const Field& block) {
        block.object({"names", "name", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes"});
        (void)block["comment"].text();
        std::vector<std::string_view> names;
        for (const Field& name : block["names"].array()) names.push_back(read_name(name));
        if (!block["name"].text().empty()) {
            if (!names.empty()) block["name"].refuse("write either name or names");
            names.push_back(read_name(block["name"]));
        }
        if (names.empty()) block["names"].refuse("it names no system call");
        const Decision decision = read_decision(block["action"], block["errnoRet"], block["errno"]);
        std::vector<Argument> arguments;
        for (const Field& argument : block["args"].array()) arguments.push_back(read_argument(argument));
        const Holds excluded = conditions(block["excludes"]);
        const Holds included = conditions(block["includes"]);
        if (excluded.any || !included.all) return;
        for (const std::string_view name : names) rule(block, name, arguments, decision);
    }

    void rule(const Field& block, std::string_view name, const std::vector<Argument>& arguments,
              const Decision& decision) {
        const abi::Syscall* const call = abi::find(name);
        if (call == nullptr || call->number() < 0) return absent(name, call != nullptr);
        highest_ = std::max(highest_, call->number());
        if (decision == Action::handle) {
            if (!policy::is_answerable(call->number()))
                block.refuse("SCMP_ACT_NOTIFY for " + std::string{name} +
                             ", which the host never answers: a thread could not go on");
            into_.notifies = true;
        }
        bool repeated = false;
        for (std::size_t i = 0; i < arguments.size(); ++i)
            for (std::size_t j = 0; j < i; ++j) repeated = repeated || arguments[i].index == arguments[j].index;
        if (repeated)
            note(block.place() +
                 ": several comparisons of one argument: each comparison by itself suffices, as for "
                 "runc; write them as rules of their own, or as one mask");
        const std::string place = block.place() + " for " + std::string{name};
        for (std::size_t first = 0; first < (repeated ? arguments.size() : 1); ++first) {
            const auto tell = [this](std::string text) { note(std::move(text)); };
            const Conjunction all = repeated ? conjunction(*call, &arguments[first], 1, tell)
                                             : conjunction(*call, arguments.data(), arguments.size(), tell);
            if (!all.possible) continue;
            if (drafts_.size() == 4 * RuleList::max_rules)
                throw Error{E2BIG, "read the profile: it comes to more rules than a policy can have"};
            Draft draft{call->number(), all.count, {}, decision, place, drafts_.size()};
            std::copy(all.nodes, all.nodes + all.count, draft.nodes);
            drafts_.push_back(std::move(draft));
        }
    }

    void absent(std::string_view name, bool known) {
        for (const abi::ForeignSyscall& each : abi::foreign_syscalls) known = known || each.name == name;
        add_once(known ? into_.foreign_names : into_.unknown_names, std::string{name});
    }

    /// Sorts the rules so that the first that matches is the strictest that does, and leaves out what is never reached.
    void add_rules() {
        std::sort(drafts_.begin(), drafts_.end(), [](const Draft& a, const Draft& b) {
            if (a.number != b.number) return a.number < b.number;
            const int difference = strictness(a.decision) - strictness(b.decision);
            return difference != 0 ? difference > 0 : a.order < b.order;
        });
        for (std::size_t i = 0; i < drafts_.size();) {
            std::size_t end = i;
            while (end < drafts_.size() && drafts_[end].number == drafts_[i].number) ++end;
            i = add_call(i, end);
        }
    }

    /// Returns where the next call's rules begin.
    std::size_t add_call(std::size_t begin, std::size_t next) {
        std::size_t end = next;
        std::size_t always = begin;
        while (always < end && drafts_[always].count != 0) ++always;
        if (says_what_happens_otherwise(always, end)) {
            const auto all = drafts_.begin();
            const auto last =
                std::remove_if(all + static_cast<std::ptrdiff_t>(always), all + static_cast<std::ptrdiff_t>(end),
                               [](const Draft& draft) { return draft.count == 0; });
            always = end = static_cast<std::size_t>(last - all);
        }
        for (std::size_t i = begin; i < end && i <= always; ++i) {
            const Draft& draft = drafts_[i];
            bool repeats = false;
            for (std::size_t j = begin; j < i; ++j) repeats = repeats || same_condition(drafts_[j], draft);
            if (!repeats) into_.rules.add(draft.number, draft.nodes, draft.count, false, draft.decision);
            if (i < always && always < end && strictness(draft.decision) > strictness(drafts_[always].decision))
                note(draft.place + ": applied, though " + drafts_[always].place +
                     " has no condition: runtimes that use libseccomp drop the stricter rule");
        }
        for (std::size_t i = always + 1; i < end; ++i)
            if (!(drafts_[i].decision == drafts_[always].decision))
                note(drafts_[i].place + ": never reached, because " + drafts_[always].place +
                     " is stricter and has no condition; runtimes that use libseccomp take the first of them");
        return next;
    }

    /// Whether a rule without a condition says no more than the default, where the call's other rules have conditions.
    /// Runtimes leave all rules out that say what the default does; this alone keeps what the others allow.
    bool says_what_happens_otherwise(std::size_t always, std::size_t end) const noexcept {
        if (always >= end || !(drafts_[always].decision == into_.otherwise)) return false;
        for (std::size_t i = always + 1; i < end; ++i)
            if (drafts_[i].count == 0 && !(drafts_[i].decision == into_.otherwise)) return false;
        return true;
    }

    static bool same_condition(const Draft& a, const Draft& b) {
        return a.count == b.count && std::equal(a.nodes, a.nodes + a.count, b.nodes);
    }

    /// Numbers above all that a profile names are newer than the profile: ENOSYS, as runc has it
    /// (libcontainer/seccomp/patchbpf), where what happens otherwise does not let the call run.
    void refuse_newer_calls() {
        if (highest_ <= 0 || strictness(into_.otherwise) <= strictness({Action::trace})) return;
        std::vector<std::string_view> names;
        for (int number = highest_ + 1; number < abi::native_limit; ++number) {
            if (!abi::is_known(number)) continue;
            into_.rules.add(number, nullptr, 0, false, policy::unknown_call);
            names.push_back(abi::find(number)->name);
        }
        if (names.empty()) return;
        std::string text = "newer than all that the profile names, and answered with ENOSYS: " + std::string{names[0]};
        for (std::size_t i = 1; i < names.size() && i < 8; ++i) text += ", " + std::string{names[i]};
        if (names.size() > 8) text += " and " + std::to_string(names.size() - 8) + " more";
        note(std::move(text));
    }

    const Field& profile_;
    KernelVersion kernel_;
    std::uint64_t capabilities_;
    Loaded& into_;
    std::vector<Draft> drafts_{};
    std::set<std::string> known_texts_{};
    int highest_ = -1;
};

}  // namespace sysguard::oci::detail
