/* The peaks are measurements: what can be told is that they are positive, ordered by level, and touch only their bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "guard.h"
#include "kernels/peak/peak.h"

enum { KERNELS_MAX = 8 };

static void every_kernel_counts_its_work(void **state)
{
    (void)state;
    const struct lp_peak_kernel *kernels[KERNELS_MAX];
    uint32_t count = lp_peak_kernels(lp_cpu_get(), kernels, KERNELS_MAX);
    struct guarded pages = guarded_new(8192);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(kernels[i]->fma(2) == 2 * kernels[i]->fma(1));
        if (kernels[i]->dot != NULL) assert_true(kernels[i]->dot(2) == 2 * kernels[i]->dot(1));
        for (size_t bytes = 64; bytes <= 2048; bytes += 64) {
            float *from = guarded_place(&pages, bytes, 1);
            for (size_t k = 0; k < bytes / sizeof *from; k++) from[k] = 1.0f;
            assert_true(kernels[i]->read(from, bytes) > 0.0f);
        }
    }
    guarded_free(&pages);
}

static void peaks_are_measured(void **state)
{
    (void)state;
    double gflops = lp_peak_gflops(lp_cpu_get(), 2000000), gbytes = lp_peak_read_gbytes(lp_cpu_get(), 16384, 2000000);
    printf("%.1f GFLOP/s, %.1f GB/s from 16 KiB\n", gflops, gbytes);
    assert_true(gflops > 0.01 && gflops < 1e5);
    double gops = lp_peak_int8_gops(lp_cpu_get(), 2000000);
    assert_true(gops < 1e6 && (gops > gflops || !lp_cpu_get()->vnni));
    assert_true(gbytes > 0.01 && gbytes < 1e5);
    assert_true(lp_peak_read_gbytes(lp_cpu_get(), SIZE_MAX - 1, 1) == 0.0);
    assert_true(lp_peak_read_gbytes(lp_cpu_get(), 0, 1) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_counts_its_work),
        cmocka_unit_test(peaks_are_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
