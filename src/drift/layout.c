/* What is watched of a bundle, and where its counts are in a window. */
#include "drift/window.h"

#include <math.h>
#include <stdlib.h>

static enum lp_code check_options(const struct lp_drift_options *options, struct lp_error *err)
{
    if (options->window_ms <= 0)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, "window_ms", "drift window of %lld ms: must be above 0",
                             (long long)options->window_ms);
    if (options->lateness_ms < 0)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, "lateness_ms",
                             "drift lateness of %lld ms: must not be negative", (long long)options->lateness_ms);
    return LP_OK;
}

static enum lp_code check_baseline(const char *name, const struct lp_baseline *baseline, bool is_category,
                                   struct lp_error *err)
{
    if (is_category ? baseline->edge_count != 0 : baseline->bin_count != baseline->edge_count + 1)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, name, "drift baseline of %s: %u edges do not cut %u bins",
                             name, baseline->edge_count, baseline->bin_count);
    for (uint32_t i = 1; i < baseline->edge_count; i++)
        if (!(baseline->edges[i] > baseline->edges[i - 1]))
            return lp_fail_field(err, LP_E_INVALID, LP_FATAL, name, "drift baseline of %s: edge %u does not rise", name,
                                 i);
    for (uint32_t i = 0; i < baseline->bin_count; i++)
        if (!(baseline->counts[i] >= 0 && isfinite(baseline->counts[i])))
            return lp_fail_field(err, LP_E_INVALID, LP_FATAL, name, "drift baseline of %s: count %u is %g", name, i,
                                 baseline->counts[i]);
    return LP_OK;
}

static enum lp_code add_item(struct lp_drift_layout *layout, struct lp_drift_item item, struct lp_error *err)
{
    const struct lp_baseline *baseline = item.baseline;
    if (baseline->bin_count == 0) return LP_OK;
    LP_TRY(check_baseline(item.name, baseline, item.is_category, err));
    item.cell = layout->cell_count;
    layout->cell_count += LP_CELL_BINS + (size_t)(item.is_category ? baseline->bin_count : baseline->edge_count);
    if (baseline->bin_count > layout->bins_max) layout->bins_max = baseline->bin_count;
    layout->items[layout->item_count++] = item;
    return LP_OK;
}

static enum lp_code add_items(struct lp_drift_layout *layout, const struct lp_bundle *bundle, struct lp_error *err)
{
    for (uint32_t i = 0; i < bundle->feature_count; i++) {
        const struct lp_feature *feature = &bundle->features[i];
        if (feature->kind != LP_FEATURE_NUMBER && feature->kind != LP_FEATURE_CATEGORY) continue;
        bool is_category = feature->kind == LP_FEATURE_CATEGORY;
        LP_TRY(add_item(layout,
                        (struct lp_drift_item){.name = feature->name,
                                               .feature = (int32_t)i,
                                               .is_category = is_category,
                                               .may_clip = !is_category && feature->outlier == LP_OUTLIER_CLIP,
                                               .baseline = &feature->baseline},
                        err));
    }
    return add_item(
        layout,
        (struct lp_drift_item){.name = "$score", .feature = LP_DRIFT_SCORE, .baseline = &bundle->score_baseline}, err);
}

enum lp_code lp_drift_layout_init(struct lp_drift_layout *layout, const struct lp_bundle *bundle,
                                  const struct lp_drift_options *options, struct lp_error *err)
{
    LP_TRY(check_options(options, err));
    *layout = (struct lp_drift_layout){.window_ms = options->window_ms, .lateness_ms = options->lateness_ms};
    layout->items = calloc((size_t)bundle->feature_count + 1, sizeof *layout->items);
    if (layout->items == NULL) return lp_fail_memory(err, ((size_t)bundle->feature_count + 1) * sizeof *layout->items);
    enum lp_code rc = add_items(layout, bundle, err);
    if (rc != LP_OK) lp_drift_layout_done(layout);
    return rc;
}

void lp_drift_layout_done(struct lp_drift_layout *layout)
{
    free(layout->items);
    layout->items = NULL;
}

int64_t lp_drift_first_open(const struct lp_drift_layout *layout, int64_t watermark_ms, int64_t now_ms)
{
    int64_t passed_ms = watermark_ms < now_ms ? watermark_ms : now_ms;
    if (__builtin_sub_overflow(passed_ms, layout->lateness_ms, &passed_ms)) return INT64_MIN;
    /* A window is closed when its end <= passed_ms, so the first open one is the one that holds passed_ms. */
    return lp_drift_window_of(layout, passed_ms);
}
