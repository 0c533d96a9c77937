/* lepton fit: data -> the statistics of its columns and the feature list of a bundle. */
#include "fit/fit.h"

#include "cmd/command.h"
#include "cmd/fit_report.h"
#include "cmd/options.h"
#include "cmd/terminal.h"
#include "cmd/topic_input.h"
#include "core/log.h"
#include "model/bundle.h"
#include "model/spec.h"
#include "model/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run(int argc, char **argv);

const struct lp_command lp_command_fit = {
    .name = "fit",
    .help = "learn the statistics of data: a model's feature list, and a report",
    .usage =
        "usage: lepton fit DATA [-o SPEC] [--label COLUMN] [--drop A,B] [--hash A,B] [--spec FILE]\n"
        "                  [--against SPEC] [--html REPORT] [--json] [--threads N]\n"
        "       lepton fit kafka:TOPIC[@FROM-TO] --config worker.properties [--set KEY=VALUE]... ...\n"
        "\n"
        "Reads CSV with a header, JSON Lines or Avro container files, told apart by content: a file, `-` for stdin, "
        "or\n"
        "a directory of them; or the JSON values that stand in a topic (@FROM-TO: of these offsets of each "
        "partition).\n"
        "One pass in bounded memory. Decides for each column whether it is a number, a category, text, a vector, a\n"
        "time, or an identifier to ignore, and says why; fits how each is cleaned and normalized, with the baseline\n"
        "that drift is measured against. The same data gives the same answer on any machine.\n"
        "\n"
        "  -o FILE           write the feature list, as `train --spec` and `import --features` take it\n"
        "  --label COLUMN    what is to be learned: no feature; correlations with it are shown, leaks warned of\n"
        "  --drop A,B        columns to leave out\n"
        "  --hash A,B        columns to hash: none of their texts is stored\n"
        "  --spec FILE       a feature list whose members hold: kind, missing, outlier, normalize, encode; the rest "
        "is\n"
        "                    fitted. \"kind\":\"ignore\" leaves a column out\n"
        "  --against SPEC    an earlier feature list: how far the data has moved from it\n"
        "  --html FILE       the report as one page\n"
        "  --json            the report as JSON\n"
        "  --threads N       as many as the CPUs\n"
        "  --config FILE     of a worker: the topic's brokers\n"
        "\n"
        "example: lepton fit clicks.csv --label clicked -o spec.json --html report.html\n",
    .run = run,
};

#define SPEC_MAX_BYTES ((size_t)64 << 20)

struct request {
    const char *out, *drop, *hash, *spec, *against, *html, *config;
    struct lp_overrides overrides;
    const char *data; /* as it was given */
    bool json;
    int64_t threads;
    struct lp_fit_options options;
};

/* A list cut at its commas, in argv; the caller frees the array. */
static enum lp_code split_names(const char *list, const char *const **ret_names, uint32_t *ret_count,
                                struct lp_error *err)
{
    if (list == NULL) return LP_OK;
    size_t commas = 1;
    for (const char *p = list; *p != '\0'; p++) commas += *p == ',';
    const char **names = calloc(commas, sizeof *names);
    if (names == NULL) return lp_fail_memory(err, commas * sizeof *names);
    uint32_t count = 0;
    for (char *p = (char *)(uintptr_t)list; p != NULL;) {
        char *comma = strchr(p, ',');
        if (comma != NULL) *comma = '\0';
        if (*p != '\0') names[count++] = p;
        p = comma != NULL ? comma + 1 : NULL;
    }
    *ret_names = names;
    *ret_count = count;
    return LP_OK;
}

static enum lp_code read_spec(const char *path, json_t **ret_spec, struct lp_error *err)
{
    struct lp_bytes bytes = {.file = -1};
    json_error_t why;
    if (path == NULL) return LP_OK;
    enum lp_code rc = lp_bytes_open(&bytes, path, SPEC_MAX_BYTES, err);
    if (rc == LP_OK) rc = lp_bytes_fill(&bytes, SIZE_MAX, err);
    if (rc == LP_OK) {
        *ret_spec = json_loadb((const char *)lp_bytes_at(&bytes), lp_bytes_left(&bytes), JSON_REJECT_DUPLICATES, &why);
        if (*ret_spec == NULL) rc = lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: line %d: %s", path, why.line, why.text);
    }
    lp_bytes_close(&bytes);
    return rc;
}

static void show_progress(void *context, const struct lp_fit_progress *progress)
{
    double share = progress->total_bytes > 0 ? (double)progress->taken_bytes / (double)progress->total_bytes : 0;
    fprintf(stderr, "\r\033[K%s: %llu records, %.1f MB", (const char *)context, (unsigned long long)progress->records,
            (double)progress->taken_bytes / 1e6);
    if (progress->total_bytes > 0) fprintf(stderr, " (%.0f %%)", 100 * (share > 1 ? 1 : share));
    fflush(stderr);
}

