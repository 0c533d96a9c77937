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

const struct lp_dense_kernel *lp_dense_select(const struct lp_cpu *cpu, uint32_t in_width, uint32_t out_width)
{
    (void)in_width;
    (void)out_width;
    const struct lp_dense_kernel *best = NULL;
    return lp_dense_kernels(cpu, &best, 1) > 0 ? best : &lp_dense_f32_scalar;
}
