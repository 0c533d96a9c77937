/* lepton bench: what a row costs by batch size and instruction set, and what that costs in money. */
#include "cmd/bench_rows.h"
#include "cmd/bundles.h"
#include "cmd/command.h"
#include "cmd/options.h"
#include "cmd/step_times.h"
#include "cmd/terminal.h"
#include "control/source.h"
#include "core/cpu.h"
#include "optimize/speed.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(int argc, char **argv);

const struct lp_command lp_command_bench = {
    .name = "bench",
    .help = "ns a row by batch size and instruction set, price per million rows",
    .usage =
        "usage: lepton bench BUNDLE [--price-per-core-hour PRICE] [--seconds TIME] [--json]\n"
        "\n"
        "Times the graph and its link (not decoding or cleaning) on one core: batches of 1 to 1024 rows, for each\n"
        "level of this CPU's instruction sets that changes a kernel. Rows are drawn anew, near the thresholds of\n"
        "trees. All take turns; the median of their rounds counts, in CPU time, as `lepton optimize` measures.\n"
        "Prices are for the best level at that batch size. The first level's steps follow one by one: kernel,\n"
        "rate, and share of the fp32 multiply-adds that this core was measured to do.\n"
        "\n"
        "  --price-per-core-hour PRICE  of a CPU core, in your currency; prints the price of a million rows\n"
        "  --seconds TIME               for all of it, 3s by default (500ms, 3s, 1m)\n"
        "  --json                       for programs\n"
        "\n"
        "example: lepton bench ctr.safetensors --price-per-core-hour 0.04\n",
    .run = run,
};

enum { LEVELS_MAX = 4, BATCHES = 6, BATCH_MAX = 1024, ROWS_MAX = 4096 };
enum { STEPS_BATCH = 64, STEPS_SHARE = 10 }; /* and a tenth of the time for the steps one by one */
enum { ROWS_MAX_BYTES = 128 << 20 }; /* wide models are timed with fewer rows, and without batches larger than those */

static const uint32_t batches[BATCHES] = {1, 4, 16, 64, 256, BATCH_MAX};

/* One set of instructions and what it measured. */
struct level {
    const char *name;
    struct lp_plan *plan;
    double ns[BATCHES]; /* a row */
};

struct bench {
    const struct lp_bundle *bundle;
    uint32_t row_count, batch_count; /* of `batches`: those that the rows are enough for */
    double *rows;                    /* [row_count][column_count] */
    struct level levels[LEVELS_MAX];
    uint32_t level_count;
    struct lp_step_times steps; /* of the best level */
    double price_per_core_hour; /* 0: not asked */
    int64_t time_ms;
};

/* Keep a level only where a kernel differs from the level before. */
static enum lp_code add_level(struct bench *bench, const char *name, const struct lp_cpu *cpu, struct lp_error *err)
{
    struct level *level = &bench->levels[bench->level_count];
    LP_TRY(lp_plan_new_for(bench->bundle, cpu, &level->plan, err));
    const char *text = lp_plan_describe(level->plan);
    if (bench->level_count > 0 && strcmp(text, lp_plan_describe(level[-1].plan)) == 0) {
        lp_plan_free(level->plan);
        level->plan = NULL;
        level[-1].name = name; /* the least that these kernels need */
        return LP_OK;
    }
    level->name = name;
    bench->level_count++;
    return LP_OK;
}

static enum lp_code add_levels(struct bench *bench, struct lp_error *err)
{
    struct lp_cpu cpu = *lp_cpu_get();
    if (cpu.vbmi) LP_TRY(add_level(bench, "avx512vbmi", &cpu, err));
    cpu.vbmi = false;
    if (cpu.avx512) LP_TRY(add_level(bench, "avx512", &cpu, err));
    cpu.avx512 = cpu.vnni = cpu.bf16 = cpu.amx_int8 = cpu.amx_bf16 = false;
    if (cpu.avx2) LP_TRY(add_level(bench, "avx2", &cpu, err));
    cpu.avx2 = cpu.avxvnni = false;
    return add_level(bench, "baseline", &cpu, err);
}

