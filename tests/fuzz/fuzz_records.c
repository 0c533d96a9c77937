// stages: data
/* A file of records, of whatever format it is: Avro containers, CSV and JSON Lines, read to their ends. */
#include "data/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const char *path, const struct lp_want *wants, uint32_t want_count)
{
    struct lp_records *records = NULL;
    const char *format = NULL;
    struct lp_error err = {0};
    if (lp_records_open(path, wants, want_count, &records, &format, &err) != LP_OK) {
        if (err.text[0] == '\0') abort();
        return;
    }
    for (int i = 0; i < 100000; i++) {
        struct lp_record *record = NULL;
        enum lp_code rc = lp_records_next(records, &record, &err);
        if (rc == LP_OK && record == NULL) break;
        if (rc != LP_OK && err.action != LP_SKIP_RECORD) break;
        /* Every byte of a text must be readable. */
        unsigned sum = 0;
        for (size_t k = 0; rc == LP_OK && k < record->texts[0].size; k++) sum += record->texts[0].data[k];
        if (sum == UINT32_MAX) abort();
    }
    lp_records_close(records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lp_want wants[] = {{.path = "f", .type = LP_WANT_NUMBER, .width = 1},
                              {.path = "t", .type = LP_WANT_TEXT, .width = 1},
                              {.path = "v", .type = LP_WANT_VECTOR, .width = 2}};
    uint32_t numbers, texts;
    lp_want_assign_slots(wants, 3, &numbers, &texts);
    int file = memfd_create("records", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t)size) abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    read_all(path, wants, 3);
    /* Wants of one kind each pass schemas that lack the others. */
    for (int i = 0; i < 3; i++) {
        struct lp_want all[] = {wants[i], wants[1]};
        lp_want_assign_slots(all, 2, &numbers, &texts);
        if (i != 1) read_all(path, all, 2);
    }
    close(file);
    return 0;
}
