/* Fake proc/ and sys/ trees; files as man cgroups(7), the kernel's cgroup-v1/-v2 documents and Docker have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/limits.h"

#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char root[64];

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/lepton-limits-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int drop(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

static int drop_root(void **state)
{
    (void)state;
    return nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const char *text)
{
    char name[512];
    snprintf(name, sizeof name, "%s%s", root, path);
    for (char *slash = name + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(name, 0700);
        *slash = '/';
    }
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct lp_limits get(void)
{
    struct lp_limits limits;
    lp_limits_get(root, &limits);
    return limits;
}

static uint32_t affinity(void)
{
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    return (uint32_t)CPU_COUNT(&set);
}

static const char v2_mount[] = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
                               "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

static void an_empty_tree_gives_the_affinity_and_no_memory(void **state)
{
    (void)state;
    struct lp_limits limits = get();
    assert_int_equal(limits.cpus, affinity());
    assert_int_equal(limits.quota_cpus, 0);
    assert_int_equal(limits.memory_bytes, 0);
    assert_false(limits.memory_is_cgroups);
}

static void physical_memory_stands_when_there_is_no_limit(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemTotal:        8000000 kB\nMemFree: 5 kB\n");
    put("/proc/self/mountinfo", v2_mount);
    put("/proc/self/cgroup", "0::/a\n");
    put("/sys/fs/cgroup/a/memory.max", "max\n");
    put("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
    struct lp_limits limits = get();
    assert_int_equal(limits.memory_bytes, 8000000ull * 1024);
    assert_false(limits.memory_is_cgroups);
    assert_int_equal(limits.quota_cpus, 0);
}

static void v2_takes_the_tightest_limit_on_the_way_up(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemTotal: 8000000 kB\n");
    put("/proc/self/mountinfo", v2_mount);
    put("/proc/self/cgroup", "0::/kube/pod/box\n");
    put("/sys/fs/cgroup/kube/pod/box/memory.max", "536870912\n");
    put("/sys/fs/cgroup/kube/pod/memory.max", "268435456\n");
    put("/sys/fs/cgroup/kube/memory.max", "max\n");
    put("/sys/fs/cgroup/kube/pod/box/cpu.max", "250000 100000\n");
    put("/sys/fs/cgroup/kube/pod/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/kube/cpu.max", "700000 200000\n");
    struct lp_limits limits = get();
    assert_int_equal(limits.memory_bytes, 268435456);
    assert_true(limits.memory_is_cgroups);
    assert_int_equal(limits.quota_cpus, 3);
    assert_int_equal(limits.cpus, affinity() < 3 ? affinity() : 3);
}

static void a_part_of_a_cpu_is_one(void **state)
{
    (void)state;
    put("/proc/self/mountinfo", v2_mount);
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "5000 100000\n");
    assert_int_equal(get().cpus, 1);
    assert_int_equal(get().quota_cpus, 1);
}

static void v1_reads_each_controllers_own_mount(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemTotal: 8000000 kB\n");
    put("/proc/self/mountinfo", "31 22 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
                                "32 22 0:28 / /sys/fs/cgroup/memory rw shared:6 - cgroup cgroup rw,memory\n"
                                "33 22 0:29 / /sys/fs/cgroup/cpuset rw shared:6 - cgroup cgroup rw,cpuset\n");
    put("/proc/self/cgroup", "4:cpuset:/wrong\n3:cpu,cpuacct:/docker/x\n2:memory:/docker/x\n1:name=systemd:/y\n");
    put("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "104857600\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "150000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n");
    struct lp_limits limits = get();
    assert_int_equal(limits.memory_bytes, 104857600);
    assert_true(limits.memory_is_cgroups);
    assert_int_equal(limits.quota_cpus, 2);
}

/* Docker without a cgroup namespace: the path is the host's, the mount shows its own cgroup as the top. */
static void a_mount_of_a_subtree_is_understood(void **state)
{
    (void)state;
    put("/proc/self/mountinfo", "32 22 0:28 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    put("/proc/self/cgroup", "2:memory:/docker/x/inner\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000\n");
    put("/sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "900000\n");
    assert_int_equal(get().memory_bytes, 900000);
    put("/proc/self/cgroup", "2:memory:/elsewhere\n");
    assert_int_equal(get().memory_bytes, 1000000);
    put("/proc/self/cgroup", "2:memory:/docker/x/../../up\n");
    assert_int_equal(get().memory_bytes, 1000000);
}

static void nonsense_is_no_limit(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemTotal: lots\n");
    put("/proc/self/mountinfo", "x\n - cgroup2\n 1 2 3 - cgroup2 a b\n- - - - - - cgroup2\n"
                                "30 22 0:26 / /sys/fs/cgroup rw - cgroup2\n");
    put("/proc/self/cgroup", "0::no-slash\n0\n::\n");
    put("/sys/fs/cgroup/memory.max", "-5\n");
    put("/sys/fs/cgroup/cpu.max", "100000 0\n");
    struct lp_limits limits = get();
    assert_int_equal(limits.memory_bytes, 0);
    assert_int_equal(limits.quota_cpus, 0);
    assert_int_equal(limits.cpus, affinity());
}

static void a_limit_above_the_machine_is_none(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemTotal: 1000 kB\n");
    put("/proc/self/mountinfo", v2_mount);
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "4096000\n");
    assert_int_equal(get().memory_bytes, 1024000);
    assert_false(get().memory_is_cgroups);
}

int main(void)
{
#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, drop_root)
    const struct CMUnitTest tests[] = {
        IN_ROOT(an_empty_tree_gives_the_affinity_and_no_memory),
        IN_ROOT(physical_memory_stands_when_there_is_no_limit),
        IN_ROOT(v2_takes_the_tightest_limit_on_the_way_up),
        IN_ROOT(a_part_of_a_cpu_is_one),
        IN_ROOT(v1_reads_each_controllers_own_mount),
        IN_ROOT(a_mount_of_a_subtree_is_understood),
        IN_ROOT(nonsense_is_no_limit),
        IN_ROOT(a_limit_above_the_machine_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
