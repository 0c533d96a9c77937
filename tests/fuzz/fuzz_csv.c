/*
 * CSV whatever the chunks: rows read from chunks of sixteen bytes and of the whole file must be the same, record by
 * record, rejected ones and their lines included; and a fit of the same bytes must end with a spec or an error.
 */
// stages: fit
#include "data/data.h"
#include "fit/fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WANTS = 3, RECORDS_MAX = 4096 };

/* All that one way of reading says, as one number. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < count; i++) hash = (hash ^ p[i]) * UINT64_C(1099511628211);
    return hash;
}

static uint64_t read_record(struct lp_cursor *cursor, const struct lp_record *record, const struct lp_error *why,
                            uint64_t hash)
{
    struct lp_data_place place;
    lp_cursor_place(cursor, &place);
    hash = mix(hash, &place.line, sizeof place.line);
    if (record == NULL) return mix(hash, why->field, 4);
    double number = isnan(record->numbers[0]) ? -1 : record->numbers[0];
    hash = mix(hash, &number, sizeof number);
    for (int i = 0; i < 2; i++) {
        bool there = record->texts[i].data != NULL;
        hash = mix(mix(hash, &there, sizeof there), record->texts[i].data, record->texts[i].size);
    }
    return hash;
}

static uint64_t read_all(const char *path, size_t chunk_bytes, const struct lp_want *wants)
{
    struct lp_data *data;
    struct lp_cursor *cursor;
    struct lp_chunk chunk = {0};
    struct lp_error err = {0};
    uint64_t hash = 0;
    if (lp_data_open(path, chunk_bytes, &data, &err) != LP_OK) return 1;
    bool csv = lp_data_format(data) == LP_DATA_CSV;
    if (!csv || lp_data_want(data, wants, WANTS, &err) != LP_OK || lp_cursor_new(data, &cursor, &err) != LP_OK) {
        lp_data_close(data);
        return 2;
    }
    for (int count = 0; count < RECORDS_MAX && lp_data_next(data, &chunk, &err) == LP_OK && chunk.size > 0;) {
        if (lp_cursor_start(cursor, &chunk, &err) != LP_OK) abort();
        for (; count < RECORDS_MAX; count++) {
            struct lp_record *record;
            enum lp_code rc = lp_cursor_next(cursor, &record, &err);
            if (rc == LP_OK && record == NULL) break;
            if (rc != LP_OK && err.action != LP_SKIP_RECORD) abort();
            hash = read_record(cursor, rc == LP_OK ? record : NULL, &err, hash);
        }
    }
    lp_chunk_done(&chunk);
    lp_cursor_free(cursor);
    lp_data_close(data);
    return hash;
}

static void fit_all(const char *path, const char *label)
{
    struct lp_fit_options options = {.path = path, .label = label, .threads = 1};
    struct lp_fit *fit;
    struct lp_error err = {0};
    json_t *spec;
    if (lp_fit_run(&options, &fit, &err) != LP_OK) {
        if (err.text[0] == '\0') abort();
        return;
    }
    if (fit->records == 0) abort();
    if (lp_fit_spec(fit, &options, &spec, &err) == LP_OK) json_decref(spec);
    lp_fit_free(fit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lp_want wants[WANTS] = {{.path = "f", .type = LP_WANT_NUMBER, .width = 1},
                                   {.path = "t", .type = LP_WANT_TEXT, .width = 1},
                                   {.path = "u", .type = LP_WANT_TEXT, .width = 1}};
    uint32_t numbers, texts;
    lp_want_assign_slots(wants, WANTS, &numbers, &texts);
    int file = memfd_create("csv", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t)size) abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (read_all(path, 16, wants) != read_all(path, 1 << 20, wants)) abort();
    fit_all(path, NULL);
    fit_all(path, "f");
    close(file);
    return 0;
}
