#pragma once

#include "../../abi/table.hpp"
#include "../../filter/alternatives.hpp"
#include "comparison.hpp"
#include "words.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace sysguard::oci::detail {

/// Writes a policy as a profile.
class Saver {
public:
    Saver(const policy::View& view, const std::string& listener_path, std::vector<std::string>& stricter,
          std::vector<std::string>& notes)
        : view_{view}, listener_path_{listener_path}, stricter_{stricter}, notes_{notes} {}

    std::string save() {
        const Decision otherwise = expressed(view_.otherwise, "otherwise");
        const bool runs = strictness(otherwise) <= strictness({Action::trace});
        // Calls that the table does not know answer ENOSYS; a default that lets calls run would let them run, too.
        rest_ = runs ? policy::unknown_call : otherwise;
        add_calls(runs ? view_.otherwise : rest_);
        if (!runs) name_newest();
        note_foreign();

        Json profile;
        put(profile, rest_, "defaultAction", "defaultErrnoRet");
        profile["architectures"] = {native_architecture};
        if (notifies_) profile["listenerPath"] = listener_path_;
        profile["syscalls"] = Json::array();
        for (const Block& block : blocks_) profile["syscalls"].push_back(json(block));
        return profile.dump(2) + "\n";
    }

private:
    using Json = nlohmann::ordered_json;
    using Comparisons = std::vector<filter::Comparison>;

    /// What libseccomp makes of each is up to six instructions, and the kernel takes 4096 of a filter.
    static constexpr std::size_t most_comparisons = 600;

    struct Block {
        Decision decision;
        Comparisons comparisons;
        std::vector<std::string_view> names;
    };

    static void add_once(std::vector<std::string>& list, std::string text) {
        if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(std::move(text));
    }

    bool has_rules(int number) const noexcept {
        for (std::size_t i = 0; i < view_.rule_count; ++i)
            if (view_.rules[i].number == number) return true;
        return false;
    }

    bool asks_host(int number) const noexcept {
        for (std::size_t i = 0; i < view_.rule_count; ++i)
            if (view_.rules[i].number == number &&
                (view_.rules[i].in_memory || view_.rules[i].decision == Action::handle))
                return true;
        return false;
    }

    /// One call with rules, and what they come to; none where that is too much.
    struct Ruled {
        const abi::Syscall* call;
        std::optional<std::vector<filter::Alternative>> alternatives;
        std::size_t comparisons;
    };

    /// All calls; `otherwise` is for those without rules. Those with the fewest comparisons come first, as far as there
    /// is room.
    void add_calls(const Decision& otherwise) {
        std::vector<Ruled> ruled;
        for (const abi::Syscall& call : abi::syscalls) {
            if (call.number() < 0) continue;
            if (has_rules(call.number()))
                ruled.push_back(alternatives(call));
            else
                put(call.name, expressed(otherwise, std::string{call.name}), {});
        }
        std::sort(ruled.begin(), ruled.end(), [](const Ruled& a, const Ruled& b) {
            return a.comparisons != b.comparisons ? a.comparisons < b.comparisons : a.call < b.call;
        });
        std::size_t left = most_comparisons;
        for (const Ruled& each : ruled) {
            const bool fits = each.alternatives && each.comparisons <= left;
            if (fits) left -= each.comparisons;
            fits ? put_alternatives(each) : put_strictest(*each.call);
        }
    }

    Ruled alternatives(const abi::Syscall& call) {
        filter::AlternativesForm form;
        if (expressed(view_.otherwise, "otherwise") == rest_) form.rest = view_.otherwise;
        form.ordered = false;  // libseccomp gets several orders of one argument wrong (2.5.4, 2.6.1)
        form.most = most_comparisons;
        Ruled ruled{&call, filter::alternatives(view_, call.number(), form), most_comparisons};
        if (!ruled.alternatives) return ruled;
        ruled.comparisons = 0;
        for (const filter::Alternative& each : *ruled.alternatives) ruled.comparisons += each.comparisons.size();
        return ruled;
    }

    void put_alternatives(const Ruled& ruled) {
        const abi::Syscall& call = *ruled.call;
        for (const filter::Alternative& each : *ruled.alternatives)
            for (const filter::Comparison& comparison : each.comparisons)
                if ((comparison.mask & ~compared_bits(call, comparison.position)) != 0)
                    add_once(notes_, std::string{call.name} + ": argument " + std::to_string(comparison.position) +
                                         " is compared on bits that the kernel does not read, which sysguard, unlike "
                                         "container runtimes, leaves out where it loads a profile");
        for (const filter::Alternative& each : *ruled.alternatives)
            put(call.name,
                each.decision == Action::handle ? handled(call) : expressed(each.decision, std::string{call.name}),
                each.comparisons);
    }

    void put_strictest(const abi::Syscall& call) {
        const std::string name{call.name};
        add_once(stricter_, name +
                                ": its conditions come to too many comparisons for a profile; the strictest of its "
                                "decisions stands for all of them");
        const Decision worst = strictest(call.number(), false);
        const bool asks = asks_host(call.number()) && strictness(worst) <= strictness({Action::handle});
        put(call.name, asks ? handled(call) : expressed(worst, name), {});
    }

