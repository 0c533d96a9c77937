/* The publish stage: scores -> prediction bytes (Avro or JSON), in the layout of schemas/prediction.avsc. */
#ifndef LP_PUBLISH_PREDICTION_H
#define LP_PUBLISH_PREDICTION_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

enum lp_output_format { LP_OUTPUT_AVRO, LP_OUTPUT_JSON };

/** What a prediction may carry; one object per record, filled by the lane. */
struct lp_prediction {
    const char *slot, *version;
    uint64_t model_sha256_prefix; /* first 8 bytes of the file's SHA-256, big-endian */
    uint32_t row_count, output_count;
    const float *scores;            /* [row_count][output_count] */
    const int32_t *labels;          /* [row_count], -1: none */
    const char *const *label_names; /* by label, or NULL */
    int64_t event_time_ms, scored_time_ms;
    int32_t partition;
    int64_t offset;
    bool degraded, shadow, canary;
    uint32_t missing_count;
};

struct lp_encoder; /* compiled from the field list; immutable, any thread */

/** `fields`: names out of schemas/prediction.avsc, or none for the lean set. LP_E_INVALID names an unknown one. */
LP_MUST_USE enum lp_code lp_encoder_new(enum lp_output_format format, const char *const *fields, uint32_t field_count,
                                        struct lp_encoder **ret_encoder, struct lp_error *err);
void lp_encoder_free(struct lp_encoder *encoder);

/** The writer's schema (a subset of schemas/prediction.avsc in its order), JSON text owned by the encoder. */
const char *lp_encoder_schema(const struct lp_encoder *encoder);

/**
 * Append one prediction. Avro with `framing` of non-zero size begins with those bytes (00 + schema id). No allocation
 * once `out` has grown; about 30 ns for the lean set.
 */
void lp_encoder_run(const struct lp_encoder *encoder, struct lp_span framing, const struct lp_prediction *prediction,
                    struct lp_buffer *out);

/** JSON object of an lp_record's scores as `lepton score` prints it is cmd/'s business, not this module's. */

#endif
