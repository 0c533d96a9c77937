/*
 * ns and bytes a prediction: the lean set, ten scores, all fields, in Avro and JSON; and a float as text beside
 * snprintf. The best of several rounds; the sum of bytes keeps the work from being optimized away.
 */
#include "core/clock.h"
#include "core/shortest.h"
#include "publish/prediction.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 49, RECORDS = 20000, SCORES = 4096 };

static float scores[SCORES + 16];
static const struct lp_span framing = {(const unsigned char *)"\0\0\0\0\7", 5};
static const char *const all[] = {"slot",     "version",    "model_sha256", "rows",         "scores",
                                  "label",    "event_time", "scored_time",  "partition",    "offset",
                                  "degraded", "shadow",     "canary",       "missing_count"};

static uint64_t encode_all(const struct lp_encoder *encoder, struct lp_prediction *prediction, struct lp_buffer *out)
{
    uint64_t bytes = 0, begin = lp_clock_ns();
    for (uint32_t i = 0; i < RECORDS; i++) {
        lp_buffer_clear(out);
        prediction->scores = scores + i % SCORES;
        prediction->offset = i;
        lp_encoder_run(encoder, framing, prediction, out);
        bytes += out->size;
    }
    uint64_t took = lp_clock_ns() - begin;
    return bytes == 0 ? 0 : took;
}

static void measure(const char *what, enum lp_output_format format, const char *const *fields, uint32_t field_count,
                    uint32_t output_count)
{
    struct lp_encoder *encoder;
    struct lp_error err;
    struct lp_buffer out;
    const int32_t label = 1;
    struct lp_prediction prediction = {.slot = "default",
                                       .version = "1.0.0",
                                       .model_sha256_prefix = 0x0123456789abcdef,
                                       .row_count = 1,
                                       .output_count = output_count,
                                       .labels = &label,
                                       .event_time_ms = 1700000000000,
                                       .scored_time_ms = 1700000000123,
                                       .partition = 3};
    if (lp_encoder_new(format, fields, field_count, &encoder, &err) != LP_OK) {
        fprintf(stderr, "bench_publish: %s\n", err.text);
        exit(1);
    }
    lp_buffer_init(&out, 1 << 20);
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t took = encode_all(encoder, &prediction, &out);
        if (took < best) best = took;
    }
    printf("%-28s %7.1f ns %5zu bytes\n", what, (double)best / RECORDS, out.size);
    lp_buffer_done(&out);
    lp_encoder_free(encoder);
}

static uint64_t time_floats(bool is_printf, size_t *ret_bytes)
{
    char text[64];
    *ret_bytes = 0;
    uint64_t begin = lp_clock_ns();
    for (uint32_t i = 0; i < SCORES; i++)
        *ret_bytes += is_printf ? (size_t)snprintf(text, sizeof text, "%.9g", (double)scores[i])
                                : lp_shortest_float(text, scores[i]);
    return lp_clock_ns() - begin;
}

static void measure_floats(const char *what, bool is_printf)
{
    uint64_t best = UINT64_MAX;
    size_t bytes = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t took = time_floats(is_printf, &bytes);
        if (took < best) best = took;
    }
    printf("%-28s %7.1f ns %5.1f bytes\n", what, (double)best / SCORES, (double)bytes / SCORES);
}

int main(void)
{
    srand(1);
    for (uint32_t i = 0; i < SCORES + 16; i++) scores[i] = (float)rand() / (float)RAND_MAX;
    enum { ALL = sizeof all / sizeof *all };
    measure("avro, lean", LP_OUTPUT_AVRO, NULL, 0, 1);
    measure("avro, lean, 10 scores", LP_OUTPUT_AVRO, NULL, 0, 10);
    measure("avro, 14 fields", LP_OUTPUT_AVRO, all, ALL, 1);
    measure("json, lean", LP_OUTPUT_JSON, NULL, 0, 1);
    measure("json, lean, 10 scores", LP_OUTPUT_JSON, NULL, 0, 10);
    measure("json, 14 fields", LP_OUTPUT_JSON, all, ALL, 1);
    measure_floats("float as shortest text", false);
    measure_floats("float by snprintf %.9g", true);
    return 0;
}
