/* The kernel of an ensemble. */
#include "kernels/trees/blocks.h"
#include "kernels/trees/trees_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DESCRIPTION_BYTES = 200 };

static const char *const forms[] = {"6 levels", "9 levels", "any depth"};

struct lp_trees_model {
    struct lp_trees trees;
    const struct lp_blocks_kernel *kernel; /* NULL: the reference walk */
    struct lp_blocks *blocks;              /* of the kernel */
    char description[DESCRIPTION_BYTES];
};

uint32_t lp_trees_kernels(const struct lp_cpu *cpu, const char **ret_names, uint32_t names_max)
{
    uint32_t count = 0;
    (void)cpu;
#define LP_TREES_KERNEL(isa, usable) \
    if ((usable) && count < names_max) ret_names[count++] = #isa;
#include "kernels/trees/kernels.inc"
#undef LP_TREES_KERNEL
    if (count < names_max) ret_names[count++] = "scalar";
    return count;
}

static const struct lp_blocks_kernel *find_kernel(const struct lp_cpu *cpu, const char *name)
{
    (void)cpu;
#define LP_TREES_KERNEL(isa, usable) \
    if ((usable) && (name == NULL || strcmp(name, #isa) == 0)) return &lp_trees_##isa;
#include "kernels/trees/kernels.inc"
#undef LP_TREES_KERNEL
    return NULL;
}

/* An ensemble that has too many slots for blocks runs as it is, unless the
 * caller named the kernel. */
static enum lp_code pack(struct lp_trees_model *model, const char *name, struct lp_error *err)
{
    enum lp_code rc = lp_blocks_new(&model->trees, &model->blocks, err);
    if (rc == LP_OK && model->blocks->slots.slot_count > model->kernel->slots_max)
        rc = lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "trees: %u slots: kernel %s takes %u",
                     model->blocks->slots.slot_count, model->kernel->name, model->kernel->slots_max);
    if (rc == LP_OK || rc != LP_E_UNSUPPORTED || name != NULL) return rc;
    lp_blocks_free(model->blocks);
    model->blocks = NULL;
    model->kernel = NULL;
    return LP_OK;
}

static void describe(struct lp_trees_model *model)
{
    const struct lp_blocks *blocks = model->blocks;
    if (blocks == NULL)
        snprintf(model->description, sizeof model->description, "trees %u, %u nodes, scalar", model->trees.tree_count,
                 model->trees.node_count);
    else
        snprintf(model->description, sizeof model->description, "trees %u, %u nodes, blocks %s: %u slots, %s",
                 model->trees.tree_count, model->trees.node_count, model->kernel->name, blocks->slots.slot_count,
                 forms[blocks->form]);
}

enum lp_code lp_trees_new(const struct lp_trees *trees, const struct lp_cpu *cpu, const char *kernel,
                          struct lp_trees_model **ret_model, struct lp_error *err)
{
    struct lp_trees_model *model = calloc(1, sizeof *model);
    if (model == NULL) return lp_fail_memory(err, sizeof *model);
    model->trees = *trees;
    if (kernel == NULL || strcmp(kernel, "scalar") != 0) model->kernel = find_kernel(cpu, kernel);
    enum lp_code rc = LP_OK;
    if (model->kernel != NULL) rc = pack(model, kernel, err);
    else if (kernel != NULL && strcmp(kernel, "scalar") != 0)
        rc = lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "trees: this CPU has no kernel %s", kernel);
    if (rc == LP_OK) {
        describe(model);
        *ret_model = model;
    } else {
        lp_trees_free(model);
    }
    return rc;
}

void lp_trees_free(struct lp_trees_model *model)
{
    if (model == NULL) return;
    lp_blocks_free(model->blocks);
    free(model);
}

const char *lp_trees_describe(const struct lp_trees_model *model) { return model->description; }

size_t lp_trees_bytes(const struct lp_trees_model *model)
{
    return sizeof *model + (model->blocks != NULL ? model->blocks->bytes : 0);
}

size_t lp_trees_scratch_bytes(const struct lp_trees_model *model)
{
    return model->kernel != NULL ? model->kernel->scratch_bytes : 1;
}

void lp_trees_run(const struct lp_trees_model *model, const double *rows, uint32_t row_count, size_t row_stride_doubles,
                  double *margins, void *scratch)
{
    const struct lp_trees *trees = &model->trees;
    size_t count = (size_t)row_count * trees->output_count;
    for (size_t i = 0; i < count; i++) {
        double base = trees->base != NULL ? trees->base[i % trees->output_count] : 0.0;
        margins[i] = trees->compare == LP_TREES_XGBOOST ? (double)(float)base : base;
    }
    if (model->kernel != NULL) model->kernel->run(model->blocks, rows, row_count, row_stride_doubles, margins, scratch);
    else lp_trees_scalar_run(trees, rows, row_count, row_stride_doubles, margins);
    for (size_t i = 0; trees->divisor != 1.0 && i < count; i++) margins[i] /= trees->divisor;
}
