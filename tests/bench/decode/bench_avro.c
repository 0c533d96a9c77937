/*
 * The compiled Avro plan beside Avro C's generic reader, in one run on one core, on the same bodies:
 *
 *     nice build/release/tests/bench/decode/bench_avro [millions of values, default 20]
 *
 * Each case encodes 64 different records, decodes them all with both and compares every number and text, then times
 * both in alternating rounds and prints the median round's nanoseconds a record and their ratio. Avro C decodes into
 * one reused generic value and its fields are read by index, as a consumer of it would. The set of bodies stays in the
 * first-level cache for both: it is decoding that is measured, not memory. Exits 1 when the two disagree.
 */
#include "decode/avro.h"

#include <avro.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECORDS = 64, VALUES_MAX = 1024, ROUNDS = 9, BODY_MAX_BYTES = 16 * 1024, SCHEMA_MAX_BYTES = 64 * 1024 };

struct bench_case {
    const char *name;
    const char
        *shape; /* s string, l long, f float, d double, i int; upper case: nullable; a: array of `floats` floats */
    uint32_t floats;
    double goal;
};

static const struct bench_case CASES[] = {
    {"string, long, 10 floats", "slffffffffff", 0, 20},
    {"64 floats", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", 0, 40},
    {"array<float> of 784", "a", 784, 40},
    {"10 nullable floats, 4 longs, 2 strings", "FFFFFFFFFFllllss", 0, 0},
    {"8 doubles, 8 ints, 8 nullable doubles", "ddddddddiiiiiiiiDDDDDDDD", 0, 0},
};

struct bench {
    const struct bench_case *of;
    char schema[SCHEMA_MAX_BYTES];
    unsigned char *bodies[RECORDS];
    size_t body_bytes[RECORDS];
    struct lp_avro_plan *plan;
    double numbers[VALUES_MAX];
    struct lp_span texts[VALUES_MAX];
    unsigned char scratch[4096];
    struct lp_record record;
    avro_schema_t avro_schema;
    avro_value_iface_t *iface;
    avro_value_t value;
    double avro_numbers[VALUES_MAX];
    struct lp_span avro_texts[VALUES_MAX];
};

/* CPU time, so that neighbours on the machine do not count. */
static double now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static void die(const char *what, const char *text)
{
    fprintf(stderr, "bench_avro: %s: %s\n", what, text);
    exit(1);
}

static const char *type_name(char shape)
{
    switch (shape | 0x20) {
    case 's': return "\"string\"";
    case 'l': return "\"long\"";
    case 'i': return "\"int\"";
    case 'd': return "\"double\"";
    case 'f': return "\"float\"";
    default: return "{\"type\":\"array\",\"items\":\"float\"}";
    }
}

static void write_schema(struct bench *bench)
{
    size_t used = (size_t)snprintf(bench->schema, SCHEMA_MAX_BYTES, "{\"type\":\"record\",\"name\":\"r\",\"fields\":[");
    for (size_t i = 0; bench->of->shape[i] != '\0'; i++) {
        const char *type = type_name(bench->of->shape[i]);
        bool nullable = bench->of->shape[i] < 'a';
        used += (size_t)snprintf(bench->schema + used, SCHEMA_MAX_BYTES - used,
                                 nullable ? "%s{\"name\":\"f%zu\",\"type\":[\"null\",%s]}"
                                          : "%s{\"name\":\"f%zu\",\"type\":%s}",
                                 i > 0 ? "," : "", i, type);
    }
    snprintf(bench->schema + used, SCHEMA_MAX_BYTES - used, "]}");
}

/* ---- encoding, by Avro C's writer ---- */

static double random_value(void) { return (double)(rand() % 2000001 - 1000000) / 1024.0; }

static void set_value(avro_value_t *field, char shape, uint32_t record, uint32_t floats)
{
    avro_value_t branch, item;
    if (shape < 'a') {
        avro_value_set_branch(field, record % 7 == 3 ? 0 : 1, &branch);
        if (record % 7 == 3) avro_value_set_null(&branch);
        else set_value(&branch, (char)(shape | 0x20), record, floats);
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "customer-%06u", (unsigned)record * 7919 % 1000000);
    switch (shape) {
    case 's': avro_value_set_string(field, text); break;
    case 'l': avro_value_set_long(field, 1700000000000 + (long)record * 977); break;
    case 'i': avro_value_set_int(field, rand() % 5000 - 100); break;
    case 'd': avro_value_set_double(field, random_value()); break;
    case 'f': avro_value_set_float(field, (float)random_value()); break;
    default:
        for (uint32_t i = 0; i < floats; i++) {
            avro_value_append(field, &item, NULL);
            avro_value_set_float(&item, (float)random_value());
        }
    }
}

static void encode(struct bench *bench, uint32_t record)
{
    unsigned char body[BODY_MAX_BYTES];
    avro_value_reset(&bench->value);
    for (size_t i = 0; bench->of->shape[i] != '\0'; i++) {
        avro_value_t field;
        avro_value_get_by_index(&bench->value, i, &field, NULL);
        set_value(&field, bench->of->shape[i], record, bench->of->floats);
    }
    avro_writer_t writer = avro_writer_memory((char *)body, sizeof body);
    if (avro_value_write(writer, &bench->value) != 0) die("encode", avro_strerror());
    bench->body_bytes[record] = (size_t)avro_writer_tell(writer);
    avro_writer_free(writer);
    bench->bodies[record] = malloc(bench->body_bytes[record]);
    memcpy(bench->bodies[record], body, bench->body_bytes[record]);
}

/* ---- both decoders ---- */

static void read_field(struct bench *bench, avro_value_t *field, char shape, uint32_t *number, uint32_t *text)
{
    avro_value_t branch, item;
    float real32 = 0;
    int32_t whole = 0;
    int64_t wide = 0;
    size_t size = 0;
    const char *chars = NULL;
    if (shape < 'a') {
        avro_value_get_current_branch(field, &branch);
        if (avro_value_get_type(&branch) == AVRO_NULL) bench->avro_numbers[(*number)++] = (double)NAN;
        else read_field(bench, &branch, (char)(shape | 0x20), number, text);
        return;
    }
    switch (shape) {
    case 's':
        avro_value_get_string(field, &chars, &size);
        bench->avro_texts[(*text)++] = lp_span_of(chars, size - 1);
        break;
    case 'l':
        avro_value_get_long(field, &wide);
        bench->avro_numbers[(*number)++] = (double)wide;
        break;
    case 'i':
        avro_value_get_int(field, &whole);
        bench->avro_numbers[(*number)++] = whole;
        break;
    case 'd': avro_value_get_double(field, &bench->avro_numbers[(*number)++]); break;
    case 'f':
        avro_value_get_float(field, &real32);
        bench->avro_numbers[(*number)++] = (double)real32;
        break;
    default:
        avro_value_get_size(field, &size);
        for (size_t i = 0; i < size; i++) {
            avro_value_get_by_index(field, i, &item, NULL);
            avro_value_get_float(&item, &real32);
            bench->avro_numbers[(*number)++] = (double)real32;
        }
    }
}

static void avro_decode(struct bench *bench, avro_reader_t reader, uint32_t record)
{
    avro_reader_memory_set_source(reader, (const char *)bench->bodies[record], (int64_t)bench->body_bytes[record]);
    avro_value_reset(&bench->value);
    if (avro_value_read(reader, &bench->value) != 0) die("Avro C", avro_strerror());
    uint32_t number = 0, text = 0;
    for (size_t i = 0; bench->of->shape[i] != '\0'; i++) {
        avro_value_t field;
        avro_value_get_by_index(&bench->value, i, &field, NULL);
        read_field(bench, &field, bench->of->shape[i], &number, &text);
    }
}

static void lepton_decode(struct bench *bench, uint32_t record)
{
    struct lp_error err;
    struct lp_span body = lp_span_of(bench->bodies[record], bench->body_bytes[record]);
    if (lp_avro_plan_run(bench->plan, body, &bench->record, &err) != LP_OK) die("lepton", err.text);
}

static bool same_number(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static void compare(struct bench *bench, avro_reader_t reader, uint32_t numbers, uint32_t texts)
{
    for (uint32_t record = 0; record < RECORDS; record++) {
        avro_decode(bench, reader, record);
        lepton_decode(bench, record);
        for (uint32_t i = 0; i < numbers; i++)
            if (!same_number(bench->numbers[i], bench->avro_numbers[i])) die(bench->of->name, "numbers differ");
        for (uint32_t i = 0; i < texts; i++)
            if (!lp_span_equal(bench->texts[i], bench->avro_texts[i])) die(bench->of->name, "texts differ");
    }
}

static void make_plan(struct bench *bench, uint32_t *ret_numbers, uint32_t *ret_texts)
{
    struct lp_want wants[VALUES_MAX] = {{0}};
    char names[VALUES_MAX][8];
    struct lp_avro_schema *schema = NULL;
    struct lp_error err;
    uint32_t count = 0;
    for (; bench->of->shape[count] != '\0'; count++) {
        char shape = bench->of->shape[count];
        snprintf(names[count], sizeof names[count], "f%u", (unsigned)count);
        wants[count] = (struct lp_want){.path = names[count], .width = shape == 'a' ? bench->of->floats : 1};
        wants[count].type = shape == 's' ? LP_WANT_TEXT : shape == 'a' ? LP_WANT_VECTOR : LP_WANT_NUMBER;
    }
    lp_want_assign_slots(wants, count, ret_numbers, ret_texts);
    if (lp_avro_schema_parse(lp_span_text(bench->schema), &schema, &err) != LP_OK) die("schema", err.text);
    if (lp_avro_plan_new(schema, NULL, wants, count, &bench->plan, &err) != LP_OK) die("plan", err.text);
    lp_avro_schema_free(schema);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void time_both(struct bench *bench, avro_reader_t reader, long passes)
{
    double ours[ROUNDS], theirs[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        for (long pass = 0; pass < passes; pass++)
            for (uint32_t record = 0; record < RECORDS; record++) lepton_decode(bench, record);
        ours[round] = (now_ns() - start) / (double)(passes * RECORDS);
        long fewer = passes / 16 > 0 ? passes / 16 : 1;
        start = now_ns();
        for (long pass = 0; pass < fewer; pass++)
            for (uint32_t record = 0; record < RECORDS; record++) avro_decode(bench, reader, record);
        theirs[round] = (now_ns() - start) / (double)(fewer * RECORDS);
    }
    qsort(ours, ROUNDS, sizeof *ours, by_value);
    qsort(theirs, ROUNDS, sizeof *theirs, by_value);
    double us = ours[ROUNDS / 2], them = theirs[ROUNDS / 2];
    printf("%-40s %7zu %12.1f %12.1f %8.1f", bench->of->name, bench->body_bytes[0], us, them, them / us);
    if (bench->of->goal > 0) printf(" %5.0f %s", bench->of->goal, them / us >= bench->of->goal ? "met" : "MISSED");
    printf("\n");
}

static void run_case(const struct bench_case *of, double values)
{
    struct bench *bench = calloc(1, sizeof *bench);
    uint32_t numbers = 0, texts = 0;
    bench->of = of;
    write_schema(bench);
    if (avro_schema_from_json_length(bench->schema, strlen(bench->schema), &bench->avro_schema) != 0)
        die("schema", avro_strerror());
    bench->iface = avro_generic_class_from_schema(bench->avro_schema);
    avro_generic_value_new(bench->iface, &bench->value);
    for (uint32_t record = 0; record < RECORDS; record++) encode(bench, record);
    make_plan(bench, &numbers, &texts);
    bench->record = (struct lp_record){.numbers = bench->numbers,
                                       .texts = bench->texts,
                                       .scratch = bench->scratch,
                                       .scratch_bytes = sizeof bench->scratch};
    avro_reader_t reader = avro_reader_memory((const char *)bench->bodies[0], (int64_t)bench->body_bytes[0]);
    compare(bench, reader, numbers, texts);
    time_both(bench, reader, (long)(values / ((double)(numbers + texts) * RECORDS)) + 1);
    avro_reader_free(reader);
    avro_value_decref(&bench->value);
    avro_value_iface_decref(bench->iface);
    avro_schema_decref(bench->avro_schema);
    lp_avro_plan_free(bench->plan);
    for (uint32_t record = 0; record < RECORDS; record++) free(bench->bodies[record]);
    free(bench);
}

int main(int argc, char **argv)
{
    double millions = argc > 1 ? strtod(argv[1], NULL) : 20.0;
    printf("%-40s %7s %12s %12s %8s %5s\n", "record", "bytes", "lepton ns", "Avro C ns", "ratio", "goal");
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) run_case(&CASES[i], millions * 1e6);
    return 0;
}
