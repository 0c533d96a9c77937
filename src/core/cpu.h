/* CPU features that kernels may use, after LEPTON_CPU_DISABLE and what the system saves (XCR0). */
#ifndef LP_CORE_CPU_H
#define LP_CORE_CPU_H

#include <stdbool.h>

struct lp_cpu {
    bool avx2;     /* AVX2, FMA, BMI2 and F16C */
    bool avx512;   /* F, BW, DQ, VL */
    bool vnni;     /* AVX-512 VNNI */
    bool vbmi;     /* AVX-512 VBMI */
    bool bf16;     /* AVX-512 BF16 */
    bool avxvnni;  /* the VEX form of VNNI, on CPUs without AVX-512 too */
    bool amx_int8; /* tiles that the system saves and has granted; false unless built with -DLEPTON_AMX=ON */
    bool amx_bf16; /* the same */
    bool neon;     /* every 64-bit ARM */
};

/**
 * Detected once; the environment's LEPTON_CPU_DISABLE=avx512,avx2,vnni,vbmi,bf16,avxvnni,amx,neon masks (a lower level
 * takes the higher ones along). From CPUID's bits, never from family and model: a hypervisor may report another model.
 */
const struct lp_cpu *lp_cpu_get(void);

/** "avx512", "avx2", "neon" or "baseline": the level for version output and logs. */
const char *lp_cpu_level(void);

#endif
