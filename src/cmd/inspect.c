/* lepton inspect: what a bundle is, for people; --json for programs. */
#include "cmd/bench_rows.h"
#include "cmd/bundles.h"
#include "cmd/command.h"
#include "cmd/options.h"
#include "cmd/step_times.h"
#include "cmd/terminal.h"
#include "control/source.h"
#include "core/buffer.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(int argc, char **argv);

enum { PLAN_BATCH = 64, PLAN_NS = 100 * 1000 * 1000 };

const struct lp_command lp_command_inspect = {
    .name = "inspect",
    .help = "show a bundle: features, policies, graph and kernels",
    .usage = "usage: lepton inspect BUNDLE [--plan] [--json]\n"
             "\n"
             "Shows who made the model, its features in the model's order with what is done to each, and the graph "
             "with the\n"
             "kernels that this CPU gets. The golden rows are not scored: `lepton check BUNDLE` does that.\n"
             "\n"
             "  --plan  the graph as it runs here: each step's shapes, kernel, place in memory and work, then what\n"
             "          it takes at batch 64 and the share of this core's measured peak\n"
             "  --json  the manifest as it is in the file\n"
             "\n"
             "example: lepton inspect ctr.safetensors --json | jq '.features[].name'\n",
    .run = run,
};

static const char *const task_names[] = {"binary", "multiclass", "regression", "ranking"};
static const char *const link_names[] = {"identity",      "sigmoid",   "softmax", "exp",
                                         "signed_square", "log1p_exp", "hinge"};
static const char *const kind_names[] = {"number", "category", "vector", "text", "time"};
static const char *const missing_names[] = {"mean", "value", "indicator", "reject", "keep"};
static const char *const outlier_names[] = {"keep", "clip", "missing", "reject"};
static const char *const normalize_names[] = {"none", "zscore", "minmax", "robust", "log1p", "buckets"};
static const char *const encoding_names[] = {"onehot", "index", "hash", "hash onehot", "target"};

static void print_line(const char *what, const char *text) { lp_print_safe(stdout, "  %-9s %s\n", what, text); }

/* The manifest's lineage and training, which scoring has no use for. */
static void print_origin(const struct lp_bundle *bundle)
{
    json_t *manifest = json_loads(bundle->manifest_json, 0, NULL);
    const json_t *training = json_object_get(manifest, "training"), *lineage = json_object_get(manifest, "lineage");
    const char *tool = json_string_value(json_object_get(training, "tool"));
    const char *data = json_string_value(json_object_get(training, "data"));
    const char *parent = json_string_value(json_object_get(lineage, "parent"));
    const json_t *rows = json_object_get(training, "rows");
    if (tool != NULL) print_line("trained", tool);
    if (data != NULL) print_line("data", data);
    if (rows != NULL) printf("  %-9s %lld\n", "rows", (long long)json_integer_value(rows));
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(training, "metrics"), name, value)
    {
        lp_print_safe(stdout, "  %-9s %s %.6g\n", "metric", name, json_number_value(value));
    }
    if (parent != NULL) print_line("parent", parent);
    size_t index;
    json_array_foreach(json_object_get(lineage, "steps"), index, value)
    {
        if (json_is_string(value)) print_line("step", json_string_value(value));
    }
    json_decref(manifest);
}

static void print_output(const struct lp_bundle *bundle)
{
    printf("  %-9s %u, %s", "outputs", bundle->output_count, link_names[bundle->link]);
    if (bundle->link_scale != 1) printf(" of %g times the margin", bundle->link_scale);
    if (bundle->task == LP_TASK_BINARY) printf(", threshold %g", isnan(bundle->threshold) ? 0.5 : bundle->threshold);
    for (uint32_t i = 0; i < bundle->label_count && i < 20; i++)
        lp_print_safe(stdout, "%s%s", i == 0 ? ", labels " : ", ", bundle->labels[i]);
    puts(bundle->label_count > 20 ? ", ..." : "");
    if (bundle->golden_count == 0)
        printf("  %-9s none: nothing says that this file scores as its maker's did\n", "golden");
    else
        lp_print_safe(stdout, "  %-9s %u rows from %s, rtol %g, atol %g\n", "golden", bundle->golden_count,
                      bundle->golden_source, bundle->golden_rtol, bundle->golden_atol);
}

static void describe_encoding(const struct lp_feature *feature, struct lp_buffer *out)
{
    if (feature->kind == LP_FEATURE_CATEGORY) {
        lp_buffer_format(out, "%s of %u%s", encoding_names[feature->encoding], feature->vocabulary_count,
                         feature->unknown_bucket ? " and unknown" : "");
        return;
    }
    if (feature->kind == LP_FEATURE_TEXT) {
        lp_buffer_format(out, "%s %u-%u-grams in %u", feature->ngram_characters ? "character" : "word",
                         feature->ngram_low, feature->ngram_high, feature->vocabulary_count);
        return;
    }
    if (feature->kind == LP_FEATURE_TIME) {
        lp_buffer_text(out, "parts of the date");
        return;
    }
    lp_buffer_text(out, normalize_names[feature->normalize]);
    if (feature->normalize == LP_NORMALIZE_BUCKETS) lp_buffer_format(out, ", %u edges", feature->bucket_edge_count);
    if (feature->normalize == LP_NORMALIZE_BUCKETS) return;
    if (feature->normalize == LP_NORMALIZE_NONE || feature->normalize == LP_NORMALIZE_LOG1P) return;
    lp_buffer_format(out, " %.6g / %.6g", feature->center, feature->scale);
}

