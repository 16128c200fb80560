#include <sysguard/process/shared_memory.hpp>
#include <sysguard/service.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/skip.hpp"
#include "support/supervised.hpp"

namespace sg = sysguard;
using sg::process::Descriptor;
using sg::process::SharedMemory;

TEST_CASE("a worker and the host share memory by its descriptor") {
    SYSGUARD_SKIP_SANITIZED();
    const support::Leftovers leftovers;
    constexpr sg::Policy policy{sg::preset::static_runtime, sg::preset::channel, sg::otherwise.kill()};
    const sg::Sandbox box{policy};
    sg::Service<long(Descriptor, std::size_t)> service{box, [](Descriptor descriptor, std::size_t size) {
                                                           const auto memory =
                                                               SharedMemory::from_host(std::move(descriptor), size);
                                                           long sum = 0;
                                                           for (std::size_t i = 0; i < size; ++i)
                                                               sum += memory.data()[i]++;
                                                           return sum;
                                                       }};
    const SharedMemory memory{1 << 20};
    for (std::size_t i = 0; i < memory.size(); ++i) memory.data()[i] = 1;
    CHECK(*service.call(memory.descriptor(), memory.size()) == 1 << 20);
    CHECK(*service.call(memory.descriptor(), memory.size()) == 2 << 20);
    CHECK(memory.data()[memory.size() - 1] == 3);
}

TEST_CASE("memory that somebody could make smaller is refused") {
    const support::Leftovers leftovers;
    const SharedMemory memory{8192};
    CHECK(::ftruncate(memory.descriptor().get(), 0) == -1);
    CHECK(errno == EPERM);
    const auto copy = [](const Descriptor& of) { return Descriptor{::fcntl(of.get(), F_DUPFD_CLOEXEC, 3)}; };
    CHECK_NOTHROW((void)SharedMemory::from_worker(copy(memory.descriptor()), 8192));
    CHECK_THROWS_AS((void)SharedMemory::from_worker(copy(memory.descriptor()), 8193), sg::Error);
    const Descriptor loose{::memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    REQUIRE(::ftruncate(loose.get(), 8192) == 0);
    CHECK_THROWS_AS((void)SharedMemory::from_worker(copy(loose), 8192), sg::Error);
    CHECK_THROWS_AS((void)SharedMemory::from_worker(Descriptor{::open("/dev/zero", O_RDWR | O_CLOEXEC)}, 1), sg::Error);
    CHECK_THROWS_AS(SharedMemory{0}, sg::Error);
}
