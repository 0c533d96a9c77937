/*
 * What this core does at its best: the ceiling that `bench` compares with. Each measures for about budget_ns (a few
 * milliseconds are enough) and returns the best of its rounds, by the thread's CPU time: other processes make the
 * figure lower, never higher.
 */
#ifndef LP_KERNELS_PEAK_H
#define LP_KERNELS_PEAK_H

#include "core/cpu.h"

#include <stddef.h>
#include <stdint.h>

struct lp_peak_kernel {
    const char *name;
    /** `rounds` rounds of independent fused multiply-adds in registers; @return floating point operations done. */
    uint64_t (*fma)(uint64_t rounds);
    /** Read whole 64-byte lines. @return a value that depends on all of them */
    float (*read)(const float *from, size_t bytes);
    /** The same of products of bytes summed in int32; NULL where the instruction set has none. */
    uint64_t (*dot)(uint64_t rounds);
};

#define LP_PEAK_KERNEL(isa, usable) extern const struct lp_peak_kernel lp_peak_##isa;
#include "kernels/peak/kernels.inc"
#undef LP_PEAK_KERNEL

/** Kernels this CPU can run, best first, the scalar one last. */
uint32_t lp_peak_kernels(const struct lp_cpu *cpu, const struct lp_peak_kernel **ret_kernels, uint32_t kernels_max);

/** Billions of float operations a second (a fused multiply-add is two). */
double lp_peak_gflops(const struct lp_cpu *cpu, uint64_t budget_ns);

/** Billions of operations a second on bytes (a product and its sum are two) by AVX-512 VNNI; 0 without it. Tiles (AMX)
 * reach more. */
double lp_peak_int8_gops(const struct lp_cpu *cpu, uint64_t budget_ns);

/** Gigabytes (10^9) a second when `bytes` bytes are read again and again; 0 when they cannot be allocated. */
double lp_peak_read_gbytes(const struct lp_cpu *cpu, size_t bytes, uint64_t budget_ns);

#endif
