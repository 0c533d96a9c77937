#include "cmd/step_times.h"

#include "cmd/terminal.h"
#include "core/cpu.h"
#include "kernels/peak/peak.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEAK_NS = 10 * 1000 * 1000 };

static void measure_rounds(struct lp_infer *infer, const double *rows, double limit_ns, double *round,
                           struct lp_step_times *times)
{
    uint32_t count = lp_plan_step_count(times->plan);
    double spent = 0;
    for (uint32_t i = 0; i < count; i++) times->ns[i] = INFINITY;
    for (bool first = true; first || spent < limit_ns; first = false) {
        lp_infer_time(infer, rows, times->batch, round);
        for (uint32_t i = 0; i < count; i++) {
            times->ns[i] = fmin(times->ns[i], round[i] / times->batch);
            spent += round[i] + 1; /* a clock that does not move must not keep us */
        }
    }
}

enum lp_code lp_step_times_measure(const struct lp_plan *plan, const double *rows, uint32_t batch, double limit_ns,
                                   struct lp_step_times *ret_times, struct lp_error *err)
{
    size_t bytes = ((size_t)lp_plan_step_count(plan) + 1) * sizeof(double);
    struct lp_step_times times = {.plan = plan, .batch = batch, .ns = malloc(bytes)};
    double *round = malloc(bytes);
    struct lp_infer *infer = NULL;
    enum lp_code rc = LP_OK;
    if (times.ns == NULL || round == NULL) rc = lp_fail_memory(err, bytes);
    else if (lp_plan_step_count(plan) > 0) rc = lp_infer_new(plan, batch, &infer, err);
    if (rc == LP_OK && infer != NULL) {
        times.peak_gflops = lp_peak_gflops(lp_cpu_get(), PEAK_NS);
        times.peak_int8_gops = lp_peak_int8_gops(lp_cpu_get(), PEAK_NS);
        measure_rounds(infer, rows, limit_ns, round, &times);
    }
    lp_infer_free(infer);
    free(round);
    if (rc == LP_OK) *ret_times = times;
    else free(times.ns);
    return rc;
}

void lp_step_times_done(struct lp_step_times *times)
{
    free(times->ns);
    times->ns = NULL;
}

static double rate(const struct lp_step_times *times, uint32_t step, const struct lp_plan_step_info *info)
{
    return times->ns[step] > 0 ? (double)info->flops / times->ns[step] : 0;
}

/* Of the peak of what the step multiplies. */
static double share(const struct lp_step_times *times, uint32_t step, const struct lp_plan_step_info *info)
{
    bool bytes = strcmp(info->op, "dense_i8") == 0 && times->peak_int8_gops > 0;
    return rate(times, step, info) / (bytes ? times->peak_int8_gops : times->peak_gflops);
}

void lp_step_times_print(const struct lp_step_times *times)
{
    uint32_t count = lp_plan_step_count(times->plan);
    if (count == 0) return;
    printf("\nsteps at batch %u; the fp32 peak of this core is %.1f GFLOP/s", times->batch, times->peak_gflops);
    if (times->peak_int8_gops > 0) printf(", of int8 %.1f GOP/s", times->peak_int8_gops);
    printf(", measured now\n%4s  %-12s %-9s %12s %10s %8s  %s\n", "step", "op", "kernel", "ns a row", "GFLOP/s",
           "of peak", "name");
    for (uint32_t i = 0; i < count; i++) {
        struct lp_plan_step_info info;
        lp_plan_step(times->plan, i, &info);
        printf("%4u  %-12s %-9s %12.1f ", i + 1, info.op, info.kernel, times->ns[i]);
        if (info.multiplies) printf("%10.2f %7.1f%%", rate(times, i, &info), 100 * share(times, i, &info));
        else printf("%10s %8s", "-", "-");
        lp_print_safe(stdout, "  %s\n", info.name);
    }
}

json_t *lp_step_times_json(const struct lp_step_times *times)
{
    json_t *steps = json_array();
    for (uint32_t i = 0; i < lp_plan_step_count(times->plan); i++) {
        struct lp_plan_step_info info;
        lp_plan_step(times->plan, i, &info);
        json_t *step = json_pack("{s:s, s:s, s:s, s:I, s:f}", "op", info.op, "name", info.name, "kernel", info.kernel,
                                 "flops", (json_int_t)info.flops, "ns_per_row", times->ns[i]);
        if (info.multiplies) {
            json_object_set_new(step, "gflops", json_real(rate(times, i, &info)));
            json_object_set_new(step, "share_of_peak", json_real(share(times, i, &info)));
        }
        json_array_append_new(steps, step);
    }
    return steps;
}
