#include "optimize/variants.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct lp_variant *add(struct lp_optimized *o, enum lp_variant_kind kind, const char *suffix, const char *format,
                              ...) __attribute__((format(printf, 4, 5)));
static struct lp_variant *add(struct lp_optimized *o, enum lp_variant_kind kind, const char *suffix, const char *format,
                              ...)
{
    struct lp_variant *v = &o->variants[o->variant_count++];
    *v = (struct lp_variant){
        .kind = kind, .speed = {NAN, NAN}, .candidate = kind != LP_VARIANT_LAYER && kind != LP_VARIANT_PRUNED};
    va_list args;
    va_start(args, format);
    vsnprintf(v->name, sizeof v->name, format, args);
    va_end(args);
    snprintf(v->suffix, sizeof v->suffix, "%s", suffix);
    return v;
}

/* The costliest layers that int8 takes, in the graph's order. */
static uint32_t find_layers(const struct lp_bundle *bundle, uint32_t *layers, uint32_t *ret_all)
{
    uint32_t count = 0;
    *ret_all = 0;
    for (uint32_t i = 0; i < bundle->op_count; i++) {
        if (!lp_shrink_takes_int8(&bundle->ops[i])) continue;
        ++*ret_all;
        uint32_t at = count;
        if (count == LP_VARIANT_LAYERS_MAX) {
            at = 0;
            for (uint32_t k = 1; k < count; k++)
                if (bundle->ops[layers[k]].work < bundle->ops[layers[at]].work) at = k;
            if (bundle->ops[layers[at]].work >= bundle->ops[i].work) continue;
            memmove(layers + at, layers + at + 1, (count - at - 1) * sizeof *layers);
            at = --count;
        }
        layers[at] = i;
        count++;
    }
    return count;
}

static void add_int8(struct lp_optimized *o)
{
    uint32_t layers[LP_VARIANT_LAYERS_MAX], all, count = find_layers(o->model->bundle, layers, &all);
    if (count == 0) return;
    add(o, LP_VARIANT_INT8, "int8", "int8 min/max")->int8 = LP_INT8_MINMAX;
    add(o, LP_VARIANT_INT8, "int8", "int8 99.9 %%")->int8 = LP_INT8_PERCENTILE;
    add(o, LP_VARIANT_INT8, "int8", "int8 dynamic")->int8 = LP_INT8_DYNAMIC;
    for (uint32_t i = 0; all > 1 && i < count; i++)
        add(o, LP_VARIANT_LAYER, "int8", "only %.64s", o->model->bundle->ops[layers[i]].weight->name)->op = layers[i];
}

/* The same once more, trained on. */
static void add_tuned(struct lp_optimized *o, bool tuned, const struct lp_variant *plain)
{
    if (!tuned) return;
    struct lp_variant *v = add(o, plain->kind, plain->suffix, "%.80s tuned", plain->name);
    v->share = plain->share;
    v->rank = plain->rank;
    v->tuned = v->candidate = true;
}

static void add_pruned(struct lp_optimized *o, bool tuned)
{
    static const double shares[] = {0.5, 0.8};
    bool any = false;
    for (uint32_t i = 0; i < o->model->bundle->op_count; i++) {
        const struct lp_op *op = &o->model->bundle->ops[i];
        any = any || (op->kind == LP_OP_DENSE && op->weight->dtype == LP_DTYPE_F32);
    }
    for (size_t i = 0; any && i < sizeof shares / sizeof *shares; i++) {
        struct lp_variant *v = add(o, LP_VARIANT_PRUNED, "pruned", "pruned %.0f %%", 100 * shares[i]);
        v->share = shares[i];
        add_tuned(o, tuned, v);
    }
}

