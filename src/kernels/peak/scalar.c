/* Plain multiply and add, eight independent chains: what the baseline's instructions give. */
#include "kernels/peak/peak.h"

enum { CHAINS = 32, STEPS = 64 };

static uint64_t fma_rounds(uint64_t rounds)
{
    float chains[CHAINS];
    for (int c = 0; c < CHAINS; c++) chains[c] = (float)c;
    for (uint64_t r = 0; r < rounds * STEPS; r++) {
        for (int c = 0; c < CHAINS; c++) chains[c] = chains[c] * 0.5f + 1.0f;
        __asm__ volatile("" : "+m"(chains));
    }
    return rounds * STEPS * CHAINS * 2;
}

static float read_lines(const float *from, size_t bytes)
{
    float sums[16] = {0}, all = 0.0f;
    for (size_t i = 0; i + 16 <= bytes / sizeof *from; i += 16)
        for (size_t k = 0; k < 16; k++) sums[k] += from[i + k];
    for (size_t k = 0; k < 16; k++) all += sums[k];
    return all;
}

const struct lp_peak_kernel lp_peak_scalar = {"scalar", fma_rounds, read_lines, NULL};
