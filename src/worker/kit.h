/* What one lane needs to score with one model: built off the lane, handed over whole, used by the lane alone. */
#ifndef LP_WORKER_KIT_H
#define LP_WORKER_KIT_H

#include "batch/batch.h"
#include "core/error.h"
#include "decode/decoder.h"
#include "decode/want.h"
#include "drift/drift.h"
#include "publish/prediction.h"
#include "score/model.h"

#include <stdbool.h>
#include <stdint.h>

struct lp_shared;

/* Past this a batch goes out: another record's copied fields may take output.record.max_bytes more. */
enum { LP_COPIED_BATCH_BYTES = 1 << 20 };

/** Drift of one generation of a model over all lanes; the last kit that lets go frees it. */
struct lp_drift_share {
    struct lp_drift *drift;
    struct lp_model *model; /* a reference: reports name its version */
    uint32_t references;    /* guarded by the slot's mutex */
};

struct lp_kit {
    struct lp_model *model; /* a reference */
    uint64_t generation;
    uint64_t sha256_prefix; /* of the bundle file, first 8 bytes, big-endian */
    bool degraded;
    bool has_event_time;
    uint32_t event_time_slot;
    struct lp_decoder *decoder;
    struct lp_record record; /* decode's output */
    struct lp_batch batch;
    struct lp_infer *infer;
    struct lp_prediction prediction; /* what all predictions have in common; the rest is each record's */
    struct lp_buffer head_bytes;
    struct lp_prediction_head head;
    bool copies;                           /* output.copy */
    uint32_t copied_numbers, copied_texts; /* where the record has them */
    struct lp_buffer copied;               /* of the open batch's records, as predictions will hold them */
    float *scores;                         /* [rows_max][output_count] */
    int32_t *labels;                       /* [rows_max] */
    int64_t *event_time;                   /* [rows_max] */
    struct lp_clean_counts *counts;        /* [feature_count], since the kit was made */
    struct lp_clean_counts *counted;       /* [feature_count], of those given to drift */
    uint64_t *clipped, *unknown;           /* [feature_count], of the open batch */
    struct lp_drift_share *drift_share;    /* NULL: drift is off */
    struct lp_drift_lane *drift_lane;
    /* exactly_once: what the open transaction observed, and the one that is being committed; else NULL */
    struct lp_drift *drift_open, *drift_cut;
};

/** Build a kit; `model` is referenced, `share` (may be NULL) borrowed until the kit goes. */
LP_MUST_USE enum lp_code lp_kit_new(const struct lp_shared *shared, struct lp_model *model, uint64_t generation,
                                    bool degraded, struct lp_drift_share *share, struct lp_kit **ret_kit,
                                    struct lp_error *err);
/** How decode is asked for a field of output.copy; the path is the field's. */
struct lp_want lp_kit_copied_want(const struct lp_copied_field *field);
/** Frees all but the drift share, whose owner is the slot. */
void lp_kit_free(struct lp_kit *kit);

#endif
