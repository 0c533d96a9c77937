/*
 * Rows of doubles through a bundle, for the oracles: no text between that could round.
 *
 *     rows BUNDLE ROWS MARGINS SCORES [LEAVES]
 *
 * ROWS: [n][columns] doubles. MARGINS, SCORES: out, [n][outputs] floats. LEAVES: out, [n][trees] uint32, the node that
 * a row reaches, counted from its tree's root; the nodes of a tree are in preorder, left first.
 */
#include "score/scorer.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 257 };

static struct lp_error err;

static int fail(const char *what)
{
    fprintf(stderr, "rows: %s\n", what);
    return 1;
}

static int write_leaves(const struct lp_trees *trees, const double *rows, size_t count, const char *path)
{
    uint32_t *nodes = calloc((size_t)trees->tree_count + 1, sizeof *nodes);
    FILE *out = fopen(path, "wb");
    if (nodes == NULL || out == NULL) return fail(path);
    for (size_t i = 0; i < count; i++) {
        lp_trees_leaves(trees, rows + i * trees->column_count, nodes);
        for (uint32_t t = 0; t < trees->tree_count; t++) nodes[t] -= trees->root[t];
        fwrite(nodes, sizeof *nodes, trees->tree_count, out);
    }
    free(nodes);
    return fclose(out) == 0 ? 0 : fail(path);
}

static int write_floats(const char *path, const float *values, size_t count)
{
    FILE *out = fopen(path, "wb");
    if (out == NULL || fwrite(values, sizeof *values, count, out) != count || fclose(out) != 0) return fail(path);
    return 0;
}

static double *read_rows(const char *path, size_t columns, size_t *ret_count)
{
    FILE *in = fopen(path, "rb");
    if (in == NULL || fseek(in, 0, SEEK_END) != 0) return NULL;
    long bytes = ftell(in);
    rewind(in);
    *ret_count = (size_t)bytes / (columns * sizeof(double));
    double *rows = malloc((size_t)bytes + 1);
    if (rows == NULL || fread(rows, 1, (size_t)bytes, in) != (size_t)bytes) return NULL;
    fclose(in);
    return rows;
}

int main(int argc, char **argv)
{
    const struct lp_model_options options = {.bundle_max_bytes = UINT64_MAX};
    struct lp_model *model;
    struct lp_scorer *scorer;
    if (argc < 5) return fail("rows BUNDLE ROWS MARGINS SCORES [LEAVES]");
    if (lp_infer_setup(&err) != LP_OK || lp_model_load(argv[1], &options, &model, &err) != LP_OK ||
        lp_model_verify(model, &err) != LP_OK || lp_scorer_new(model, BATCH, &scorer, &err) != LP_OK)
        return fail(err.text);
    const struct lp_bundle *bundle = model->bundle;
    size_t count, outputs = bundle->output_count;
    double *rows = read_rows(argv[2], bundle->column_count, &count);
    float *margins = malloc(count * outputs * sizeof *margins + 1),
          *scores = malloc(count * outputs * sizeof *scores + 1);
    if (rows == NULL || margins == NULL || scores == NULL) return fail(argv[2]);
    /* Batches of 1 up to the whole, so that every kernel of the plan has its turn. */
    for (size_t done = 0, batch = 1; done < count; done += batch, batch = batch % BATCH + 1) {
        if (batch > count - done) batch = count - done;
        if (lp_scorer_rows(scorer, rows + done * bundle->column_count, (uint32_t)batch, margins + done * outputs,
                           scores + done * outputs, &err) != LP_OK)
            return fail(err.text);
    }
    int code = write_floats(argv[3], margins, count * outputs) | write_floats(argv[4], scores, count * outputs);
    if (argc > 5 && code == 0) code = write_leaves(bundle->ops[0].trees, rows, count, argv[5]);
    free(rows);
    free(margins);
    free(scores);
    lp_scorer_free(scorer);
    lp_model_unref(model);
    return code;
}
