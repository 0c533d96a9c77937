/* Records scored in batches and printed in their order: what `score` does between reading and writing. */
#ifndef LP_CMD_SCOREBOOK_H
#define LP_CMD_SCOREBOOK_H

#include "core/buffer.h"
#include "core/error.h"
#include "decode/want.h"
#include "score/model.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { LP_SCOREBOOK_ROWS = 256, LP_SCOREBOOK_OUTPUT_MAX_BYTES = 256 << 20 };

enum lp_scorebook_style { LP_SCOREBOOK_JSON, LP_SCOREBOOK_CSV };

struct lp_scorebook_options {
    enum lp_scorebook_style style;
    bool raw;     /* the margin in the score's place */
    bool explain; /* JSON only: each feature raw, cleaned, normalized, and why */
    bool strict;  /* the first rejected record is a failure */
    FILE *out;
};

struct lp_scorebook;

/** @param model borrowed */
LP_MUST_USE enum lp_code lp_scorebook_new(const struct lp_model *model, const struct lp_scorebook_options *options,
                                          struct lp_scorebook **ret_book, struct lp_error *err);
void lp_scorebook_free(struct lp_scorebook *book);

/** Clean one decoded record and take it into the batch; a record that cleaning refuses is noted as rejected. */
LP_MUST_USE enum lp_code lp_scorebook_add(struct lp_scorebook *book, const struct lp_record *record,
                                          struct lp_error *err);
/** Note a record that could not be decoded: `why` takes its place. Strict: LP_E_* of `why`, text with its number. */
LP_MUST_USE enum lp_code lp_scorebook_reject(struct lp_scorebook *book, const char *stage, const struct lp_error *why,
                                             struct lp_error *err);
/** Score and print what is pending. */
LP_MUST_USE enum lp_code lp_scorebook_flush(struct lp_scorebook *book, struct lp_error *err);

uint64_t lp_scorebook_records(const struct lp_scorebook *book);
uint64_t lp_scorebook_rejected(const struct lp_scorebook *book);

/** One JSON array of a record's features before scoring: raw, cleaned, normalized, why. */
void lp_explain(const struct lp_bundle *bundle, const uint32_t *feature_slots, const struct lp_record *record,
                const double *row, const double *observed, const struct lp_clean_counts *counts, struct lp_buffer *out);

#endif
