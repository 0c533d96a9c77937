/* A bundle in smaller forms, each scored on validation data and timed on this core; the frontier; the pick. */
#ifndef LP_OPTIMIZE_OPTIMIZE_H
#define LP_OPTIMIZE_OPTIMIZE_H

#include "optimize/factor.h"
#include "optimize/judge.h"
#include "optimize/learn.h"
#include "optimize/shrink.h"
#include "optimize/speed.h"
#include "optimize/trials.h"
#include "optimize/valid.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LP_VARIANT_NAME_BYTES = 96,
    LP_VARIANTS_MAX = 64,
    LP_VARIANT_LAYERS_MAX = 24, /* layers that are quantized alone: the costliest ones */
    LP_VERDICT_BYTES = 320,
    LP_VERDICTS_MAX = 9,
};

enum lp_variant_kind {
    LP_VARIANT_ORIGINAL,
    LP_VARIANT_BF16,
    LP_VARIANT_INT8,     /* all dense layers */
    LP_VARIANT_INT8_BUT, /* all but one */
    LP_VARIANT_LAYER,    /* one dense layer alone: its sensitivity, not timed, no candidate */
    LP_VARIANT_PRUNED,   /* smallest weights to 0: timed to see whether it pays, a candidate only when tuned */
    LP_VARIANT_UNITS,    /* without the hidden units that weigh least */
    LP_VARIANT_RANK,     /* layers as the product of two thinner ones */
    LP_VARIANT_MORE,     /* the original, tuned: what more training alone does */
    LP_VARIANT_TRIAL,    /* a network that the search found */
    LP_VARIANT_TREES,    /* the first trees */
};

struct lp_variant {
    enum lp_variant_kind kind;
    char name[LP_VARIANT_NAME_BYTES];   /* "int8 min/max" */
    char suffix[LP_VARIANT_NAME_BYTES]; /* of the version: "int8" */
    char detail[LP_VARIANT_NAME_BYTES]; /* knobs of a trial; "": none */
    /* how it is made */
    bool tuned;             /* trained on behind it */
    struct lp_bundle *made; /* owned: of tuned ones and trials; NULL: from the original whenever it is needed */
    struct lp_rank_rule rank;
    enum lp_int8 int8;
    uint32_t op;   /* layer, or the layer left out, or the ensemble */
    uint32_t keep; /* trees */
    double share;  /* of the weights to 0, of the units left out */
    /* what it is */
    struct lp_judged judged;
    struct lp_differences differences; /* to the original */
    struct lp_speed speed;             /* NaN: not timed */
    uint64_t bytes;                    /* of the file without golden rows */
    double margin_change;              /* largest root mean square over the outputs of margin less the original's */
    bool candidate, dominated;
};

/** What may be picked; NaN: no limit. Of the loss the upper end of the interval counts. */
struct lp_limits {
    double loss_increase, price_per_million, p99_ns;
    double price_per_core_hour;
};

struct lp_optimize_request {
    const char *data, *label, *group; /* group: NULL: none */
    uint32_t batch;
    int64_t time_ms;      /* for timing */
    const char *train;    /* rows to learn from, for tuning and trials; NULL: none */
    uint32_t tune_epochs; /* 0: no tuning */
    uint32_t trials;      /* 0: no search */
    int64_t trials_ms;    /* for the search; 0: no limit */
    uint64_t seed;
    void *context;
    void (*on_step)(void *context, const char *what, const struct lp_variant *variant); /* before each; NULL: none */
    void (*on_trial)(void *context, const struct lp_trial *trial, const struct lp_trial *best, uint32_t done,
                     uint32_t in_all);
};

struct lp_optimized {
    const struct lp_model *model; /* borrowed */
    struct lp_valid valid;
    struct lp_range *ranges;
    struct lp_factors *factors;                  /* [op_count] */
    struct lp_learn learn;                       /* with `train` alone */
    struct lp_variant variants[LP_VARIANTS_MAX]; /* the original first */
    uint32_t variant_count, batch;
    char verdicts[LP_VERDICTS_MAX][LP_VERDICT_BYTES];
    uint32_t verdict_count;
};

/** "log loss", "RMSE" or "pair loss"; static. */
const char *lp_optimize_loss_name(const struct lp_bundle *bundle);

/**
 * Make, score and time all variants; ret is the caller's, _done also after a failure.
 * @return LP_E_UNSUPPORTED for a model whose scores are no probabilities (or, of a regression or a ranking, not one
 *         number), what
 *         lp_valid_read returns, LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_optimize_run(const struct lp_model *model, const struct lp_optimize_request *request,
                                         struct lp_optimized *ret, struct lp_error *err);
void lp_optimized_done(struct lp_optimized *optimized);

double lp_optimize_price(const struct lp_variant *variant, double price_per_core_hour);

/** The candidate that obeys the limits: the fastest one with a limit on the loss, else that of the least loss; NULL:
 * none does. */
const struct lp_variant *lp_optimize_pick(const struct lp_optimized *optimized, const struct lp_limits *limits);

/**
 * The bundle of a variant; of the original what it was, golden rows and all. Of others: lineage, golden rows of the
 * parent's records (invented ones when it has none) as this build scores them, verified as a worker does. The tolerance
 * of the margins is what rounding moves them anyway.
 */
LP_MUST_USE enum lp_code lp_optimize_encode(const struct lp_optimized *optimized, const struct lp_variant *variant,
                                            struct lp_buffer *out, struct lp_error *err);

#endif
