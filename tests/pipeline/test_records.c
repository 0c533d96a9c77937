/* Every record that goes in comes out: scored, or as a dead letter that says why. */
#include "support/worker_bed.h"

enum { PARTITIONS = 4, RECORDS = 600 /* a partition */, BAD_EVERY = 7 };

/* Ways for a JSON record to be bad, with the stage, the field and the code that its dead letter must name. */
static const struct bad {
    const char *value, *stage, *field, *code;
} bads[] = {
    {"not json", "decode", NULL, "invalid"},
    {"{\"f0\":1,\"f1\":2,\"f2\":3,\"f3\":4", "decode", NULL, "invalid"},
    {"{\"f0\":1,\"f1\":\"two\",\"f2\":3,\"f3\":4}", "decode", "f1", "invalid"},
    {"{\"f0\":1,\"f1\":2,\"f2\":3}", "clean", "f3", NULL},
    {"{\"f0\":1e39,\"f1\":1,\"f2\":1,\"f3\":1}", "infer", NULL, "refused"},
    {"[1,2,3,4]", "decode", NULL, "invalid"},
    {"", "decode", NULL, "invalid"},
};

static bool is_bad(int index) { return index % BAD_EVERY == 3; }
static const struct bad *bad_of(int index) { return &bads[index / BAD_EVERY % (int)WB_COUNT(bads)]; }

static void produce(struct wb *wb, int first, int count)
{
    for (int i = first; i < first + count; i++)
        for (int32_t p = 0; p < PARTITIONS; p++) {
            char key[32], trace[32];
            snprintf(key, sizeof key, "%d", i);
            snprintf(trace, sizeof trace, "%d-%d", p, i);
            const char *headers[] = {"traceparent", trace, "content-type", "application/x-row", NULL};
            const char *value = is_bad(i) ? bad_of(i)->value : wb_cases[i % WB_CASES].json;
            struct wb_message message = {.topic = "in",
                                         .partition = p,
                                         .key = key,
                                         .value = value,
                                         .value_size = strlen(value),
                                         .timestamp_ms = 1700000000000 + i,
                                         .headers = headers};
            wb_send(wb, &message);
        }
    wb_flush(wb);
}

/* The second half, at some 2,000 records a second. */
static void *produce_slowly(void *context)
{
    for (int i = RECORDS / 2; i < RECORDS; i++) {
        produce(context, i, 1);
        usleep(2000);
    }
    return NULL;
}

static void check_carried(const struct wb_record *record, int32_t partition, int index)
{
    char trace[32];
    snprintf(trace, sizeof trace, "%d-%d", partition, index);
    assert_int_equal(record->timestamp_ms, 1700000000000 + index);
    assert_non_null(wb_header(record, "traceparent"));
    assert_string_equal(wb_header(record, "traceparent"), trace);
}

static void check_predictions(const struct wb_log *log)
{
    int next[PARTITIONS] = {0};
    for (size_t i = 0; i < log->count; i++) {
        const struct wb_record *record = &log->records[i];
        struct wb_prediction prediction = wb_parse(record);
        int *index = &next[record->partition];
        while (is_bad(*index)) (*index)++;
        assert_int_equal(bed_whole(record->key), *index); /* in order, none twice, none missing */
        assert_int_equal(prediction.partition, record->partition);
        assert_int_equal(prediction.offset, *index);
        assert_int_equal(prediction.model, 0);
        assert_false(prediction.degraded);
        check_carried(record, record->partition, *index);
        assert_string_equal(wb_header(record, "content-type"), "application/json");
        wb_check_score(record, &prediction, WB_CASES);
        (*index)++;
    }
}

static void check_number(const struct wb_record *record, const char *name, long want)
{
    const char *text = wb_header(record, name);
    if (text == NULL || strtol(text, NULL, 10) != want) fail_msg("%s: %s, wanted %ld", name, text ? text : "", want);
}

