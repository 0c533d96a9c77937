/*
 * Nanoseconds of the small parts beside the networks: cleaning a record, binning a column, an activation a value.
 *
 *     bench_stages [--quick]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clean/clean.h"
#include "core/clock.h"
#include "core/cpu.h"
#include "kernels/activation/activation.h"
#include "kernels/bins/bins.h"

enum { FEATURES_MAX = 64, VALUES = 4096, OBSERVED_MAX = 1040, KERNELS_MAX = 8 };

static int repeats = 20;
static uint32_t calls = 20000;

static void fill_feature(struct lp_feature *f, uint32_t i)
{
    *f = (struct lp_feature){.name = "f",
                             .from = "f",
                             .kind = LP_FEATURE_NUMBER,
                             .width = 1,
                             .missing = LP_MISSING_MEAN,
                             .missing_value = 0.5,
                             .outlier = LP_OUTLIER_CLIP,
                             .low = -4,
                             .high = 4,
                             .normalize = LP_NORMALIZE_ZSCORE,
                             .center = 0.5,
                             .scale = 1.7,
                             .column = i,
                             .column_count = 1};
}

/* One record of `feature_count` numbers, `missing` of them NaN; or one vector of that width. */
static int bench_clean(const char *name, uint32_t feature_count, uint32_t width, uint32_t missing, uint32_t stride)
{
    struct lp_feature features[FEATURES_MAX];
    uint32_t slots[FEATURES_MAX], missing_count = 0;
    struct lp_clean_counts counts[FEATURES_MAX] = {0};
    static double numbers[VALUES], row[VALUES], observed[FEATURES_MAX * OBSERVED_MAX];
    struct lp_bundle bundle = {
        .feature_count = feature_count, .features = features, .column_count = feature_count * width};
    struct lp_cleaner *cleaner;
    struct lp_error err;
    for (uint32_t i = 0; i < feature_count; i++) {
        fill_feature(&features[i], i);
        slots[i] = i;
        if (width == 1) continue;
        features[i].kind = LP_FEATURE_VECTOR;
        features[i].width = features[i].column_count = width;
    }
    for (uint32_t i = 0; i < bundle.column_count; i++) numbers[i] = i < missing ? NAN : drand48();
    if (lp_cleaner_new(&bundle, slots, &cleaner, &err) != LP_OK) return 1;
    double best = 1e99;
    for (int r = 0; r < repeats; r++) {
        uint64_t start = lp_clock_ns();
        for (uint32_t i = 0; i < calls; i++)
            if (lp_cleaner_run(cleaner, numbers, NULL, row, observed + i % 256, stride, counts, &missing_count, &err) !=
                LP_OK)
                return 1;
        best = fmin(best, (double)(lp_clock_ns() - start) / calls);
    }
    printf("clean %-28s %8.1f ns a record\n", name, best);
    lp_cleaner_free(cleaner);
    /* The last value is never missing: the formula's bits. */
    uint32_t last = bundle.column_count - 1;
    return row[last] != (numbers[last] - 0.5) / 1.7 || missing_count != missing;
}

static int bench_bins(uint32_t rows, uint32_t edge_count)
{
    const struct lp_bins_kernel *kernels[KERNELS_MAX];
    uint32_t kernel_count = lp_bins_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    static double x[VALUES], edges[256];
    static uint64_t counts[KERNELS_MAX][256];
    for (uint32_t r = 0; r < rows; r++) x[r] = drand48();
    for (uint32_t e = 0; e < edge_count; e++) edges[e] = (e + 1.0) / (edge_count + 1.0);
    for (uint32_t k = 0; k < kernel_count; k++) {
        double best = 1e99;
        for (int r = 0; r < repeats; r++) {
            uint64_t count = 0, start = lp_clock_ns();
            memset(counts[k], 0, sizeof counts[k]);
            for (uint32_t i = 0; i < calls / 20; i++) kernels[k]->run(x, rows, edges, edge_count, counts[k], &count);
            best = fmin(best, (double)(lp_clock_ns() - start) / (calls / 20) / rows);
        }
        printf("bins %-8s %4u rows %3u edges      %8.2f ns a value\n", kernels[k]->name, rows, edge_count, best);
    }
    return memcmp(counts[0], counts[kernel_count - 1], sizeof counts[0]) != 0;
}

static int bench_activation(enum lp_activation_kind kind, const char *name)
{
    const struct lp_activation_kernel *kernels[KERNELS_MAX];
    uint32_t kernel_count = lp_activation_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    static float x[VALUES], y[2][VALUES];
    for (int i = 0; i < VALUES; i++) x[i] = (float)drand48() * 8 - 4;
    for (uint32_t k = 0; k < kernel_count; k++) {
        if (kernels[k]->run[kind] == NULL) continue;
        double best = 1e99;
        for (int r = 0; r < repeats; r++) {
            uint64_t start = lp_clock_ns();
            for (uint32_t i = 0; i < calls / 200; i++)
                kernels[k]->run[kind](x, VALUES, 1.0f, 1.0f, y[k + 1 == kernel_count]);
            best = fmin(best, (double)(lp_clock_ns() - start) / (calls / 200) / VALUES);
        }
        printf("%-10s %-8s                   %8.2f ns a value\n", name, kernels[k]->name, best);
    }
    for (int i = 0; kernels[0]->run[kind] != NULL && kernel_count > 1 && i < VALUES; i++)
        if (!(fabsf(y[0][i] - y[1][i]) <= 1e-6f)) return 1;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--quick") == 0) {
        repeats = 1;
        calls = 400;
    }
    printf("cpu level %s\n", lp_cpu_level());
    int failed = bench_clean("10 numbers", 10, 1, 0, 264) | bench_clean("10 numbers, 1 missing", 10, 1, 1, 264) |
                 bench_clean("10 numbers, stride 256", 10, 1, 0, 256) |
                 bench_clean("10 numbers, stride 1024", 10, 1, 0, 1024) | bench_clean("64 numbers", 64, 1, 0, 264) |
                 bench_clean("64 numbers, stride 256", 64, 1, 0, 256) |
                 bench_clean("64 numbers, stride 1024", 64, 1, 0, 1024) |
                 bench_clean("64 numbers, stride 1032", 64, 1, 0, 1032) | bench_clean("vector of 784", 1, 784, 0, 264);
    failed |= bench_bins(256, 10) | bench_bins(64, 10) | bench_bins(256, 64) | bench_bins(256, 200);
    failed |= bench_activation(LP_ACT_TANH, "tanh") | bench_activation(LP_ACT_SIGMOID, "sigmoid") |
              bench_activation(LP_ACT_GELU, "gelu") | bench_activation(LP_ACT_SOFTPLUS, "softplus");
    if (failed) fprintf(stderr, "bench_stages: kernels disagree\n");
    return failed;
}
