#include "config/limits.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 8192, AFFINITY_MAX_CPUS = 1 << 16 };

/* One cgroup hierarchy as this process sees it. */
struct hierarchy {
    char mount[PATH_MAX]; /* where it is mounted; empty: not found */
    char root[PATH_MAX];  /* the cgroup that the mount shows as its top */
    char path[PATH_MAX];  /* this process's cgroup */
};

struct tightest {
    uint64_t memory_bytes;        /* UINT64_MAX: none */
    uint64_t quota_us, period_us; /* quota 0: none */
};

static void copy_text(char *to, const char *from)
{
    size_t bytes = strlen(from);
    if (bytes >= PATH_MAX) bytes = 0; /* a path that long names nothing we could open */
    memcpy(to, from, bytes);
    to[bytes] = '\0';
}

static FILE *open_below(const char *root, const char *path)
{
    char name[2 * PATH_MAX];
    int length = snprintf(name, sizeof name, "%s%s", strcmp(root, "/") == 0 ? "" : root, path);
    return length > 0 && (size_t)length < sizeof name ? fopen(name, "re") : NULL;
}

/* Is `word` one of the comma-separated words of `list`? */
static bool has_word(const char *list, const char *word)
{
    size_t bytes = strlen(word);
    for (const char *at = list; *at != '\0'; at += *at == ',') {
        size_t item = strcspn(at, ",");
        if (item == bytes && memcmp(at, word, bytes) == 0) return true;
        at += item;
    }
    return false;
}

/* /proc/self/cgroup: "hierarchy:controllers:path"; v2 has the number 0 and no controllers. `controller` NULL: v2. */
static void find_path(const char *root, const char *controller, struct hierarchy *hierarchy)
{
    FILE *file = open_below(root, "/proc/self/cgroup");
    char line[LINE_MAX_BYTES];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL) continue;
        *path++ = '\0';
        controllers++;
        if (controller != NULL ? has_word(controllers, controller) : controllers[0] == '\0')
            copy_text(hierarchy->path, path);
    }
    if (file != NULL) fclose(file);
}

