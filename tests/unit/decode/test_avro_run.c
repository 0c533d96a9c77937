/* Plans on small hand-encoded bodies; expectations from the Avro specification's binary encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/avro.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 32, SCRATCH_BYTES = 256 };

struct fixture {
    struct lp_avro_schema *writer, *reader;
    struct lp_avro_plan *plan;
    double numbers[SLOTS];
    struct lp_span texts[SLOTS];
    unsigned char scratch[SCRATCH_BYTES];
    struct lp_record record;
    struct lp_error err;
};

static struct lp_avro_schema *parse(const char *text)
{
    struct lp_avro_schema *schema = NULL;
    struct lp_error err = {0};
    if (lp_avro_schema_parse(lp_span_text(text), &schema, &err) != LP_OK) fail_msg("%s", err.text);
    return schema;
}

static enum lp_code compile(struct fixture *f, const char *writer, const char *reader, const struct lp_want *wants,
                            uint32_t count)
{
    *f = (struct fixture){0};
    f->record = (struct lp_record){
        .numbers = f->numbers, .texts = f->texts, .scratch = f->scratch, .scratch_bytes = SCRATCH_BYTES};
    f->writer = parse(writer);
    f->reader = reader != NULL ? parse(reader) : NULL;
    return lp_avro_plan_new(f->writer, f->reader, wants, count, &f->plan, &f->err);
}

static void done(struct fixture *f)
{
    lp_avro_plan_free(f->plan);
    lp_avro_schema_free(f->writer);
    lp_avro_schema_free(f->reader);
}

/* In an allocation of the exact size, so that a sanitizer sees one byte too many. */
static enum lp_code run(struct fixture *f, const void *body, size_t bytes)
{
    unsigned char *copy = malloc(bytes > 0 ? bytes : 1);
    memcpy(copy, body, bytes);
    enum lp_code code = lp_avro_plan_run(f->plan, lp_span_of(copy, bytes), &f->record, &f->err);
    free(copy);
    return code;
}

static void record_fills_numbers_in_slot_order(void **state)
{
    (void)state;
    struct fixture f;
    const struct lp_want wants[] = {{"c", LP_WANT_NUMBER, 1, 0}, {"a", LP_WANT_NUMBER, 1, 1}, {"b", LP_WANT_NUMBER, 1, 2}};
    assert_int_equal(compile(&f,
                             "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
                             "{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"c\",\"type\":\"double\"}]}",
                             NULL, wants, 3),
                     LP_OK);
    assert_int_equal(run(&f, "\x05\x01\x00\x00\x00\x00\x00\x00\xf8\x3f", 10), LP_OK);
    assert_true(f.numbers[0] == 1.5 && f.numbers[1] == -3.0 && f.numbers[2] == 1.0);
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(record_fills_numbers_in_slot_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
