#include "all_headers.hpp"

const void* address_of_table_in_second() noexcept;

const void* address_of_table_in_second() noexcept {
    return sysguard::abi::syscalls;
}
