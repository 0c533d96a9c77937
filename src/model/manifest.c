#include "model/manifest.h"

#include "model/array.h"

#include <math.h>
#include <string.h>

enum { CREATED_MAX_BYTES = 64 };

static const char *const tasks[] = {
    [LP_TASK_BINARY] = "binary",
    [LP_TASK_MULTICLASS] = "multiclass",
    [LP_TASK_REGRESSION] = "regression",
    [LP_TASK_RANKING] = "ranking",
};
static const char *const links[] = {
    [LP_LINK_IDENTITY] = "identity",
    [LP_LINK_SIGMOID] = "sigmoid",
    [LP_LINK_SOFTMAX] = "softmax",
    [LP_LINK_EXP] = "exp",
    [LP_LINK_SIGNED_SQUARE] = "signed_square",
    [LP_LINK_LOG1P_EXP] = "log1p_exp",
    [LP_LINK_HINGE] = "hinge",
};

static enum lp_code read_head(struct lp_bundle *bundle, const struct lp_node *manifest, struct lp_error *err)
{
    json_int_t format;
    size_t task;
    LP_TRY(lp_node_whole(manifest, "format", 1, INT32_MAX, &format, err));
    if (format != 1)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "manifest: format %lld: this release reads format 1",
                       (long long)format);
    LP_TRY(lp_node_text(manifest, "name", LP_NAME_MAX_BYTES, bundle->storage, &bundle->name, err));
    LP_TRY(lp_node_text(manifest, "version", LP_NAME_MAX_BYTES, bundle->storage, &bundle->version, err));
    LP_TRY(lp_node_choice(manifest, "task", LP_CHOICE(tasks), NULL, &task, err));
    bundle->task = (enum lp_task)task;
    bundle->created = "";
    if (!lp_node_has(manifest, "created")) return LP_OK;
    return lp_node_text(manifest, "created", CREATED_MAX_BYTES, bundle->storage, &bundle->created, err);
}

static bool link_fits(const struct lp_bundle *bundle)
{
    bool single = bundle->output_count == 1;
    switch (bundle->task) {
    case LP_TASK_BINARY:
        return single &&
               (bundle->link == LP_LINK_SIGMOID || bundle->link == LP_LINK_IDENTITY || bundle->link == LP_LINK_HINGE);
    case LP_TASK_MULTICLASS:
        return !single &&
               (bundle->link == LP_LINK_SIGMOID || bundle->link == LP_LINK_IDENTITY || bundle->link == LP_LINK_SOFTMAX);
    case LP_TASK_REGRESSION: return bundle->link != LP_LINK_SOFTMAX;
    case LP_TASK_RANKING: return single && (bundle->link == LP_LINK_SIGMOID || bundle->link == LP_LINK_IDENTITY);
    }
    return false;
}

/* A label begins at the middle of the scores: half of a probability, a margin of 0. */
static enum lp_code read_threshold(struct lp_bundle *bundle, const struct lp_node *output, struct lp_error *err)
{
    bundle->threshold = NAN;
    if (bundle->task != LP_TASK_BINARY) {
        if (lp_node_has(output, "threshold")) return LP_BAD(err, "output: only binary models have a threshold");
        return LP_OK;
    }
    bool margin = bundle->link == LP_LINK_IDENTITY;
    bundle->threshold = margin ? 0 : 0.5;
    LP_TRY(lp_node_number_or(output, "threshold", &bundle->threshold, err));
    if (!margin && !(bundle->threshold >= 0 && bundle->threshold <= 1))
        return LP_BAD(err, "output: `threshold` is %g: 0 to 1 is allowed", bundle->threshold);
    return LP_OK;
}

static enum lp_code read_scale(struct lp_bundle *bundle, const struct lp_node *output, struct lp_error *err)
{
    bundle->link_scale = 1;
    if (!lp_node_has(output, "scale")) return LP_OK;
    if (bundle->link != LP_LINK_SIGMOID)
        return LP_BAD(err, "output: `scale` has no meaning with link %s", links[bundle->link]);
    LP_TRY(lp_node_number(output, "scale", &bundle->link_scale, err));
    if (!(bundle->link_scale > 0 && isfinite((float)bundle->link_scale)))
        return LP_BAD(err, "output: `scale` is %g: it must be above 0 and fit in a float", bundle->link_scale);
    return LP_OK;
}