static void check_dead_letter(const struct wb_record *record, int index)
{
    const struct bad *bad = bad_of(index);
    const char *field = wb_header(record, "lepton.error.field");
    check_carried(record, record->partition, index);
    assert_int_equal(record->value_size, strlen(bad->value));
    assert_memory_equal(record->value, bad->value, record->value_size);
    assert_string_equal(wb_header(record, "content-type"), "application/x-row");
    assert_string_equal(wb_header(record, "__connect.errors.topic"), "in");
    check_number(record, "__connect.errors.partition", record->partition);
    check_number(record, "__connect.errors.offset", index);
    assert_string_equal(wb_header(record, "__connect.errors.stage"), bad->stage);
    assert_true(strlen(wb_header(record, "__connect.errors.exception.message")) > 0);
    if (bad->code != NULL) assert_string_equal(wb_header(record, "lepton.error.code"), bad->code);
    if (bad->field == NULL) return;
    assert_non_null(field);
    assert_string_equal(field, bad->field);
}

static void check_dead_letters(const struct wb_log *log)
{
    bool seen[PARTITIONS][RECORDS] = {0};
    for (size_t i = 0; i < log->count; i++) {
        const struct wb_record *record = &log->records[i];
        int index = bed_whole(record->key);
        assert_true(index < RECORDS && is_bad(index) && !seen[record->partition][index]);
        seen[record->partition][index] = true;
        check_dead_letter(record, index);
    }
}

