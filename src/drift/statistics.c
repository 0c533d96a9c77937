/* Statistics over two binned distributions. Sources: drift.h. */
#include "drift/drift.h"

#include <math.h>

static const double SHARE_FLOOR = 1e-4;

/* Factors that turn counts into shares; false when a side is empty and there is nothing to compare. */
static bool share_factors(const uint64_t *counts, const double *reference, uint32_t bin_count, double *ret_p,
                          double *ret_q)
{
    double p = 0, q = 0;
    for (uint32_t i = 0; i < bin_count; i++) {
        p += (double)counts[i];
        q += reference[i];
    }
    if (!(p > 0 && q > 0)) return false;
    *ret_p = 1 / p;
    *ret_q = 1 / q;
    return true;
}

double lp_drift_psi(const uint64_t *counts, const double *reference, uint32_t bin_count)
{
    double to_p, to_q, sum = 0;
    if (!share_factors(counts, reference, bin_count, &to_p, &to_q)) return 0;
    for (uint32_t i = 0; i < bin_count; i++) {
        double p = fmax((double)counts[i] * to_p, SHARE_FLOOR);
        double q = fmax(reference[i] * to_q, SHARE_FLOOR);
        sum += (p - q) * log(p / q);
    }
    return sum;
}

double lp_drift_ks(const uint64_t *counts, const double *reference, uint32_t bin_count)
{
    double to_p, to_q, p = 0, q = 0, largest = 0;
    if (!share_factors(counts, reference, bin_count, &to_p, &to_q)) return 0;
    /* The last bin closes both at 1, where only rounding could tell them apart. */
    for (uint32_t i = 0; i + 1 < bin_count; i++) {
        p += (double)counts[i];
        q += reference[i];
        largest = fmax(largest, fabs(p * to_p - q * to_q));
    }
    return largest;
}

/* p * log2(p / m), and its limit 0 at p = 0. */
static double entropy_term(double p, double m) { return p > 0 ? p * log2(p / m) : 0; }

double lp_drift_js(const uint64_t *counts, const double *reference, uint32_t bin_count)
{
    double to_p, to_q, sum = 0;
    if (!share_factors(counts, reference, bin_count, &to_p, &to_q)) return 0;
    for (uint32_t i = 0; i < bin_count; i++) {
        double p = (double)counts[i] * to_p, q = reference[i] * to_q, m = (p + q) / 2;
        sum += entropy_term(p, m) + entropy_term(q, m);
    }
    return fmin(fmax(sum / 2, 0), 1);
}
