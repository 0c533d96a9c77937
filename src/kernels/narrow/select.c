#include "kernels/narrow/narrow.h"

uint32_t lp_narrow_kernels(const struct lp_cpu *cpu, const struct lp_narrow_kernel **ret_kernels, uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_NARROW_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_narrow_f64_##isa;
#include "kernels/narrow/kernels.inc"
#undef LP_NARROW_KERNEL
    return count;
}

lp_narrow_run *lp_narrow_select(const struct lp_cpu *cpu)
{
    const struct lp_narrow_kernel *best = &lp_narrow_f64_scalar;
    lp_narrow_kernels(cpu, &best, 1);
    return best->run;
}
