/* Activations forward with their derivatives, element-wise over padded rows. */
#ifndef LP_TRAIN_ACTIVATE_H
#define LP_TRAIN_ACTIVATE_H

#include "model/bundle.h"

#include <stddef.h>

/**
 * h = f(z), slope = f'(z).
 * @param z     [count]
 * @param h     out; may be z
 * @param slope out, or NULL: not wanted; neither z nor h
 */
void lp_train_activate(enum lp_activation activation, float alpha, const float *z, size_t count, float *h,
                       float *slope);

#endif
