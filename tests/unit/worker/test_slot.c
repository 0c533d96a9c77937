/* The slot between control and lanes: what is staged is taken once, what is let go is freed once, on which thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "worker/shared.h"
#include "worker/slot.h"

static struct lp_error err;
static struct lp_config *config;
static struct lp_shared shared;
static struct lp_slot slot;

#define OK(call)                                                          \
    do {                                                                  \
        if ((call) != LP_OK) fail_msg("line %d: %s", __LINE__, err.text); \
    } while (0)

static void open_slot(uint32_t lanes)
{
    char text[1024];
    char *no_environment[] = {NULL};
    snprintf(text, sizeof text,
             "kafka.bootstrap.servers=127.0.0.1:1\ninput.topics=in\ninput.format=json\ngroup.id=g\noutput.topic=out\n"
             "output.format=json\ncontrol.topic=control\nmodel.root.path=/tmp\nlanes=%u\nbatch.max_rows=8\n"
             "input.record.max_bytes=1024\nmemory.limit_bytes=1073741824\n",
             lanes);
    OK(lp_config_parse(lp_span_text(text), "test", no_environment, NULL, 0, &config, &err));
    shared = (struct lp_shared){
        .config = config,
        .lane_count = lanes,
        .drift = {.window_ms = 1000, .lateness_ms = 0, .min_rows = 1, .psi_warn = 1, .psi_alert = 1},
    };
    OK(lp_encoder_new(LP_OUTPUT_JSON, config->output_fields.items, config->output_fields.count, &shared.encoder, &err));
    OK(lp_slot_init(&slot, lanes, &err));
}

static void close_slot(void)
{
    uint64_t count, bytes;
    lp_slot_done(&slot);
    lp_encoder_free(shared.encoder);
    lp_config_free(config);
    lp_model_totals(&count, &bytes);
    assert_int_equal(count, 0);
    assert_int_equal(bytes, 0);
}

static uint64_t models_alive(void)
{
    uint64_t count, bytes;
    lp_model_totals(&count, &bytes);
    return count;
}

/* Loads a fixture and stages it: afterwards only the slot and its kits hold it. */
static enum lp_code stage(const char *name, uint64_t generation)
{
    char path[512];
    struct lp_model *model = NULL;
    const struct lp_model_options options = {.bundle_max_bytes = 1 << 20};
    snprintf(path, sizeof path, "%s/pipeline/%s.safetensors", TEST_DATA_DIR, name);
    OK(lp_model_load(path, &options, &model, &err));
    enum lp_code rc = lp_slot_stage(&slot, &shared, model, generation, false, &err);
    lp_model_unref(model);
    return rc;
}

static void lanes_take_what_is_staged_once(void **state)
{
    (void)state;
    struct lp_kit *kits[2] = {NULL, NULL};
    bool swapped;
    open_slot(2);
    assert_false(lp_slot_changed(&slot, 0));
    OK(stage("a", 1));
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(lp_slot_changed(&slot, 0));
        uint64_t seen = lp_slot_take(&slot, i, &kits[i], &swapped);
        assert_true(swapped && kits[i] != NULL && kits[i]->generation == 1);
        assert_false(lp_slot_changed(&slot, seen));
        seen = lp_slot_take(&slot, i, &kits[i], &swapped);
        assert_false(swapped);
    }
    assert_ptr_not_equal(kits[0], kits[1]);
    assert_ptr_equal(kits[0]->model, kits[1]->model);
    assert_int_equal(models_alive(), 1);
    for (int i = 0; i < 2; i++) lp_slot_return(&slot, &kits[i]);
    assert_null(kits[0]);
    close_slot();
}

static void lanes_that_never_take_hold_nothing_up(void **state)
{
    (void)state;
    open_slot(2);
    for (uint64_t i = 1; i <= 200; i++) {
        OK(stage(i % 2 == 0 ? "a" : "b", i));
        assert_int_equal(models_alive(), 1);
        assert_int_equal(slot.share_count, 1);
    }
    struct lp_kit *kit = NULL;
    bool swapped;
    lp_slot_take(&slot, 0, &kit, &swapped);
    assert_int_equal(kit->generation, 200);
    lp_slot_return(&slot, &kit);
    close_slot();
}

