/* What a whole XGBoost file means: objective, base margins, trees that count, features. */
#include "import/xgboost.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAD(err, ...) lp_fail((err), LP_E_INVALID, LP_FATAL, __VA_ARGS__)

enum base { BASE_PLAIN, BASE_LOGIT, BASE_LOG }; /* base_score is in the response's space: its way to the margin */

/* Objectives with a prediction transform, src/objective/ of 1.7 to 3.2. */
static const struct objective {
    const char *name;
    enum lp_task task;
    enum lp_link link;
    enum base base;
} objectives[] = {
    {"reg:squarederror", LP_TASK_REGRESSION, LP_LINK_IDENTITY, BASE_PLAIN},
    {"reg:linear", LP_TASK_REGRESSION, LP_LINK_IDENTITY, BASE_PLAIN},
    {"reg:squaredlogerror", LP_TASK_REGRESSION, LP_LINK_IDENTITY, BASE_PLAIN},
    {"reg:pseudohubererror", LP_TASK_REGRESSION, LP_LINK_IDENTITY, BASE_PLAIN},
    {"reg:absoluteerror", LP_TASK_REGRESSION, LP_LINK_IDENTITY, BASE_PLAIN},
    {"reg:quantileerror", LP_TASK_REGRESSION, LP_LINK_IDENTITY, BASE_PLAIN},
    {"reg:expectileerror", LP_TASK_REGRESSION, LP_LINK_IDENTITY, BASE_PLAIN},
    {"reg:logistic", LP_TASK_REGRESSION, LP_LINK_SIGMOID, BASE_LOGIT},
    {"binary:logistic", LP_TASK_BINARY, LP_LINK_SIGMOID, BASE_LOGIT},
    {"binary:logitraw", LP_TASK_BINARY, LP_LINK_IDENTITY, BASE_PLAIN},
    {"binary:hinge", LP_TASK_BINARY, LP_LINK_HINGE, BASE_PLAIN},
    {"multi:softprob", LP_TASK_MULTICLASS, LP_LINK_SOFTMAX, BASE_PLAIN},
    {"multi:softmax", LP_TASK_MULTICLASS, LP_LINK_IDENTITY, BASE_PLAIN},
    {"count:poisson", LP_TASK_REGRESSION, LP_LINK_EXP, BASE_LOG},
    {"reg:gamma", LP_TASK_REGRESSION, LP_LINK_EXP, BASE_LOG},
    {"reg:tweedie", LP_TASK_REGRESSION, LP_LINK_EXP, BASE_LOG},
    {"survival:cox", LP_TASK_REGRESSION, LP_LINK_EXP, BASE_LOG},
    {"survival:aft", LP_TASK_REGRESSION, LP_LINK_EXP, BASE_LOG},
    {"rank:pairwise", LP_TASK_RANKING, LP_LINK_IDENTITY, BASE_PLAIN},
    {"rank:ndcg", LP_TASK_RANKING, LP_LINK_IDENTITY, BASE_PLAIN},
    {"rank:map", LP_TASK_RANKING, LP_LINK_IDENTITY, BASE_PLAIN},
};

static enum lp_code find_objective(const struct lp_xgboost *file, const struct objective **ret_objective,
                                   struct lp_error *err)
{
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++)
        if (strcmp(objectives[i].name, file->objective) == 0) {
            *ret_objective = &objectives[i];
            return LP_OK;
        }
    if (file->objective[0] == '\0') return BAD(err, "it names no objective");
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                   "objective %s: what it does to a margin is not known here, and is not guessed", file->objective);
}

/* In float, as the library computes it. */
static float to_margin(enum base base, float score)
{
    if (base == BASE_LOGIT) return -logf(1.0f / score - 1.0f);
    return base == BASE_LOG ? logf(score) : score;
}

