/* The thread's rule for denormal floats: they cost a dense kernel ten times its time, and they decide trees' branches.
 */
#ifndef LP_CORE_DENORMALS_H
#define LP_CORE_DENORMALS_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>

enum { LP_DENORMALS_FLUSHED = 0x8040 }; /* FTZ and DAZ of MXCSR */

/** The mode to set again later. */
static inline uint32_t lp_denormals_mode(void) { return _mm_getcsr(); }

/** `mode`, and with `flush` denormal results are zero and denormal inputs read as zero. */
static inline void lp_denormals_set(uint32_t mode, bool flush)
{
    _mm_setcsr(flush ? mode | LP_DENORMALS_FLUSHED : mode);
}
#else
static inline uint32_t lp_denormals_mode(void) { return 0; }
static inline void lp_denormals_set(uint32_t mode, bool flush)
{
    (void)mode;
    (void)flush;
}
#endif

#endif