static void an_old_model_lives_until_the_last_lane_lets_go_and_is_freed_by_collect(void **state)
{
    (void)state;
    struct lp_kit *kits[2] = {NULL, NULL};
    bool swapped;
    open_slot(2);
    OK(stage("a", 1));
    for (uint32_t i = 0; i < 2; i++) lp_slot_take(&slot, i, &kits[i], &swapped);
    OK(stage("b", 2));
    lp_slot_take(&slot, 0, &kits[0], &swapped);
    lp_slot_collect(&slot, NULL, NULL);
    assert_int_equal(models_alive(), 2); /* lane 1 scores with a */
    assert_string_equal(kits[1]->model->bundle->version, "1");
    assert_int_equal(slot.share_count, 2);
    lp_slot_take(&slot, 1, &kits[1], &swapped);
    assert_int_equal(models_alive(), 2); /* a lane frees nothing */
    lp_slot_collect(&slot, NULL, NULL);
    assert_int_equal(models_alive(), 1);
    assert_int_equal(slot.share_count, 1);
    for (int i = 0; i < 2; i++) lp_slot_return(&slot, &kits[i]);
    close_slot();
}

static void a_lane_with_nowhere_to_put_its_old_kit_goes_on_and_takes_later(void **state)
{
    (void)state;
    struct lp_kit *kit = NULL;
    bool swapped;
    uint64_t seen = 0;
    open_slot(1);
    for (uint64_t i = 1; i <= slot.retired_max + 1; i++) {
        OK(stage("a", i));
        seen = lp_slot_take(&slot, 0, &kit, &swapped);
        assert_true(swapped);
    }
    OK(stage("b", 100));
    seen = lp_slot_take(&slot, 0, &kit, &swapped);
    assert_false(swapped);
    assert_true(lp_slot_changed(&slot, seen)); /* it looks again */
    assert_int_equal(kit->generation, slot.retired_max + 1);
    lp_slot_collect(&slot, NULL, NULL);
    seen = lp_slot_take(&slot, 0, &kit, &swapped);
    assert_true(swapped);
    assert_false(lp_slot_changed(&slot, seen));
    assert_int_equal(kit->generation, 100);
    lp_slot_return(&slot, &kit);
    close_slot();
}

static void a_null_model_retires(void **state)
{
    (void)state;
    struct lp_kit *kit = NULL;
    bool swapped, degraded;
    uint64_t generation;
    open_slot(1);
    OK(stage("a", 1));
    lp_slot_take(&slot, 0, &kit, &swapped);
    OK(lp_slot_stage(&slot, &shared, NULL, 1, false, &err));
    assert_null(lp_slot_model(&slot, &generation, &degraded));
    uint64_t seen = lp_slot_take(&slot, 0, &kit, &swapped);
    assert_true(swapped && kit == NULL);
    assert_false(lp_slot_changed(&slot, seen));
    lp_slot_collect(&slot, NULL, NULL);
    assert_int_equal(models_alive(), 0);
    OK(stage("b", 2));
    lp_slot_take(&slot, 0, &kit, &swapped);
    assert_int_equal(kit->generation, 2);
    lp_slot_return(&slot, &kit);
    close_slot();
}

enum { VERSIONS_BYTES = 64 };

static void count_share(void *context, struct lp_drift_share *share)
{
    char *versions = context;
    size_t used = strlen(versions);
    snprintf(versions + used, VERSIONS_BYTES - used, "%s", share->model->bundle->version);
}

static void drift_is_reported_while_held_and_once_at_the_end(void **state)
{
    (void)state;
    struct lp_kit *kits[2] = {NULL, NULL};
    bool swapped;
    char versions[VERSIONS_BYTES] = "", last[VERSIONS_BYTES] = "";
    open_slot(2);
    OK(stage("a", 1));
    for (uint32_t i = 0; i < 2; i++) lp_slot_take(&slot, i, &kits[i], &swapped);
    OK(stage("b", 2));
    lp_slot_take(&slot, 0, &kits[0], &swapped);
    lp_slot_each_drift(&slot, count_share, versions);
    assert_true(strlen(versions) == 2 && strchr(versions, '1') != NULL && strchr(versions, '2') != NULL);
    lp_slot_collect(&slot, count_share, last);
    assert_string_equal(last, ""); /* lane 1 still observes with a */
    lp_slot_take(&slot, 1, &kits[1], &swapped);
    lp_slot_collect(&slot, count_share, last);
    assert_string_equal(last, "1");
    versions[0] = '\0';
    lp_slot_each_drift(&slot, count_share, versions);
    assert_string_equal(versions, "2");
    for (int i = 0; i < 2; i++) lp_slot_return(&slot, &kits[i]);
    lp_slot_collect(&slot, count_share, last);
    assert_string_equal(last, "1"); /* b is the slot's own still */
    close_slot();
}

