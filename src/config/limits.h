/* What the machine grants this process: CPU and memory, cgroup v1 and v2 honoured. */
#ifndef LP_CONFIG_LIMITS_H
#define LP_CONFIG_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct lp_limits {
    uint32_t cpus;          /* the smaller of the cgroup quota rounded up and the affinity; at least 1 */
    uint32_t quota_cpus;    /* the cgroup quota alone, rounded up; 0: none */
    uint64_t memory_bytes;  /* the cgroup's limit, else physical memory; 0: unknown */
    bool memory_is_cgroups; /* memory_bytes is a cgroup's limit */
};

/**
 * Limits of this process: the tightest on the way from its cgroup up to the root, since a parent's limit binds too.
 * `root` is "/" in production; tests give a folder with proc/ and sys/ trees (the affinity stays this process's own).
 * What cannot be read is no limit.
 */
void lp_limits_get(const char *root, struct lp_limits *ret_limits);

#endif
