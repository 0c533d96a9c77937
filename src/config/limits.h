/* What the machine grants this process: CPU and memory, cgroup v1 and v2 honoured. */
#ifndef LP_CONFIG_LIMITS_H
#define LP_CONFIG_LIMITS_H

#include <stdint.h>

struct lp_limits {
    uint32_t cpus;         /* the smaller of the cgroup quota rounded up and the affinity; at least 1 */
    uint64_t memory_bytes; /* the cgroup's limit, else physical memory; 0: unknown */
};

/** `root` is "/" in production; tests give a folder with proc/ and sys/ trees. */
void lp_limits_get(const char *root, struct lp_limits *ret_limits);

#endif
