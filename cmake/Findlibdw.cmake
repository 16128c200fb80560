# libdw of elfutils, which ships no CMake package. Defines libdw::libdw, with libelf.
find_path(libdw_INCLUDE_DIR NAMES elfutils/libdw.h)
find_path(libelf_INCLUDE_DIR NAMES gelf.h)
find_library(libdw_LIBRARY NAMES dw)
find_library(libelf_LIBRARY NAMES elf)
mark_as_advanced(libdw_INCLUDE_DIR libelf_INCLUDE_DIR libdw_LIBRARY libelf_LIBRARY)

if(libdw_INCLUDE_DIR AND EXISTS ${libdw_INCLUDE_DIR}/elfutils/version.h)
    file(STRINGS ${libdw_INCLUDE_DIR}/elfutils/version.h libdw_version_line REGEX "#define _ELFUTILS_VERSION[ \t]+[0-9]+")
    string(REGEX REPLACE ".*_ELFUTILS_VERSION[ \t]+([0-9]+).*" "0.\\1" libdw_VERSION "${libdw_version_line}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(libdw
    REQUIRED_VARS libdw_LIBRARY libelf_LIBRARY libdw_INCLUDE_DIR libelf_INCLUDE_DIR
    VERSION_VAR libdw_VERSION
    REASON_FAILURE_MESSAGE "install elfutils' headers (Debian, Ubuntu: libdw-dev)")

if(libdw_FOUND AND NOT TARGET libdw::libdw)
    add_library(libdw::libdw UNKNOWN IMPORTED)
    set_target_properties(libdw::libdw PROPERTIES
        IMPORTED_LOCATION ${libdw_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES "${libdw_INCLUDE_DIR};${libelf_INCLUDE_DIR}"
        INTERFACE_LINK_LIBRARIES ${libelf_LIBRARY})
endif()
