#include "fit/moments.h"

#include <math.h>

enum { LANES = 8 };

/* Where squares neither overflow nor vanish; outside it is done in long double. */
static const double safe_low = 1e-140, safe_high = 1e140;

/* Eight sums side by side, for the vector unit; added up in a fixed order. */
static double sum_lanes(const double *lanes)
{
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

static void find_range(const double *values, uint32_t count, double *ret_min, double *ret_max)
{
    double low[LANES], high[LANES];
    uint32_t i = 0;
    for (int k = 0; k < LANES; k++) low[k] = high[k] = values[0];
    for (; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; k++) {
            low[k] = values[i + (uint32_t)k] < low[k] ? values[i + (uint32_t)k] : low[k];
            high[k] = values[i + (uint32_t)k] > high[k] ? values[i + (uint32_t)k] : high[k];
        }
    for (; i < count; i++) {
        low[0] = values[i] < low[0] ? values[i] : low[0];
        high[0] = values[i] > high[0] ? values[i] : high[0];
    }
    for (int k = 1; k < LANES; k++) {
        low[0] = low[k] < low[0] ? low[k] : low[0];
        high[0] = high[k] > high[0] ? high[k] : high[0];
    }
    *ret_min = low[0];
    *ret_max = high[0];
}

static void square_slowly(const double *values, uint32_t count, struct lp_moments *m)
{
    long double sum = 0, m2 = 0, rest = 0;
    for (uint32_t i = 0; i < count; i++) sum += values[i];
    long double mean = sum / count;
    for (uint32_t i = 0; i < count; i++) {
        long double d = values[i] - mean;
        m2 += d * d;
        rest += d;
    }
    m->offset = mean + rest / count;
    m->m2 = m2 - rest * rest / count;
}

void lp_moments_of(const double *values, uint32_t count, struct lp_moments *ret_moments)
{
    struct lp_moments m = {.count = count};
    find_range(values, count, &m.min, &m.max);
    double spread = m.max / 2 - m.min / 2;
    if (!(fabs(m.min) < safe_high && fabs(m.max) < safe_high && (spread == 0 || spread > safe_low))) {
        square_slowly(values, count, &m);
        *ret_moments = m;
        return;
    }
    /* Relative to a value among them, so that the sums stay small beside the spread. */
    double shift = values[0], sums[LANES] = {0}, squares[LANES] = {0}, rests[LANES] = {0};
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; k++) sums[k] += values[i + (uint32_t)k] - shift;
    for (; i < count; i++) sums[0] += values[i] - shift;
    double mean = sum_lanes(sums) / count;
    for (i = 0; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; k++) {
            double d = (values[i + (uint32_t)k] - shift) - mean;
            squares[k] += d * d;
            rests[k] += d;
        }
    for (; i < count; i++) {
        double d = (values[i] - shift) - mean;
        squares[0] += d * d;
        rests[0] += d;
    }
    long double rest = sum_lanes(rests);
    m.shift = shift;
    m.offset = mean + rest / count;
    m.m2 = sum_lanes(squares) - rest * rest / count;
    if (m.m2 < 0 || spread == 0) m.m2 = 0;
    *ret_moments = m;
}

/* How far the mean b is above the mean a. */
static long double apart(double shift_a, long double offset_a, double shift_b, long double offset_b)
{
    return ((long double)shift_b - shift_a) + (offset_b - offset_a);
}

void lp_moments_merge(struct lp_moments *moments, const struct lp_moments *other)
{
    if (other->count == 0) return;
    if (moments->count == 0) {
        *moments = *other;
        return;
    }
    long double n = (long double)moments->count, k = (long double)other->count,
                d = apart(moments->shift, moments->offset, other->shift, other->offset);
    moments->offset += d * (k / (n + k));
    moments->m2 += other->m2 + d * d * (n * k / (n + k));
    moments->count += other->count;
    if (other->min < moments->min) moments->min = other->min;
    if (other->max > moments->max) moments->max = other->max;
}

double lp_moments_mean(const struct lp_moments *moments) { return (double)(moments->shift + moments->offset); }

double lp_moments_std(const struct lp_moments *moments)
{
    return moments->count > 0 ? (double)sqrtl(moments->m2 / (long double)moments->count) : 0;
}

/* Deviations from the mean, and the power of two that brings their squares near 1 where they would be lost. */
static int deviate(const double *values, uint32_t count, double shift, double *mean, double *ret_factor)
{
    double sums[LANES] = {0}, most = 0;
    for (uint32_t i = 0; i < count; i++) sums[i % LANES] += values[i] - shift;
    *mean = sum_lanes(sums) / count;
    for (uint32_t i = 0; i < count; i++) most = fmax(most, fabs((values[i] - shift) - *mean));
    int exponent = most > 0 && isfinite(most) && !(most > safe_low && most < safe_high) ? ilogb(most) : 0;
    *ret_factor = ldexp(1, -exponent);
    return exponent;
}

void lp_comoments_of(const double *x, const double *y, uint32_t count, struct lp_comoments *ret_comoments)
{
    struct lp_comoments c = {.count = count, .shift_x = x[0], .shift_y = y[0]};
    double xx[LANES] = {0}, yy[LANES] = {0}, xy[LANES] = {0}, mean_x, mean_y, factor_x, factor_y;
    int exponent_x = deviate(x, count, c.shift_x, &mean_x, &factor_x);
    int exponent_y = deviate(y, count, c.shift_y, &mean_y, &factor_y);
    for (uint32_t i = 0; i < count; i++) {
        double dx = ((x[i] - c.shift_x) - mean_x) * factor_x, dy = ((y[i] - c.shift_y) - mean_y) * factor_y;
        xx[i % LANES] += dx * dx;
        yy[i % LANES] += dy * dy;
        xy[i % LANES] += dx * dy;
    }
    c.offset_x = mean_x;
    c.offset_y = mean_y;
    c.m2_x = ldexpl(sum_lanes(xx), 2 * exponent_x);
    c.m2_y = ldexpl(sum_lanes(yy), 2 * exponent_y);
    c.m_xy = ldexpl(sum_lanes(xy), exponent_x + exponent_y);
    *ret_comoments = c;
}

void lp_comoments_merge(struct lp_comoments *comoments, const struct lp_comoments *other)
{
    if (other->count == 0) return;
    if (comoments->count == 0) {
        *comoments = *other;
        return;
    }
    long double n = (long double)comoments->count, k = (long double)other->count, share = k / (n + k);
    long double dx = apart(comoments->shift_x, comoments->offset_x, other->shift_x, other->offset_x);
    long double dy = apart(comoments->shift_y, comoments->offset_y, other->shift_y, other->offset_y);
    comoments->m2_x += other->m2_x + dx * dx * n * share;
    comoments->m2_y += other->m2_y + dy * dy * n * share;
    comoments->m_xy += other->m_xy + dx * dy * n * share;
    comoments->offset_x += dx * share;
    comoments->offset_y += dy * share;
    comoments->count += other->count;
}

double lp_comoments_correlation(const struct lp_comoments *comoments)
{
    if (comoments->count < 2 || !(comoments->m2_x > 0) || !(comoments->m2_y > 0)) return NAN;
    long double r = comoments->m_xy / (sqrtl(comoments->m2_x) * sqrtl(comoments->m2_y));
    return (double)(r > 1 ? 1 : r < -1 ? -1 : r);
}
