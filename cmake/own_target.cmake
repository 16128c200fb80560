# What this project's own programs are built with, and nobody else's.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

set(SYSGUARD_SANITIZERS "" CACHE STRING "Sanitizers for this project's own programs, such as address,undefined")

add_library(sysguard_warnings INTERFACE)
target_compile_options(sysguard_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror)

add_library(sysguard_own INTERFACE)
target_link_libraries(sysguard_own INTERFACE sysguard::sysguard sysguard_warnings)
if(SYSGUARD_SANITIZERS)
    target_compile_options(sysguard_own INTERFACE
        -fsanitize=${SYSGUARD_SANITIZERS} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(sysguard_own INTERFACE -fsanitize=${SYSGUARD_SANITIZERS})
endif()

function(sysguard_program name)
    add_executable(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE sysguard_own)
    set_target_properties(${name} PROPERTIES CXX_EXTENSIONS OFF)
endfunction()
