# libseccomp ships no CMake package. Defines libseccomp::libseccomp.
find_path(libseccomp_INCLUDE_DIR NAMES seccomp.h)
find_library(libseccomp_LIBRARY NAMES seccomp)
mark_as_advanced(libseccomp_INCLUDE_DIR libseccomp_LIBRARY)

if(libseccomp_INCLUDE_DIR)
    file(STRINGS ${libseccomp_INCLUDE_DIR}/seccomp.h libseccomp_version_lines
        REGEX "#define SCMP_VER_(MAJOR|MINOR|MICRO)[ \t]+[0-9]+")
    string(REGEX MATCHALL "[0-9]+" libseccomp_VERSION "${libseccomp_version_lines}")
    list(JOIN libseccomp_VERSION "." libseccomp_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(libseccomp
    REQUIRED_VARS libseccomp_LIBRARY libseccomp_INCLUDE_DIR
    VERSION_VAR libseccomp_VERSION
    REASON_FAILURE_MESSAGE "install libseccomp's headers (Debian, Ubuntu: libseccomp-dev)")

if(libseccomp_FOUND AND NOT TARGET libseccomp::libseccomp)
    add_library(libseccomp::libseccomp UNKNOWN IMPORTED)
    set_target_properties(libseccomp::libseccomp PROPERTIES
        IMPORTED_LOCATION ${libseccomp_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${libseccomp_INCLUDE_DIR})
endif()
