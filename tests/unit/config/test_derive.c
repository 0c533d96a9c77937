#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/storage.h"

#include <stdlib.h>
#include <string.h>

/* The defaults of a worker under `limits`, without its file. */
static struct lp_config derived(const struct lp_limits *limits, int64_t lanes, int64_t memory_bytes)
{
    static struct lp_config_storage storage;
    static const char *origins[256];
    assert_true(lp_config_key_count <= 256);
    storage = (struct lp_config_storage){.origins = origins};
    struct lp_config config = {.lanes = lanes,
                               .memory_limit_bytes = memory_bytes,
                               .batch_max_rows = 256,
                               .model_root_path = "/m",
                               .replica_id = "r",
                               .storage = &storage};
    struct lp_error err;
    assert_int_equal(lp_config_derive(&config, limits, &err), LP_OK);
    lp_pool_done(&storage.pool);
    return config;
}

static void a_cgroup_of_256_mb_with_one_lane_stays_below_its_limit(void **state)
{
    (void)state;
    const struct lp_limits limits = {.cpus = 1, .quota_cpus = 1, .memory_bytes = 256 << 20, .memory_is_cgroups = true};
    struct lp_config config = derived(&limits, 0, 0);
    assert_int_equal(config.lanes, 1);
    assert_int_equal(config.memory_limit_bytes, 192 << 20);
    /* The measured worst: 16 MiB of fetched 65-byte records took 204 MB, so 12.2 bytes a byte; outputs 512 each. */
    double worst = (double)config.fetch_queue_bytes * 204e6 / (16 << 20) + (double)config.inflight_max_records * 512;
    assert_true(worst < 200e6);
    assert_true(config.fetch_queue_bytes >= 8 << 20);
}

static void lanes_share_the_memory(void **state)
{
    (void)state;
    const struct lp_limits limits = {.cpus = 4, .memory_bytes = 128 << 20, .memory_is_cgroups = true};
    struct lp_config one = derived(&limits, 1, 0), four = derived(&limits, 0, 0);
    assert_int_equal(four.lanes, 4);
    assert_int_equal(four.memory_limit_bytes, one.memory_limit_bytes);
    assert_in_range(four.fetch_queue_bytes, one.fetch_queue_bytes / 4 - 64, one.fetch_queue_bytes / 4 + 64);
}

static void without_a_cgroup_a_large_machine_is_not_taken_whole(void **state)
{
    (void)state;
    const struct lp_limits limits = {.cpus = 8, .memory_bytes = 1ull << 40};
    assert_int_equal(derived(&limits, 2, 0).memory_limit_bytes, 2ll << 30);
    const struct lp_limits small = {.cpus = 2, .memory_bytes = 2ull << 30};
    assert_int_equal(derived(&small, 2, 0).memory_limit_bytes, 512ll << 20);
    const struct lp_limits unknown = {.cpus = 2};
    assert_int_equal(derived(&unknown, 2, 0).memory_limit_bytes, 512ll << 20);
}

static void tiny_limits_leave_working_queues(void **state)
{
    (void)state;
    const struct lp_limits limits = {.cpus = 1, .memory_bytes = 1 << 20, .memory_is_cgroups = true};
    struct lp_config config = derived(&limits, 0, 0);
    assert_int_equal(config.memory_limit_bytes, 32 << 20);
    assert_int_equal(config.fetch_queue_bytes, 32 * (1 << 20) / 100 * 6);
    assert_true(config.inflight_max_records >= 1024);
}

static void lanes_are_capped(void **state)
{
    (void)state;
    const struct lp_limits limits = {.cpus = 5000, .memory_bytes = 1ull << 40};
    assert_int_equal(derived(&limits, 0, 0).lanes, 256);
}

static void the_root_of_models_follows_the_uri(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *root;
    } cases[] = {{"file:///models/a.safetensors", "/models"},
                 {"file:/models/deep/a", "/models/deep"},
                 {"file:///a", "/"},
                 {"file://localhost/m/a", "/m"},
                 {"file:///with%20space/a%2Fb", "/with space/a"},
                 {"file:///50%/a", "/50%"}};
    const struct lp_limits limits = {.cpus = 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *origins[256] = {0};
        struct lp_config_storage storage = {.origins = origins};
        struct lp_config config = {.lanes = 1, .model_uri = cases[i].uri, .replica_id = "r", .storage = &storage};
        struct lp_error err;
        assert_int_equal(lp_config_derive(&config, &limits, &err), LP_OK);
        assert_string_equal(config.model_root_path, cases[i].root);
        lp_pool_done(&storage.pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cgroup_of_256_mb_with_one_lane_stays_below_its_limit),
        cmocka_unit_test(lanes_share_the_memory),
        cmocka_unit_test(without_a_cgroup_a_large_machine_is_not_taken_whole),
        cmocka_unit_test(tiny_limits_leave_working_queues),
        cmocka_unit_test(lanes_are_capped),
        cmocka_unit_test(the_root_of_models_follows_the_uri),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
