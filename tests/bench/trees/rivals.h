/* Libraries of others behind one call: rows of floats or doubles -> margins. They are loaded at run time. */
#ifndef BENCH_TREES_RIVALS_H
#define BENCH_TREES_RIVALS_H

#include <stddef.h>
#include <stdint.h>

struct rival {
    /** Margins (or scores where the library knows no margins) of rows [count][28]. */
    void (*run)(struct rival *rival, uint32_t first_row, uint32_t count, double *ret_margins);
    const float *float_rows;
    const double *rows;
    void *library;
    void *handle;
    void *calls[4];
    void *fast;
    uint32_t columns;
};

/**
 * @param kind    xgboost, lightgbm, lleaves, tl2cgen
 * @param library its shared object; @param model the model's file (xgboost, lightgbm)
 * Exits with a message on failure.
 */
void rival_open(struct rival *rival, const char *kind, const char *library, const char *model);

#endif
