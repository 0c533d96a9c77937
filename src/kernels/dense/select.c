#include "kernels/dense/dense.h"

uint32_t lp_dense_kernels(const struct lp_cpu *cpu, const struct lp_dense_kernel **ret_kernels, uint32_t kernels_max)
{
    uint32_t count = 0;
#define LP_DENSE_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_dense_f32_##isa;
#include "kernels/dense/kernels.inc"
#undef LP_DENSE_KERNEL
    (void)cpu;
    return count;
}

/*
 * The first kernel that runs here, whatever the shape and the batch. Measured (tests/bench/networks and layers of 10x1
 * to 1024x512 at 1 to 256 rows): the packed kernels are 1.1 to 5 times as fast as OpenBLAS, which wins by 5 to 15 %
 * only at two rows of a long, narrow layer (784x32), and below AVX2 OpenBLAS is as fast as the scalar kernel or up to
 * 100 times as fast. One kernel for every batch size is also what keeps a row's bits independent of its batch.
 */
const struct lp_dense_kernel *lp_dense_select(const struct lp_cpu *cpu)
{
    const struct lp_dense_kernel *best = &lp_dense_f32_scalar;
    lp_dense_kernels(cpu, &best, 1);
    return best;
}