/* /proc/self/mountinfo: "id parent dev root mount options [tags] - type source superoptions". */
static void find_mount(const char *root, const char *controller, struct hierarchy *hierarchy)
{
    FILE *file = open_below(root, "/proc/self/mountinfo");
    char line[LINE_MAX_BYTES];
    while (file != NULL && hierarchy->mount[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *tail = strstr(line, " - ");
        if (tail == NULL) continue;
        *tail = '\0';
        char *save = NULL, *type = strtok_r(tail + 3, " ", &save);
        strtok_r(NULL, " ", &save);
        char *options = strtok_r(NULL, " ", &save);
        if (type == NULL || strcmp(type, controller != NULL ? "cgroup" : "cgroup2") != 0) continue;
        if (controller != NULL && (options == NULL || !has_word(options, controller))) continue;
        char *fields[5] = {0};
        save = NULL;
        for (int i = 0; i < 5; i++) fields[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
        if (fields[4] == NULL) continue;
        copy_text(hierarchy->root, fields[3]);
        copy_text(hierarchy->mount, fields[4]);
    }
    if (file != NULL) fclose(file);
}

/* Two numbers of a cgroup file; "max" and what does not parse leave `none`. */
static int read_numbers(const char *root, const char *folder, const char *name, long long *first, long long *second)
{
    char path[PATH_MAX + 64], text[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = open_below(root, path);
    if (file == NULL) return 0;
    int count = 0;
    if (fgets(text, sizeof text, file) != NULL) count = sscanf(text, "%lld %lld", first, second);
    fclose(file);
    return count;
}

static void keep_memory(struct tightest *tightest, long long bytes)
{
    if (bytes > 0 && (uint64_t)bytes < tightest->memory_bytes) tightest->memory_bytes = (uint64_t)bytes;
}

static void keep_quota(struct tightest *tightest, long long quota_us, long long period_us)
{
    if (quota_us <= 0 || period_us <= 0 || quota_us > INT32_MAX || period_us > INT32_MAX) return;
    bool less =
        tightest->quota_us == 0 || (uint64_t)quota_us * tightest->period_us < tightest->quota_us * (uint64_t)period_us;
    if (!less) return;
    tightest->quota_us = (uint64_t)quota_us;
    tightest->period_us = (uint64_t)period_us;
}

static void read_level(const char *root, const char *folder, bool v2, struct tightest *tightest)
{
    long long first = 0, second = 0;
    if (v2) {
        if (read_numbers(root, folder, "memory.max", &first, &second) > 0) keep_memory(tightest, first);
        if (read_numbers(root, folder, "cpu.max", &first, &second) == 2) keep_quota(tightest, first, second);
        return;
    }
    /* v1 writes "none" as the largest multiple of the page size. */
    if (read_numbers(root, folder, "memory.limit_in_bytes", &first, &second) > 0 && first < (1LL << 60))
        keep_memory(tightest, first);
    if (read_numbers(root, folder, "cpu.cfs_quota_us", &first, &second) > 0 &&
        read_numbers(root, folder, "cpu.cfs_period_us", &second, &(long long){0}) > 0)
        keep_quota(tightest, first, second);
}

/* Visit the process's cgroup and its parents up to the mount. */
static void read_hierarchy(const char *root, const char *controller, struct tightest *tightest)
{
    struct hierarchy hierarchy = {0};
    find_mount(root, controller, &hierarchy);
    if (hierarchy.mount[0] == '\0') return;
    find_path(root, controller, &hierarchy);
    /* In a container without a cgroup namespace the path is the host's and the mount shows only its tail. */
    const char *below = hierarchy.path;
    size_t prefix = strcmp(hierarchy.root, "/") == 0 ? 0 : strlen(hierarchy.root);
    if (strncmp(below, hierarchy.root, prefix) == 0 && (below[prefix] == '/' || below[prefix] == '\0')) below += prefix;
    else below = "";
    if (below[0] != '/' || strstr(below, "/..") != NULL) below = "";
    char folder[2 * PATH_MAX];
    snprintf(folder, sizeof folder, "%s%s", hierarchy.mount, below);
    size_t least = strlen(hierarchy.mount);
    for (;;) {
        size_t length = strlen(folder);
        while (length > least && folder[length - 1] == '/') folder[--length] = '\0';
        if (length < PATH_MAX) read_level(root, folder, controller == NULL, tightest);
        if (length <= least) return;
        *strrchr(folder, '/') = '\0';
    }
}

static uint32_t affinity_cpus(void)
{
    for (size_t cpus = 1024; cpus <= AFFINITY_MAX_CPUS; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (set == NULL) return 1;
        size_t bytes = CPU_ALLOC_SIZE(cpus);
        int failed = sched_getaffinity(0, bytes, set) != 0 ? errno : 0;
        int count = failed == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (failed == 0 && count > 0) return (uint32_t)count;
        if (failed != EINVAL) return 1; /* EINVAL: the kernel's mask is larger */
    }
    return 1;
}

static uint64_t physical_bytes(const char *root)
{
    FILE *file = open_below(root, "/proc/meminfo");
    char line[256];
    unsigned long long kib = 0;
    while (file != NULL && kib == 0 && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "MemTotal: %llu kB", &kib) != 1) kib = 0;
    if (file != NULL) fclose(file);
    return kib < UINT64_MAX / 1024 ? (uint64_t)kib * 1024 : 0;
}

void lp_limits_get(const char *root, struct lp_limits *ret_limits)
{
    struct tightest tightest = {.memory_bytes = UINT64_MAX};
    read_hierarchy(root, NULL, &tightest);
    read_hierarchy(root, "memory", &tightest);
    read_hierarchy(root, "cpu", &tightest);
    uint64_t physical = physical_bytes(root);
    struct lp_limits limits = {.cpus = affinity_cpus(), .memory_bytes = physical};
    if (tightest.quota_us > 0)
        limits.quota_cpus = (uint32_t)((tightest.quota_us + tightest.period_us - 1) / tightest.period_us);
    if (limits.quota_cpus > 0 && limits.quota_cpus < limits.cpus) limits.cpus = limits.quota_cpus;
    /* A limit above the machine's memory limits nothing. */
    if (tightest.memory_bytes != UINT64_MAX && (physical == 0 || tightest.memory_bytes < physical)) {
        limits.memory_bytes = tightest.memory_bytes;
        limits.memory_is_cgroups = true;
    }
    *ret_limits = limits;
}