static enum lp_code add_units(struct lp_optimized *o, bool tuned, struct lp_error *err)
{
    static const double shares[] = {0.25, 0.5};
    uint32_t last = 0;
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        struct lp_draft *draft;
        uint32_t gone;
        LP_TRY(lp_draft_new(o->model->bundle, &draft, err));
        enum lp_code rc = lp_shrink_units(draft, shares[i], &gone, err);
        lp_draft_free(draft);
        if (rc != LP_OK) return rc;
        if (gone <= last) continue; /* in whole blocks it is the same */
        last = gone;
        struct lp_variant *v = add(o, LP_VARIANT_UNITS, "narrow", "%u units cut", gone);
        v->share = shares[i];
        add_tuned(o, tuned, v);
    }
    return LP_OK;
}

static bool same_ranks(const struct lp_optimized *o, const struct lp_rank_rule *a, const struct lp_rank_rule *b)
{
    for (uint32_t i = 0; i < o->model->bundle->op_count; i++)
        if (lp_factors_rank(&o->factors[i], a) != lp_factors_rank(&o->factors[i], b)) return false;
    return true;
}

static void add_ranks(struct lp_optimized *o, bool tuned)
{
    static const struct {
        struct lp_rank_rule rule;
        const char *name;
    } rules[] = {{{0.99, 0}, "rank, 99 % energy"}, {{0.9, 0}, "rank, 90 % energy"}, {{0, 0.5}, "rank, half the cost"}};
    const struct lp_rank_rule whole = {1, 0};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        bool new = !same_ranks(o, &rules[i].rule, &whole);
        for (size_t k = 0; k < i; k++) new = new && !same_ranks(o, &rules[i].rule, &rules[k].rule);
        if (!new) continue;
        struct lp_variant *v = add(o, LP_VARIANT_RANK, "lowrank", "%s", rules[i].name);
        v->rank = rules[i].rule;
        add_tuned(o, tuned, v);
    }
}

void lp_variants_add_trial(struct lp_optimized *o, const struct lp_trial *trial)
{
    char layers[LP_TRIAL_TEXT_BYTES];
    lp_trial_layers(trial, layers);
    struct lp_variant *v = add(o, LP_VARIANT_TRIAL, "trial", "trial %u: %s", trial->number, layers);
    snprintf(v->detail, sizeof v->detail, "rate %g, L2 %g, dropout %g, %u epochs", trial->rate, trial->l2,
             trial->dropout, trial->epochs);
    v->made = trial->bundle;
}

/* Whole rounds of boosting: with several outputs a tree for each. */
static void add_trees(struct lp_optimized *o, uint32_t index)
{
    const struct lp_trees *trees = o->model->bundle->ops[index].trees;
    uint32_t round = trees->leaf_width > 1 ? 1 : trees->output_count, last = trees->tree_count;
    if (trees->tree_count % round != 0) return;
    for (int quarter = 3; quarter > 0; quarter--) {
        uint32_t keep = (uint32_t)((uint64_t)trees->tree_count * (uint32_t)quarter / 4) / round * round;
        if (keep == 0 || keep == last) continue;
        struct lp_variant *v = add(o, LP_VARIANT_TREES, "trees", "first %u of %u trees", keep, trees->tree_count);
        snprintf(v->suffix, sizeof v->suffix, "%utrees", keep);
        v->op = index;
        v->keep = last = keep;
    }
}

enum lp_code lp_variants_list(struct lp_optimized *o, bool tuned, struct lp_error *err)
{
    const struct lp_bundle *bundle = o->model->bundle;
    bool floats = false, ensembles = false;
    add(o, LP_VARIANT_ORIGINAL, "original", "original");
    for (uint32_t i = 0; i < bundle->op_count; i++) {
        const struct lp_op *op = &bundle->ops[i];
        bool weighs = op->kind == LP_OP_DENSE || op->kind == LP_OP_CONV2D || op->kind == LP_OP_EMBEDDING;
        floats = floats || (weighs && op->weight->dtype == LP_DTYPE_F32);
        if (op->kind == LP_OP_TREES && !ensembles) add_trees(o, i);
        ensembles = ensembles || op->kind == LP_OP_TREES;
    }
    if (floats) add(o, LP_VARIANT_BF16, "bf16", "bf16");
    add_int8(o);
    if (tuned) add(o, LP_VARIANT_MORE, "tuned", "original tuned")->tuned = true;
    add_pruned(o, tuned);
    LP_TRY(add_units(o, tuned, err));
    add_ranks(o, tuned);
    return LP_OK;
}