static void too_many_models_still_held_refuse_the_next_and_change_nothing(void **state)
{
    (void)state;
    enum { LANES = 32 };
    struct lp_kit *kit = NULL;
    bool swapped, degraded;
    uint64_t generation, g = 0;
    enum lp_code rc = LP_OK;
    open_slot(LANES);
    /* One lane takes each, nobody collects: every model stays. */
    while (g < 100 && (rc = stage("a", g + 1)) == LP_OK) {
        lp_slot_take(&slot, 0, &kit, &swapped);
        g++;
    }
    assert_int_equal(rc, LP_E_LIMIT);
    assert_int_equal(err.action, LP_RETRY);
    struct lp_model *model = lp_slot_model(&slot, &generation, &degraded);
    assert_int_equal(generation, g);
    lp_model_unref(model);
    assert_false(lp_slot_changed(&slot, lp_slot_take(&slot, 0, &kit, &swapped)));
    assert_false(swapped);
    lp_slot_collect(&slot, NULL, NULL);
    OK(stage("b", g + 1));
    lp_slot_return(&slot, &kit);
    close_slot();
}

/* --- all at once --- */

enum { RACE_LANES = 3, RACE_STAGES = 300 };
static _Atomic bool race_over;

static void *race_lane(void *context)
{
    uint32_t index = *(uint32_t *)context;
    struct lp_kit *kit = NULL;
    uint64_t seen = 0, generation = 0;
    bool swapped, wrong = false;
    while (!race_over) {
        if (!lp_slot_changed(&slot, seen)) continue;
        seen = lp_slot_take(&slot, index, &kit, &swapped);
        if (kit == NULL) continue;
        wrong = wrong || kit->generation < generation || kit->model->bundle->feature_count == 0;
        generation = kit->generation;
    }
    lp_slot_return(&slot, &kit);
    return wrong ? &race_over : NULL;
}

static void nothing(void *context, struct lp_drift_share *share) { (void)context, (void)share; }

static void *race_housekeeping(void *context)
{
    (void)context;
    while (!race_over) {
        lp_slot_each_drift(&slot, nothing, NULL);
        lp_slot_collect(&slot, nothing, NULL);
    }
    return NULL;
}

static void *race_reader(void *context)
{
    (void)context;
    uint64_t generation;
    bool degraded;
    while (!race_over) {
        struct lp_model *model = lp_slot_model(&slot, &generation, &degraded);
        if (model != NULL) lp_model_unref(model);
    }
    return NULL;
}

static void control_lanes_housekeeping_and_http_may_all_come_at_once(void **state)
{
    (void)state;
    pthread_t lanes[RACE_LANES], housekeeping, reader;
    uint32_t indices[RACE_LANES];
    race_over = false;
    open_slot(RACE_LANES);
    for (uint32_t i = 0; i < RACE_LANES; i++) {
        indices[i] = i;
        assert_int_equal(pthread_create(&lanes[i], NULL, race_lane, &indices[i]), 0);
    }
    assert_int_equal(pthread_create(&housekeeping, NULL, race_housekeeping, NULL), 0);
    assert_int_equal(pthread_create(&reader, NULL, race_reader, NULL), 0);
    for (uint64_t g = 1; g <= RACE_STAGES; g++) OK(stage(g % 2 == 0 ? "a" : "b", g));
    race_over = true;
    for (int i = 0; i < RACE_LANES; i++) {
        void *wrong;
        pthread_join(lanes[i], &wrong);
        assert_null(wrong);
    }
    pthread_join(housekeeping, NULL);
    pthread_join(reader, NULL);
    close_slot();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_take_what_is_staged_once),
        cmocka_unit_test(lanes_that_never_take_hold_nothing_up),
        cmocka_unit_test(an_old_model_lives_until_the_last_lane_lets_go_and_is_freed_by_collect),
        cmocka_unit_test(a_lane_with_nowhere_to_put_its_old_kit_goes_on_and_takes_later),
        cmocka_unit_test(a_null_model_retires),
        cmocka_unit_test(drift_is_reported_while_held_and_once_at_the_end),
        cmocka_unit_test(too_many_models_still_held_refuse_the_next_and_change_nothing),
        cmocka_unit_test(control_lanes_housekeeping_and_http_may_all_come_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
