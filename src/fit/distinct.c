#include "fit/distinct.h"

#include <math.h>

void lp_distinct_merge(struct lp_distinct *distinct, const struct lp_distinct *other)
{
    for (int i = 0; i < LP_DISTINCT_REGISTERS; i++)
        distinct->registers[i] =
            other->registers[i] > distinct->registers[i] ? other->registers[i] : distinct->registers[i];
}

/*
 * The estimator of O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017, section 4: unbiased
 * from 0 on, without tables and without a change of formula on the way.
 */
static double sigma(double x)
{
    if (x == 1) return INFINITY;
    double y = 1, z = x, before;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (z != before);
    return z;
}

static double tau(double x)
{
    if (x == 0 || x == 1) return 0;
    double y = 1, z = 1 - x, before;
    do {
        x = sqrt(x);
        before = z;
        y /= 2;
        z -= (1 - x) * (1 - x) * y;
    } while (z != before);
    return z / 3;
}

double lp_distinct_count(const struct lp_distinct *distinct)
{
    enum { RANK_MAX = 64 - LP_DISTINCT_BITS + 1 };
    uint32_t counts[RANK_MAX + 1] = {0};
    const double m = LP_DISTINCT_REGISTERS;
    for (int i = 0; i < LP_DISTINCT_REGISTERS; i++) counts[distinct->registers[i]]++;
    double z = m * tau(1 - counts[RANK_MAX] / m);
    for (int rank = RANK_MAX - 1; rank >= 1; rank--) z = 0.5 * (z + counts[rank]);
    z += m * sigma(counts[0] / m);
    return m * m / (2 * log(2)) / z;
}