    void put(std::string_view name, const Decision& decision, const Comparisons& comparisons) {
        if (decision == rest_) return;
        highest_ = std::max(highest_, abi::find(name)->number());
        for (Block& block : blocks_) {
            if (!(block.decision == decision) || block.comparisons != comparisons) continue;
            if (block.names.back() != name) block.names.push_back(name);
            return;
        }
        blocks_.push_back({decision, comparisons, {name}});
    }

    /// Runtimes answer numbers above all that a profile names with ENOSYS: those of the table are named, too.
    void name_newest() {
        if (highest_ <= 0) return;
        Block newest{rest_, {}, {}};
        for (const abi::Syscall& call : abi::syscalls)
            if (call.number() > highest_) newest.names.push_back(call.name);
        if (!newest.names.empty()) blocks_.push_back(std::move(newest));
    }

    /// The strictest of what a call's rules say and of what happens otherwise; of those alone from the first on that
    /// looks at memory, where `after_a_look`.
    Decision strictest(int number, bool after_a_look) const noexcept {
        Decision found = view_.otherwise;
        bool counts = !after_a_look;
        for (std::size_t i = 0; i < view_.rule_count; ++i) {
            const policy::RuleRecord& rule = view_.rules[i];
            if (rule.number != number) continue;
            counts = counts || rule.in_memory;
            if (counts && strictness(rule.decision) > strictness(found)) found = rule.decision;
        }
        return found;
    }

    /// What stands for a decision of the host's.
    Decision handled(const abi::Syscall& call) {
        const std::string name{call.name};
        bool looks = false;
        for (std::size_t i = 0; i < view_.rule_count; ++i)
            looks = looks || (view_.rules[i].number == call.number() && view_.rules[i].in_memory);
        if (!listener_path_.empty()) {
            notifies_ = true;
            if (name == "write") add_once(notes_, "write: runc takes no SCMP_ACT_NOTIFY for it");
            add_once(notes_, name + ": SCMP_ACT_NOTIFY; what the host decides" +
                                 (looks ? ", and what its rules say of memory," : "") + " is for the agent to decide");
            return {Action::handle};
        }
        Decision instead{Action::deny, EPERM};
        const Decision worst = strictest(call.number(), true);
        if (looks && strictness(worst) > strictness(instead)) instead = worst;
        add_once(stricter_,
                 name + ": refused where the host would have decided" + (looks ? ", or looked at memory" : ""));
        return expressed(instead, name);
    }

    Decision expressed(const Decision& decision, const std::string& what) {
        switch (decision.action) {
            case Action::kill:
                add_once(notes_,
                         "kill: SCMP_ACT_KILL_PROCESS ends the process that calls, not the whole worker, and "
                         "nobody is told which call it was");
                return {Action::kill_now};
            case Action::fake:
                if (decision.value == 0) return decision;
                add_once(stricter_, what + ": fails with EPERM, where the policy says that it returned " +
                                        std::to_string(decision.value));
                return {Action::deny, EPERM};
            case Action::trap:
                if (decision.value != 0)
                    add_once(notes_, what + ": the value that comes with SIGSYS is 0, where the policy says " +
                                         std::to_string(decision.value));
                return {Action::trap};
            default: return decision;
        }
    }

    void note_foreign() {
        if (view_.admitted != nullptr)
            add_once(stricter_, std::string{"calls through "} + abi::name(view_.admitted->abi) +
                                    ": container runtimes end the thread that makes one, where the policy admits them");
        if (view_.foreign == Action::kill_now || view_.foreign == Action::kill)
            add_once(notes_, "calls through foreign ABIs: container runtimes end the thread that makes one");
        else
            add_once(stricter_,
                     "calls through foreign ABIs: container runtimes end the thread that makes one, where the "
                     "policy says " +
                         std::string{name(view_.foreign.action)});
    }

    static void put(Json& object, const Decision& decision, const char* action, const char* errno_ret) {
        const Action shown = decision.action == Action::fake ? Action::deny : decision.action;
        for (const ActionWord& each : action_words) {
            if (each.action != shown) continue;
            object[action] = each.word;
            if (each.has_value) object[errno_ret] = decision.value;
        }
    }

    static Json json(const Block& block) {
        Json object;
        object["names"] = block.names;
        put(object, block.decision, "action", "errnoRet");
        for (const filter::Comparison& each : block.comparisons) {
            Json argument;
            argument["index"] = each.position;
            const bool equal = each.kind == filter::Comparison::Kind::equal;
            argument["value"] = equal ? each.value : each.mask;
            if (!equal) argument["valueTwo"] = each.value;
            argument["op"] = equal ? "SCMP_CMP_EQ" : "SCMP_CMP_MASKED_EQ";
            object["args"].push_back(std::move(argument));
        }
        return object;
    }

    const policy::View& view_;
    const std::string& listener_path_;
    std::vector<std::string>& stricter_;
    std::vector<std::string>& notes_;
    Decision rest_{};
    std::vector<Block> blocks_{};
    int highest_ = -1;
    bool notifies_ = false;
};

}  // namespace sysguard::oci::detail
