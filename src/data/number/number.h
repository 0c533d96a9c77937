/* Fields of a CSV row as numbers, many at a time. Private to data/. */
#ifndef LP_DATA_NUMBER_H
#define LP_DATA_NUMBER_H

#include "core/cpu.h"
#include "data/private.h"

/**
 * numbers[i] of fields[columns[i]]; NaN where the field is empty or columns[i] is -1.
 *
 * @param fields  each readable up to its end + LP_BYTES_PADDING
 * @return how many were set: below `count` the next one is left to lp_data_number, which may say that it is none
 */
typedef uint32_t (*lp_csv_numbers)(const struct lp_csv_field *fields, const int32_t *columns, uint32_t count,
                                   double *numbers);

uint32_t lp_csv_numbers_scalar(const struct lp_csv_field *fields, const int32_t *columns, uint32_t count,
                               double *numbers);
#ifdef __x86_64__
/* AVX2: up to 16 characters with two shuffles and three multiply-adds, about 3 ns. The same bits as the scalar one. */
uint32_t lp_csv_numbers_avx2(const struct lp_csv_field *fields, const int32_t *columns, uint32_t count,
                             double *numbers);
#endif

static inline lp_csv_numbers lp_csv_numbers_select(const struct lp_cpu *cpu)
{
#ifdef __x86_64__
    if (cpu->avx2) return lp_csv_numbers_avx2;
#endif
    (void)cpu;
    return lp_csv_numbers_scalar;
}

#endif