bool lp_variants_add_mixed(struct lp_optimized *o)
{
    const struct lp_variant *most = NULL, *int8 = NULL;
    for (uint32_t i = 0; i < o->variant_count; i++) {
        const struct lp_variant *v = &o->variants[i];
        if (v->kind == LP_VARIANT_LAYER && (most == NULL || v->judged.quality.loss > most->judged.quality.loss))
            most = v;
        if (v->kind == LP_VARIANT_INT8 && v->int8 != LP_INT8_DYNAMIC &&
            (int8 == NULL || v->judged.quality.loss < int8->judged.quality.loss))
            int8 = v;
    }
    if (most == NULL || int8 == NULL) return false;
    struct lp_variant *v = add(o, LP_VARIANT_INT8_BUT, "int8", "int8 but %.64s", most->name + strlen("only "));
    v->op = most->op;
    v->int8 = int8->int8;
    return true;
}

static enum lp_code quantize(const struct lp_optimized *o, const struct lp_variant *variant, struct lp_draft *draft,
                             struct lp_error *err)
{
    const struct lp_bundle *bundle = o->model->bundle;
    for (uint32_t i = 0; i < bundle->op_count; i++) {
        bool wanted = lp_shrink_takes_int8(&bundle->ops[i]);
        if (variant->kind == LP_VARIANT_LAYER) wanted = i == variant->op;
        if (variant->kind == LP_VARIANT_INT8_BUT && i == variant->op) wanted = false;
        if (wanted) LP_TRY(lp_shrink_int8(draft, i, variant->int8, &o->ranges[i], err));
    }
    return LP_OK;
}

/* From the last op on: each that becomes two moves those behind it. */
static enum lp_code factor(const struct lp_optimized *o, const struct lp_variant *variant, struct lp_draft *draft,
                           struct lp_error *err)
{
    for (uint32_t i = o->model->bundle->op_count; i-- > 0;) {
        uint32_t rank = lp_factors_rank(&o->factors[i], &variant->rank);
        if (rank > 0) LP_TRY(lp_factors_put(draft, i, &o->factors[i], rank, err));
    }
    return LP_OK;
}

static enum lp_code shrink(const struct lp_optimized *o, const struct lp_variant *variant, struct lp_draft *draft,
                           struct lp_error *err)
{
    uint32_t changed;
    switch (variant->kind) {
    case LP_VARIANT_ORIGINAL:
    case LP_VARIANT_MORE:
    case LP_VARIANT_TRIAL: return LP_OK;
    case LP_VARIANT_BF16: return lp_shrink_bf16(draft, &changed, err);
    case LP_VARIANT_INT8:
    case LP_VARIANT_INT8_BUT:
    case LP_VARIANT_LAYER: return quantize(o, variant, draft, err);
    case LP_VARIANT_PRUNED: return lp_shrink_prune(draft, variant->share, &changed, err);
    case LP_VARIANT_UNITS: return lp_shrink_units(draft, variant->share, &changed, err);
    case LP_VARIANT_RANK: return factor(o, variant, draft, err);
    case LP_VARIANT_TREES: return lp_shrink_trees(draft, variant->op, variant->keep, err);
    }
    return LP_OK;
}

enum lp_code lp_variants_make(const struct lp_optimized *o, const struct lp_variant *variant,
                              struct lp_draft **ret_draft, struct lp_error *err)
{
    struct lp_draft *draft;
    if (variant->made != NULL) return lp_draft_new(variant->made, ret_draft, err);
    LP_TRY(lp_draft_new(o->model->bundle, &draft, err));
    enum lp_code rc = shrink(o, variant, draft, err);
    if (rc == LP_OK) *ret_draft = draft;
    else lp_draft_free(draft);
    return rc;
}
