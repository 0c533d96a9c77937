/* Leaves that blocks led to, added in the order of the trees. */
#include "kernels/trees/blocks.h"
#include "kernels/trees/trees_private.h"

static bool plain(const struct lp_blocks *blocks)
{
    return blocks->trees->leaf_width == 1 && blocks->trees->linear_begin == NULL;
}

bool lp_blocks_single(const struct lp_blocks *blocks) { return plain(blocks) && blocks->trees->output_count == 1; }

void lp_blocks_add_rows(const struct lp_blocks *blocks, uint32_t tree, uint32_t row_count, const uint32_t *exits,
                        const double *rows, size_t stride, double *margins)
{
    const struct lp_trees *trees = blocks->trees;
    uint32_t outputs = trees->output_count;
    if (!plain(blocks)) {
        for (uint32_t r = 0; r < row_count; r++)
            lp_trees_add_leaf(trees, tree, exits[r] & ~LP_EXIT_LEAF, rows + r * stride, margins + (size_t)r * outputs);
        return;
    }
    margins += trees->output[tree];
    if (blocks->float_leaf != NULL) {
        for (uint32_t r = 0; r < row_count; r++, margins += outputs)
            *margins = (double)((float)*margins + blocks->float_leaf[exits[r] & ~LP_EXIT_LEAF]);
    } else {
        for (uint32_t r = 0; r < row_count; r++, margins += outputs)
            *margins += trees->leaf_value[exits[r] & ~LP_EXIT_LEAF];
    }
}
