import re
from pathlib import Path

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load


class SysguardConan(ConanFile):
    name = "sysguard"
    description = "Runs untrusted code in child processes and decides, system call by system call, what it may do"
    license = "MIT"
    topics = ("sandbox", "seccomp", "linux", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True

    @property
    def _root(self):
        return Path(self.recipe_folder).parent

    def set_version(self):
        header = load(self, str(self._root / "include" / "sysguard" / "version.hpp"))
        self.version = ".".join(re.findall(r"SYSGUARD_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header))

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE", "cmake/*", "include/*"):
            copy(self, pattern, str(self._root), self.export_sources_folder)

    def requirements(self):
        self.requires("libseccomp/[>=2.5 <3]", transitive_headers=True, transitive_libs=True)

    def validate(self):
        if self.settings.os != "Linux" or self.settings.arch not in ("x86_64", "armv8"):
            raise ConanInvalidConfiguration("sysguard is for Linux on x86_64 and aarch64")
        check_min_cppstd(self, 20)

    def package_id(self):
        self.info.clear()

    def package(self):
        copy(self, "LICENSE", self.source_folder, str(Path(self.package_folder) / "licenses"))
        copy(self, "*", str(Path(self.source_folder) / "include"), str(Path(self.package_folder) / "include"))

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.system_libs = ["pthread"]
        self.cpp_info.set_property("cmake_file_name", "sysguard")
        self.cpp_info.set_property("cmake_target_name", "sysguard::sysguard")
