/* lepton optimize: what a smaller model costs in quality, and what it saves. */
#include "cmd/bundles.h"
#include "cmd/command.h"
#include "cmd/optimize_view.h"
#include "cmd/options.h"
#include "cmd/terminal.h"
#include "model/write.h"
#include "optimize/tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int run(int argc, char **argv);

const struct lp_command lp_command_optimize = {
    .name = "optimize",
    .help = "smaller forms of a bundle: quality against price, and a pick",
    .usage =
        "usage: lepton optimize BUNDLE --data FILE [--label NAME] [--train FILE [--trials N]] [limits] [-o BUNDLE]\n"
        "\n"
        "Makes bf16 and int8 forms of a network (weights by output; inputs by the range, the middle 99.9 % or row\n"
        "by row; each layer alone; all but the most sensitive), narrower ones (the hidden units that weigh least\n"
        "cut, in blocks of 16), ones of lower rank (a dense layer as the product of two, by singular values), and\n"
        "ensembles of the first quarter, half and three quarters of the trees. Each is scored on --data (CSV,\n"
        "JSON Lines, Avro) and timed on one core in turn. Differences to the original have 95 % intervals from a\n"
        "paired bootstrap. Pruned weights are measured to show whether they pay. Inputs are calibrated on up to\n"
        "4096 rows of --data. A form is dominated when another is as good in loss, time and bytes and better in\n"
        "one.\n"
        "\n"
        "With --train, pruned, narrower and low-rank networks are also trained on for a few epochs (zeros stay\n"
        "zero), and so is the original, to tell what more training alone does; --trials searches other networks\n"
        "for the same features: layers, learning rate, L2 and dropout, by successive halving. A tenth of --train\n"
        "chooses among epochs and trials; --data only judges. The same data, options and seed give the same\n"
        "networks, unless --time cuts the search short.\n"
        "\n"
        "  --data FILE                  validation data, which the model was not trained on\n"
        "  --label NAME                 the column of the truth, `label` by default\n"
        "  --group NAME                 of a ranking: the column that rows which compete have in common\n"
        "  --train FILE                 rows to learn from, not those of --data; of chains of dense layers\n"
        "  --tune-epochs N              of training on, 5 by default; 0: none\n"
        "  --trials N                   networks to try, up to 1000; the best three are judged\n"
        "  --time TIME                  for the trials (30s, 10m); no limit by default\n"
        "  --seed N                     of training and trials, 1 by default\n"
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
        "small.safetensors\n"
        "         lepton optimize ctr.safetensors --data valid.csv --label clicked --train clicks.csv --trials 27\n",
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

static void show(void *context, const char *what, const struct lp_variant *variant)
{
    (void)context;
    lp_print_safe(stderr, "  %s %s\n", what, variant->name);
}

/* In a pipe only what is better than all before, and the end. */
static void show_trial(void *context, const struct lp_trial *trial, const struct lp_trial *best, uint32_t done,
                       uint32_t in_all)
{
    char layers[LP_TRIAL_TEXT_BYTES], best_layers[LP_TRIAL_TEXT_BYTES];
    bool terminal = isatty(STDERR_FILENO), news = best->number == trial->number || done == in_all;
    (void)context;
    lp_trial_layers(trial, layers);
    lp_trial_layers(best, best_layers);
    if (!terminal && !news) return;
    fprintf(stderr,
            "%s  %u of %u: trial %u (%s, rate %g, %u epochs) loss %.5g; best so far: trial %u (%s) loss %.5g after %u "
            "epochs%s",
            terminal ? "\r\033[K" : "", done, in_all, trial->number, layers, trial->rate, trial->epochs, trial->loss,
            best->number, best_layers, best->loss, best->epochs, terminal && done < in_all ? "" : "\n");
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
    if (r->optimize.train == NULL && (r->optimize.trials > 0 || r->optimize.trials_ms > 0))
        return lp_command_misuse(c, "--trials and --time need --train FILE: rows to learn from");
    if (r->optimize.trials == 0 && r->optimize.trials_ms > 0) return lp_command_misuse(c, "--time is for --trials N");
    if (price != NULL && hour == NULL) return lp_command_misuse(c, "--max-price needs --price-per-core-hour");
    if (r->out != NULL && !has_limit(&r->limits))
        return lp_command_misuse(c, "-o %s: --max-loss-increase, --max-price or --max-p99 must pick one", r->out);
    return -1;
}

static int run(int argc, char **argv)
{
    struct request r = {.optimize = {.label = "label", .time_ms = 3000}};
    const char *loss = NULL, *price = NULL, *p99 = NULL, *hour = NULL;
    int64_t batch = 64, epochs = 5, trials = 0, seed = 1;
    const struct lp_option options[] = {
        {.name = "data", .type = LP_OPTION_TEXT, .value = &r.optimize.data},
        {.name = "label", .type = LP_OPTION_TEXT, .value = &r.optimize.label},
        {.name = "group", .type = LP_OPTION_TEXT, .value = &r.optimize.group},
        {.name = "train", .type = LP_OPTION_TEXT, .value = &r.optimize.train},
        {.name = "tune-epochs", .type = LP_OPTION_INTEGER, .value = &epochs, .low = 0, .high = LP_TUNE_EPOCHS_MAX},
        {.name = "trials", .type = LP_OPTION_INTEGER, .value = &trials, .low = 1, .high = LP_TRIALS_MAX},
        {.name = "time", .type = LP_OPTION_DURATION, .value = &r.optimize.trials_ms, .low = 1, .high = 86400000},
        {.name = "seed", .type = LP_OPTION_INTEGER, .value = &seed, .low = 0, .high = INT64_MAX},
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
    r.optimize.tune_epochs = (uint32_t)epochs;
    r.optimize.trials = (uint32_t)trials;
    r.optimize.seed = (uint64_t)seed;
    r.optimize.on_trial = show_trial;
    code = check(&r, loss, price, p99, hour);
    if (code >= 0) return code;
    r.optimize.batch = (uint32_t)batch;
    r.optimize.on_step = isatty(STDERR_FILENO) ? show : NULL;
    struct lp_model *model = NULL;
    struct lp_error err;
    enum lp_code rc = lp_bundles_open(operands.items[0], &model, &err);
    if (rc == LP_OK) rc = optimize(model, &r, &err);
    lp_model_unref(model);
    if (rc != LP_OK) return lp_command_fail(&lp_command_optimize, &err);
    return lp_command_finish(&lp_command_optimize, LP_EXIT_OK);
}