static int64_t committed(struct wb *wb, int32_t partition)
{
    char text[128];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", wb->bed.settings[0].value, text, sizeof text);
    rd_kafka_conf_set(conf, "group.id", "g", text, sizeof text);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "in", partition);
    assert_int_equal(rd_kafka_committed(client, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(client);
    return offset;
}

static void every_record_is_scored_or_dead_lettered(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out, dead;
    int bad_count = 0;
    for (int i = 0; i < RECORDS; i++) bad_count += is_bad(i);
    wb_start(&wb, PARTITIONS);
    wb_log_open(&out, &wb, "out", PARTITIONS);
    wb_log_open(&dead, &wb, "dead", PARTITIONS);
    wb_deploy(&wb, 1, "a", "");
    produce(&wb, 0, RECORDS / 2);
    wb_run(&wb, NULL);
    wb_wait_ready(&wb);
    /* Stopped in the middle of a stream, and started again: nothing is lost and nothing comes twice. */
    pthread_t producer;
    assert_int_equal(pthread_create(&producer, NULL, produce_slowly, &wb), 0);
    while (wb_totals(&wb).records <= RECORDS / 2 * PARTITIONS) usleep(1000);
    wb_halt(&wb);
    int64_t first = 0;
    for (int32_t p = 0; p < PARTITIONS; p++) first += committed(&wb, p);
    assert_in_range(first, RECORDS / 2 * PARTITIONS, RECORDS * PARTITIONS - 1);
    pthread_join(producer, NULL);
    wb_run(&wb, NULL);
    assert_true(wb_log_wait(&dead, (size_t)bad_count * PARTITIONS));
    assert_true(wb_log_wait(&out, (size_t)(RECORDS - bad_count) * PARTITIONS));
    assert_int_equal(wb_totals(&wb).records + (uint64_t)first, RECORDS * PARTITIONS);
    print_message("the first run committed %lld of %d records\n", (long long)first, RECORDS * PARTITIONS);
    wb_halt(&wb);
    for (int32_t p = 0; p < PARTITIONS; p++) assert_int_equal(committed(&wb, p), RECORDS);
    wb_log_poll(&out, 100);
    check_predictions(&out);
    check_dead_letters(&dead);
    wb_log_close(&out);
    wb_log_close(&dead);
    wb_end(&wb);
}

static void a_bad_record_without_dead_letter_topic_stops_the_lane_before_it(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out;
    wb_start(&wb, 1);
    wb_log_open(&out, &wb, "out", 1);
    wb_deploy(&wb, 1, "a", "");
    for (int i = 0; i < 5; i++) wb_send_case(&wb, 0, i, WB_CASES);
    struct wb_message bad = {.topic = "in", .key = "5", .value = "{", .value_size = 1};
    wb_send(&wb, &bad);
    wb_flush(&wb);
    wb_run(&wb, (const char *[]){"dead_letter.topic", "", NULL});
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (!atomic_load(&wb.lane_failed) && bed_ms() < deadline_ms) usleep(10000);
    assert_true(atomic_load(&wb.lane_failed));
    assert_non_null(strstr(wb.lane_failure, "offset 5"));
    assert_non_null(strstr(wb.lane_failure, "dead_letter.topic"));
    const char *reason = "";
    assert_false(lp_worker_ready(wb.worker, &reason));
    while (lp_worker_live(wb.worker, &reason) && bed_ms() < deadline_ms) usleep(10000); /* until it has drained */
    assert_false(lp_worker_live(wb.worker, &reason));
    wb_halt(&wb);
    /* What was before it is out and committed: a restart does not send it again. */
    assert_int_equal(committed(&wb, 0), 5);
    assert_true(wb_log_wait(&out, 5));
    wb_log_close(&out);
    wb_end(&wb);
}

/* Larger than the producer may send: neither dropped nor a reason to stop. */
static void a_large_bad_record_goes_without_its_bytes(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out, dead;
    static char garbage[4096];
    memset(garbage, 'x', sizeof garbage);
    wb_start(&wb, 1);
    wb_log_open(&out, &wb, "out", 1);
    wb_log_open(&dead, &wb, "dead", 1);
    wb_deploy(&wb, 1, "a", "");
    wb_send_case(&wb, 0, 0, WB_CASES);
    struct wb_message large = {.topic = "in", .key = "1", .value = garbage, .value_size = sizeof garbage};
    wb_send(&wb, &large);
    wb_send_case(&wb, 0, 2, WB_CASES);
    wb_flush(&wb);
    wb_run(&wb, (const char *[]){"kafka.producer.message.max.bytes", "2000", NULL});
    assert_true(wb_log_wait(&dead, 1));
    assert_true(wb_log_wait(&out, 2));
    assert_null(dead.records[0].value);
    assert_string_equal(dead.records[0].key, "1");
    assert_string_equal(wb_header(&dead.records[0], "lepton.error.value_bytes"), "4096");
    check_number(&dead.records[0], "__connect.errors.offset", 1);
    wb_halt(&wb);
    assert_int_equal(committed(&wb, 0), 3);
    wb_log_close(&out);
    wb_log_close(&dead);
    wb_end(&wb);
}

static void null_values_are_forwarded_in_order(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out;
    wb_start(&wb, 1);
    wb_log_open(&out, &wb, "out", 1);
    wb_deploy(&wb, 1, "a", "");
    for (int i = 0; i < 30; i++) {
        struct wb_message null = {.topic = "in", .key = "gone", .timestamp_ms = 1};
        if (i % 3 == 1) wb_send(&wb, &null);
        else wb_send_case(&wb, 0, i, WB_CASES);
    }
    wb_flush(&wb);
    wb_run(&wb, NULL);
    assert_true(wb_log_wait(&out, 30));
    for (int i = 0; i < 30; i++) {
        if (i % 3 == 1) assert_null(out.records[i].value);
        else assert_int_equal(bed_whole(out.records[i].key), i);
    }
    wb_log_close(&out);
    wb_end(&wb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_scored_or_dead_lettered),
        cmocka_unit_test(a_bad_record_without_dead_letter_topic_stops_the_lane_before_it),
        cmocka_unit_test(a_large_bad_record_goes_without_its_bytes),
        cmocka_unit_test(null_values_are_forwarded_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
