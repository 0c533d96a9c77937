/* As AVX-512, and chains of vpdpbusd in registers: four products and sums of bytes a lane. */
#include "kernels/peak/lanes.inc"

static uint64_t dot_rounds(uint64_t rounds)
{
    __m512i chains[CHAINS], bytes = _mm512_set1_epi8(1);
#pragma GCC unroll 8
    for (int c = 0; c < CHAINS; c++) chains[c] = _mm512_set1_epi32(c);
    for (uint64_t r = 0; r < rounds * STEPS; r++) {
#pragma GCC unroll 8
        for (int c = 0; c < CHAINS; c++) {
            chains[c] = _mm512_dpbusd_epi32(chains[c], bytes, bytes);
            __asm__ volatile("" : "+v"(chains[c])); /* the value is wanted: nothing is folded */
        }
    }
    return rounds * STEPS * CHAINS * LANES * 4 * 2;
}

const struct lp_peak_kernel lp_peak_vnni = {"vnni", fma_rounds, read_lines, dot_rounds};
