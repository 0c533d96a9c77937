#include "kernels/conv2d/conv2d.h"

uint32_t lp_conv2d_kernels(const struct lp_cpu *cpu, const struct lp_conv2d_kernel **ret_kernels, uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_CONV2D_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_conv2d_f32_##isa;
#include "kernels/conv2d/kernels.inc"
#undef LP_CONV2D_KERNEL
    return count;
}

const struct lp_conv2d_kernel *lp_conv2d_select(const struct lp_cpu *cpu)
{
    const struct lp_conv2d_kernel *best = &lp_conv2d_f32_scalar;
    lp_conv2d_kernels(cpu, &best, 1);
    return best;
}
