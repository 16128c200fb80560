// Takes all the memory that it can get.
#include "plugin.h"

#include <vector>

int plugin_run(plugin_job* job) {
    std::vector<std::vector<unsigned char>> all;
    for (;;) all.emplace_back(1 << 20, static_cast<unsigned char>(job->size));
}
