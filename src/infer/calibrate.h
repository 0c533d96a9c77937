/* Scores off a calibration's points. */
#ifndef LP_INFER_CALIBRATE_H
#define LP_INFER_CALIBRATE_H

#include "model/bundle.h"

#include <stddef.h>

/** @param scores out, [count]; may be margins. In double, rounded once. NaN stays NaN. O(log points) a score. */
void lp_calibrate(const struct lp_calibration *calibration, const float *margins, size_t count, float *scores);

#endif
