#include "kernels/bins/bins.h"

uint32_t lp_bins_kernels(const struct lp_cpu *cpu, const struct lp_bins_kernel **ret_kernels, uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_BINS_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_bins_f64_##isa;
#include "kernels/bins/kernels.inc"
#undef LP_BINS_KERNEL
    return count;
}

lp_bins_run *lp_bins_select(const struct lp_cpu *cpu)
{
    const struct lp_bins_kernel *best = &lp_bins_f64_scalar;
    lp_bins_kernels(cpu, &best, 1);
    return best->run;
}
