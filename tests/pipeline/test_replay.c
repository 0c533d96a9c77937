// wrap: clock_gettime
/* What a worker lands in at its start, from what stands in the control and status topics. Control needs no group and no
 * lanes: these tests stand in for the lanes themselves. */
#include "support/worker_bed.h"

#include "control/signature.h"
#include "worker/kafka_conf.h"

#include "unit/control/signature_cases.inc"

enum { LOADS_PER_MINUTE = 4 };

static struct wb wb;
static atomic_uint_fast64_t skipped_s; /* what the monotonic clock is ahead */

int __real_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int rc = __real_clock_gettime(clock, ret_time);
    if (clock == CLOCK_MONOTONIC) ret_time->tv_sec += (time_t)atomic_load(&skipped_s);
    return rc;
}

static struct lp_kafka_conf conf;
static struct lp_control *control;
static const char *trusted_keys_path;          /* NULL: signatures are not looked at */
static atomic_uint_fast64_t staged_generation; /* UINT64_MAX: retired or none */

static enum lp_code check_nothing(void *context, const struct lp_model *model, struct lp_error *err)
{
    (void)context, (void)model, (void)err;
    return LP_OK;
}

static enum lp_code stage(void *context, struct lp_model *model, uint64_t generation, bool degraded,
                          struct lp_error *err)
{
    (void)context, (void)degraded, (void)err;
    atomic_store(&staged_generation, model != NULL ? generation : UINT64_MAX);
    return LP_OK;
}

static void pause_nothing(void *context, bool paused) { (void)context, (void)paused; }

static int set_up(void **state)
{
    (void)state;
    wb_start(&wb, 1);
    wb_configure(&wb, NULL);
    BED_OK(lp_kafka_conf_from_config(wb.config, &conf, &bed_err));
    atomic_store(&staged_generation, UINT64_MAX);
    return 0;
}

static int take_down(void **state)
{
    (void)state;
    if (control != NULL) lp_control_stop(control, true, 5000);
    lp_control_free(control);
    control = NULL;
    trusted_keys_path = NULL;
    lp_kafka_conf_done(&conf);
    lp_config_free(wb.config);
    wb_end(&wb);
    return 0;
}

static void run(const char *model_uri)
{
    struct lp_control_options options = {.conf = &conf,
                                         .client_id = "test",
                                         .control_topic = "control",
                                         .status_topic = "status",
                                         .slot = "default",
                                         .replica = "r1",
                                         .root = WB_FOLDER,
                                         .trusted_keys_path = trusted_keys_path,
                                         .model_uri = model_uri,
                                         .model = {.bundle_max_bytes = 1 << 20},
                                         .control_max_bytes = 65536,
                                         .max_loads_per_minute = LOADS_PER_MINUTE,
                                         .status_interval_ms = 10000};
    struct lp_control_callbacks callbacks = {.check = check_nothing, .stage = stage, .pause = pause_nothing};
    BED_OK(lp_control_new(&options, &callbacks, &control, &bed_err));
    BED_OK(lp_control_start(control, &bed_err));
}

static struct lp_status_record state_now(void)
{
    struct lp_status_record status;
    struct lp_control_event events[LP_CONTROL_EVENTS_MAX];
    (void)lp_control_state(control, &status, events);
    return status;
}

static void wait_state(enum lp_slot_state state, uint64_t generation)
{
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    for (;;) {
        struct lp_status_record status = state_now();
        if (lp_control_replayed(control) && status.state == state && status.generation == generation) return;
        if (bed_ms() > deadline_ms)
            fail_msg("state %s of generation %llu (%s)", lp_slot_state_name(status.state),
                     (unsigned long long)status.generation, status.reason);
        usleep(5000);
    }
}

/* A status record of some replica that has accepted `generation` with model `name`. */
static void told(const char *replica, uint64_t generation, const char *name)
{
    char source[1024], text[4096], key[64];
    wb_source(name, source, sizeof source);
    snprintf(key, sizeof key, "default/%s", replica);
    snprintf(text, sizeof text,
             "{\"format\":1,\"slot\":\"default\",\"replica\":\"%s\",\"generation\":%llu,\"serving_generation\":%llu,"
             "\"version\":\"1\",\"sha256\":null,\"state\":\"live\",\"reason\":null,\"desired\":{\"format\":1,"
             "\"generation\":%llu,\"active\":%s},\"time\":\"2026-01-01T00:00:00.000Z\"}",
             replica, (unsigned long long)generation, (unsigned long long)generation, (unsigned long long)generation,
             source);
    struct wb_message message = {.topic = "status", .key = key, .value = text, .value_size = strlen(text)};
    wb_send(&wb, &message);
    wb_flush(&wb);
}

