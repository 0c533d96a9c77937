/* lepton optimize: what a smaller model costs in quality, and what it saves. */
#include "cmd/bundles.h"
#include "cmd/command.h"
#include "cmd/optimize_view.h"
#include "cmd/options.h"
#include "cmd/terminal.h"
#include "model/write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int run(int argc, char **argv);

const struct lp_command lp_command_optimize = {
    .name = "optimize",
    .help = "smaller forms of a bundle: quality against price, and a pick",
    .usage =
        "usage: lepton optimize BUNDLE --data FILE [--label NAME] [limits] [-o BUNDLE] [--html FILE] [--svg FILE]\n"
        "\n"
        "Makes bf16 and int8 forms of a network (weights by output; inputs by the range, the middle 99.9 % or row by "
        "row;\n"
        "each layer alone; all but the most sensitive), and ensembles of the first quarter, half and three quarters of "
        "the\n"
        "trees. Each is scored on FILE (CSV, JSON Lines, Avro) and timed on one core in turn. Differences to the "
        "original\n"
        "have 95 % intervals from a paired bootstrap. Pruned weights are measured only, to show whether they pay.\n"
        "Inputs are calibrated on up to 4096 rows of FILE. A form is dominated when another is as good in loss, time "
        "and\n"
        "bytes and better in one.\n"
        "\n"
        "  --data FILE                  validation data, which the model was not trained on\n"
        "  --label NAME                 the column of the truth, `label` by default\n"
        "  --max-loss-increase LOSS     the fastest whose log loss (RMSE) rises no more, by the interval's upper end\n"
        "  --max-price PRICE            of a million rows (needs --price-per-core-hour)\n"
        "  --max-p99 TIME               of a batch, in microseconds of CPU time\n"
        "  -o, --output BUNDLE          write the pick: with a limit on the loss the fastest, else that of the least "
        "loss\n"
        "  --price-per-core-hour PRICE  of a CPU core, in your currency\n"
        "  --batch ROWS                 64 by default\n"
        "  --seconds TIME               for timing, 3s by default (500ms, 3s, 1m)\n"
        "  --html FILE, --svg FILE      a page with the picture and the table, the picture alone\n"
        "  --json                       for programs\n"
        "\n"
        "example: lepton optimize ctr.safetensors --data valid.csv --label clicked --max-loss-increase 0.001 -o "
        "small.safetensors\n",
    .run = run,
};

struct request {
    struct lp_optimize_request optimize;
    struct lp_limits limits;
    const char *out, *html, *svg;
    bool json;
};

/* A number in a range and nothing behind it. */
static bool read_number(const char *text, double low, double *ret_number)
{
    char *end;
    if (text == NULL) return true;
    *ret_number = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*ret_number) && *ret_number >= low;
}

static bool has_limit(const struct lp_limits *limits)
{
    return !isnan(limits->loss_increase) || !isnan(limits->price_per_million) || !isnan(limits->p99_ns);
}

static void show(void *context, const struct lp_variant *variant)
{
    (void)context;
    lp_print_safe(stderr, "  scoring %s\n", variant->name);
}

static enum lp_code write_pick(const struct lp_optimized *o, const struct lp_variant *pick, const char *path,
                               struct lp_error *err)
{
    struct lp_buffer bytes;
    lp_buffer_init(&bytes, SIZE_MAX / 2);
    enum lp_code rc = lp_optimize_encode(o, pick, &bytes, err);
    if (rc == LP_OK) rc = lp_bundle_save(path, lp_buffer_span(&bytes), err);
    lp_buffer_done(&bytes);
    return rc;
}

static enum lp_code choose(const struct lp_optimized *o, const struct request *r, const struct lp_variant **ret_pick,
                           struct lp_error *err)
{
    *ret_pick = NULL;
    if (!has_limit(&r->limits)) return LP_OK;
    *ret_pick = lp_optimize_pick(o, &r->limits);
    if (*ret_pick != NULL && r->out != NULL) LP_TRY(write_pick(o, *ret_pick, r->out, err));
    return LP_OK;
}

