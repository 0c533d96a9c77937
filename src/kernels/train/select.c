#include "kernels/train/train.h"

uint32_t lp_train_kernels(const struct lp_cpu *cpu, const struct lp_train_kernel **ret_kernels, uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_TRAIN_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_train_f32_##isa;
#include "kernels/train/kernels.inc"
#undef LP_TRAIN_KERNEL
    return count;
}

const struct lp_train_kernel *lp_train_select(const struct lp_cpu *cpu)
{
    const struct lp_train_kernel *best = &lp_train_f32_scalar;
    lp_train_kernels(cpu, &best, 1);
    return best;
}