static const char missing[] = "{\"uri\":\"file://" WB_FOLDER "/gone.safetensors\",\"sha256\":"
                              "\"0000000000000000000000000000000000000000000000000000000000000000\"}";

static void deploy_missing(uint64_t generation, const char *previous)
{
    char text[4096];
    snprintf(text, sizeof text, "{\"format\":1,\"generation\":%llu,\"active\":%s%s%s}", (unsigned long long)generation,
             missing, previous != NULL ? ",\"previous\":" : "", previous != NULL ? previous : "");
    wb_control(&wb, "default", text);
}

static void the_latest_of_the_control_topic_is_served(void **state)
{
    (void)state;
    wb_deploy(&wb, 1, "a", "");
    wb_deploy(&wb, 2, "b", "");
    wb_deploy(&wb, 3, "c", "");
    run(NULL);
    wait_state(LP_SLOT_LIVE, 3);
    assert_int_equal(atomic_load(&staged_generation), 3);
    assert_string_equal(state_now().version, "3");
}

static void a_broken_active_without_previous_serves_what_was_accepted_last(void **state)
{
    (void)state;
    told("r2", 3, "a");
    deploy_missing(4, NULL);
    run(NULL);
    wait_state(LP_SLOT_DEGRADED, 4);
    assert_string_equal(state_now().version, "1");
}

static void a_broken_active_with_nothing_before_serves_nothing(void **state)
{
    (void)state;
    deploy_missing(4, NULL);
    run("file://" WB_FOLDER "/a.safetensors");
    wait_state(LP_SLOT_REFUSED, 4);
    assert_false(state_now().serving); /* model.uri is only for a control topic without a record */
}

static void the_highest_accepted_generation_of_the_status_topic_wins(void **state)
{
    (void)state;
    told("r2", 7, "c");
    told("r3", 6, "b");
    wb_deploy(&wb, 5, "a", "");
    run(NULL);
    wait_state(LP_SLOT_LIVE, 7);
    assert_string_equal(state_now().version, "3");
    /* What is not above it stays ignored, what is above is taken. */
    wb_deploy(&wb, 6, "b", "");
    wb_deploy(&wb, 8, "b", "");
    wait_state(LP_SLOT_LIVE, 8);
    assert_string_equal(state_now().version, "2");
}

static void a_null_value_at_the_end_retires_at_start_and_remembers_the_generation(void **state)
{
    (void)state;
    struct wb_log status;
    wb_log_open(&status, &wb, "status", 1);
    wb_deploy(&wb, 5, "a", "");
    wb_control(&wb, "default", NULL);
    run(NULL);
    wait_state(LP_SLOT_RETIRED, 5);
    assert_false(state_now().serving);
    assert_true(atomic_load(&staged_generation) == UINT64_MAX);
    /* Replicas that ran all along know generation 5; this one must refuse it as they do. */
    wb_deploy(&wb, 5, "b", "");
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (status.count == 0 || strstr(status.records[status.count - 1].value, "not above the observed 5") == NULL) {
        assert_true(bed_ms() < deadline_ms);
        wb_log_poll(&status, 50);
    }
    wb_deploy(&wb, 6, "b", "");
    wait_state(LP_SLOT_LIVE, 6);
    wb_log_close(&status);
}

static void an_old_generation_after_a_null_value_does_not_revive_at_start(void **state)
{
    (void)state;
    wb_deploy(&wb, 5, "a", "");
    wb_control(&wb, "default", NULL);
    wb_deploy(&wb, 4, "b", "");
    run(NULL);
    wait_state(LP_SLOT_RETIRED, 5); /* as a replica that ran all along */
}

static void without_a_control_record_model_uri_is_generation_zero(void **state)
{
    (void)state;
    run("file://" WB_FOLDER "/b.safetensors");
    wait_state(LP_SLOT_LIVE, 0);
    assert_string_equal(state_now().version, "2");
    wb_deploy(&wb, 1, "a", "");
    wait_state(LP_SLOT_LIVE, 1);
}

static void what_was_accepted_is_still_told_after_a_restart_that_cannot_load_it(void **state)
{
    (void)state;
    struct wb_log status;
    wb_log_open(&status, &wb, "status", 1);
    told("r1", 3, "a"); /* this replica's own, as a crash leaves it */
    deploy_missing(4, NULL);
    run(NULL);
    json_t *record = wb_status_wait(&status, 4, "degraded");
    json_t *desired = json_object_get(record, "desired");
    assert_int_equal(json_integer_value(json_object_get(desired, "generation")), 3);
    json_decref(record);
    wb_log_close(&status);
}

