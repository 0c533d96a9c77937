/* Dense layers as the product of two thinner ones. */
#ifndef LP_OPTIMIZE_FACTOR_H
#define LP_OPTIMIZE_FACTOR_H

#include "optimize/draft.h"

enum {
    LP_FACTOR_SIDE_MIN = 32,   /* below it there is nothing to gain */
    LP_FACTOR_SIDE_MAX = 1024, /* of the shorter side: beyond it the decomposition takes minutes */
};

/** W = sum over r of sigma[r] v[.., r] u[.., r]': the singular value decomposition of a layer's weights. */
struct lp_factors {
    uint32_t in, out, count; /* count: the shorter side; 0: the layer is not taken apart */
    float *sigma;            /* [count] falling */
    float *v;                /* [in][count] */
    float *u;                /* [out][count] */
};

/** Of all F32 dense layers that are large enough. @param ret_factors [op_count]; _done also after a failure */
LP_MUST_USE enum lp_code lp_factors_measure(const struct lp_bundle *bundle, struct lp_factors *ret_factors,
                                            struct lp_error *err);
void lp_factors_done(struct lp_factors *factors, uint32_t count);

/** How many of the singular values are kept. */
struct lp_rank_rule {
    double energy; /* so many that the sum of their squares has this share of the whole; 0: by cost */
    double cost;   /* as many as this share of the layer's multiply-adds pays for */
};

/** In blocks of 16, as kernels compute; 0: with so many the layer would not be a fifth cheaper. */
uint32_t lp_factors_rank(const struct lp_factors *factors, const struct lp_rank_rule *rule);

/** A layer as two: x -> (x A) B + b, A and B with the root of the singular values each. */
LP_MUST_USE enum lp_code lp_factors_put(struct lp_draft *draft, uint32_t op, const struct lp_factors *factors,
                                        uint32_t rank, struct lp_error *err);

#endif
