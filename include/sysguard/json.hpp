#pragma once

/// What is read and written as JSON: seccomp profiles of the OCI runtime specification, Docker and Podman. Needs
/// nlohmann-json (Debian, Ubuntu: nlohmann-json3-dev; CMake: nlohmann_json::nlohmann_json).
#include "oci/profile.hpp"
#include "oci/save.hpp"
