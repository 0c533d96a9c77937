/* A data file as a matrix: each record cleaned as serving cleans it, and its label. */
#ifndef LP_TRAIN_TABLE_H
#define LP_TRAIN_TABLE_H

#include "core/buffer.h"
#include "core/error.h"
#include "model/bundle.h"
#include "train/data.h"
#include "train/words.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LP_TABLE_CLASSES_MAX = 1000,
    LP_TABLE_GROUPS_MAX = 1 << 26,
    LP_TABLE_SEGMENTS_MAX = 100,
    LP_TABLE_SAMPLES_MAX = 64,
    LP_TABLE_ROWS_MAX = 1 << 30,
};

/** What to read beside the features; paths in the record, NULL: none. */
struct lp_table_options {
    const char *label; /* required */
    const char *weight, *group, *segment, *time;
    bool skip_bad;         /* a record that cannot be decoded is counted, not an error */
    uint32_t sample_count; /* of the first good records, to make golden rows of */
    uint32_t rank, ranks;  /* the numbers of a row are kept when index (ranking: group) % ranks is rank */
    bool ranking;
    void *context;
    void (*on_progress)(void *context, uint64_t rows, uint64_t bytes_done, uint64_t bytes_in_all);
};

struct lp_table {
    uint32_t row_count, own_count, column_count;
    size_t x_row;
    float *x;
    uint32_t *where; /* NULL with one rank */
    double *label;   /* NaN where the label is no number */
    uint32_t *word;  /* number of the label's text; meaningless once words.full */
    struct lp_words words;
    bool numeric;    /* every label is a finite number */
    float *weight;   /* NULL: none */
    uint32_t *group; /* NULL: none */
    struct lp_words groups;
    uint32_t *segment; /* NULL: none */
    struct lp_words segments;
    double *time;              /* milliseconds; NULL: none */
    uint32_t target_count;     /* features with target means */
    uint32_t *categories;      /* [row_count][target_count] of each, its entry of the vocabulary; UINT32_MAX: none */
    uint64_t refused, skipped; /* records that cleaning refused, that could not be decoded */
    char first_refused[256];   /* why, of the first */
    struct lp_buffer samples;  /* JSON objects, each with a zero behind it */
    uint32_t sample_count;
    const char *format; /* "CSV", "JSON Lines", "Avro" */
};

/**
 * Read all records.
 *
 * @param path     as lp_data_open takes it
 * @param features a bundle of which the features are used, borrowed for the call
 * @return what lp_data_* return; LP_E_INVALID with file and line for a missing or bad label, weight, time, or a value
 *         beyond the floats; LP_E_LIMIT, LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_table_read(const char *path, const struct lp_bundle *features,
                                       const struct lp_table_options *options, struct lp_table *ret_table,
                                       struct lp_error *err);
/** Does it stand for a category by the mean of the label? */
static inline bool lp_table_is_target(const struct lp_feature *feature)
{
    return feature->kind == LP_FEATURE_CATEGORY && feature->encoding == LP_ENCODING_TARGET;
}

/** A decimal number, the whole text; NaN for anything else (hexadecimal, `nan`, blanks). */
double lp_table_number(struct lp_span text);

void lp_table_done(struct lp_table *table);

#endif
