#include "kernels/pool/pool.h"

uint32_t lp_pool2d_kernels(const struct lp_cpu *cpu, const struct lp_pool2d_kernel **ret_kernels, uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_POOL2D_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_pool2d_f32_##isa;
#include "kernels/pool/kernels.inc"
#undef LP_POOL2D_KERNEL
    return count;
}

const struct lp_pool2d_kernel *lp_pool2d_select(const struct lp_cpu *cpu)
{
    const struct lp_pool2d_kernel *best = &lp_pool2d_f32_scalar;
    lp_pool2d_kernels(cpu, &best, 1);
    return best;
}
