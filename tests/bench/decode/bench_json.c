/* JSON records: lepton's plan against jansson's parse-and-get, ten numbers from each record, in one run.
 * Records vary; both sides read the same bytes, and every number is compared. Prints CPU ns a record: the median of the
 * rounds, lepton and jansson taking turns. Exit 1 when a number differs. */
#include "decode/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FEATURES = 10, RECORDS = 512, RECORD_BYTES = 640, ROUNDS = 31, REPEATS = 8 };

static char bytes[RECORDS][RECORD_BYTES];
static size_t sizes[RECORDS];
static double ours[RECORDS][FEATURES], theirs[RECORDS][FEATURES];
static const char *const names[FEATURES] = {"f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9"};

struct variant {
    const char *name;
    const char *number;    /* printf format */
    const char *separator; /* between members, and between key and value */
    const char *colon;
    bool extras;   /* an id, a time and a nested object between the features */
    bool reversed; /* features in the reverse of the order in which they are wanted */
};

static const struct variant variants[] = {
    {"six decimals", "%.6f", ",", ":", false, false},
    {"six decimals, 7 unwanted fields", "%.6f", ",", ":", true, false},
    {"six decimals, blanks", "%.6f", ", ", ": ", false, false},
    {"six decimals, reverse order", "%.6f", ",", ":", false, true},
    {"17 digits", "%.17g", ",", ":", false, false},
};

static double uniform(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

static void make_records(const struct variant *v)
{
    for (size_t r = 0; r < RECORDS; r++) {
        size_t used = 0;
        char *to = bytes[r];
        if (v->extras)
            used += (size_t)snprintf(to, RECORD_BYTES,
                                     "{\"id\":\"user-%06zu\",\"time\":17092%08zu,\"geo\":{\"lat\":%.6f,\"lon\":[1,2]}",
                                     r * 7919 % 1000000, r * 104729 % 100000000, uniform() * 90);
        for (int f = 0; f < FEATURES; f++) {
            int k = v->reversed ? FEATURES - 1 - f : f;
            used += (size_t)snprintf(to + used, RECORD_BYTES - used, "%s\"%s\"%s", used ? v->separator : "{", names[k],
                                     v->colon);
            used += (size_t)snprintf(to + used, RECORD_BYTES - used, v->number, uniform());
            if (v->extras && f % 3 == 1)
                used += (size_t)snprintf(to + used, RECORD_BYTES - used, ",\"note%d\":\"a plain text\"", f);
        }
        used += (size_t)snprintf(to + used, RECORD_BYTES - used, "}");
        sizes[r] = used;
    }
}

/* CPU time: other processes on the machine do not count. */
static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double run_lepton(const struct lp_json_plan *plan)
{
    uint64_t start = cpu_ns();
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        for (size_t r = 0; r < RECORDS; r++) {
            struct lp_error err;
            struct lp_record record = {.numbers = ours[r]};
            if (lp_json_plan_run(plan, lp_span_of(bytes[r], sizes[r]), &record, &err) != LP_OK) {
                fprintf(stderr, "bench_json: %s\n", err.text);
                exit(1);
            }
        }
    }
    return (double)(cpu_ns() - start) / (RECORDS * REPEATS);
}

static double run_jansson(void)
{
    uint64_t start = cpu_ns();
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        for (size_t r = 0; r < RECORDS; r++) {
            json_error_t error;
            json_t *root = json_loadb(bytes[r], sizes[r], 0, &error);
            if (root == NULL) {
                fprintf(stderr, "bench_json: jansson: %s\n", error.text);
                exit(1);
            }
            for (int f = 0; f < FEATURES; f++) theirs[r][f] = json_number_value(json_object_get(root, names[f]));
            json_decref(root);
        }
    }
    return (double)(cpu_ns() - start) / (RECORDS * REPEATS);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int run_variant(const struct lp_json_plan *plan, const struct variant *v)
{
    double lepton[ROUNDS], jansson[ROUNDS];
    make_records(v);
    for (int round = 0; round < ROUNDS; round++) {
        lepton[round] = run_lepton(plan);
        jansson[round] = run_jansson();
    }
    if (memcmp(ours, theirs, sizeof ours) != 0) {
        fprintf(stderr, "bench_json: %s: lepton and jansson read different numbers\n", v->name);
        return 1;
    }
    qsort(lepton, ROUNDS, sizeof lepton[0], compare);
    qsort(jansson, ROUNDS, sizeof jansson[0], compare);
    double a = lepton[ROUNDS / 2], b = jansson[ROUNDS / 2];
    printf("%-34s %6zu bytes  lepton %7.1f ns (%.2f GB/s)  jansson %8.1f ns  %5.1f times\n", v->name, sizes[0], a,
           (double)sizes[0] / a, b, b / a);
    return 0;
}

int main(void)
{
    struct lp_want wants[FEATURES];
    for (uint32_t f = 0; f < FEATURES; f++)
        wants[f] = (struct lp_want){.path = names[f], .type = LP_WANT_NUMBER, .width = 1, .slot = f};
    struct lp_json_plan *plan = NULL;
    struct lp_error err;
    if (lp_json_plan_new(wants, FEATURES, &plan, &err) != LP_OK) {
        fprintf(stderr, "bench_json: %s\n", err.text);
        return 1;
    }
    int failed = 0;
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) failed |= run_variant(plan, &variants[i]);
    lp_json_plan_free(plan);
    return failed;
}
