/* Reference distributions of features and of the score. */
#include "model/array.h"
#include "model/manifest.h"

static enum lp_code read_counts(struct lp_bundle *bundle, const struct lp_node *node, uint32_t bin_count,
                                struct lp_baseline *baseline, struct lp_error *err)
{
    uint32_t count;
    LP_TRY(lp_array_numbers(bundle, node, "counts", &baseline->counts, &count, err));
    if (count != bin_count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: %u counts for %u bins", node->where, count, bin_count);
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!(baseline->counts[i] >= 0)) return LP_BAD(err, "%s: `counts`[%u] is negative", node->where, i);
        sum += baseline->counts[i];
    }
    if (!(sum > 0 && sum < 1e300)) return LP_BAD(err, "%s: `counts` add up to %g", node->where, sum);
    LP_TRY(lp_node_number_or(node, "missing_rate", &baseline->missing_rate, err));
    if (!(baseline->missing_rate >= 0 && baseline->missing_rate <= 1))
        return LP_BAD(err, "%s: `missing_rate` is %g: 0 to 1 is allowed", node->where, baseline->missing_rate);
    baseline->bin_count = bin_count;
    return LP_OK;
}

enum lp_code lp_baseline_read_number(struct lp_bundle *bundle, const struct lp_node *node,
                                     struct lp_baseline *ret_baseline, struct lp_error *err)
{
    static const char *const members[] = {"edges", "counts", "missing_rate", NULL};
    struct lp_node at;
    struct lp_baseline baseline = {0};
    LP_TRY(lp_node_object(node, "baseline", members, &at, err));
    if (at.json != NULL) {
        LP_TRY(lp_array_numbers(bundle, &at, "edges", &baseline.edges, &baseline.edge_count, err));
        for (uint32_t i = 1; i < baseline.edge_count; i++)
            if (!(baseline.edges[i - 1] < baseline.edges[i]))
                return LP_BAD(err, "%s: `edges`[%u] is not above the one before it", at.where, i);
        if (baseline.edge_count >= LP_BUNDLE_COLUMNS_MAX)
            return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: %u edges, fewer than %d are allowed", at.where,
                           baseline.edge_count, LP_BUNDLE_COLUMNS_MAX);
        LP_TRY(read_counts(bundle, &at, baseline.edge_count + 1, &baseline, err));
    }
    *ret_baseline = baseline;
    return LP_OK;
}

enum lp_code lp_baseline_read_category(struct lp_bundle *bundle, const struct lp_node *node, uint32_t bin_count,
                                       struct lp_baseline *ret_baseline, struct lp_error *err)
{
    static const char *const members[] = {"counts", "missing_rate", NULL};
    struct lp_node at;
    struct lp_baseline baseline = {0};
    LP_TRY(lp_node_object(node, "baseline", members, &at, err));
    if (at.json != NULL) LP_TRY(read_counts(bundle, &at, bin_count, &baseline, err));
    *ret_baseline = baseline;
    return LP_OK;
}
