/* What the JSON tests share: one storage for records, and runs over exact heap copies so that sanitizers see overreads.
 */
#ifndef TEST_JSON_SUPPORT_H
#define TEST_JSON_SUPPORT_H

#include "decode/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static double numbers[64];
static struct lp_span texts[16];
static unsigned char scratch[256];
static struct lp_record record = {
    .numbers = numbers, .texts = texts, .scratch = scratch, .scratch_bytes = sizeof scratch};
static struct lp_error err;
static unsigned char *copy; /* the last record's bytes; texts point into it */

static inline struct lp_json_plan *new_plan(struct lp_want *wants, uint32_t count)
{
    uint32_t number_count, text_count;
    for (uint32_t i = 0; i < count; i++)
        if (wants[i].width == 0) wants[i].width = 1;
    lp_want_assign_slots(wants, count, &number_count, &text_count);
    struct lp_json_plan *plan = NULL;
    assert_int_equal(lp_json_plan_new(wants, count, &plan, &err), LP_OK);
    return plan;
}

static inline enum lp_code run_bytes(const struct lp_json_plan *plan, const void *data, size_t size)
{
    free(copy);
    copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) numbers[i] = -777;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) texts[i] = lp_span_text("stale");
    return lp_json_plan_run(plan, lp_span_of(copy, size), &record, &err);
}

static inline enum lp_code run_text(const struct lp_json_plan *plan, const char *text)
{
    return run_bytes(plan, text, strlen(text));
}

static inline uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

#endif
