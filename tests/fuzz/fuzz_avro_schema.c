// stages: decode
/*
 * A writer's schema, optionally a NUL byte and a reader's: parsed, fingerprinted, and planned for every field that the
 * reader has (paths down to three levels, every type of want), alone and together; the plans run over a few bodies.
 * What a plan does not refuse must run without touching anything outside the record.
 */
#include "decode/avro.h"
#include "decode/avro_schema.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATHS_MAX = 24, PATH_BYTES = 192, LEVELS = 3, VECTOR_WIDTH = 3, SCRATCH_BYTES = 128 };

struct paths {
    char text[PATHS_MAX][PATH_BYTES];
    uint32_t count;
};

static void collect(struct paths *paths, const struct lp_avro_type *type, const char *prefix, int level)
{
    if (paths->count < PATHS_MAX) snprintf(paths->text[paths->count++], PATH_BYTES, "%s", prefix);
    if (level == LEVELS) return;
    for (uint32_t i = 0; i < type->count && paths->count < PATHS_MAX; i++) {
        char path[PATH_BYTES];
        const char *dot = prefix[0] != '\0' ? "." : "";
        const struct lp_avro_type *inner = type->branches != NULL ? type->branches[i] : NULL;
        int length = snprintf(path, sizeof path, "%s", prefix);
        if (type->kind == LP_AVRO_RECORD) {
            struct lp_span name = type->fields[i].name;
            inner = type->fields[i].type;
            length = snprintf(path, sizeof path, "%s%s%.*s", prefix, dot, (int)name.size, (const char *)name.data);
        } else if (type->kind == LP_AVRO_ARRAY) {
            length = snprintf(path, sizeof path, "%s[1]", prefix);
        } else if (type->kind == LP_AVRO_MAP) {
            length = snprintf(path, sizeof path, "%s%sk", prefix, dot);
        } else if (type->kind != LP_AVRO_UNION) {
            return;
        }
        if (length < PATH_BYTES) collect(paths, inner, path, level + 1);
    }
}

static void run_bodies(const struct lp_avro_plan *plan, uint32_t numbers, uint32_t texts)
{
    static const unsigned char fills[] = {0x00, 0x01, 0x02, 0x04, 0x80, 0xff};
    struct lp_error err;
    unsigned char scratch[SCRATCH_BYTES];
    struct lp_record record = {.numbers = malloc((numbers + 1) * sizeof(double)),
                               .texts = malloc((texts + 1) * sizeof(struct lp_span)),
                               .scratch = scratch,
                               .scratch_bytes = SCRATCH_BYTES};
    for (size_t i = 0; i < sizeof fills; i++) {
        unsigned char *body = malloc(256);
        memset(body, fills[i], 256);
        for (size_t bytes = 0; bytes <= 256; bytes = bytes * 2 + 1)
            if (lp_avro_plan_run(plan, lp_span_of(body + 256 - bytes, bytes), &record, &err) == LP_E_MEMORY) abort();
        free(body);
    }
    free(record.numbers);
    free(record.texts);
}

static int plan_and_run(const struct lp_avro_schema *writer, const struct lp_avro_schema *reader, struct lp_want *wants,
                        uint32_t count)
{
    struct lp_avro_plan *plan = NULL;
    struct lp_error err;
    uint32_t numbers, texts;
    lp_want_assign_slots(wants, count, &numbers, &texts);
    int good = lp_avro_plan_new(writer, reader, wants, count, &plan, &err) == LP_OK;
    if (good) run_bodies(plan, numbers, texts);
    lp_avro_plan_free(plan);
    return good;
}

static void plan_all(const struct lp_avro_schema *writer, const struct lp_avro_schema *reader)
{
    struct paths *paths = calloc(1, sizeof *paths);
    struct lp_want all[PATHS_MAX * 4];
    uint32_t good = 0;
    collect(paths, reader != NULL ? reader->root : writer->root, "", 0);
    for (uint32_t i = 0; i < paths->count; i++) {
        for (int type = LP_WANT_NUMBER; type <= LP_WANT_TIME_MS; type++) {
            struct lp_want want = {.path = paths->text[i], .type = (enum lp_want_type)type, .width = 1};
            if (type == LP_WANT_VECTOR) want.width = VECTOR_WIDTH;
            if (plan_and_run(writer, reader, &want, 1)) all[good++] = want;
        }
    }
    plan_and_run(writer, reader, all, good);
    free(paths);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t first = nul != NULL ? (size_t)(nul - data) : size;
    struct lp_avro_schema *writer = NULL, *reader = NULL;
    struct lp_error err;
    if (lp_avro_schema_parse(lp_span_of(data, first), &writer, &err) != LP_OK) return 0;
    if (nul == NULL || lp_avro_schema_parse(lp_span_of(nul + 1, size - first - 1), &reader, &err) == LP_OK)
        plan_all(writer, reader);
    if (lp_avro_schema_fingerprint(writer) != lp_avro_canonical(writer->root, NULL, NULL)) abort();
    lp_avro_schema_free(writer);
    lp_avro_schema_free(reader);
    return 0;
}