static void describe_policies(const struct lp_feature *feature, struct lp_buffer *out)
{
    lp_buffer_format(out, "missing %s", missing_names[feature->missing]);
    bool filled = feature->missing <= LP_MISSING_INDICATOR && feature->kind != LP_FEATURE_CATEGORY &&
                  feature->kind != LP_FEATURE_TEXT;
    if (filled) lp_buffer_format(out, " %.6g", feature->missing_value);
    if (feature->outlier != LP_OUTLIER_KEEP)
        lp_buffer_format(out, ", outlier %s [%.6g, %.6g]", outlier_names[feature->outlier], feature->low,
                         feature->high);
    if (feature->baseline.bin_count > 0) lp_buffer_format(out, ", drift %u bins", feature->baseline.bin_count);
}

static void print_feature(uint32_t index, const struct lp_feature *feature)
{
    struct lp_buffer text;
    lp_buffer_init(&text, 4096);
    describe_encoding(feature, &text);
    printf("  %5u  %-8s %6u+%-5u %-28.*s ", index, kind_names[feature->kind], feature->column, feature->column_count,
           (int)text.size, text.data != NULL ? (const char *)text.data : "");
    lp_buffer_clear(&text);
    describe_policies(feature, &text);
    bool renamed = strcmp(feature->name, feature->from) != 0;
    lp_print_safe(stdout, "%s%s%s", feature->name, renamed ? " <- " : "", renamed ? feature->from : "");
    printf("; %.*s\n", (int)text.size, text.data != NULL ? (const char *)text.data : "");
    lp_buffer_done(&text);
}

static void print_text(const char *indent, const char *text)
{
    while (*text != '\0') {
        size_t bytes = strcspn(text, "\n");
        lp_print_safe(stdout, "%s%.*s\n", indent, (int)bytes, text);
        text += bytes + (text[bytes] == '\n');
    }
}

static void print_bundle(const char *path, const struct lp_model *model)
{
    const struct lp_bundle *bundle = model->bundle;
    char sha256[LP_SHA256_TEXT_BYTES];
    lp_sha256_text(bundle->sha256, sha256);
    lp_print_safe(stdout, "%s %s (%s)\n", bundle->name, bundle->version, task_names[bundle->task]);
    printf("  %-9s %s, %llu bytes\n", "file", path, (unsigned long long)bundle->file_bytes);
    printf("  %-9s %s\n", "sha256", sha256);
    if (bundle->created != NULL && bundle->created[0] != '\0') print_line("created", bundle->created);
    print_origin(bundle);
    print_output(bundle);
    printf("\nfeatures: %u in %u columns\n  index  kind     column+count normalization or encoding    name; policies\n",
           bundle->feature_count, bundle->column_count);
    for (uint32_t i = 0; i < bundle->feature_count; i++) print_feature(i, &bundle->features[i]);
    puts("\ngraph");
    print_text("  ", lp_plan_describe(model->plan));
}

/* The plan, and its steps timed. */
static enum lp_code print_plan(const struct lp_model *model, struct lp_error *err)
{
    struct lp_step_times times = {0};
    double *rows = NULL;
    print_text("", lp_plan_table(model->plan));
    if (lp_plan_step_count(model->plan) == 0) return LP_OK;
    LP_TRY(lp_bench_rows(model->bundle, PLAN_BATCH, &rows, err));
    enum lp_code rc = lp_step_times_measure(model->plan, rows, PLAN_BATCH, PLAN_NS, &times, err);
    free(rows);
    if (rc != LP_OK) return rc;
    lp_step_times_print(&times);
    lp_step_times_done(&times);
    return LP_OK;
}

static int run(int argc, char **argv)
{
    bool json = false, plan = false;
    const struct lp_option options[] = {{.name = "json", .type = LP_OPTION_FLAG, .value = &json},
                                        {.name = "plan", .type = LP_OPTION_FLAG, .value = &plan}};
    struct lp_operands operands;
    int code = lp_options_parse(&lp_command_inspect, argc, argv, options, 2, 1, 1, &operands);
    if (code >= 0) return code;
    if (plan && json) return lp_command_misuse(&lp_command_inspect, "--plan and --json: choose one");
    struct lp_model *model = NULL;
    struct lp_error err;
    if (lp_bundles_load(operands.items[0], &model, &err) != LP_OK) return lp_command_fail(&lp_command_inspect, &err);
    enum lp_code rc = LP_OK;
    if (plan) rc = print_plan(model, &err);
    else if (json) puts(model->bundle->manifest_json);
    else print_bundle(operands.items[0], model);
    lp_model_unref(model);
    if (rc != LP_OK) return lp_command_fail(&lp_command_inspect, &err);
    return lp_command_finish(&lp_command_inspect, LP_EXIT_OK);
}
