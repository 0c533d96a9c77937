#include "kernels/dense_bf16/dense_bf16.h"

uint32_t lp_dense_bf16_kernels(const struct lp_cpu *cpu, const struct lp_dense_bf16_kernel **ret_kernels,
                               uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_DENSE_BF16_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_dense_bf16_##isa;
#include "kernels/dense_bf16/kernels.inc"
#undef LP_DENSE_BF16_KERNEL
    return count;
}

const struct lp_dense_bf16_kernel *lp_dense_bf16_select(const struct lp_cpu *cpu)
{
    const struct lp_dense_bf16_kernel *best = &lp_dense_bf16_scalar;
    lp_dense_bf16_kernels(cpu, &best, 1);
    return best;
}
