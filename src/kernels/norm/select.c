#include "kernels/norm/norm.h"

uint32_t lp_norm_kernels(const struct lp_cpu *cpu, const struct lp_norm_kernel **ret_kernels, uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_NORM_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_norm_f32_##isa;
#include "kernels/norm/kernels.inc"
#undef LP_NORM_KERNEL
    return count;
}

const struct lp_norm_kernel *lp_norm_select(const struct lp_cpu *cpu)
{
    const struct lp_norm_kernel *best = &lp_norm_f32_scalar;
    lp_norm_kernels(cpu, &best, 1);
    return best;
}
