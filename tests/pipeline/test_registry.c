/* Writer schemas from a registry: one that does not answer holds its partition only, one that says 404 makes dead
 * letters. */
#include "support/fake_http.h"
#include "support/worker_bed.h"

enum { PARTITIONS = 3, RECORDS = 200 /* a partition */ };

/* The rows' schema, and one with other fields before and between. */
static const char FIRST[] =
    "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R\\\",\\\"fields\\\":["
    "{\\\"name\\\":\\\"f0\\\",\\\"type\\\":\\\"double\\\"},{\\\"name\\\":\\\"f1\\\",\\\"type\\\":\\\"double\\\"},"
    "{\\\"name\\\":\\\"f2\\\",\\\"type\\\":\\\"double\\\"},{\\\"name\\\":\\\"f3\\\",\\\"type\\\":\\\"double\\\"}]}\"}";
static const char SECOND[] =
    "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R\\\",\\\"fields\\\":["
    "{\\\"name\\\":\\\"id\\\",\\\"type\\\":\\\"string\\\"},{\\\"name\\\":\\\"f3\\\",\\\"type\\\":\\\"double\\\"},"
    "{\\\"name\\\":\\\"f0\\\",\\\"type\\\":\\\"double\\\"},{\\\"name\\\":\\\"x\\\",\\\"type\\\":\\\"boolean\\\"},"
    "{\\\"name\\\":\\\"f1\\\",\\\"type\\\":\\\"double\\\"},{\\\"name\\\":\\\"f2\\\",\\\"type\\\":\\\"double\\\"}]}\"}";
static const char BUSY[] = "{\"error_code\":50001,\"message\":\"store is away\"}";
static const char NOT_FOUND[] = "{\"error_code\":40403,\"message\":\"Schema not found\"}";

