/* Row-major sgemm by the definition, in place of OpenBLAS in a cross build; the tests compare the packed kernels. */
#ifndef NEON_CBLAS_H
#define NEON_CBLAS_H

#include <stddef.h>

enum { CblasRowMajor, CblasNoTrans };

static inline void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a,
                               int lda, const float *b, int ldb, float beta, float *c, int ldc)
{
    (void)order, (void)trans_a, (void)trans_b;
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            float sum = beta * c[(size_t)i * (size_t)ldc + (size_t)j];
            for (int p = 0; p < k; p++)
                sum += alpha * a[(size_t)i * (size_t)lda + (size_t)p] * b[(size_t)p * (size_t)ldb + (size_t)j];
            c[(size_t)i * (size_t)ldc + (size_t)j] = sum;
        }
    }
}
static inline char *openblas_get_config(void) { return (char *)(size_t) "stand-in"; }
static inline int openblas_get_parallel(void) { return 1; }
static inline void openblas_set_num_threads(int count) { (void)count; }

#endif
