#include "kernels/dense_i8/dense_i8.h"

uint32_t lp_dense_i8_kernels(const struct lp_cpu *cpu, const struct lp_dense_i8_kernel **ret_kernels,
                             uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_DENSE_I8_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_dense_i8_##isa;
#include "kernels/dense_i8/kernels.inc"
#undef LP_DENSE_I8_KERNEL
    return count;
}

const struct lp_dense_i8_kernel *lp_dense_i8_select(const struct lp_cpu *cpu)
{
    const struct lp_dense_i8_kernel *best = &lp_dense_i8_scalar;
    lp_dense_i8_kernels(cpu, &best, 1);
    return best;
}