/* "5E-1", or "[5E-1,2E-1]" from 3.x on; one number counts for every output. */
static enum lp_code read_base(struct lp_xgboost *file, enum base base, struct lp_error *err)
{
    struct lp_draft *draft = file->draft;
    const char *at = (const char *)file->base_score.data;
    double *bases = lp_storage_take(&draft->storage, draft->output_count, sizeof *bases, err);
    if (bases == NULL) return lp_failed(err->code);
    if (at == NULL) return BAD(err, "base_score is missing");
    bool listed = at[0] == '[';
    at += listed;
    uint32_t count = 0;
    for (; count < draft->output_count; count++) {
        char *end;
        float margin = to_margin(base, strtof(at, &end));
        if (end == at || !isfinite(margin))
            return BAD(err, "base_score %.60s is no number that has a finite margin",
                       (const char *)file->base_score.data);
        bases[count] = (double)margin;
        at = end;
        if (*at != ',') break;
        at++;
    }
    if (strcmp(at, listed ? "]" : "") != 0 || (count > 0 && count + 1 != draft->output_count))
        return BAD(err, "base_score %.60s for %u outputs", (const char *)file->base_score.data, draft->output_count);
    for (uint32_t i = 1; count == 0 && i < draft->output_count; i++) bases[i] = bases[0];
    draft->base = bases;
    return LP_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum lp_code check_name(const char *name, size_t i, struct lp_error *err)
{
    size_t size = strlen(name);
    if (size == 0 || size > LP_NAME_MAX_BYTES) return BAD(err, "feature %zu has a name of %zu bytes", i, size);
    for (size_t k = 0; k < size; k++)
        if ((unsigned char)name[k] < 0x20 || name[k] == 0x7f)
            return BAD(err, "feature %zu has a control character in its name", i);
    return LP_OK;
}

/* Before 3.x a file holds no names of categories, and from arrays there are none. */
static enum lp_code note_codes(struct lp_xgboost *file, struct lp_error *err)
{
    struct lp_draft *draft = file->draft;
    const char *const *types = (const char *const *)(const void *)file->types.data;
    size_t count = file->types.size / sizeof *types;
    const char *first = NULL;
    uint32_t without = 0;
    if (count != 0 && count != draft->column_count)
        return BAD(err, "%zu feature_types for %u features", count, draft->column_count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(types[i], "c") != 0 || draft->features[i].vocabulary_count > 0) continue;
        if (without++ == 0) first = draft->features[i].name;
    }
    if (without > 0)
        lp_buffer_format(&draft->notes,
                         "%u features are categories whose names the file does not hold, the first is `%s`: records "
                         "must carry the codes, or a spec the vocabularies (--print-spec)\n",
                         without, first);
    return LP_OK;
}

static enum lp_code take_features(struct lp_xgboost *file, struct lp_error *err)
{
    struct lp_draft *draft = file->draft;
    size_t names = file->names.size / sizeof(char *), cats = file->vocabularies.size / sizeof *draft->features;
    draft->column_count = draft->feature_count = (uint32_t)file->feature_count;
    draft->features = lp_storage_take(&draft->storage, draft->column_count, sizeof *draft->features, err);
    if (draft->features == NULL) return lp_failed(err->code);
    if (names != 0 && names != draft->column_count)
        return BAD(err, "%zu feature_names for %u features", names, draft->column_count);
    if (cats != 0 && cats != draft->column_count)
        return BAD(err, "cats: %zu entries for %u features", cats, draft->column_count);
    for (uint32_t i = 0; i < draft->column_count; i++) {
        struct lp_draft_feature *feature = &draft->features[i];
        if (cats != 0) *feature = ((const struct lp_draft_feature *)(const void *)file->vocabularies.data)[i];
        char made[16];
        snprintf(made, sizeof made, "f%u", i);
        feature->name = names != 0 ? ((const char *const *)(const void *)file->names.data)[i]
                                   : lp_storage_text(&draft->storage, made, strlen(made), err);
        if (feature->name == NULL) return lp_failed(err->code);
        LP_TRY(check_name(feature->name, i, err));
    }
    if (names > 1) qsort(file->names.data, names, sizeof(char *), compare_names);
    for (size_t i = 1; i < names; i++) {
        const char *const *sorted = (const char *const *)(const void *)file->names.data;
        if (strcmp(sorted[i - 1], sorted[i]) == 0) return BAD(err, "two features are named %.64s", sorted[i]);
    }
    return note_codes(file, err);
}

static enum lp_code take_linear(struct lp_xgboost *file, struct lp_error *err)
{
    struct lp_draft *draft = file->draft;
    size_t outputs = draft->output_count, count = draft->column_count * outputs;
    if (lp_floats_count(&file->weights) != count + outputs)
        return BAD(err, "gblinear: %zu weights for %u features and %zu outputs", lp_floats_count(&file->weights),
                   draft->column_count, outputs);
    float *weights = lp_storage_take(&draft->storage, count + outputs, sizeof *weights, err);
    if (weights == NULL) return lp_failed(err->code);
    memcpy(weights, file->weights.data, (count + outputs) * sizeof *weights);
    for (size_t i = 0; i < count + outputs; i++)
        if (!isfinite(weights[i])) return BAD(err, "gblinear: weight %zu is not finite", i);
    for (size_t i = 0; i < outputs; i++) weights[count + i] += (float)draft->base[i];
    draft->is_linear = true;
    draft->weight = weights;
    draft->bias = weights + count;
    return LP_OK;
}

