#include "kernels/activation/activation.h"

enum { KERNELS_MAX = 8 };

uint32_t lp_activation_kernels(const struct lp_cpu *cpu, const struct lp_activation_kernel **ret_kernels,
                               uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_ACTIVATION_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_activation_f32_##isa;
#include "kernels/activation/kernels.inc"
#undef LP_ACTIVATION_KERNEL
    return count;
}

lp_activation_run *lp_activation_select(const struct lp_cpu *cpu, enum lp_activation_kind kind, const char **ret_name)
{
    const struct lp_activation_kernel *kernels[KERNELS_MAX] = {&lp_activation_f32_scalar};
    uint32_t count = lp_activation_kernels(cpu, kernels, KERNELS_MAX), i = 0;
    while (i + 1 < count && kernels[i]->run[kind] == NULL) i++;
    if (ret_name != NULL) *ret_name = kernels[i]->name;
    return kernels[i]->run[kind];
}

lp_softmax_run *lp_softmax_select(const struct lp_cpu *cpu)
{
    const struct lp_activation_kernel *best = &lp_activation_f32_scalar;
    lp_activation_kernels(cpu, &best, 1);
    return best->softmax;
}

lp_softmax_run *lp_log_softmax_select(const struct lp_cpu *cpu)
{
    const struct lp_activation_kernel *kernels[KERNELS_MAX] = {&lp_activation_f32_scalar};
    uint32_t count = lp_activation_kernels(cpu, kernels, KERNELS_MAX), i = 0;
    while (i + 1 < count && kernels[i]->log_softmax == NULL) i++;
    return kernels[i]->log_softmax;
}
