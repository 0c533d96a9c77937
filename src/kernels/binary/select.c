#include "kernels/binary/binary.h"

enum { KERNELS_MAX = 8 };

uint32_t lp_binary_kernels(const struct lp_cpu *cpu, const struct lp_binary_kernel **ret_kernels, uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_BINARY_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_binary_f32_##isa;
#include "kernels/binary/kernels.inc"
#undef LP_BINARY_KERNEL
    return count;
}

lp_binary_run *lp_binary_select(const struct lp_cpu *cpu, enum lp_binary_kind kind, const char **ret_name)
{
    const struct lp_binary_kernel *kernels[KERNELS_MAX] = {&lp_binary_f32_scalar};
    uint32_t count = lp_binary_kernels(cpu, kernels, KERNELS_MAX), i = 0;
    while (i + 1 < count && kernels[i]->run[kind] == NULL) i++;
    if (ret_name != NULL) *ret_name = kernels[i]->name;
    return kernels[i]->run[kind];
}
