#pragma once

/// Cgroups for workers: `Cgroup::in`, `own` and `beside_own`, for `Options::cgroup`.
#include "process/cgroup_opening.hpp"
