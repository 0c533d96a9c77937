/* CPU features that kernels may use, after LEPTON_CPU_DISABLE and what the system saves (XCR0). */
#ifndef LP_CORE_CPU_H
#define LP_CORE_CPU_H

#include <stdbool.h>

struct lp_cpu {
    bool avx2;   /* AVX2, FMA and BMI2 */
    bool avx512; /* F, BW, DQ, VL */
    bool vnni;   /* AVX-512 VNNI */
    bool vbmi;   /* AVX-512 VBMI */
};

/** Detected once; the environment's LEPTON_CPU_DISABLE=avx512,avx2,vnni,vbmi masks (a lower level takes the higher ones
 * along). */
const struct lp_cpu *lp_cpu_get(void);

/** "avx512", "avx2" or "baseline": the level for version output and logs. */
const char *lp_cpu_level(void);

#endif
