/*
 * Blocks with AVX2: the row's byte for each of 64 nodes comes from shuffles of
 * 16-byte tables, two or four for up to 32 or 64 slots (a row beyond is left to
 * others: the shuffles would outgrow the walk). Thresholds are searched 16 at a
 * time. No tails: tops and encoded rows are whole vectors. Exact: bytes compare
 * as the values do (slots.h).
 */
#include "kernels/trees/blocks.h"
#include "kernels/trees/trees_private.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

enum { table_bytes = 64 };

struct nodes {
    __m256i slot[2], rank[2];
};

static inline struct nodes nodes_load(const struct lp_top *top)
{
    const __m256i *slot = (const __m256i *)(const void *)top->slot, *rank = (const __m256i *)(const void *)top->rank;
    return (struct nodes){{slot[0], slot[1]}, {rank[0], rank[1]}};
}

/* A shuffle takes the low 4 bits, or gives 0 where bit 7 is set: adding 0x70
 * with saturation sets it from 16 on. */
static inline __attribute__((always_inline)) __m256i look_up(const uint8_t *row, __m256i slot)
{
    __m256i bytes = _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int t = 0; t < 4; t++) {
        __m256i table = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)(row + 16 * t)));
        __m256i at = _mm256_adds_epu8(_mm256_xor_si256(slot, _mm256_set1_epi8((char)(16 * t))), _mm256_set1_epi8(0x70));
        bytes = _mm256_or_si256(bytes, _mm256_shuffle_epi8(table, at));
    }
    return bytes;
}

static inline uint32_t at_least(__m256i bytes, __m256i rank)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(bytes, rank), bytes));
}

static inline uint64_t nodes_right(const struct nodes *nodes, const uint8_t *row, const uint32_t tables)
{
    (void)tables;
    return at_least(look_up(row, nodes->slot[0]), nodes->rank[0]) |
           (uint64_t)at_least(look_up(row, nodes->slot[1]), nodes->rank[1]) << 32;
}

static inline uint32_t small_right(const uint8_t *slots, const uint8_t *ranks, const uint8_t *row,
                                   const uint32_t tables)
{
    (void)tables;
    __m256i slot = _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)(const void *)slots));
    __m256i rank = _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)(const void *)ranks));
    return at_least(look_up(row, slot), rank) & (LP_PATTERNS - 1);
}

static inline uint32_t float_block(float x, const float *thresholds)
{
    __m256 value = _mm256_set1_ps(x);
    int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_load_ps(thresholds), value, _CMP_LE_OQ));
    int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_load_ps(thresholds + 8), value, _CMP_LE_OQ));
    return (uint32_t)__builtin_popcount((uint32_t)low | (uint32_t)high << 8);
}

static inline uint32_t double_block(double x, const double *thresholds)
{
    __m256d value = _mm256_set1_pd(x);
    uint32_t below = 0;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        __m256d some = _mm256_load_pd(thresholds + 4 * i);
        below |= (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(some, value, _CMP_LT_OQ)) << 4 * i;
    }
    return (uint32_t)__builtin_popcount(below);
}

#define RUN_TABLES(blocks, memory, from, count, stride, to, tables) \
    (void)(tables);                                                 \
    run_chunk(blocks, memory, from, count, stride, to, 1);
#define KERNEL lp_trees_avx2
#define KERNEL_NAME "avx2"
#define KERNEL_SLOTS 64
#include "kernels/trees/blocks.inc"
