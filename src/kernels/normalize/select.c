#include "kernels/normalize/normalize.h"

uint32_t lp_normalize_kernels(const struct lp_cpu *cpu, const struct lp_normalize_kernel **ret_kernels,
                              uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_NORMALIZE_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_normalize_f64_##isa;
#include "kernels/normalize/kernels.inc"
#undef LP_NORMALIZE_KERNEL
    return count;
}

const struct lp_normalize_kernel *lp_normalize_select(const struct lp_cpu *cpu)
{
    const struct lp_normalize_kernel *best = &lp_normalize_f64_scalar;
    lp_normalize_kernels(cpu, &best, 1);
    return best;
}