static enum lp_code optimize(const struct lp_model *model, const struct request *r, struct lp_error *err)
{
    struct lp_optimized o;
    const struct lp_variant *pick = NULL;
    double price = r->limits.price_per_core_hour;
    enum lp_code rc;
    LP_GUARD(lp_optimize_run(model, &r->optimize, &o, err));
    LP_GUARD(choose(&o, r, &pick, err));
    if (r->html != NULL) LP_GUARD(lp_optimize_draw(&o, pick, price, true, r->html, err));
    if (r->svg != NULL) LP_GUARD(lp_optimize_draw(&o, pick, price, false, r->svg, err));
    if (r->json) LP_GUARD(lp_optimize_print_json(&o, pick, price, err));
    else lp_optimize_print(&o, pick, price);
    if (o.valid.refused > 0)
        lp_print_safe(stderr, "lepton: optimize: %llu records were refused by cleaning and are not counted: %s\n",
                      (unsigned long long)o.valid.refused, o.valid.first_refused);
    if (has_limit(&r->limits) && pick == NULL)
        rc = lp_fail(err, LP_E_NOT_FOUND, LP_FATAL, "no form of the model keeps to the limits%s",
                     r->out != NULL ? ": nothing was written" : "");
out:
    lp_optimized_done(&o);
    return rc;
}

/* -1: go on. */
static int check(struct request *r, const char *loss, const char *price, const char *p99, const char *hour)
{
    const struct lp_command *c = &lp_command_optimize;
    r->limits = (struct lp_limits){NAN, NAN, NAN, 0};
    if (r->optimize.data == NULL) return lp_command_misuse(c, "--data FILE is missing");
    if (!read_number(loss, -INFINITY, &r->limits.loss_increase))
        return lp_command_misuse(c, "--max-loss-increase %s: not a number", loss);
    if (!read_number(price, 0, &r->limits.price_per_million))
        return lp_command_misuse(c, "--max-price %s: not a number of at least 0", price);
    if (!read_number(p99, 0, &r->limits.p99_ns))
        return lp_command_misuse(c, "--max-p99 %s: not a number of at least 0", p99);
    r->limits.p99_ns *= 1e3;
    if (!read_number(hour, 0, &r->limits.price_per_core_hour) || (hour != NULL && r->limits.price_per_core_hour == 0))
        return lp_command_misuse(c, "--price-per-core-hour %s: not a positive number", hour);
    if (price != NULL && hour == NULL) return lp_command_misuse(c, "--max-price needs --price-per-core-hour");
    if (r->out != NULL && !has_limit(&r->limits))
        return lp_command_misuse(c, "-o %s: --max-loss-increase, --max-price or --max-p99 must pick one", r->out);
    return -1;
}

static int run(int argc, char **argv)
{
    struct request r = {.optimize = {.label = "label", .time_ms = 3000}};
    const char *loss = NULL, *price = NULL, *p99 = NULL, *hour = NULL;
    int64_t batch = 64;
    const struct lp_option options[] = {
        {.name = "data", .type = LP_OPTION_TEXT, .value = &r.optimize.data},
        {.name = "label", .type = LP_OPTION_TEXT, .value = &r.optimize.label},
        {.name = "max-loss-increase", .type = LP_OPTION_TEXT, .value = &loss},
        {.name = "max-price", .type = LP_OPTION_TEXT, .value = &price},
        {.name = "max-p99", .type = LP_OPTION_TEXT, .value = &p99},
        {.name = "price-per-core-hour", .type = LP_OPTION_TEXT, .value = &hour},
        {.name = "output", .type = LP_OPTION_TEXT, .value = &r.out, .letter = 'o'},
        {.name = "html", .type = LP_OPTION_TEXT, .value = &r.html},
        {.name = "svg", .type = LP_OPTION_TEXT, .value = &r.svg},
        {.name = "batch", .type = LP_OPTION_INTEGER, .value = &batch, .low = 1, .high = 4096},
        {.name = "seconds", .type = LP_OPTION_DURATION, .value = &r.optimize.time_ms, .low = 1, .high = 600000},
        {.name = "json", .type = LP_OPTION_FLAG, .value = &r.json}};
    struct lp_operands operands;
    int code =
        lp_options_parse(&lp_command_optimize, argc, argv, options, sizeof options / sizeof *options, 1, 1, &operands);
    if (code >= 0) return code;
    code = check(&r, loss, price, p99, hour);
    if (code >= 0) return code;
    r.optimize.batch = (uint32_t)batch;
    r.optimize.on_variant = isatty(STDERR_FILENO) ? show : NULL;
    struct lp_model *model = NULL;
    struct lp_error err;
    enum lp_code rc = lp_bundles_open(operands.items[0], &model, &err);
    if (rc == LP_OK) rc = optimize(model, &r, &err);
    lp_model_unref(model);
    if (rc != LP_OK) return lp_command_fail(&lp_command_optimize, &err);
    return lp_command_finish(&lp_command_optimize, LP_EXIT_OK);
}