/* All levels and batch sizes in one go: a quarter of a second in which the machine has other work is nobody's alone. */
static enum lp_code measure_all(struct bench *bench, struct lp_error *err)
{
    const struct lp_plan *plans[LEVELS_MAX * BATCHES];
    struct lp_speed speeds[LEVELS_MAX * BATCHES];
    uint32_t sizes[LEVELS_MAX * BATCHES], count = 0;
    const struct lp_speed_rows rows = {.rows = bench->rows,
                                       .row_count = bench->row_count,
                                       .column_count = bench->bundle->column_count,
                                       .output_count = bench->bundle->output_count};
    for (uint32_t l = 0; l < bench->level_count; l++)
        for (uint32_t b = 0; b < bench->batch_count; b++) {
            plans[count] = bench->levels[l].plan;
            sizes[count++] = batches[b];
        }
    LP_TRY(lp_speed_measure(plans, sizes, count, &rows, bench->time_ms, speeds, err));
    for (uint32_t i = 0; i < count; i++)
        bench->levels[i / bench->batch_count].ns[i % bench->batch_count] = speeds[i].ns;
    return LP_OK;
}

static double price_per_million(const struct bench *bench, double ns)
{
    return ns * 1e6 / (3600.0 * 1e9) * bench->price_per_core_hour;
}

static double best_ns(const struct bench *bench, uint32_t batch)
{
    double best = INFINITY;
    for (uint32_t l = 0; l < bench->level_count; l++) best = fmin(best, bench->levels[l].ns[batch]);
    return best;
}

static void print_kernels(const struct level *level)
{
    const char *text = lp_plan_describe(level->plan);
    for (bool first = true; *text != '\0'; first = false) {
        size_t bytes = strcspn(text, "\n");
        lp_print_safe(stdout, "  %-11s%.*s\n", first ? level->name : "", (int)bytes, text);
        text += bytes + (text[bytes] == '\n');
    }
}

static void print_table(const struct bench *bench)
{
    lp_print_safe(stdout, "%s %s: ns a row on one core\n", bench->bundle->name, bench->bundle->version);
    printf("\n%8s", "batch");
    for (uint32_t l = 0; l < bench->level_count; l++) printf("  %11s", bench->levels[l].name);
    printf("  %15s%s\n", "rows/CPU second", bench->price_per_core_hour > 0 ? "  price/million" : "");
    for (uint32_t b = 0; b < bench->batch_count; b++) {
        printf("%8u", batches[b]);
        for (uint32_t l = 0; l < bench->level_count; l++) printf("  %11.1f", bench->levels[l].ns[b]);
        printf("  %15.0f", 1e9 / best_ns(bench, b));
        if (bench->price_per_core_hour > 0) printf("  %13.3g", price_per_million(bench, best_ns(bench, b)));
        putchar('\n');
    }
    puts("\nkernels");
    for (uint32_t l = 0; l < bench->level_count; l++) print_kernels(&bench->levels[l]);
    lp_step_times_print(&bench->steps);
}

static json_t *level_json(const struct bench *bench, const struct level *level)
{
    json_t *results = json_array();
    for (uint32_t b = 0; b < bench->batch_count; b++) {
        json_t *result = json_pack("{s:I, s:f, s:f}", "batch", (json_int_t)batches[b], "ns_per_row", level->ns[b],
                                   "rows_per_cpu_second", 1e9 / level->ns[b]);
        if (bench->price_per_core_hour > 0)
            json_object_set_new(result, "price_per_million", json_real(price_per_million(bench, level->ns[b])));
        json_array_append_new(results, result);
    }
    return json_pack("{s:s, s:s, s:o}", "level", level->name, "kernels", lp_plan_describe(level->plan), "results",
                     results);
}

