/*
 * Blocks with AVX2: the row's byte for each of 64 nodes comes from shuffles of 16-byte tables, two or four for up to 32
 * or 64 slots (a row beyond is left to others: the shuffles would outgrow the walk). Thresholds are searched 16 at a
 * time. No tails: tops and encoded rows are whole vectors. Exact: bytes compare as the values do (slots.h).
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

/* A shuffle takes the low 4 bits, or gives 0 where bit 7 is set: adding 0x70 with saturation sets it from 16 on. */
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

enum { EXITS_ROWS = 32 };

/* Which of 32 rows go right at a top's node i. */
static inline uint32_t rows_right(const struct lp_top *top, const uint8_t *columns, uint32_t i)
{
    __m256i bytes = _mm256_load_si256((const __m256i *)(const void *)(columns + EXITS_ROWS * (size_t)top->slot[i]));
    return at_least(bytes, _mm256_set1_epi8((char)top->rank[i]));
}

/* Bit by bit: right where `by` is set, else left. */
static inline uint32_t choose(uint32_t by, uint32_t left, uint32_t right) { return left ^ ((left ^ right) & by); }

static inline uint32_t choose_8(const uint32_t *by, const uint32_t *of)
{
    uint32_t low = choose(by[1], choose(by[2], of[0], of[1]), choose(by[2], of[2], of[3]));
    uint32_t high = choose(by[1], choose(by[2], of[4], of[5]), choose(by[2], of[6], of[7]));
    return choose(by[0], low, high);
}

/* Bit i of the mask in all bits of byte i. */
static inline __m256i spread_bits(uint32_t mask)
{
    const __m256i of_byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32((int)mask), of_byte);
    return _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
}

/* 32 rows through a top, bit-sliced as in vbmi.c. @param columns [slots][32 rows]; @param exits out, [32] */
static void exits_of_rows(const struct lp_top *top, const uint8_t *columns, uint8_t *exits)
{
#define RIGHT(i) rows_right(top, columns, (uint32_t)(i))
    uint32_t bit[LP_TOP_LEVELS], of[8];
    bit[0] = RIGHT(0);
    bit[1] = choose(bit[0], RIGHT(1), RIGHT(2));
    bit[2] = choose(bit[0], choose(bit[1], RIGHT(3), RIGHT(4)), choose(bit[1], RIGHT(5), RIGHT(6)));
#pragma GCC unroll 8
    for (int p = 0; p < 8; p++) of[p] = RIGHT(7 + 7 * p);
    bit[3] = choose_8(bit, of);
#pragma GCC unroll 8
    for (int p = 0; p < 8; p++) of[p] = choose(bit[3], RIGHT(8 + 7 * p), RIGHT(9 + 7 * p));
    bit[4] = choose_8(bit, of);
#pragma GCC unroll 8
    for (int p = 0; p < 8; p++)
        of[p] = choose(bit[3], choose(bit[4], RIGHT(10 + 7 * p), RIGHT(11 + 7 * p)),
                       choose(bit[4], RIGHT(12 + 7 * p), RIGHT(13 + 7 * p)));
    bit[5] = choose_8(bit, of);
#undef RIGHT
    __m256i exit = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int l = 0; l < LP_TOP_LEVELS; l++)
        exit = _mm256_or_si256(exit, _mm256_and_si256(spread_bits(bit[l]), _mm256_set1_epi8((char)(32 >> l))));
    _mm256_storeu_si256((__m256i *)(void *)exits, exit);
}

/* sums[i] += values[exits[i]] for 16 rows. */
static inline void add_floats(const float *values, const uint8_t *exits, float *sums)
{
    for (int i = 0; i < 16; i++) sums[i] += values[exits[i]];
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
