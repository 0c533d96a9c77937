#include "kernels/peak/peak.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE = 64 };

static uint64_t cpu_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const struct lp_peak_kernel *best_kernel(const struct lp_cpu *cpu)
{
    const struct lp_peak_kernel *best = &lp_peak_scalar;
    lp_peak_kernels(cpu, &best, 1);
    return best;
}

static double rate_of(uint64_t (*work)(uint64_t rounds), uint64_t budget_ns)
{
    enum { ROUNDS = 200 };
    double best = 0.0;
    for (uint64_t begin = cpu_now_ns(), start = begin, end; start - begin <= budget_ns; start = end) {
        uint64_t done = work(ROUNDS);
        end = cpu_now_ns();
        double rate = (double)done / (double)(end > start ? end - start : 1);
        if (rate > best && end > start) best = rate;
    }
    return best;
}

double lp_peak_gflops(const struct lp_cpu *cpu, uint64_t budget_ns)
{
    return rate_of(best_kernel(cpu)->fma, budget_ns);
}

double lp_peak_int8_gops(const struct lp_cpu *cpu, uint64_t budget_ns)
{
    const struct lp_peak_kernel *kernel = best_kernel(cpu);
    return kernel->dot != NULL ? rate_of(kernel->dot, budget_ns) : 0.0;
}

double lp_peak_read_gbytes(const struct lp_cpu *cpu, size_t bytes, uint64_t budget_ns)
{
    const struct lp_peak_kernel *kernel = best_kernel(cpu);
    enum { ROUND_BYTES = 1 << 20 };
    size_t lines = (bytes + LINE - 1) / LINE * LINE, passes = lines < ROUND_BYTES ? ROUND_BYTES / (lines + 1) + 1 : 1;
    float *from = lines >= bytes && lines > 0 ? aligned_alloc(LINE, lines) : NULL;
    if (from == NULL) return 0.0;
    memset(from, 0, lines);
    volatile float keep = kernel->read(from, lines);
    double best = 0.0;
    for (uint64_t begin = cpu_now_ns(), start = begin, end; start - begin <= budget_ns; start = end) {
        for (size_t p = 0; p < passes; p++) keep = kernel->read(from, lines);
        end = cpu_now_ns();
        double rate = (double)(lines * passes) / (double)(end > start ? end - start : 1);
        if (rate > best && end > start) best = rate;
    }
    (void)keep;
    free(from);
    return best;
}
