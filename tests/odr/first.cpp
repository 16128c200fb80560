#include "all_headers.hpp"

const void* address_of_table_in_second() noexcept;

/// One definition: both units see the same table.
int main() {
    return address_of_table_in_second() == static_cast<const void*>(sysguard::abi::syscalls) ? 0 : 1;
}
