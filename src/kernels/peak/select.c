#include "kernels/peak/peak.h"

uint32_t lp_peak_kernels(const struct lp_cpu *cpu, const struct lp_peak_kernel **ret_kernels, uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_PEAK_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_peak_##isa;
#include "kernels/peak/kernels.inc"
#undef LP_PEAK_KERNEL
    return count;
}
