#pragma once

/// The version of sysguard, as <major>.<minor>.<patch> (semver.org).
#define SYSGUARD_VERSION_MAJOR 0
#define SYSGUARD_VERSION_MINOR 1
#define SYSGUARD_VERSION_PATCH 0