/* --- hostile and hasty records --- */

static const char *const hostile[] = {"{",
                                      "[]",
                                      "",
                                      "{\"format\":1,\"generation\":9,\"active\":{\"uri\":\"file:///etc/passwd\"}}",
                                      "{\"format\":1,\"generation\":9007199254740992}",
                                      "{\"format\":2,\"generation\":9}",
                                      "\xff\xfe{}"};

static void a_control_topic_with_only_a_malformed_record_serves_nothing_until_a_good_one_comes(void **state)
{
    (void)state;
    wb_control(&wb, "default", "{\"format\":1,\"generation\":4}");
    run("file://" WB_FOLDER "/a.safetensors");
    wait_state(LP_SLOT_REFUSED, 0);
    assert_false(state_now().serving); /* model.uri is only for a control topic without a record */
    assert_non_null(strstr(state_now().reason, "active"));
    wb_deploy(&wb, 1, "b", "");
    wait_state(LP_SLOT_LIVE, 1);
}

static void a_malformed_record_gives_way_to_what_was_accepted_last(void **state)
{
    (void)state;
    told("r2", 3, "a");
    wb_control(&wb, "default", hostile[0]);
    run("file://" WB_FOLDER "/b.safetensors");
    wait_state(LP_SLOT_LIVE, 3);
    assert_string_equal(state_now().version, "1");
}

static uint32_t count_refusals(const struct wb_log *log)
{
    uint32_t count = 0;
    for (size_t i = 0; i < log->count; i++) count += strstr(log->records[i].value, "\"refused\"") != NULL;
    return count;
}

/* Three hundred of them: the model and what the status says stay, a bounded number is reported, the rest is counted. */
static void hostile_records_change_nothing_and_are_reported_in_bounds(void **state)
{
    (void)state;
    struct wb_log status;
    wb_log_open(&status, &wb, "status", 1);
    wb_deploy(&wb, 5, "a", "");
    run(NULL);
    wait_state(LP_SLOT_LIVE, 5);
    for (size_t i = 0; i < 300; i++) wb_control(&wb, "default", hostile[i % WB_COUNT(hostile)]);
    wb_deploy(&wb, 6, "b", "");
    wait_state(LP_SLOT_LIVE, 6);
    assert_int_equal(atomic_load(&staged_generation), 6);
    json_decref(wb_status_wait(&status, 6, "live"));
    uint32_t refusals = count_refusals(&status);
    assert_true(refusals >= 10 && refusals <= 60);
    atomic_fetch_add(&skipped_s, 61);
    wb_control(&wb, "default", hostile[0]);
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (strstr(status.records[status.count - 1].value, " refused records before it") == NULL) {
        assert_true(bed_ms() < deadline_ms);
        wb_log_poll(&status, 50);
    }
    wb_log_close(&status);
    assert_int_equal(state_now().state, LP_SLOT_LIVE);
    assert_int_equal(state_now().generation, 6);
    assert_int_equal(atomic_load(&staged_generation), 6);
}

static void of_more_loads_than_a_minute_may_have_the_latest_waits_and_wins(void **state)
{
    (void)state;
    run(NULL);
    wait_state(LP_SLOT_STARTING, 0);
    static const char *const names[] = {"a", "b", "c"};
    for (uint64_t g = 1; g <= LOADS_PER_MINUTE; g++) wb_deploy(&wb, g, names[g % 3], "");
    wait_state(LP_SLOT_LIVE, LOADS_PER_MINUTE);
    for (uint64_t g = LOADS_PER_MINUTE + 1; g <= 20; g++) wb_deploy(&wb, g, names[g % 3], "");
    usleep(500000);
    assert_int_equal(atomic_load(&staged_generation), LOADS_PER_MINUTE);
    atomic_fetch_add(&skipped_s, 61);
    wait_state(LP_SLOT_LIVE, 20);
    struct lp_control_event events[LP_CONTROL_EVENTS_MAX];
    struct lp_status_record status;
    uint32_t count = lp_control_state(control, &status, events);
    for (uint32_t i = 0; i < count; i++)
        assert_true(events[i].generation <= LOADS_PER_MINUTE || events[i].generation == 20);
}

