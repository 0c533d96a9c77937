/*
 * Blocks with AVX-512 and VBMI: a byte permutation looks up the row's byte for
 * each of 64 nodes, one compare gives the mask. A row of up to 64 slots is one
 * table, 128 two, 256 four. Thresholds are searched 16 at a time. No tails:
 * tops and encoded rows are whole vectors. Exact: bytes compare as the values
 * do (slots.h).
 */
#include "kernels/trees/blocks.h"
#include "kernels/trees/trees_private.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

enum { table_bytes = 64 };

struct nodes {
    __m512i slot, rank;
};

static inline struct nodes nodes_load(const struct lp_top *top)
{
    return (struct nodes){_mm512_load_si512(top->slot), _mm512_load_si512(top->rank)};
}

static inline __attribute__((always_inline)) __m512i look_up(const uint8_t *row, __m512i slot, const uint32_t tables)
{
    const __m512i *table = (const __m512i *)(const void *)row;
    if (tables == 1) return _mm512_permutexvar_epi8(slot, table[0]);
    __m512i low = _mm512_permutex2var_epi8(table[0], slot, table[1]);
    if (tables == 2) return low;
    __m512i high = _mm512_permutex2var_epi8(table[2], slot, table[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(slot), low, high);
}

static inline __attribute__((always_inline)) uint64_t nodes_right(const struct nodes *nodes, const uint8_t *row,
                                                                  const uint32_t tables)
{
    return _cvtmask64_u64(_mm512_cmpge_epu8_mask(look_up(row, nodes->slot, tables), nodes->rank));
}

static inline __attribute__((always_inline)) uint32_t small_right(const uint8_t *slots, const uint8_t *ranks,
                                                                  const uint8_t *row, const uint32_t tables)
{
    __m512i slot = _mm512_castsi128_si512(_mm_loadl_epi64((const __m128i *)(const void *)slots));
    __m128i rank = _mm_loadl_epi64((const __m128i *)(const void *)ranks);
    __m128i bytes = _mm512_castsi512_si128(look_up(row, slot, tables));
    return _cvtmask16_u32(_mm_cmpge_epu8_mask(bytes, rank)) & (LP_PATTERNS - 1);
}

static inline uint32_t float_block(float x, const float *thresholds)
{
    __mmask16 below = _mm512_cmp_ps_mask(_mm512_load_ps(thresholds), _mm512_set1_ps(x), _CMP_LE_OQ);
    return (uint32_t)__builtin_popcount(below);
}

static inline uint32_t double_block(double x, const double *thresholds)
{
    __m512d value = _mm512_set1_pd(x);
    __mmask8 low = _mm512_cmp_pd_mask(_mm512_load_pd(thresholds), value, _CMP_LT_OQ);
    __mmask8 high = _mm512_cmp_pd_mask(_mm512_load_pd(thresholds + 8), value, _CMP_LT_OQ);
    return (uint32_t)__builtin_popcount((uint32_t)low | (uint32_t)high << 8);
}

#define RUN_TABLES(blocks, memory, from, count, stride, to, tables)                \
    if ((tables) == 1) run_chunk(blocks, memory, from, count, stride, to, 1);      \
    else if ((tables) == 2) run_chunk(blocks, memory, from, count, stride, to, 2); \
    else run_chunk(blocks, memory, from, count, stride, to, 4);
#define KERNEL lp_trees_vbmi
#define KERNEL_NAME "vbmi"
#define KERNEL_SLOTS LP_SLOTS_MAX
#include "kernels/trees/blocks.inc"
