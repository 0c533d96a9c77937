/* output.copy through the whole worker: each prediction has its own record's fields, and what does not fit harms no
 * other record. */
#include "support/worker_bed.h"

enum { PAD_MAX_BYTES = 40000 };

/* A record of the case, an `id` of 64 bits and a `pad` of that many bytes. */
static void send_padded(struct wb *wb, int32_t partition, const char *key, int id, size_t pad_bytes)
{
    static char value[PAD_MAX_BYTES + 256], pad[PAD_MAX_BYTES + 1];
    memset(pad, 'a' + id % 26, pad_bytes);
    pad[pad_bytes] = '\0';
    int size = snprintf(value, sizeof value, "{\"f0\":1,\"f1\":2,\"f2\":3,\"f3\":4,\"id\":%lld,\"pad\":\"%s\"}",
                        9007199254740993LL + id, pad);
    struct wb_message message = {
        .topic = "in", .partition = partition, .key = key, .value = value, .value_size = (size_t)size};
    wb_send(wb, &message);
}

static void check_padded(const struct wb_record *record, int id, size_t pad_bytes)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", 9007199254740993LL + id);
    json_t *root = json_loadb(record->value, record->value_size, 0, NULL), *copied = json_object_get(root, "copied");
    assert_string_equal(json_string_value(json_object_get(copied, "id")), text);
    const char *pad = json_string_value(json_object_get(copied, "pad"));
    assert_int_equal(strlen(pad), pad_bytes);
    for (size_t i = 0; i < pad_bytes; i++) assert_int_equal(pad[i], 'a' + id % 26);
    json_decref(root);
}

/* More than a batch may carry along: it goes out before its rows are full. */
static void records_of_many_bytes_keep_their_own_fields(void **state)
{
    enum { RECORDS = 60, TOO_LONG = 33 };
    (void)state;
    struct wb wb;
    struct wb_log out, dead;
    wb_start(&wb, 1);
    wb_log_open(&out, &wb, "out", 1);
    wb_log_open(&dead, &wb, "dead", 1);
    wb_deploy(&wb, 1, "a", "");
    for (int i = 0; i < RECORDS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        send_padded(&wb, 0, key, i, i == TOO_LONG ? PAD_MAX_BYTES : PAD_MAX_BYTES - 2000);
    }
    wb_flush(&wb);
    wb_run(&wb, (const char *[]){"output.copy", "id,pad", "output.record.max_bytes", "39000", "batch.max_wait_us",
                                 "1000000", NULL});
    assert_true(wb_log_wait(&dead, 1));
    assert_true(wb_log_wait(&out, RECORDS - 1));
    assert_int_equal(bed_whole(dead.records[0].key), TOO_LONG);
    assert_string_equal(wb_header(&dead.records[0], "__connect.errors.stage"), "publish");
    assert_string_equal(wb_header(&dead.records[0], "lepton.error.code"), "limit");
    for (int i = 0; i < RECORDS - 1; i++) {
        assert_int_equal(bed_whole(out.records[i].key), i + (i >= TOO_LONG));
        check_padded(&out.records[i], i + (i >= TOO_LONG), PAD_MAX_BYTES - 2000);
    }
    wb_log_close(&out);
    wb_log_close(&dead);
    wb_end(&wb);
}

/* Keys that no batch holds: their records are dead letters, however many, and those behind them are not. */
static void records_that_join_no_batch_leave_nothing_behind(void **state)
{
    enum { PARTITIONS = 4, BAD = 150 /* a partition; 1.1 MB of `pad` in all */, PAD = 1900 };
    (void)state;
    struct wb wb;
    struct wb_log out, dead;
    static char key[4096 + 1];
    memset(key, 'k', sizeof key - 1);
    wb_start(&wb, PARTITIONS);
    wb_log_open(&out, &wb, "out", PARTITIONS);
    wb_log_open(&dead, &wb, "dead", PARTITIONS);
    wb_deploy(&wb, 1, "a", "");
    for (int32_t p = 0; p < PARTITIONS; p++)
        for (int i = 0; i < BAD; i++) send_padded(&wb, p, key, i, PAD);
    wb_flush(&wb);
    wb_run(&wb, (const char *[]){"output.copy", "id,pad", "output.record.max_bytes", "2500", "input.record.max_bytes",
                                 "2048", "batch.max_rows", "1", NULL});
    assert_true(wb_log_wait(&dead, BAD * PARTITIONS));
    for (int32_t p = 0; p < PARTITIONS; p++) send_padded(&wb, p, "good", p, PAD);
    wb_flush(&wb);
    assert_true(wb_log_wait(&out, PARTITIONS));
    assert_int_equal(wb_totals(&wb).dead_letters, BAD * PARTITIONS);
    for (int i = 0; i < PARTITIONS; i++) check_padded(&out.records[i], out.records[i].partition, PAD);
    wb_log_close(&out);
    wb_log_close(&dead);
    wb_end(&wb);
}

/* As texts the doubles are longer than the record may be. */
static void numbers_are_copied_as_texts_out_of_a_record_of_the_largest_size(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out;
    wb_start(&wb, 1);
    wb_log_open(&out, &wb, "out", 1);
    wb_deploy(&wb, 1, "a", "");
    for (int i = 0; i < WB_CASES_COMPLETE; i++) {
        struct wb_message message = {
            .topic = "in", .key = "k", .value = wb_cases[i].field, .value_size = 4 * sizeof(double)};
        wb_send(&wb, &message);
    }
    wb_flush(&wb);
    wb_run(&wb, (const char *[]){"input.format", "avro", "input.schema.path", WB_FOLDER "/row.avsc",
                                 "input.record.max_bytes", "32", "output.copy", "f0,f1,f2,f3", NULL});
    assert_true(wb_log_wait(&out, WB_CASES_COMPLETE));
    for (int i = 0; i < WB_CASES_COMPLETE; i++) {
        json_t *root = json_loadb(out.records[i].value, out.records[i].value_size, 0, NULL);
        for (int k = 0; k < 4; k++) {
            const char name[] = {'f', (char)('0' + k), '\0'};
            const char *text = json_string_value(json_object_get(json_object_get(root, "copied"), name));
            assert_non_null(text);
            assert_true(strtod(text, NULL) == wb_cases[i].field[k]);
        }
        json_decref(root);
    }
    wb_log_close(&out);
    wb_end(&wb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_many_bytes_keep_their_own_fields),
        cmocka_unit_test(records_that_join_no_batch_leave_nothing_behind),
        cmocka_unit_test(numbers_are_copied_as_texts_out_of_a_record_of_the_largest_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
