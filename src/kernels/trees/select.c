/* The kernel of an ensemble: blocks by the best instruction set here, else the walk; the reference when asked for. */
#include "kernels/trees/blocks.h"
#include "kernels/trees/trees_private.h"
#include "kernels/trees/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DESCRIPTION_BYTES = 200 };

static const char *const forms[] = {"6 levels", "9 levels", "any depth"};

/* One of blocks (with kernel) and walk, or neither: the reference. */
struct lp_trees_model {
    struct lp_trees trees;
    const struct lp_blocks_kernel *kernel;
    struct lp_blocks *blocks;
    struct lp_walk *walk;
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
    if (count < names_max) ret_names[count++] = "walk";
    if (count < names_max) ret_names[count++] = "scalar";
    return count;
}

static const struct lp_blocks_kernel *find_kernel(const struct lp_cpu *cpu, const char *name)
{
    (void)cpu;
    (void)name;
#define LP_TREES_KERNEL(isa, usable) \
    if ((usable) && (name == NULL || strcmp(name, #isa) == 0)) return &lp_trees_##isa;
#include "kernels/trees/kernels.inc"
#undef LP_TREES_KERNEL
    return NULL;
}

static enum lp_code pack_blocks(struct lp_trees_model *model, struct lp_error *err)
{
    LP_TRY(lp_blocks_new(&model->trees, &model->blocks, err));
    uint32_t slots = model->blocks->slots.slot_count;
    if (slots <= model->kernel->slots_max) return LP_OK;
    lp_blocks_free(model->blocks);
    model->blocks = NULL;
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "trees: %u slots: kernel %s takes %u", slots, model->kernel->name,
                   model->kernel->slots_max);
}

/*
 * Blocks whenever the ensemble has few enough slots: measured 3 to 9 times as fast as the walk at every batch size
 * (tests/bench/trees).
 */
static enum lp_code pack(struct lp_trees_model *model, const struct lp_cpu *cpu, const char *name, struct lp_error *err)
{
    if (name != NULL && strcmp(name, "scalar") == 0) return LP_OK;
    bool walk = name != NULL && strcmp(name, "walk") == 0;
    model->kernel = walk ? NULL : find_kernel(cpu, name);
    if (model->kernel != NULL) {
        enum lp_code rc = pack_blocks(model, err);
        if (rc != LP_E_UNSUPPORTED || name != NULL) return rc;
        model->kernel = NULL;
    } else if (name != NULL && !walk) {
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "trees: this CPU has no kernel %s", name);
    }
    return lp_walk_new(&model->trees, &model->walk, err);
}

static void describe(struct lp_trees_model *model)
{
    const struct lp_blocks *blocks = model->blocks;
    size_t size = sizeof model->description;
    if (blocks != NULL)
        snprintf(model->description, size, "blocks %s, %s, %u slots, bit-sliced from %u rows", model->kernel->name,
                 forms[blocks->form], blocks->slots.slot_count, model->kernel->group_rows_min);
    else snprintf(model->description, size, "%s", model->walk != NULL ? "walk" : "scalar");
}

enum lp_code lp_trees_new(const struct lp_trees *trees, const struct lp_cpu *cpu, const char *kernel,
                          struct lp_trees_model **ret_model, struct lp_error *err)
{
    struct lp_trees_model *model = calloc(1, sizeof *model);
    if (model == NULL) return lp_fail_memory(err, sizeof *model);
    model->trees = *trees;
    enum lp_code rc = pack(model, cpu, kernel, err);
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
    lp_walk_free(model->walk);
    free(model);
}

const char *lp_trees_describe(const struct lp_trees_model *model) { return model->description; }

const char *lp_trees_kernel_name(const struct lp_trees_model *model)
{
    if (model->blocks != NULL) return model->kernel->name;
    return model->walk != NULL ? "walk" : "scalar";
}

size_t lp_trees_bytes(const struct lp_trees_model *model)
{
    return sizeof *model + (model->blocks != NULL ? model->blocks->bytes : 0) +
           (model->walk != NULL ? lp_walk_bytes(model->walk) : 0);
}

size_t lp_trees_scratch_bytes(const struct lp_trees_model *model)
{
    if (model->blocks != NULL) return model->kernel->scratch_bytes;
    return model->walk != NULL ? lp_walk_scratch_bytes(model->walk) : 1;
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
    if (model->blocks != NULL) model->kernel->run(model->blocks, rows, row_count, row_stride_doubles, margins, scratch);
    else if (model->walk != NULL) lp_walk_run(model->walk, rows, row_count, row_stride_doubles, margins, scratch);
    else lp_trees_scalar_run(trees, rows, row_count, row_stride_doubles, margins);
    for (size_t i = 0; trees->divisor != 1.0 && i < count; i++) margins[i] /= trees->divisor;
}