/* What the reader of bundles refuses, since a --spec asked for it, is not written. */
static enum lp_code write_spec(const char *path, const json_t *spec, struct lp_error *err)
{
    struct lp_bundle *read = NULL;
    char *text = json_dumps(spec, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    if (text == NULL) return lp_fail_memory(err, sizeof *spec);
    enum lp_code rc = lp_features_parse(lp_span_text(text), &read, err);
    if (rc != LP_OK) lp_error_prefix(err, "%s is not written", path);
    else rc = lp_bundle_save(path, lp_span_text(text), err);
    lp_bundle_free(read);
    free(text);
    return rc;
}

static enum lp_code tell(const struct request *request, const struct lp_fit *fit, const json_t *spec,
                         struct lp_error *err)
{
    if (request->out != NULL) LP_TRY(write_spec(request->out, spec, err));
    if (request->html != NULL) LP_TRY(lp_fit_report_html(fit, request->data, request->html, err));
    if (request->json) return lp_fit_report_json(fit, spec, stdout, err);
    return lp_fit_report_text(fit, request->data, request->out, stdout, err);
}

static enum lp_code fit(struct request *request, struct lp_error *err)
{
    json_t *asked = NULL, *against = NULL, *spec = NULL;
    struct lp_fit *result = NULL;
    struct lp_fit_options *options = &request->options;
    enum lp_code rc;
    LP_GUARD(split_names(request->drop, &options->drop, &options->drop_count, err));
    LP_GUARD(split_names(request->hash, &options->hash, &options->hash_count, err));
    LP_GUARD(read_spec(request->spec, &asked, err));
    LP_GUARD(read_spec(request->against, &against, err));
    options->spec = asked;
    options->against = against;
    options->threads = (uint32_t)request->threads;
    bool shown = isatty(STDERR_FILENO);
    if (shown) options->progress = show_progress;
    options->context = (void *)(uintptr_t) "fit";
    rc = lp_fit_run(options, &result, err);
    if (shown) fputs("\r\033[K", stderr);
    if (rc != LP_OK) goto out;
    rc = lp_fit_spec(result, options, &spec, err);
    if (rc != LP_OK && request->out != NULL) goto out; /* else the report says it */
    rc = tell(request, result, spec, err);
out:
    lp_fit_free(result);
    json_decref(spec);
    json_decref(asked);
    json_decref(against);
    free((void *)(uintptr_t)options->drop);
    free((void *)(uintptr_t)options->hash);
    return rc;
}

/* A topic that was not read to its end is why, whatever the fit said of the part that was. */
static enum lp_code fit_topic(struct request *request, struct lp_error *err)
{
    struct lp_config *config = NULL;
    struct lp_topic_input *input;
    char path[LP_TOPIC_INPUT_PATH_BYTES];
    struct lp_error why;
    LP_TRY(lp_options_load(request->config, &request->overrides, &config, err));
    lp_log_setup(LP_LOG_ERROR, LP_LOG_LOGFMT);
    enum lp_code rc = lp_topic_input_open(request->data, config, &input, path, err);
    if (rc == LP_OK) {
        request->options.path = path;
        rc = fit(request, err);
        if (lp_topic_input_close(input, &why) != LP_OK) {
            *err = why;
            rc = why.code;
        }
    }
    lp_config_free(config);
    return rc;
}

static int run(int argc, char **argv)
{
    struct request request = {0};
    const struct lp_option options[] = {
        {.name = "output", .type = LP_OPTION_TEXT, .value = &request.out, .letter = 'o'},
        {.name = "label", .type = LP_OPTION_TEXT, .value = &request.options.label},
        {.name = "drop", .type = LP_OPTION_TEXT, .value = &request.drop},
        {.name = "hash", .type = LP_OPTION_TEXT, .value = &request.hash},
        {.name = "spec", .type = LP_OPTION_TEXT, .value = &request.spec},
        {.name = "against", .type = LP_OPTION_TEXT, .value = &request.against},
        {.name = "html", .type = LP_OPTION_TEXT, .value = &request.html},
        {.name = "json", .type = LP_OPTION_FLAG, .value = &request.json},
        {.name = "config", .type = LP_OPTION_TEXT, .value = &request.config},
        {.name = "set", .type = LP_OPTION_SET, .value = &request.overrides},
        {.name = "threads", .type = LP_OPTION_INTEGER, .value = &request.threads, .low = 1, .high = LP_FIT_THREADS_MAX},
    };
    struct lp_operands operands;
    struct lp_error err;
    int code =
        lp_options_parse(&lp_command_fit, argc, argv, options, sizeof options / sizeof *options, 1, 1, &operands);
    if (code >= 0) return code;
    request.data = request.options.path = operands.items[0];
    enum lp_code rc = lp_topic_input_is(request.data) ? fit_topic(&request, &err) : fit(&request, &err);
    if (rc != LP_OK) return lp_command_fail(&lp_command_fit, &err);
    return lp_command_finish(&lp_command_fit, LP_EXIT_OK);
}
