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
    m->mean = mean + rest / count;
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
    m.mean = (long double)shift + mean + rest / count;
    m.m2 = sum_lanes(squares) - rest * rest / count;
    if (m.m2 < 0 || spread == 0) m.m2 = 0;
    *ret_moments = m;
}

void lp_moments_merge(struct lp_moments *moments, const struct lp_moments *other)
{
    if (other->count == 0) return;
    if (moments->count == 0) {
        *moments = *other;
        return;
    }
    long double n = (long double)moments->count, k = (long double)other->count, d = other->mean - moments->mean;
    moments->mean += d * (k / (n + k));
    moments->m2 += other->m2 + d * d * (n * k / (n + k));
    moments->count += other->count;
    if (other->min < moments->min) moments->min = other->min;
    if (other->max > moments->max) moments->max = other->max;
}

double lp_moments_mean(const struct lp_moments *moments) { return (double)moments->mean; }

double lp_moments_std(const struct lp_moments *moments)
{
    return moments->count > 0 ? (double)sqrtl(moments->m2 / (long double)moments->count) : 0;
}

void lp_comoments_of(const double *x, const double *y, uint32_t count, struct lp_comoments *ret_comoments)
{
    struct lp_comoments c = {.count = count};
    double xs[LANES] = {0}, ys[LANES] = {0}, xx[LANES] = {0}, yy[LANES] = {0}, xy[LANES] = {0};
    double shift_x = x[0], shift_y = y[0];
    for (uint32_t i = 0; i < count; i++) {
        xs[i % LANES] += x[i] - shift_x;
        ys[i % LANES] += y[i] - shift_y;
    }
    double mean_x = sum_lanes(xs) / count, mean_y = sum_lanes(ys) / count;
    for (uint32_t i = 0; i < count; i++) {
        double dx = (x[i] - shift_x) - mean_x, dy = (y[i] - shift_y) - mean_y;
        xx[i % LANES] += dx * dx;
        yy[i % LANES] += dy * dy;
        xy[i % LANES] += dx * dy;
    }
    c.mean_x = (long double)shift_x + mean_x;
    c.mean_y = (long double)shift_y + mean_y;
    c.m2_x = sum_lanes(xx);
    c.m2_y = sum_lanes(yy);
    c.m_xy = sum_lanes(xy);
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
    long double dx = other->mean_x - comoments->mean_x, dy = other->mean_y - comoments->mean_y;
    comoments->m2_x += other->m2_x + dx * dx * n * share;
    comoments->m2_y += other->m2_y + dy * dy * n * share;
    comoments->m_xy += other->m_xy + dx * dy * n * share;
    comoments->mean_x += dx * share;
    comoments->mean_y += dy * share;
    comoments->count += other->count;
}

double lp_comoments_correlation(const struct lp_comoments *comoments)
{
    if (comoments->count < 2 || !(comoments->m2_x > 0) || !(comoments->m2_y > 0)) return NAN;
    long double r = comoments->m_xy / (sqrtl(comoments->m2_x) * sqrtl(comoments->m2_y));
    return (double)(r > 1 ? 1 : r < -1 ? -1 : r);
}
