#pragma once

#include "filter/disassemble.hpp"
#include "filter/explain.hpp"
#include "policy.hpp"

#include <string>

namespace sysguard {

/// What `explain()` and `disassemble()` of a policy call.
template <class Late>
struct InWords {
    static std::string explain(const policy::View& view, const filter::ProgramView& program) {
        return filter::explain(view, program);
    }

    static std::string disassemble(const policy::View&, const filter::ProgramView& program) {
        return filter::disassemble(program);
    }
};

}  // namespace sysguard
