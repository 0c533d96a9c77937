/* The kernel of an ensemble. */
#include "kernels/trees/trees_private.h"

#include <stdlib.h>
#include <string.h>

struct lp_trees_model {
    struct lp_trees trees;
};

enum lp_code lp_trees_new(const struct lp_trees *trees, const struct lp_cpu *cpu, const char *kernel,
                          struct lp_trees_model **ret_model, struct lp_error *err)
{
    (void)cpu;
    if (kernel != NULL && strcmp(kernel, "scalar") != 0)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "trees: there is no kernel %s", kernel);
    struct lp_trees_model *model = calloc(1, sizeof *model);
    if (model == NULL) return lp_fail_memory(err, sizeof *model);
    model->trees = *trees;
    *ret_model = model;
    return LP_OK;
}

void lp_trees_free(struct lp_trees_model *model) { free(model); }

const char *lp_trees_describe(const struct lp_trees_model *model)
{
    (void)model;
    return "scalar";
}

size_t lp_trees_bytes(const struct lp_trees_model *model) { return sizeof *model; }

size_t lp_trees_scratch_bytes(const struct lp_trees_model *model)
{
    (void)model;
    return 1;
}

void lp_trees_run(const struct lp_trees_model *model, const double *rows, uint32_t row_count, size_t row_stride_doubles,
                  double *margins, void *scratch)
{
    (void)scratch;
    const struct lp_trees *trees = &model->trees;
    lp_trees_scalar_run(trees, rows, row_count, row_stride_doubles, margins);
    if (trees->divisor == 1.0) return;
    for (size_t i = 0; i < (size_t)row_count * trees->output_count; i++) margins[i] /= trees->divisor;
}