/* Points that a score can be read off between any two of them. */
static enum lp_code read_calibration(struct lp_bundle *bundle, const struct lp_node *output, struct lp_error *err)
{
    static const char *const members[] = {"margins", "scores", NULL};
    struct lp_calibration c;
    struct lp_node at;
    uint32_t count;
    const json_t *json = json_object_get(output->json, "calibration");
    if (json == NULL || json_is_null(json)) return LP_OK;
    LP_TRY(lp_node_object(output, "calibration", members, &at, err));
    if (bundle->task != LP_TASK_BINARY || bundle->link != LP_LINK_SIGMOID)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "output: calibration is for binary models with link sigmoid");
    LP_TRY(lp_array_numbers(bundle, &at, "margins", &c.margins, &c.count, err));
    LP_TRY(lp_array_numbers(bundle, &at, "scores", &c.scores, &count, err));
    if (count != c.count || count < 2)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: %u margins and %u scores: two points or more are needed",
                       at.where, c.count, count);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && !(c.margins[i - 1] < c.margins[i] && c.scores[i - 1] <= c.scores[i]))
            return LP_BAD(err, "%s: point %u: margins must rise and scores must not fall", at.where, i);
        if (!(c.scores[i] >= 0 && c.scores[i] <= 1))
            return LP_BAD(err, "%s: `scores`[%u] is %g: 0 to 1 is allowed", at.where, i, c.scores[i]);
    }
    bundle->calibration = c;
    return LP_OK;
}

static enum lp_code read_output(struct lp_bundle *bundle, const struct lp_node *manifest, struct lp_error *err)
{
    static const char *const members[] = {"link", "scale", "threshold", "calibration", "baseline", NULL};
    struct lp_node output;
    size_t link;
    LP_TRY(lp_node_init(&output, json_object_get(manifest->json, "output"), members, err, "output"));
    if (output.json == NULL) return LP_BAD(err, "manifest: `output` is missing");
    LP_TRY(lp_node_choice(&output, "link", LP_CHOICE(links), NULL, &link, err));
    bundle->link = (enum lp_link)link;
    if (!link_fits(bundle))
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "output: link %s with %u outputs does not fit task %s",
                       links[link], bundle->output_count, tasks[bundle->task]);
    LP_TRY(read_calibration(bundle, &output, err));
    if (lp_node_has(&output, "baseline") && bundle->output_count != 1)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "output: a score baseline with %u outputs is not in this release", bundle->output_count);
    LP_TRY(read_scale(bundle, &output, err));
    LP_TRY(read_threshold(bundle, &output, err));
    return lp_baseline_read_number(bundle, &output, &bundle->score_baseline, err);
}

static enum lp_code read_labels(struct lp_bundle *bundle, const struct lp_node *manifest, struct lp_error *err)
{
    if (!lp_node_has(manifest, "labels")) return LP_OK;
    if (bundle->task != LP_TASK_BINARY && bundle->task != LP_TASK_MULTICLASS)
        return LP_BAD(err, "manifest: task %s has no labels", tasks[bundle->task]);
    LP_TRY(lp_array_words(bundle, manifest, "labels", true, &bundle->labels, &bundle->label_count, err));
    uint32_t wanted = bundle->task == LP_TASK_BINARY ? 2 : bundle->output_count;
    if (bundle->label_count != wanted)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "manifest: %u labels: task %s needs %u here", bundle->label_count,
                       tasks[bundle->task], wanted);
    return lp_array_check_distinct(bundle->labels, bundle->label_count, "labels", err);
}

static enum lp_code read_all(struct lp_bundle *bundle, const json_t *root, struct lp_error *err)
{
    static const char *const members[] = {"format",   "name",     "version", "task",   "labels", "created", "lineage",
                                          "training", "features", "graph",   "output", "golden", NULL};
    struct lp_node manifest;
    LP_TRY(lp_node_init(&manifest, root, NULL, err, "manifest"));
    LP_TRY(read_head(bundle, &manifest, err)); /* another format may have other members */
    LP_TRY(lp_node_init(&manifest, root, members, err, "manifest"));
    LP_TRY(lp_history_check(&manifest, err));
    LP_TRY(lp_features_read(bundle, &manifest, err));
    LP_TRY(lp_graph_read(bundle, &manifest, err));
    LP_TRY(read_output(bundle, &manifest, err));
    LP_TRY(read_labels(bundle, &manifest, err));
    return lp_golden_read(bundle, &manifest, err);
}

enum lp_code lp_manifest_read(struct lp_bundle *bundle, struct lp_span text, struct lp_error *err)
{
    json_t *root = NULL;
    LP_TRY(lp_node_parse(text, "manifest", &root, err));
    enum lp_code rc = read_all(bundle, root, err);
    json_decref(root);
    return rc;
}
