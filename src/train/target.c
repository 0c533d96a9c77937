#include "train/target.h"

#include "train/net.h"

#include <stdlib.h>

static const uint64_t salt = UINT64_C(0x7461726765740001);

/* Of the labels of one fold's rows with one category. */
struct sum {
    double labels;
    uint32_t rows;
};

uint32_t lp_target_fold(uint32_t row, uint64_t seed)
{
    uint64_t state = seed ^ salt ^ (uint64_t)row * UINT64_C(0x9e3779b97f4a7c15);
    return lp_train_below(&state, LP_TARGET_FOLDS);
}

static uint32_t category_of(const struct lp_table *table, uint32_t row, uint32_t which)
{
    return table->categories[(size_t)row * table->target_count + which];
}

static void encode(struct lp_table *table, const struct lp_feature *feature, uint32_t which, const uint32_t *order,
                   uint32_t train_count, uint64_t seed, struct sum (*sums)[LP_TARGET_FOLDS])
{
    double prior = 0;
    for (uint32_t i = 0; i < train_count; i++) {
        uint32_t row = order[i], category = category_of(table, row, which);
        prior += (table->label[row] - prior) / (i + 1);
        if (category >= feature->vocabulary_count) continue;
        struct sum *sum = &sums[category][lp_target_fold(row, seed)];
        sum->labels += table->label[row];
        sum->rows++;
    }
    for (uint32_t i = 0; i < table->row_count; i++) {
        uint32_t row = order[i], category = category_of(table, row, which);
        uint32_t at = table->where != NULL ? table->where[row] : row;
        uint32_t left_out = i < train_count ? lp_target_fold(row, seed) : LP_TARGET_FOLDS;
        double labels = prior * LP_TARGET_PRIOR_ROWS, rows = LP_TARGET_PRIOR_ROWS;
        if (at == UINT32_MAX) continue;
        for (uint32_t k = 0; category < feature->vocabulary_count && k < LP_TARGET_FOLDS; k++) {
            if (k == left_out) continue;
            labels += sums[category][k].labels;
            rows += sums[category][k].rows;
        }
        table->x[at * table->x_row + feature->column] = (float)(labels / rows);
    }
}

enum lp_code lp_target_encode(struct lp_table *table, const struct lp_bundle *features, const uint32_t *order,
                              uint32_t train_count, uint64_t seed, struct lp_error *err)
{
    for (uint32_t i = 0, which = 0; i < features->feature_count; i++) {
        const struct lp_feature *feature = &features->features[i];
        if (!lp_table_is_target(feature)) continue;
        struct sum(*sums)[LP_TARGET_FOLDS] = calloc((size_t)feature->vocabulary_count + 1, sizeof *sums);
        if (sums == NULL) return lp_fail_memory(err, feature->vocabulary_count * sizeof *sums);
        encode(table, feature, which++, order, train_count, seed, sums);
        free(sums);
    }
    return LP_OK;
}