static bool print_json(const struct bench *bench)
{
    char sha256[LP_SHA256_TEXT_BYTES];
    lp_sha256_text(bench->bundle->sha256, sha256);
    json_t *levels = json_array();
    for (uint32_t l = 0; l < bench->level_count; l++)
        json_array_append_new(levels, level_json(bench, &bench->levels[l]));
    json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:o, s:f, s:i, s:o}", "name", bench->bundle->name, "version",
                            bench->bundle->version, "sha256", sha256, "cpu", lp_cpu_level(), "levels", levels,
                            "peak_gflops", bench->steps.peak_gflops, "steps_batch", (int)bench->steps.batch, "steps",
                            lp_step_times_json(&bench->steps));
    char *text = all != NULL ? json_dumps(all, JSON_INDENT(1)) : NULL;
    if (text != NULL) puts(text);
    bool printed = text != NULL;
    free(text);
    json_decref(all);
    return printed;
}

static void choose_batches(struct bench *bench)
{
    size_t columns = bench->bundle->column_count > 0 ? bench->bundle->column_count : 1;
    size_t rows = ROWS_MAX_BYTES / sizeof *bench->rows / columns;
    bench->row_count = rows > ROWS_MAX ? ROWS_MAX : rows > 0 ? (uint32_t)rows : 1;
    while (bench->batch_count < BATCHES && batches[bench->batch_count] <= bench->row_count) bench->batch_count++;
}

static enum lp_code bench_bundle(struct bench *bench, bool json, struct lp_error *err)
{
    choose_batches(bench);
    LP_TRY(lp_bench_rows(bench->bundle, bench->row_count, &bench->rows, err));
    LP_TRY(add_levels(bench, err));
    LP_TRY(measure_all(bench, err));
    uint32_t batch = bench->row_count < STEPS_BATCH ? bench->row_count : STEPS_BATCH;
    LP_TRY(lp_step_times_measure(bench->levels[0].plan, bench->rows, batch, (double)bench->time_ms * 1e6 / STEPS_SHARE,
                                 &bench->steps, err));
    if (!json) print_table(bench);
    else if (!print_json(bench)) return lp_fail_memory(err, BATCHES * sizeof(json_t *));
    return LP_OK;
}

static void release(struct bench *bench)
{
    for (uint32_t l = 0; l < LEVELS_MAX; l++) lp_plan_free(bench->levels[l].plan);
    lp_step_times_done(&bench->steps);
    free(bench->rows);
}

/* A price: a positive number and nothing behind it. */
static bool read_price(const char *text, double *ret_price)
{
    char *end;
    *ret_price = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*ret_price) && *ret_price > 0;
}

static int run(int argc, char **argv)
{
    struct bench bench = {.time_ms = 3000};
    bool json = false;
    const char *price = NULL;
    const struct lp_option options[] = {
        {.name = "price-per-core-hour", .type = LP_OPTION_TEXT, .value = &price},
        {.name = "seconds", .type = LP_OPTION_DURATION, .value = &bench.time_ms, .low = 1, .high = 600000},
        {.name = "json", .type = LP_OPTION_FLAG, .value = &json}};
    struct lp_operands operands;
    int code =
        lp_options_parse(&lp_command_bench, argc, argv, options, sizeof options / sizeof *options, 1, 1, &operands);
    if (code >= 0) return code;
    if (price != NULL && !read_price(price, &bench.price_per_core_hour))
        return lp_command_misuse(&lp_command_bench, "--price-per-core-hour %s: not a positive number", price);
    struct lp_model *model = NULL;
    struct lp_error err;
    if (lp_bundles_load(operands.items[0], &model, &err) != LP_OK) return lp_command_fail(&lp_command_bench, &err);
    bench.bundle = model->bundle;
    enum lp_code rc = bench_bundle(&bench, json, &err);
    release(&bench);
    lp_model_unref(model);
    if (rc != LP_OK) return lp_command_fail(&lp_command_bench, &err);
    return lp_command_finish(&lp_command_bench, LP_EXIT_OK);
}
