// stages: decode
/* Fixed wants of every type over arbitrary bytes. What a run leaves must stay inside the record and the scratch space,
 * and a second run over the same bytes must leave the same. */
#include "decode/json.h"

#include <stdint.h>
#include <stdlib.h>

enum { NUMBERS = 12, TEXTS = 4, SCRATCH_BYTES = 64 };

static struct lp_json_plan *make_plan(void)
{
    static struct lp_want wants[] = {
        {.path = "a", .type = LP_WANT_NUMBER, .width = 1},
        {.path = "feature_12", .type = LP_WANT_NUMBER, .width = 1},
        {.path = "a_name_longer_than_16", .type = LP_WANT_NUMBER, .width = 1},
        {.path = "t", .type = LP_WANT_TEXT, .width = 1},
        {.path = "v", .type = LP_WANT_VECTOR, .width = 3},
        {.path = "v[1]", .type = LP_WANT_TEXT, .width = 1},
        {.path = "at", .type = LP_WANT_TIME_MS, .width = 1},
        {.path = "o.x", .type = LP_WANT_NUMBER, .width = 1},
        {.path = "o.l[2].y", .type = LP_WANT_NUMBER, .width = 1},
        {.path = "o.l[0]", .type = LP_WANT_TEXT, .width = 1},
        {.path = "a", .type = LP_WANT_TEXT, .width = 1},
        {.path = "q\"uote", .type = LP_WANT_NUMBER, .width = 1},
    };
    uint32_t count = sizeof wants / sizeof wants[0], numbers, texts;
    struct lp_json_plan *plan = NULL;
    struct lp_error err;
    lp_want_assign_slots(wants, count, &numbers, &texts);
    if (numbers > NUMBERS || texts > TEXTS || lp_json_plan_new(wants, count, &plan, &err) != LP_OK) abort();
    return plan;
}

static void check_texts(const struct lp_record *record, const uint8_t *data, size_t size)
{
    for (int i = 0; i < TEXTS; i++) {
        const unsigned char *text = record->texts[i].data;
        if (text == NULL) continue;
        size_t bytes = record->texts[i].size;
        int in_body = text >= data && text <= data + size && bytes <= (size_t)(data + size - text);
        int in_scratch = text >= record->scratch && text <= record->scratch + record->scratch_used &&
                         bytes <= (size_t)(record->scratch + record->scratch_used - text);
        if (!in_body && !in_scratch) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lp_json_plan *plan;
    if (plan == NULL) plan = make_plan();
    double numbers[2][NUMBERS] = {{0}};
    struct lp_span texts[2][TEXTS] = {{{0}}};
    unsigned char scratch[2][SCRATCH_BYTES];
    enum lp_code codes[2];
    struct lp_error err;
    for (int i = 0; i < 2; i++) {
        struct lp_record record = {
            .numbers = numbers[i], .texts = texts[i], .scratch = scratch[i], .scratch_bytes = SCRATCH_BYTES};
        codes[i] = lp_json_plan_run(plan, lp_span_of(data, size), &record, &err);
        if (codes[i] == LP_OK) check_texts(&record, data, size);
        else if (err.code != codes[i] || err.action != LP_SKIP_RECORD || err.text[0] == '\0') abort();
    }
    if (codes[0] != codes[1] || (codes[0] == LP_OK && memcmp(numbers[0], numbers[1], sizeof numbers[0]) != 0)) abort();
    return 0;
}
