/* Bin kernels against one comparison a value and edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "guard.h"
#include "kernels/bins/bins.h"

enum { KERNELS_MAX = 8, ROWS_MAX = 600, EDGES_MAX = 200 };

static const struct lp_bins_kernel *kernels[KERNELS_MAX];
static uint32_t kernel_count;

static double random_value(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    static const double special[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, DBL_TRUE_MIN, -DBL_TRUE_MIN, 5.0};
    if (state % 11 < 3) return special[(state >> 20) % 8];
    return (double)((state >> 30) % 200) / 4.0 - 10.0; /* often equal to an edge */
}

static void fill_edges(double *edges, uint32_t count)
{
    for (uint32_t e = 0; e < count; e++) edges[e] = -9.0 + (double)(e / 2) * 0.5; /* each twice: ties are legal */
    if (count > 3) edges[0] = -INFINITY;
    if (count > 4) edges[count - 1] = INFINITY;
}

static void check(const struct lp_bins_kernel *kernel, const double *x, uint32_t rows, const double *edges,
                  uint32_t edge_count, uint64_t *counts)
{
    uint64_t want[EDGES_MAX], numbers = 3, got = 3;
    for (uint32_t e = 0; e < edge_count; e++) {
        counts[e] = want[e] = 1000 - e; /* what an earlier call left */
        for (uint32_t r = 0; r < rows; r++) want[e] += x[r] >= edges[e];
    }
    for (uint32_t r = 0; r < rows; r++) numbers += isnan(x[r]) ? 0 : 1;
    kernel->run(x, rows, edges, edge_count, counts, &got);
    if (got != numbers)
        fail_msg("%s: %u rows: %lu numbers, want %lu", kernel->name, rows, (unsigned long)got, (unsigned long)numbers);
    for (uint32_t e = 0; e < edge_count; e++)
        if (counts[e] != want[e])
            fail_msg("%s: %u rows, edge %u of %u: %lu, want %lu", kernel->name, rows, e, edge_count, counts[e],
                     want[e]);
}

static void counts_are_exact_at_every_length_and_place(void **state)
{
    (void)state;
    struct guarded values = guarded_new(sizeof(double) * ROWS_MAX), borders = guarded_new(sizeof(double) * EDGES_MAX),
                   totals = guarded_new(sizeof(uint64_t) * EDGES_MAX);
    static const uint32_t lengths[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 100, 599, 600};
    for (uint32_t i = 0; i < kernel_count; i++) {
        for (uint32_t edge_count = 0; edge_count <= 70; edge_count++) {
            for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++) {
                int at_end = (edge_count + n) % 2 == 0;
                double *x = guarded_place(&values, sizeof(double) * lengths[n], at_end);
                double *edges = guarded_place(&borders, sizeof(double) * edge_count, at_end);
                uint64_t *counts = guarded_place(&totals, sizeof(uint64_t) * edge_count, at_end);
                for (uint32_t r = 0; r < lengths[n]; r++) x[r] = random_value();
                fill_edges(edges, edge_count);
                check(kernels[i], x, lengths[n], edges, edge_count, counts);
            }
        }
    }
    guarded_free(&values);
    guarded_free(&borders);
    guarded_free(&totals);
}

static void many_edges_are_exact(void **state)
{
    (void)state;
    static double x[ROWS_MAX], edges[EDGES_MAX];
    static uint64_t counts[EDGES_MAX];
    fill_edges(edges, EDGES_MAX);
    for (uint32_t r = 0; r < ROWS_MAX; r++) x[r] = random_value();
    for (uint32_t i = 0; i < kernel_count; i++) check(kernels[i], x, ROWS_MAX, edges, EDGES_MAX, counts);
}

int main(void)
{
    kernel_count = lp_bins_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_exact_at_every_length_and_place),
        cmocka_unit_test(many_edges_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
