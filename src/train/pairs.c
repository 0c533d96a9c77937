/* Pairs for BPR: each row with label 1 beside one with label 0 of its group. */
#include "train/trainer_private.h"

#include <stdlib.h>
#include <string.h>

static uint32_t group_of(const struct lp_train_data *data, uint32_t row)
{
    return data->group != NULL ? data->group[row] : 0;
}

/* Rows of one label by group: a counting sort. */
static enum lp_code list_rows(struct lp_trainer *t, int label, const uint32_t *rows, uint32_t count,
                              struct lp_error *err)
{
    uint32_t *begin = calloc((size_t)t->group_count + 2, sizeof *begin),
             *list = calloc((size_t)count + 1, sizeof *list);
    t->group_begin[label] = begin;
    t->labelled[label] = list;
    if (begin == NULL || list == NULL) return lp_fail_memory(err, count * sizeof *list);
    for (uint32_t i = 0; i < count; i++)
        if ((t->data->y[rows[i]] > 0.5f) == label) begin[group_of(t->data, rows[i]) + 2]++;
    for (uint32_t g = 0; g < t->group_count; g++) begin[g + 2] += begin[g + 1];
    for (uint32_t i = 0; i < count; i++)
        if ((t->data->y[rows[i]] > 0.5f) == label) list[begin[group_of(t->data, rows[i]) + 1]++] = rows[i];
    return LP_OK;
}

static uint32_t draw(const struct lp_trainer *t, uint64_t *random, uint32_t *to)
{
    uint32_t count = 0;
    for (uint32_t g = 0; g < t->group_count; g++) {
        const uint32_t *zeros = t->labelled[0] + t->group_begin[0][g];
        uint32_t zero_count = t->group_begin[0][g + 1] - t->group_begin[0][g];
        if (zero_count == 0) continue;
        for (uint32_t i = t->group_begin[1][g]; i < t->group_begin[1][g + 1]; i++) {
            to[count++] = t->labelled[1][i];
            to[count++] = zeros[lp_train_below(random, zero_count)];
        }
    }
    return count;
}

static void forget(struct lp_trainer *t)
{
    for (int label = 0; label < 2; label++) {
        free(t->labelled[label]);
        free(t->group_begin[label]);
        t->labelled[label] = t->group_begin[label] = NULL;
    }
}

enum lp_code lp_train_pairs_init(struct lp_trainer *t, struct lp_error *err)
{
    const struct lp_train_split *split = &t->split;
    uint64_t random = t->options->seed;
    for (uint32_t r = 0; r < t->data->row_count; r++)
        if (group_of(t->data, r) >= t->group_count) t->group_count = group_of(t->data, r) + 1;
    t->valid_pairs = calloc(2 * (size_t)split->valid_count + 2, sizeof *t->valid_pairs);
    free(t->order);
    t->order = calloc(2 * (size_t)split->train_count + 2, sizeof *t->order);
    if (t->valid_pairs == NULL || t->order == NULL) return lp_fail_memory(err, split->train_count * sizeof *t->order);
    for (int label = 0; label < 2; label++) LP_TRY(list_rows(t, label, split->valid, split->valid_count, err));
    t->valid_pair_rows = draw(t, &random, t->valid_pairs);
    forget(t);
    for (int label = 0; label < 2; label++) LP_TRY(list_rows(t, label, split->train, split->train_count, err));
    t->order_count = draw(t, &random, t->order);
    if (t->order_count == 0)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "no group has both a row with label 1 and one with label 0");
    return LP_OK;
}

void lp_train_pairs_draw(struct lp_trainer *t, uint64_t seed)
{
    uint64_t random = seed;
    draw(t, &random, t->order);
    for (uint32_t i = t->options->in_order ? 0 : t->order_count / 2; i > 1; i--) {
        uint32_t j = lp_train_below(&random, i), swap[2];
        memcpy(swap, t->order + 2 * (size_t)(i - 1), sizeof swap);
        memcpy(t->order + 2 * (size_t)(i - 1), t->order + 2 * (size_t)j, sizeof swap);
        memcpy(t->order + 2 * (size_t)j, swap, sizeof swap);
    }
}
