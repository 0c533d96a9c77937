#include "infer/calibrate.h"

#include <math.h>

static double score_of(const struct lp_calibration *c, double margin)
{
    uint32_t low = 0, high = c->count - 1; /* margins[low] < margin < margins[high] from here on */
    if (isnan(margin)) return margin;
    if (margin <= c->margins[0]) return c->scores[0];
    if (margin >= c->margins[high]) return c->scores[high];
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (c->margins[middle] <= margin) low = middle;
        else high = middle;
    }
    double share = (margin - c->margins[low]) / (c->margins[high] - c->margins[low]);
    return c->scores[low] + share * (c->scores[high] - c->scores[low]);
}

void lp_calibrate(const struct lp_calibration *calibration, const float *margins, size_t count, float *scores)
{
    for (size_t i = 0; i < count; i++) scores[i] = (float)score_of(calibration, (double)margins[i]);
}
