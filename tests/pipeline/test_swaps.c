/* Deployments: a swap between two batches, refusals that leave the old model serving, null values, what status says. */
#include "support/worker_bed.h"

enum { PARTITIONS = 4, STREAM_MAX = 4000 /* a partition */ };

struct stream {
    struct wb *wb;
    atomic_bool quit;
    int sent; /* a partition */
    pthread_t thread;
};

static void *stream_main(void *context)
{
    struct stream *stream = context;
    while (!atomic_load(&stream->quit) && stream->sent < STREAM_MAX) {
        for (int32_t p = 0; p < PARTITIONS; p++) wb_send_case(stream->wb, p, stream->sent, WB_CASES);
        stream->sent++;
        if (stream->sent % 4 == 0) usleep(3000);
    }
    return NULL;
}

static void stream_start(struct stream *stream, struct wb *wb)
{
    *stream = (struct stream){.wb = wb};
    assert_int_equal(pthread_create(&stream->thread, NULL, stream_main, stream), 0);
}

static void stream_stop(struct stream *stream)
{
    atomic_store(&stream->quit, true);
    pthread_join(stream->thread, NULL);
    wb_flush(stream->wb);
}

/* Until the output shows a model. */
static void wait_for_model(struct wb_log *out, int model)
{
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (out->count == 0 || wb_parse(&out->records[out->count - 1]).model != model) {
        if (bed_ms() > deadline_ms) fail_msg("no prediction of version %d", model + 1);
        wb_log_poll(out, 50);
    }
}

/* In every partition: all of `count` in order, versions never going back, scores as numpy has them. */
static void check_stream(const struct wb_log *out, int count, int models)
{
    int next[PARTITIONS] = {0}, model[PARTITIONS] = {0}, changes[PARTITIONS] = {0};
    for (size_t i = 0; i < out->count; i++) {
        const struct wb_record *record = &out->records[i];
        struct wb_prediction prediction = wb_parse(record);
        int p = record->partition;
        assert_int_equal(bed_whole(record->key), next[p]);
        assert_int_equal(prediction.offset, next[p]++);
        assert_true(prediction.model >= model[p]);
        changes[p] += prediction.model != model[p];
        model[p] = prediction.model;
        wb_check_score(record, &prediction, WB_CASES);
    }
    for (int p = 0; p < PARTITIONS; p++) {
        assert_int_equal(next[p], count);
        assert_int_equal(changes[p], models - 1);
        assert_int_equal(model[p], models - 1);
    }
}

static void a_swap_changes_the_version_at_one_point_of_each_partition(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out;
    struct stream stream;
    wb_start(&wb, PARTITIONS);
    wb_log_open(&out, &wb, "out", PARTITIONS);
    wb_deploy(&wb, 1, "a", "");
    wb_run(&wb, (const char *[]){"lanes", "2", NULL});
    wb_wait_ready(&wb);
    stream_start(&stream, &wb);
    wait_for_model(&out, 0);
    wb_deploy(&wb, 2, "b", "");
    wait_for_model(&out, 1);
    wb_deploy(&wb, 3, "c", "");
    wait_for_model(&out, 2);
    stream_stop(&stream);
    assert_true(wb_log_wait(&out, (size_t)stream.sent * PARTITIONS));
    check_stream(&out, stream.sent, 3);
    struct lp_lane_stats stats = wb_totals(&wb);
    assert_int_equal(stats.dead_letters, 0);
    assert_int_equal(stats.swaps, 4); /* two lanes, twice */
    print_message("%zu predictions over two swaps; the lanes paused %.0f us at most\n", out.count,
                  lp_latency_quantile_ns(&stats.swap, 1) / 1e3);
    wb_log_close(&out);
    wb_end(&wb);
}

/* --- refusals --- */

static void refused(struct wb *wb, struct wb_log *status, uint64_t generation, const char *text, const char *want)
{
    wb_control(wb, "default", text);
    json_t *record = wb_status_wait(status, generation, "refused");
    const char *reason = json_string_value(json_object_get(record, "reason"));
    if (reason == NULL || strstr(reason, want) == NULL)
        fail_msg("generation %llu: \"%s\", wanted \"%s\"", (unsigned long long)generation, reason, want);
    assert_string_equal(json_string_value(json_object_get(record, "version")), "1");
    assert_int_equal(json_integer_value(json_object_get(record, "serving_generation")), 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(record, "desired"), "generation")), 1);
    json_decref(record);
}

