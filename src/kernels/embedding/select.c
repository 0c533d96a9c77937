#include "kernels/embedding/embedding.h"

uint32_t lp_embedding_kernels(const struct lp_cpu *cpu, const struct lp_embedding_kernel **ret_kernels,
                              uint32_t kernels_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_EMBEDDING_KERNEL(isa, usable) \
    if ((usable) && count < kernels_max) ret_kernels[count++] = &lp_embedding_##isa;
#include "kernels/embedding/kernels.inc"
#undef LP_EMBEDDING_KERNEL
    return count;
}

const struct lp_embedding_kernel *lp_embedding_select(const struct lp_cpu *cpu)
{
    const struct lp_embedding_kernel *best = &lp_embedding_scalar;
    lp_embedding_kernels(cpu, &best, 1);
    return best;
}
