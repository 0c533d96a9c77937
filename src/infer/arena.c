/*
 * Roots in one arena. The largest first, each at the lowest place where nothing lies that is needed at the same time
 * (greedy by size; Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
 */
#include "infer/plan.h"

#include <stdlib.h>

struct sized {
    struct lp_plan_root *root;
    size_t floats;
};

static int compare_sizes(const void *a, const void *b)
{
    const struct sized *x = a, *y = b;
    if (x->floats != y->floats) return x->floats > y->floats ? -1 : 1;
    return x->root < y->root ? -1 : x->root > y->root;
}

static bool together(const struct lp_plan_root *a, const struct lp_plan_root *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static size_t floats_of(const struct lp_plan_root *root)
{
    return ((size_t)root->width + LP_PLAN_ALIGN_FLOATS - 1) / LP_PLAN_ALIGN_FLOATS * LP_PLAN_ALIGN_FLOATS;
}

/* Put a root among those placed, which are in the order of their offsets. */
static void place_one(struct lp_plan_root *root, struct lp_plan_root **placed, uint32_t count)
{
    size_t at = 0, floats = floats_of(root);
    for (uint32_t i = 0; i < count; i++) {
        if (!together(root, placed[i])) continue;
        if (placed[i]->offset >= at + floats) break;
        size_t end = placed[i]->offset + floats_of(placed[i]);
        if (end > at) at = end;
    }
    root->offset = at;
    uint32_t to = count;
    for (; to > 0 && placed[to - 1]->offset > at; to--) placed[to] = placed[to - 1];
    placed[to] = root;
}

size_t lp_arena_place(struct lp_plan_root *roots, uint32_t count)
{
    size_t total = 0;
    struct sized *order = malloc((count + 1) * sizeof *order);
    struct lp_plan_root **placed = malloc((count + 1) * sizeof(struct lp_plan_root *));
    for (uint32_t i = 0; i < count && order != NULL && placed != NULL; i++)
        order[i] = (struct sized){&roots[i], floats_of(&roots[i])};
    if (order != NULL && placed != NULL) {
        qsort(order, count, sizeof *order, compare_sizes);
        for (uint32_t i = 0; i < count; i++) {
            place_one(order[i].root, placed, i);
            size_t end = order[i].root->offset + order[i].floats;
            if (end > total) total = end;
        }
    } else {
        total = SIZE_MAX;
    }
    free(order);
    free(placed);
    return total;
}