static unsigned char *put_double(unsigned char *at, double value)
{
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

/* Confluent framing: partition p is written with schema id p + 1. */
static void send_framed(struct wb *wb, int32_t partition, int index)
{
    unsigned char value[64] = {0, 0, 0, 0, (unsigned char)(partition + 1)}, *at = value + 5;
    const double *field = wb_cases[index % WB_CASES_COMPLETE].field;
    char key[16];
    snprintf(key, sizeof key, "%d", index);
    if (partition == 1) {
        *at++ = 2 * 2; /* a string of two bytes */
        *at++ = 'i';
        *at++ = 'd';
        at = put_double(put_double(at, field[3]), field[0]);
        *at++ = 1;
        at = put_double(put_double(at, field[1]), field[2]);
    } else {
        for (int i = 0; i < 4; i++) at = put_double(at, field[i]);
    }
    struct wb_message message = {
        .topic = "in", .partition = partition, .key = key, .value = value, .value_size = (size_t)(at - value)};
    wb_send(wb, &message);
}

static void a_schema_that_does_not_come_holds_its_partition_only(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out, dead;
    struct fake_http *registry = fake_http_new();
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", registry->port);
    fake_http_route(registry, "GET", "/schemas/ids/1", 200, FIRST, 0, -1);
    int busy = fake_http_route(registry, "GET", "/schemas/ids/2", 503, BUSY, 0, 6);
    int there = fake_http_route(registry, "GET", "/schemas/ids/2", 200, SECOND, 0, -1);
    int missing = fake_http_route(registry, "GET", "/schemas/ids/3", 404, NOT_FOUND, 0, -1);
    wb_start(&wb, PARTITIONS);
    wb_log_open(&out, &wb, "out", PARTITIONS);
    wb_log_open(&dead, &wb, "dead", PARTITIONS);
    wb_deploy(&wb, 1, "a", "");
    for (int i = 0; i < RECORDS; i++)
        for (int32_t p = 0; p < PARTITIONS; p++) send_framed(&wb, p, i);
    wb_flush(&wb);
    wb_run(&wb, (const char *[]){"input.format", "confluent", "registry.url", url, "registry.retry_ms", "60",
                                 "output.schema.auto_register", "false", NULL});
    /* Pauses of 60, 120, ... 1920 ms: the others are through long before. */
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while ((out.count < RECORDS || dead.count < RECORDS) && bed_ms() < deadline_ms) {
        wb_log_poll(&out, 5);
        wb_log_poll(&dead, 5);
    }
    assert_int_equal(fake_http_count(registry, there), 0);
    assert_true(fake_http_count(registry, busy) > 0);
    assert_int_equal(out.count, RECORDS);
    for (size_t i = 0; i < RECORDS; i++) assert_int_equal(out.records[i].partition, 0);
    usleep(250000);
    assert_int_equal(wb_totals(&wb).held, 1);
    /* It comes, and what waited is scored in order, none twice. */
    assert_true(wb_log_wait(&out, 2 * RECORDS));
    for (size_t i = 0; i < out.count; i++) {
        const struct wb_record *record = &out.records[i];
        struct wb_prediction prediction = wb_parse(record);
        assert_int_equal(record->partition, i < RECORDS ? 0 : 1);
        assert_int_equal(prediction.offset, i % RECORDS);
        wb_check_score(record, &prediction, WB_CASES_COMPLETE);
    }
    for (size_t i = 0; i < dead.count; i++) {
        assert_int_equal(dead.records[i].partition, 2);
        assert_int_equal(dead.records[i].offset, i);
        assert_string_equal(wb_header(&dead.records[i], "__connect.errors.stage"), "decode");
        assert_string_equal(wb_header(&dead.records[i], "lepton.error.code"), "not_found");
    }
    usleep(250000);
    struct lp_lane_stats stats = wb_totals(&wb);
    assert_int_equal(stats.held, 0);
    assert_int_equal(stats.records, PARTITIONS * RECORDS);
    assert_int_equal(fake_http_count(registry, missing), 1); /* remembered as unknown */
    assert_int_equal(fake_http_count(registry, there), 1);
    wb_log_close(&out);
    wb_log_close(&dead);
    wb_end(&wb);
    fake_http_free(registry);
}

/* A stop while a partition waits for its schema commits nothing past the held record. */
static void a_stop_with_a_held_partition_loses_nothing(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out;
    struct fake_http *registry = fake_http_new();
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", registry->port);
    fake_http_route(registry, "GET", "/schemas/ids/1", 200, FIRST, 0, -1);
    int busy = fake_http_route(registry, "GET", "/schemas/ids/2", 503, BUSY, 0, 2);
    fake_http_route(registry, "GET", "/schemas/ids/2", 503, BUSY, 30000, 1);
    fake_http_route(registry, "GET", "/schemas/ids/2", 200, SECOND, 0, -1);
    wb_start(&wb, PARTITIONS);
    wb_log_open(&out, &wb, "out", PARTITIONS);
    wb_deploy(&wb, 1, "a", "");
    for (int i = 0; i < 20; i++)
        for (int32_t p = 0; p < 2; p++) send_framed(&wb, p, i);
    wb_flush(&wb);
    const char *const overrides[] = {"input.format",
                                     "confluent",
                                     "registry.url",
                                     url,
                                     "registry.retry_ms",
                                     "20",
                                     "output.schema.auto_register",
                                     "false",
                                     "registry.timeout_ms",
                                     "60000",
                                     NULL};
    wb_run(&wb, overrides);
    assert_true(wb_log_wait(&out, 20));
    while (fake_http_count(registry, busy) < 2) usleep(5000);
    uint64_t begin_ms = bed_ms();
    wb_halt(&wb); /* with a request under way that nobody answers */
    print_message("stopped in %llu ms\n", (unsigned long long)(bed_ms() - begin_ms));
    assert_true(bed_ms() - begin_ms < 10000);
    wb_run(&wb, overrides);
    assert_true(wb_log_wait(&out, 40));
    for (size_t i = 0; i < out.count; i++) assert_int_equal(wb_parse(&out.records[i]).offset, i % 20);
    wb_log_close(&out);
    wb_end(&wb);
    fake_http_free(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_schema_that_does_not_come_holds_its_partition_only),
        cmocka_unit_test(a_stop_with_a_held_partition_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
