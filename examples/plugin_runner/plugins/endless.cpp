// Never comes back.
#include "plugin.h"

int plugin_run(plugin_job* job) {
    volatile size_t turns = 0;
    while (turns <= job->size) turns = turns == job->size ? 0 : turns + 1;
    return 0;
}
