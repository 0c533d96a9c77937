/*
 * The publish stage: scores -> prediction bytes (Avro or JSON), in the layout of schemas/prediction.avsc.
 *
 * Every field is a union of null and a type with default null, and a writer's schema is the file's with fields left
 * out, so any two subsets can read one another. With lp_encoder_copy a last field `copied` follows, which the file has
 * not.
 *
 * The lean set (no fields named) is version, model_sha256, scores: which model, in words and beyond doubt, and what it
 * said. The event time is the record's timestamp, the entity its key. With one score that is 18 + n bytes plus 5 of
 * framing where the version has n bytes ("12": 25 in all; "1.0.0": 28), and 4 bytes for each further score.
 *
 * JSON is one object with the fields asked for in the same order, null where a field has none; the hash as 16 hex
 * digits, times in milliseconds, scores in the shortest form that reads back the same float.
 */
#ifndef LP_PUBLISH_PREDICTION_H
#define LP_PUBLISH_PREDICTION_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

enum lp_output_format { LP_OUTPUT_AVRO, LP_OUTPUT_JSON };

/** One candidate of a list. */
struct lp_prediction_item {
    struct lp_span id; /* data NULL: null */
    float score;
};

/** What a prediction may carry; one object per record, filled by the lane. Borrowed for the call; zero means absent. */
struct lp_prediction {
    const char *slot, *version;   /* UTF-8, NULL: null */
    uint64_t model_sha256_prefix; /* first 8 bytes of the file's SHA-256, big-endian */
    uint32_t row_count, output_count;
    const float *scores;            /* [row_count][output_count], NULL: null */
    const int32_t *labels;          /* [row_count], -1: none; NULL: none. A label is written for a single row only. */
    const char *const *label_names; /* by label, or NULL: the label's number is its text */
    uint32_t item_count;
    const struct lp_prediction_item *items; /* [item_count], best first; NULL: null */
    int64_t event_time_ms, scored_time_ms;  /* -1: null */
    int32_t partition;                      /* -1: null */
    int64_t offset;                         /* -1: null */
    bool degraded, shadow, canary;
    uint32_t missing_count;
    struct lp_span copied; /* as lp_encoder_run_copied wrote it; data NULL: null */
};

enum lp_copied_type { LP_COPIED_STRING, LP_COPIED_DOUBLE, LP_COPIED_TIMESTAMP };

/** A field of the input that predictions carry along. */
struct lp_copied_field {
    const char *path; /* as decode/want.h has them */
    enum lp_copied_type type;
};

struct lp_encoder; /* compiled from the field list; immutable, any thread */

/** `fields`: names out of schemas/prediction.avsc in any order, or none for the lean set. LP_E_INVALID names the one
 * that is unknown or named twice. */
LP_MUST_USE enum lp_code lp_encoder_new(enum lp_output_format format, const char *const *fields, uint32_t field_count,
                                        struct lp_encoder **ret_encoder, struct lp_error *err);
void lp_encoder_free(struct lp_encoder *encoder);

/**
 * Predictions get a last field `copied`, a record of these input fields. Before the encoder's first use.
 * @param texts [count] `path` or `path:type`, the type one of string (the default, for any scalar), double, timestamp
 * @return LP_E_INVALID, LP_E_LIMIT (more than 64), all LP_FATAL; the encoder is then only good for lp_encoder_free
 */
LP_MUST_USE enum lp_code lp_encoder_copy(struct lp_encoder *encoder, const char *const *texts, uint32_t count,
                                         struct lp_error *err);
/** What is copied, in order; owned by the encoder. */
const struct lp_copied_field *lp_encoder_copied(const struct lp_encoder *encoder, uint32_t *ret_count);
/**
 * Append what lp_prediction's `copied` is to hold for one record. Does not allocate once `out` has grown; what does not
 * fit sets out->failed.
 *
 * @param numbers the values of those copied as numbers or times, in their order; NaN: null. A time is milliseconds.
 * @param texts the same for those copied as strings; data NULL: null
 */
void lp_encoder_run_copied(const struct lp_encoder *encoder, const double *numbers, const struct lp_span *texts,
                           struct lp_buffer *out);

/** The writer's schema (a subset of schemas/prediction.avsc in its order), JSON text owned by the encoder. Also for
 * JSON output, where it describes the object. */
const char *lp_encoder_schema(const struct lp_encoder *encoder);

/** Does a prediction show its label? Without, nobody need find it. */
bool lp_encoder_has_labels(const struct lp_encoder *encoder);

/** How the predictions of one model begin, written once: bytes that do not depend on the record. */
struct lp_prediction_head {
    struct lp_span bytes;
    uint32_t field_count; /* of the encoder's fields, in `bytes` */
};

/**
 * Append the framing (00 + schema id, or empty) and the leading fields that only slot, version, hash and the three
 * flags of `prediction` decide. The bytes are the head's, once `out` is complete. JSON has none: an empty head.
 */
void lp_encoder_head(const struct lp_encoder *encoder, struct lp_span framing, const struct lp_prediction *prediction,
                     struct lp_buffer *out, struct lp_prediction_head *ret_head);

/**
 * Append one prediction that begins with `head`. No allocation once `out` has grown; about 10 ns for the lean set in
 * Avro behind its head. A prediction that does not fit sets out->failed.
 */
void lp_encoder_run_behind(const struct lp_encoder *encoder, const struct lp_prediction_head *head,
                           const struct lp_prediction *prediction, struct lp_buffer *out);

/** The same without a head: Avro with `framing` of non-zero size begins with those bytes. */
void lp_encoder_run(const struct lp_encoder *encoder, struct lp_span framing, const struct lp_prediction *prediction,
                    struct lp_buffer *out);

#endif