static void a_null_value_retires_at_once_and_takes_what_waits_along(void **state)
{
    (void)state;
    run(NULL);
    wait_state(LP_SLOT_STARTING, 0);
    for (uint64_t g = 1; g <= LOADS_PER_MINUTE; g++) wb_deploy(&wb, g, "a", "");
    wait_state(LP_SLOT_LIVE, LOADS_PER_MINUTE);
    wb_deploy(&wb, LOADS_PER_MINUTE + 1, "b", "");
    wb_control(&wb, "default", NULL);
    wait_state(LP_SLOT_RETIRED, LOADS_PER_MINUTE);
    atomic_fetch_add(&skipped_s, 61);
    usleep(500000);
    assert_int_equal(state_now().state, LP_SLOT_RETIRED);
}

/* --- signatures --- */

#define MOST "9007199254740991" /* the highest generation there is */

static const char *put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_true(file != NULL && fputs(text, file) >= 0);
    fclose(file);
    return path;
}

/* Release key 0 is trusted, and signs what is deployed here. */
static void trust(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/lepton-replay-%d.pub", (int)getpid());
    trusted_keys_path = put(path, public_0);
}

static void deploy_signed(uint64_t generation, const char *name)
{
    char source[1024], text[4096], path[512], key[64], sha256[65], signature[LP_SIGNATURE_TEXT_BYTES];
    snprintf(path, sizeof path, "%s/%s.safetensors", WB_FOLDER, name);
    snprintf(key, sizeof key, "/tmp/lepton-replay-%d.pem", (int)getpid());
    wb_sha256(path, sha256);
    BED_OK(lp_signature_make(put(key, private_0), sha256, signature, &bed_err));
    unlink(key);
    snprintf(source, sizeof source, "{\"uri\":\"file://%s\",\"sha256\":\"%s\",\"signature\":\"%s\"}", path, sha256,
             signature);
    snprintf(text, sizeof text, "{\"format\":1,\"generation\":%llu,\"active\":%s}", (unsigned long long)generation,
             source);
    wb_control(&wb, "default", text);
}

static const char unsigned_highest[] = "{\"format\":1,\"generation\":" MOST ",\"paused\":true,\"active\":{\"uri\":"
                                       "\"file://" WB_FOLDER "/a.safetensors\",\"sha256\":"
                                       "\"0000000000000000000000000000000000000000000000000000000000000000\"}}";

static void what_nobody_trusted_signed_uses_up_no_generation_and_no_load(void **state)
{
    (void)state;
    struct wb_log status;
    wb_log_open(&status, &wb, "status", 1);
    trust();
    deploy_signed(1, "a");
    run(NULL);
    wait_state(LP_SLOT_LIVE, 1);
    for (int i = 0; i < 2 * LOADS_PER_MINUTE; i++) wb_deploy(&wb, (uint64_t)(100 + i), "c", "");
    wb_control(&wb, "default", unsigned_highest);
    json_t *record = wb_status_wait(&status, 9007199254740991, "refused");
    assert_non_null(strstr(json_string_value(json_object_get(record, "reason")), "not signed"));
    json_decref(record);
    deploy_signed(2, "b");
    wait_state(LP_SLOT_LIVE, 2);
    wb_log_close(&status);
    unlink(trusted_keys_path);
}

static void what_nobody_trusted_signed_displaces_nothing_at_the_start(void **state)
{
    (void)state;
    trust();
    deploy_signed(3, "b");
    wb_control(&wb, "default", unsigned_highest);
    run(NULL);
    wait_state(LP_SLOT_LIVE, 3);
    assert_string_equal(state_now().version, "2");
    unlink(trusted_keys_path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, take_down)
    const struct CMUnitTest tests[] = {
        TEST(the_latest_of_the_control_topic_is_served),
        TEST(a_broken_active_without_previous_serves_what_was_accepted_last),
        TEST(a_broken_active_with_nothing_before_serves_nothing),
        TEST(the_highest_accepted_generation_of_the_status_topic_wins),
        TEST(a_null_value_at_the_end_retires_at_start_and_remembers_the_generation),
        TEST(an_old_generation_after_a_null_value_does_not_revive_at_start),
        TEST(without_a_control_record_model_uri_is_generation_zero),
        TEST(a_control_topic_with_only_a_malformed_record_serves_nothing_until_a_good_one_comes),
        TEST(a_malformed_record_gives_way_to_what_was_accepted_last),
        TEST(hostile_records_change_nothing_and_are_reported_in_bounds),
        TEST(of_more_loads_than_a_minute_may_have_the_latest_waits_and_wins),
        TEST(a_null_value_retires_at_once_and_takes_what_waits_along),
        TEST(what_was_accepted_is_still_told_after_a_restart_that_cannot_load_it),
        TEST(what_nobody_trusted_signed_uses_up_no_generation_and_no_load),
        TEST(what_nobody_trusted_signed_displaces_nothing_at_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
