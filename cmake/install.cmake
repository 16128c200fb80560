include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/sysguard)

install(TARGETS sysguard EXPORT sysguard FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT sysguard NAMESPACE sysguard:: DESTINATION ${package_dir} FILE sysguard-targets.cmake)

write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/sysguard-config-version.cmake
    COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
    cmake/sysguard-config.cmake
    cmake/Findlibseccomp.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/sysguard-config-version.cmake
    DESTINATION ${package_dir})