/* Trees that predict uses: those of the best iteration and before, where the file names one. */
static enum lp_code count_trees(struct lp_xgboost *file, uint32_t *ret_count, struct lp_error *err)
{
    uint32_t all = lp_forest_tree_count(&file->draft->forest);
    int64_t best = file->best_iteration, used;
    size_t indices = lp_wholes_count(&file->iteration_indptr);
    *ret_count = all;
    if (best < 0 || all == 0) return LP_OK;
    if (indices > 0) {
        used = (size_t)best + 1 < indices ? lp_wholes(&file->iteration_indptr)[best + 1] : all;
    } else {
        int64_t parallel = file->parallel_count > 0 ? file->parallel_count : 1;
        if (__builtin_mul_overflow((best + 1) * parallel, (int64_t)file->draft->output_count, &used)) used = all;
    }
    if (used < 0) return BAD(err, "iteration_indptr has %lld", (long long)used);
    if (used >= all) return LP_OK;
    if (file->options->all_iterations) return LP_OK;
    lp_buffer_format(&file->draft->notes,
                     "%lld of %u trees count: best_iteration is %lld, as scikit-learn's predict applies it "
                     "(--all-iterations: every tree, as Booster.predict does)\n",
                     (long long)used, all, (long long)best);
    *ret_count = (uint32_t)used;
    return LP_OK;
}

static enum lp_code check_nodes(const struct lp_draft *draft, struct lp_error *err)
{
    const int32_t *column = (const void *)draft->forest.column.data;
    size_t count = draft->forest.column.size / sizeof *column;
    for (size_t i = 0; i < count; i++)
        if (column[i] >= 0 && (uint32_t)column[i] >= draft->column_count)
            return BAD(err, "a node splits feature %d of %u", column[i], draft->column_count);
    const uint32_t *output = (const void *)draft->forest.output.data;
    for (uint32_t i = 0; draft->forest.leaf_width == 1 && i < lp_forest_tree_count(&draft->forest); i++)
        if (output[i] >= draft->output_count)
            return BAD(err, "tree %u adds to output %u of %u", i, output[i], draft->output_count);
    return LP_OK;
}

static enum lp_code take_trees(struct lp_xgboost *file, bool is_dart, struct lp_error *err)
{
    struct lp_forest *forest = &file->draft->forest;
    uint32_t count = lp_forest_tree_count(forest), used;
    if (lp_wholes_count(&file->tree_info) != count)
        return BAD(err, "tree_info has %zu entries for %u trees", lp_wholes_count(&file->tree_info), count);
    if (forest->leaf_width > 1 && forest->leaf_width != file->draft->output_count)
        return BAD(err, "leaves of %u values for %u outputs", forest->leaf_width, file->draft->output_count);
    if (forest->leaf_width > 1 && is_dart)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "dart with vector leaves, which XGBoost itself refuses");
    if (is_dart && lp_floats_count(&file->weight_drop) != count)
        return BAD(err, "weight_drop has %zu entries for %u trees", lp_floats_count(&file->weight_drop), count);
    uint32_t *output = (void *)forest->output.data;
    for (uint32_t i = 0; i < count; i++) {
        int64_t group = lp_wholes(&file->tree_info)[i];
        output[i] = group >= 0 && group < UINT32_MAX ? (uint32_t)group : UINT32_MAX;
        if (is_dart) lp_forest_scale(forest, i, lp_floats(&file->weight_drop)[i]);
    }
    LP_TRY(count_trees(file, &used, err));
    lp_forest_truncate(forest, used);
    LP_TRY(lp_forest_finish(forest, err));
    return check_nodes(file->draft, err);
}

static void name_source(const struct lp_xgboost *file)
{
    struct lp_draft *draft = file->draft;
    if (file->version_count == 3)
        snprintf(draft->source, sizeof draft->source, "xgboost %lld.%lld.%lld", (long long)file->version[0],
                 (long long)file->version[1], (long long)file->version[2]);
    else snprintf(draft->source, sizeof draft->source, "xgboost");
}

enum lp_code lp_xgboost_finish(struct lp_xgboost *file, struct lp_error *err)
{
    struct lp_draft *draft = file->draft;
    const struct objective *objective;
    if (!file->has_learner) return BAD(err, "it has no learner: only what save_model wrote can be read");
    if (file->feature_count == 0) return BAD(err, "num_feature is missing");
    LP_TRY(find_objective(file, &objective, err));
    name_source(file);
    draft->compare = LP_TREES_XGBOOST;
    int64_t outputs = file->class_count > file->target_count ? file->class_count : file->target_count;
    draft->output_count = outputs > 1 ? (uint32_t)outputs : 1;
    draft->task = objective->task;
    draft->link = objective->link;
    if (draft->task == LP_TASK_MULTICLASS && draft->output_count < 2)
        return BAD(err, "objective %s with num_class %lld", file->objective, (long long)file->class_count);
    /* Several targets, each by itself: no label says which. */
    if (draft->output_count > 1 && draft->task != LP_TASK_MULTICLASS) draft->task = LP_TASK_REGRESSION;
    LP_TRY(take_features(file, err));
    LP_TRY(read_base(file, objective->base, err));
    bool is_dart = strcmp(file->booster, "dart") == 0;
    if (strcmp(file->booster, "gblinear") == 0) return take_linear(file, err);
    if (strcmp(file->booster, "gbtree") == 0 || is_dart) return take_trees(file, is_dart, err);
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "booster `%s`: gbtree, dart and gblinear can be imported",
                   file->booster);
}
