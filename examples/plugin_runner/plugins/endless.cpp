// Never comes back.
#include "plugin.h"

int plugin_run(plugin_job* job) {
    for (volatile size_t turns = 0; turns <= job->size; turns = turns + 1) turns = 0;
    return 0;
}
