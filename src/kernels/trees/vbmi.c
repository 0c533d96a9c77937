/*
 * Blocks with AVX-512 and VBMI: a byte permutation looks up the row's byte for each of 64 nodes, one compare gives the
 * mask. A row of up to 64 slots is one table, 128 two, 256 four. Thresholds are searched 16 at a time. No tails: tops
 * and encoded rows are whole vectors. Exact: bytes compare as the values do (slots.h).
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

enum { EXITS_ROWS = 64 };

/* Which of 64 rows go right at a top's node i. */
static inline __attribute__((always_inline)) uint64_t rows_right(const struct lp_top *top, const uint8_t *columns,
                                                                 uint32_t i)
{
    __m512i bytes = _mm512_load_si512(columns + EXITS_ROWS * (size_t)top->slot[i]);
    return _cvtmask64_u64(_mm512_cmpge_epu8_mask(bytes, _mm512_set1_epi8((char)top->rank[i])));
}

/* Bit by bit: right where `by` is set, else left. */
static inline uint64_t choose(uint64_t by, uint64_t left, uint64_t right) { return left ^ ((left ^ right) & by); }

static inline uint64_t choose_8(const uint64_t *by, const uint64_t *of)
{
    uint64_t low = choose(by[1], choose(by[2], of[0], of[1]), choose(by[2], of[2], of[3]));
    uint64_t high = choose(by[1], choose(by[2], of[4], of[5]), choose(by[2], of[6], of[7]));
    return choose(by[0], low, high);
}

/*
 * 64 rows through a top, bit-sliced: a compare gives a node's mask of rows, multiplexers bring the mask of the node
 * that each row is at to the front, level by level; level l's mask is bit 5 - l of the rows' exits.
 * @param columns [slots][64 rows]; @param exits out, [64]
 */
static void exits_of_rows(const struct lp_top *top, const uint8_t *columns, uint8_t *exits)
{
#define RIGHT(i) rows_right(top, columns, (uint32_t)(i))
    uint64_t bit[LP_TOP_LEVELS], of[8];
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
    __m512i exit = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int l = 0; l < LP_TOP_LEVELS; l++)
        exit = _mm512_mask_add_epi8(exit, _cvtu64_mask64(bit[l]), exit, _mm512_set1_epi8((char)(32 >> l)));
    _mm512_storeu_si512(exits, exit);
}

/* sums[i] += values[exits[i]] for 16 rows; values: [64], in registers. */
static inline __attribute__((always_inline)) void add_floats(const float *values, const uint8_t *exits, float *sums)
{
    __m512i exit = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)exits));
    __m512 low = _mm512_permutex2var_ps(_mm512_load_ps(values), exit, _mm512_load_ps(values + 16));
    __m512 high = _mm512_permutex2var_ps(_mm512_load_ps(values + 32), exit, _mm512_load_ps(values + 48));
    __mmask16 upper = _mm512_test_epi32_mask(exit, _mm512_set1_epi32(32));
    _mm512_storeu_ps(sums, _mm512_add_ps(_mm512_loadu_ps(sums), _mm512_mask_blend_ps(upper, low, high)));
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
