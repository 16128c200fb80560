#ifndef PLUGIN_H
#define PLUGIN_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a plugin is given: a file's content, and where to put its result, a text that ends with a zero byte. */
struct plugin_job {
    const unsigned char* data;
    size_t size;
    char* result;
    size_t result_size;
};

/* What a plugin has: returns 0 when it has put a result there. */
__attribute__((visibility("default"))) int plugin_run(struct plugin_job* job);

#ifdef __cplusplus
}
#endif

#endif
