#include "kernels/matmul/matmul.h"

uint32_t lp_matmul_kernels(const struct lp_cpu *cpu, const struct lp_matmul_kernel **ret_kernels, uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_MATMUL_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_matmul_f32_##isa;
#include "kernels/matmul/kernels.inc"
#undef LP_MATMUL_KERNEL
    return count;
}

const struct lp_matmul_kernel *lp_matmul_select(const struct lp_cpu *cpu)
{
    const struct lp_matmul_kernel *best = &lp_matmul_f32_scalar;
    lp_matmul_kernels(cpu, &best, 1);
    return best;
}
