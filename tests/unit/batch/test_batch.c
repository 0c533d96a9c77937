/* Batches: rows, borders, copies, deadlines and limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "batch/batch.h"

/* The sanitizer's allocator gives up on huge sizes unless told that they are the point. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }

static struct lp_batch batch;
static struct lp_error err;

static int open_batch(void **state)
{
    (void)state;
    return lp_batch_init(&batch, 3, 2, 4, 64, &err) != LP_OK;
}

static int close_batch(void **state)
{
    (void)state;
    lp_batch_done(&batch);
    return 0;
}

static enum lp_code append(const char *key, const char *value, uint64_t now_ns)
{
    struct lp_batch_record *record;
    enum lp_code rc = lp_batch_append(&batch, lp_span_text(key), lp_span_text(value), now_ns, 1000, &record, &err);
    if (rc == LP_OK) record->offset = 7;
    return rc;
}

static void rows_and_borders_follow_the_records(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        double *row = lp_batch_next_row(&batch);
        assert_ptr_equal(row, batch.rows + (size_t)i * 2);
        row[0] = i;
        assert_int_equal(append("k", "v", 5), LP_OK);
        assert_int_equal(batch.records[i].first_row, i);
        assert_int_equal(batch.records[i].row_count, 1);
        assert_int_equal(batch.records[i].offset, 7);
    }
    assert_null(lp_batch_next_row(&batch));
    assert_int_equal(append("k", "v", 5), LP_E_LIMIT);
    assert_int_equal(err.action, LP_RETRY);
    assert_int_equal(batch.row_count, 3);
    assert_true(batch.rows[4] == 2.0);
}

static void spans_are_copied_and_absence_is_kept(void **state)
{
    (void)state;
    char key[] = "key", value[] = "value";
    assert_int_equal(append(key, value, 5), LP_OK);
    assert_int_equal(append(NULL, "", 5), LP_OK);
    key[0] = value[0] = 'X';
    assert_true(lp_span_is(batch.records[0].key, "key"));
    assert_true(lp_span_is(batch.records[0].value, "value"));
    assert_null(batch.records[1].key.data);
    assert_non_null(batch.records[1].value.data);
    assert_int_equal(batch.records[1].value.size, 0);
}

static void the_first_row_sets_the_deadline(void **state)
{
    (void)state;
    assert_false(lp_batch_due(&batch, UINT64_MAX));
    assert_int_equal(append("a", "b", 100), LP_OK);
    assert_int_equal(append("a", "b", 900), LP_OK);
    assert_int_equal(batch.deadline_ns, 1100);
    assert_false(lp_batch_due(&batch, 1099));
    assert_true(lp_batch_due(&batch, 1100));
    assert_int_equal(append("a", "b", 900), LP_OK);
    assert_true(lp_batch_due(&batch, 0)); /* full */
    lp_batch_clear(&batch);
    assert_false(lp_batch_due(&batch, UINT64_MAX));
    assert_int_equal(append("a", "b", UINT64_MAX - 5), LP_OK);
    assert_true(batch.deadline_ns == UINT64_MAX);
}

static void a_full_arena_asks_for_a_flush_and_changes_nothing(void **state)
{
    (void)state;
    static const char forty[] = "0123456789012345678901234567890123456789";
    assert_int_equal(append(NULL, forty, 5), LP_OK);
    assert_int_equal(append(NULL, forty, 5), LP_E_LIMIT);
    assert_int_equal(err.action, LP_RETRY);
    assert_int_equal(batch.record_count, 1);
    assert_int_equal(batch.arena.used, 40);
    lp_batch_clear(&batch);
    assert_int_equal(append(NULL, forty, 5), LP_OK);
}

static void a_record_larger_than_the_arena_is_skipped(void **state)
{
    (void)state;
    unsigned char large[65] = {0};
    struct lp_batch_record *record;
    struct lp_span value = lp_span_of(large, sizeof large);
    assert_int_equal(lp_batch_append(&batch, (struct lp_span){0}, value, 5, 5, &record, &err), LP_E_LIMIT);
    assert_int_equal(err.action, LP_SKIP_RECORD);
    assert_int_equal(batch.record_count, 0);
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
    (void)state;
    struct lp_batch huge;
    assert_int_equal(lp_batch_init(&huge, 1 << 30, UINT32_MAX, 1, 8, &err), LP_E_MEMORY);
    assert_null(huge.rows);
    assert_int_equal(lp_batch_init(&huge, 0, 1, 1, 8, &err), LP_E_INVALID);
    assert_int_equal(lp_batch_init(&huge, UINT32_MAX, 1, 1, 8, &err), LP_E_LIMIT);
    lp_batch_done(&huge);
}

static void observed_columns_are_an_odd_number_of_cache_lines_apart(void **state)
{
    (void)state;
    static const uint32_t rows[] = {1, 2, 7, 8, 9, 64, 100, 256, 1000, 1024, 4096};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct lp_batch wide;
        assert_int_equal(lp_batch_init(&wide, rows[i], 1, 3, 8, &err), LP_OK);
        assert_true(wide.observed_stride >= rows[i]);
        assert_int_equal(wide.observed_stride % 16, 8);
        wide.observed[2 * (size_t)wide.observed_stride + rows[i] - 1] = 1.0; /* the sanitizer checks the size */
        lp_batch_done(&wide);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_and_borders_follow_the_records, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(spans_are_copied_and_absence_is_kept, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(the_first_row_sets_the_deadline, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(a_full_arena_asks_for_a_flush_and_changes_nothing, open_batch, close_batch),
        cmocka_unit_test_setup_teardown(a_record_larger_than_the_arena_is_skipped, open_batch, close_batch),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
        cmocka_unit_test(observed_columns_are_an_odd_number_of_cache_lines_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
