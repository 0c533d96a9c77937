#include "train/calibrate.h"

#include <math.h>

struct sums {
    double value, gradient_a, gradient_b, aa, ab, bb;
};

static double weight_of(const struct lp_metrics_rows *rows, uint32_t r)
{
    return rows->weight != NULL ? (double)rows->weight[r] : 1;
}

static struct sums add_up(const struct lp_metrics_rows *rows, double high, double low, double a, double b)
{
    struct sums s = {.aa = 1e-12, .bb = 1e-12};
    for (uint32_t r = 0; r < rows->rows; r++) {
        double f = (double)rows->margins[r], w = weight_of(rows, r), t = rows->y[r] > 0.5f ? high : low;
        double z = a * f + b, p = lp_train_sigmoid(z), d = w * (p - t), h = w * p * (1 - p);
        s.value += w * (fmax(z, 0) + log1p(exp(-fabs(z))) - t * z);
        s.gradient_a += d * f;
        s.gradient_b += d;
        s.aa += h * f * f;
        s.ab += h * f;
        s.bb += h;
    }
    return s;
}

enum lp_code lp_platt_fit(const struct lp_metrics_rows *rows, double *ret_a, double *ret_b, struct lp_error *err)
{
    enum { STEPS = 100, HALVINGS = 40 };
    double ones = 0, zeros = 0, a = 1, b = 0;
    for (uint32_t r = 0; r < rows->rows; r++) *(rows->y[r] > 0.5f ? &ones : &zeros) += weight_of(rows, r);
    if (!(ones > 0) || !(zeros > 0))
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "the validation part has one class: there is nothing to calibrate on");
    double high = (ones + 1) / (ones + 2), low = 1 / (zeros + 2);
    struct sums s = add_up(rows, high, low, a, b);
    for (int i = 0; i < STEPS && fabs(s.gradient_a) + fabs(s.gradient_b) > 1e-9 * (ones + zeros); i++) {
        double det = s.aa * s.bb - s.ab * s.ab;
        double da = -(s.bb * s.gradient_a - s.ab * s.gradient_b) / det;
        double db = -(s.aa * s.gradient_b - s.ab * s.gradient_a) / det, step = 1;
        int halvings = 0;
        struct sums next = add_up(rows, high, low, a + da, b + db);
        for (; !(next.value < s.value) && halvings < HALVINGS; halvings++) {
            step /= 2;
            next = add_up(rows, high, low, a + step * da, b + step * db);
        }
        if (halvings == HALVINGS) break;
        a += step * da;
        b += step * db;
        s = next;
    }
    if (!(a > 0) || !isfinite(b))
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "the scores do not rise with the labels: calibration would turn them");
    *ret_a = a;
    *ret_b = b;
    return LP_OK;
}