static void refused_model(struct wb *wb, struct wb_log *status, uint64_t generation, const char *source,
                          const char *more, const char *want)
{
    char text[4096];
    snprintf(text, sizeof text, "{\"format\":1,\"generation\":%llu,\"active\":%s%s}", (unsigned long long)generation,
             source, more);
    refused(wb, status, generation, text, want);
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static void refuse_all(struct wb *wb, struct wb_log *status)
{
    char source[2048];
    uint64_t generation = 2;
    const char *wrong_hash = "{\"uri\":\"file://" WB_FOLDER "/b.safetensors\",\"sha256\":\"" ZEROS "\"}";
    refused_model(wb, status, generation++, wrong_hash, "", "SHA-256");
    /* No parser has seen it, or it would have been refused for what is in it. */
    const char *damaged_too = "{\"uri\":\"file://" WB_FOLDER "/truncate.safetensors\",\"sha256\":\"" ZEROS "\"}";
    refused_model(wb, status, generation++, damaged_too, "", "SHA-256");
    const char *missing = "{\"uri\":\"file://" WB_FOLDER "/nobody.safetensors\",\"sha256\":\"" ZEROS "\"}";
    refused_model(wb, status, generation++, missing, "", "No such file");
    const char *outside = "{\"uri\":\"file:///etc/passwd\",\"sha256\":\"" ZEROS "\"}";
    refused_model(wb, status, generation++, outside, "", "outside model.root.path");
    const char *upwards = "{\"uri\":\"file://" WB_FOLDER "/../bundles/mlp.safetensors\",\"sha256\":\"" ZEROS "\"}";
    refused_model(wb, status, generation++, upwards, "", "outside model.root.path");
    const char *web = "{\"uri\":\"https://models/b.safetensors\",\"sha256\":\"" ZEROS "\"}";
    refused_model(wb, status, generation++, web, "", "only file:");
    static const char *const damaged[][2] = {{"shape", "layer1.weight"}, {"golden", "golden"}, {"truncate", ""}};
    for (size_t i = 0; i < WB_COUNT(damaged); i++) {
        wb_source(damaged[i][0], source, sizeof source);
        refused_model(wb, status, generation++, source, "", damaged[i][1]);
    }
}

/* What is no desired state has no generation that could be named. */
static void malformed_records_are_refused(struct wb *wb, struct wb_log *status)
{
    static const char *const broken[][2] = {
        {"{", "not JSON"},
        {"[]", "JSON object"},
        {"{\"format\":2}", "format"},
        {"{\"format\":1,\"generation\":99,\"active\":%s,\"activ\":1}", "unknown member"},
        {"{\"format\":1,\"generation\":99,\"active\":%s,\"candidate\":{\"uri\":\"file:///x\",\"sha256\":\"" ZEROS
         "\",\"mode\":\"shadow\"}}",
         "candidate"},
        {"{\"format\":1,\"generation\":99,\"active\":%s,\"guards\":{\"min_rows\":1}}", "guards"},
    };
    char source[2048], text[4096];
    wb_source("b", source, sizeof source);
    for (size_t i = 0; i < WB_COUNT(broken); i++) {
        const char *place = strstr(broken[i][0], "%s");
        int head = place != NULL ? (int)(place - broken[i][0]) : (int)strlen(broken[i][0]);
        snprintf(text, sizeof text, "%.*s%s%s", head, broken[i][0], place != NULL ? source : "",
                 place != NULL ? place + 2 : "");
        size_t before = status->count;
        uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
        wb_control(wb, "default", text);
        while (status->count == before && bed_ms() < deadline_ms) wb_log_poll(status, 50);
        json_t *record = json_loads(status->records[status->count - 1].value, 0, NULL);
        assert_non_null(strstr(json_string_value(json_object_get(record, "reason")), broken[i][1]));
        assert_string_equal(json_string_value(json_object_get(record, "state")), "refused");
        assert_int_equal(json_integer_value(json_object_get(record, "generation")), 0);
        assert_int_equal(json_integer_value(json_object_get(record, "serving_generation")), 1);
        json_decref(record);
    }
}

static void serves(struct wb *wb, struct wb_log *out, int model, int *next)
{
    size_t count = out->count;
    wb_send_case(wb, 0, (*next)++, WB_CASES);
    wb_flush(wb);
    assert_true(wb_log_wait(out, count + 1));
    struct wb_prediction prediction = wb_parse(&out->records[count]);
    assert_int_equal(prediction.model, model);
    wb_check_score(&out->records[count], &prediction, WB_CASES);
}

static void old_generations_are_ignored(struct wb *wb, struct wb_log *status, uint64_t observed)
{
    char want[64];
    wb_deploy(wb, 2, "b", "");
    snprintf(want, sizeof want, "not above the observed %llu", (unsigned long long)observed);
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (strstr(status->records[status->count - 1].value, want) == NULL) {
        assert_true(bed_ms() < deadline_ms);
        wb_log_poll(status, 50);
    }
    wb_wait_state(wb, LP_SLOT_REFUSED, observed); /* what it says from now on is what was before */
}

static void refusals_leave_the_old_model_serving(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out, status;
    int next = 0;
    wb_start(&wb, 1);
    wb_log_open(&out, &wb, "out", 1);
    wb_log_open(&status, &wb, "status", 1);
    wb_deploy(&wb, 1, "a", "");
    wb_run(&wb, NULL);
    json_decref(wb_status_wait(&status, 1, "live"));
    wb_wait_ready(&wb);
    serves(&wb, &out, 0, &next);
    refuse_all(&wb, &status);
    serves(&wb, &out, 0, &next);
    malformed_records_are_refused(&wb, &status);
    old_generations_are_ignored(&wb, &status, 10);
    wb_control(&wb, "another slot", "{");
    serves(&wb, &out, 0, &next);

    /* A null value retires: still a member of the group, nothing is consumed. */
    wb_control(&wb, "default", NULL);
    json_decref(wb_status_wait(&status, 10, "retired"));
    while (!wb_taken(&wb)) usleep(1000);
    size_t before = out.count;
    for (int i = 0; i < 10; i++) wb_send_case(&wb, 0, next++, WB_CASES);
    wb_flush(&wb);
    assert_true(wb_log_wait(&out, before));
    const char *reason = "";
    assert_false(lp_worker_ready(wb.worker, &reason));
    assert_string_equal(reason, "no model live");
    /* A later deployment revives it, and what waited is scored. */
    wb_deploy(&wb, 11, "b", "");
    assert_true(wb_log_wait(&out, before + 10));
    serves(&wb, &out, 1, &next);
    /* Paused: the same without a change of model. */
    wb_deploy(&wb, 12, "c", ",\"paused\":true");
    json_decref(wb_status_wait(&status, 12, "live"));
    wb_send_case(&wb, 0, next++, WB_CASES);
    wb_flush(&wb);
    before = out.count;
    assert_true(wb_log_wait(&out, before));
    assert_false(lp_worker_ready(wb.worker, &reason));
    wb_deploy(&wb, 13, "c", "");
    assert_true(wb_log_wait(&out, before + 1));
    for (size_t i = 0; i < out.count; i++) assert_int_equal(wb_parse(&out.records[i]).offset, i);

    wb_halt(&wb);
    uint64_t deadline_ms = bed_ms() + 5000;
    while (status.records[status.count - 1].value != NULL && bed_ms() < deadline_ms) wb_log_poll(&status, 50);
    const struct wb_record *last = &status.records[status.count - 1];
    assert_null(last->value); /* the tombstone of a clean stop */
    assert_string_equal(last->key, "default/r1");
    wb_log_close(&out);
    wb_log_close(&status);
    wb_end(&wb);
}

static void a_broken_active_at_start_serves_previous_degraded(void **state)
{
    (void)state;
    struct wb wb;
    char text[4096], previous[1024];
    struct wb_log out, status;
    wb_start(&wb, 1);
    wb_source("b", previous, sizeof previous);
    wb_log_open(&out, &wb, "out", 1);
    wb_log_open(&status, &wb, "status", 1);
    snprintf(text, sizeof text,
             "{\"format\":1,\"generation\":4,\"active\":{\"uri\":\"file://" WB_FOLDER
             "/gone.safetensors\",\"sha256\":\"" ZEROS "\"},\"previous\":%s}",
             previous);
    wb_control(&wb, "default", text);
    wb_run(&wb, NULL);
    json_t *record = wb_status_wait(&status, 4, "degraded");
    assert_string_equal(json_string_value(json_object_get(record, "version")), "2");
    assert_non_null(strstr(json_string_value(json_object_get(record, "reason")), "gone.safetensors"));
    json_decref(record);
    wb_send_case(&wb, 0, 0, WB_CASES);
    assert_true(wb_log_wait(&out, 1));
    struct wb_prediction prediction = wb_parse(&out.records[0]);
    assert_int_equal(prediction.model, 1);
    assert_true(prediction.degraded);
    wb_check_score(&out.records[0], &prediction, WB_CASES);
    wb_log_close(&out);
    wb_log_close(&status);
    wb_end(&wb);
}

static void without_any_model_it_stays_up_and_consumes_nothing(void **state)
{
    (void)state;
    struct wb wb;
    const char *reason = "";
    wb_start(&wb, 1);
    wb_run(&wb, NULL);
    wb_wait_state(&wb, LP_SLOT_STARTING, 0);
    usleep(300000);
    assert_false(lp_worker_ready(wb.worker, &reason));
    assert_string_equal(reason, "no model live");
    assert_true(lp_worker_live(wb.worker, &reason));
    assert_false(wb_totals(&wb).joined);
    assert_int_equal(wb_totals(&wb).assigned, 0);
    wb_end(&wb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_swap_changes_the_version_at_one_point_of_each_partition),
        cmocka_unit_test(refusals_leave_the_old_model_serving),
        cmocka_unit_test(a_broken_active_at_start_serves_previous_degraded),
        cmocka_unit_test(without_any_model_it_stays_up_and_consumes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
