/* Reference. Eight partial sums, so that a long row's error stays that of a short one. */
#include "kernels/norm/norm.h"

#include <math.h>

enum { PARTS = 8 };

static float total(const float *parts)
{
    return ((parts[0] + parts[4]) + (parts[2] + parts[6])) + ((parts[1] + parts[5]) + (parts[3] + parts[7]));
}

/* The mean of x - from. */
static float mean_of(const float *x, uint32_t width, float from)
{
    float sums[PARTS] = {0};
    for (uint32_t i = 0; i < width; i++) sums[i % PARTS] += x[i] - from;
    return total(sums) / (float)width;
}

static void run_row(const struct lp_norm *norm, const float *x, float *y)
{
    float squares[PARTS] = {0}, width = (float)norm->width, mean = mean_of(x, norm->width, 0);
    mean += mean_of(x, norm->width, mean);
    for (uint32_t i = 0; i < norm->width; i++) squares[i % PARTS] += (x[i] - mean) * (x[i] - mean);
    float scale = 1.0f / sqrtf(total(squares) / width + norm->epsilon);
    for (uint32_t i = 0; i < norm->width; i++) {
        float value = (x[i] - mean) * scale;
        if (norm->weight != NULL) value *= norm->weight[i];
        y[i] = norm->bias != NULL ? value + norm->bias[i] : value;
    }
}

static void run(const struct lp_norm *norm, const float *x, uint32_t row_count, float *y)
{
    for (uint32_t r = 0; r < row_count; r++) run_row(norm, x + (size_t)r * norm->width, y + (size_t)r * norm->width);
}

const struct lp_norm_kernel lp_norm_f32_scalar = {"scalar", run};
