#include "cmd/bench_rows.h"

#include "core/checked.h"

#include <stdlib.h>

/* xorshift64: speed and repeatability are all that is asked. */
static uint32_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

static double draw_even(uint64_t *state) { return (double)draw(state) / (double)UINT32_MAX * 4.0 - 2.0; }

enum lp_code lp_bench_rows(const struct lp_bundle *bundle, uint32_t row_count, double **ret_rows, struct lp_error *err)
{
    size_t bytes;
    uint64_t state = 88172645463325252u;
    if (!lp_checked_mul((size_t)row_count * sizeof(double), bundle->column_count, &bytes))
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "bench: %u columns are too many", bundle->column_count);
    double *rows = malloc(bytes > 0 ? bytes : 1);
    if (rows == NULL) return lp_fail_memory(err, bytes);
    for (size_t i = 0; i < bytes / sizeof *rows; i++) rows[i] = draw_even(&state);
    *ret_rows = rows;
    return LP_OK;
}
