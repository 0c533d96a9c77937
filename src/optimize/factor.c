#include "optimize/factor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16, NAME_BYTES = 48 };
static const double cheaper = 0.8;

/* Of LAPACK 3, which Debian's OpenBLAS has, without a header for C: U S V' of A [m][n], by columns. The last argument
 * is what Fortran adds for the length of `job`. */
void sgesdd_(const char *job, const int *m, const int *n, float *a, const int *lda, float *s, float *u, const int *ldu,
             float *vt, const int *ldvt, float *work, const int *lwork, int *iwork, int *info, size_t job_bytes);

static bool is_taken(const struct lp_op *op)
{
    if (op->kind != LP_OP_DENSE || op->weight->dtype != LP_DTYPE_F32) return false;
    uint64_t in = op->weight->dims[0], out = op->weight->dims[1], side = in < out ? in : out;
    return side >= LP_FACTOR_SIDE_MIN && side <= LP_FACTOR_SIDE_MAX && in <= INT32_MAX / LP_FACTOR_SIDE_MAX &&
           out <= INT32_MAX / LP_FACTOR_SIDE_MAX;
}

/* Rows of W are columns of its transpose: U of W' is `u`, its V' by columns is `v` by rows. Asked first for its needs.
 */
static enum lp_code run(struct lp_factors *f, float *transposed, float *u, int *integers, struct lp_error *err)
{
    int m = (int)f->out, n = (int)f->in, k = (int)f->count, info = 0, ask = -1;
    float wanted = 0;
    sgesdd_("S", &m, &n, transposed, &m, f->sigma, u, &m, f->v, &k, &wanted, &ask, integers, &info, 1);
    int count = (int)(wanted * 1.01f) + 16; /* a float does not count to the last */
    float *work = malloc((size_t)count * sizeof *work);
    if (work == NULL) return lp_fail_memory(err, (size_t)count * sizeof *work);
    if (info == 0) sgesdd_("S", &m, &n, transposed, &m, f->sigma, u, &m, f->v, &k, work, &count, integers, &info, 1);
    free(work);
    if (info == 0) return LP_OK;
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "its singular values were not found (LAPACK says %d)", info);
}

static enum lp_code decompose(const struct lp_tensor *weight, struct lp_factors *f, struct lp_error *err)
{
    size_t in = weight->dims[0], out = weight->dims[1], side = in < out ? in : out;
    f->in = (uint32_t)in;
    f->out = (uint32_t)out;
    f->count = (uint32_t)side;
    f->sigma = calloc(side, sizeof *f->sigma);
    f->v = calloc(in * side, sizeof *f->v);
    f->u = calloc(out * side, sizeof *f->u);
    float *copy = malloc(in * out * sizeof *copy), *u = malloc(out * side * sizeof *u);
    int *integers = malloc(8 * side * sizeof *integers);
    bool good = f->sigma != NULL && f->v != NULL && f->u != NULL && copy != NULL && u != NULL && integers != NULL;
    enum lp_code rc = good ? LP_OK : lp_fail_memory(err, in * out * sizeof *copy);
    if (good) memcpy(copy, weight->data, in * out * sizeof *copy);
    if (good) rc = run(f, copy, u, integers, err);
    for (size_t o = 0; rc == LP_OK && o < out; o++)
        for (size_t r = 0; r < side; r++) f->u[o * side + r] = u[r * out + o];
    free(copy);
    free(u);
    free(integers);
    return rc;
}

enum lp_code lp_factors_measure(const struct lp_bundle *bundle, struct lp_factors *ret_factors, struct lp_error *err)
{
    for (uint32_t i = 0; i < bundle->op_count; i++) {
        if (!is_taken(&bundle->ops[i])) continue;
        enum lp_code rc = decompose(bundle->ops[i].weight, &ret_factors[i], err);
        if (rc != LP_OK) return lp_error_wrap(err, "`%.64s`", bundle->ops[i].weight->name);
    }
    return LP_OK;
}

void lp_factors_done(struct lp_factors *factors, uint32_t count)
{
    for (uint32_t i = 0; factors != NULL && i < count; i++) {
        free(factors[i].sigma);
        free(factors[i].v);
        free(factors[i].u);
    }
    free(factors);
}

static uint32_t rank_of_energy(const struct lp_factors *f, double energy)
{
    double whole = 0, sum = 0;
    uint32_t rank = 0;
    for (uint32_t r = 0; r < f->count; r++) whole += (double)f->sigma[r] * (double)f->sigma[r];
    while (rank < f->count && sum < energy * whole) {
        sum += (double)f->sigma[rank] * (double)f->sigma[rank];
        rank++;
    }
    return (rank + BLOCK - 1) / BLOCK * BLOCK;
}

uint32_t lp_factors_rank(const struct lp_factors *f, const struct lp_rank_rule *rule)
{
    double whole = (double)f->in * f->out, one = (double)f->in + f->out;
    if (f->count == 0) return 0;
    uint32_t rank =
        rule->energy > 0 ? rank_of_energy(f, rule->energy) : (uint32_t)(rule->cost * whole / one) / BLOCK * BLOCK;
    return rank > 0 && rank < f->count && rank * one <= cheaper * whole ? rank : 0;
}

/* A number that neither a tensor nor a value of the graph is called by. */
static uint32_t find_number(const struct lp_draft *draft)
{
    char name[NAME_BYTES];
    for (uint32_t number = 0;; number++) {
        bool free_name = true;
        snprintf(name, sizeof name, "rank%u", number);
        for (size_t i = 0; i < json_array_size(draft->graph); i++) {
            const char *value = json_string_value(json_object_get(json_array_get(draft->graph, i), "output"));
            free_name = free_name && (value == NULL || strcmp(value, name) != 0);
        }
        size_t bytes = strlen(name);
        for (uint32_t i = 0; i < draft->count; i++)
            free_name = free_name && strncmp(draft->tensors[i].name, name, bytes) != 0;
        if (free_name) return number;
    }
}

static float *fill(struct lp_draft *draft, const struct lp_factors *f, uint32_t rank, bool first)
{
    size_t side = first ? f->in : f->out;
    const float *from = first ? f->v : f->u;
    float *to = lp_draft_take(draft, side * rank, sizeof *to);
    for (size_t i = 0; to != NULL && i < side; i++)
        for (size_t r = 0; r < rank; r++)
            to[first ? i * rank + r : r * side + i] = from[i * f->count + r] * sqrtf(f->sigma[r]);
    return to;
}

static enum lp_code put(struct lp_draft *draft, const char *name, uint64_t rows, uint64_t columns, float *data,
                        struct lp_error *err)
{
    if (data == NULL) return lp_fail_memory(err, rows * sizeof *data);
    const struct lp_tensor tensor = {.name = name,
                                     .dtype = LP_DTYPE_F32,
                                     .rank = columns > 0 ? 2 : 1,
                                     .dims = {rows, columns},
                                     .count = rows * (columns > 0 ? columns : 1),
                                     .data = data};
    return lp_draft_put(draft, &tensor, err);
}

enum lp_code lp_factors_put(struct lp_draft *draft, uint32_t index, const struct lp_factors *f, uint32_t rank,
                            struct lp_error *err)
{
    const char *old = draft->parent->ops[index].weight->name;
    char *names = lp_draft_take(draft, 4, NAME_BYTES), *value = names + 3 * NAME_BYTES;
    json_t *second = json_array_get(draft->graph, index);
    if (names == NULL) return lp_fail_memory(err, 4 * NAME_BYTES);
    uint32_t number = find_number(draft);
    snprintf(names, NAME_BYTES, "rank%u.first", number);
    snprintf(names + NAME_BYTES, NAME_BYTES, "rank%u.second", number);
    snprintf(names + 2 * (size_t)NAME_BYTES, NAME_BYTES, "rank%u.bias", number);
    snprintf(value, NAME_BYTES, "rank%u", number);
    json_t *first = json_pack("{s:s, s:O, s:s, s:s, s:s}", "op", "dense", "input", json_object_get(second, "input"),
                              "weight", names, "bias", names + 2 * (size_t)NAME_BYTES, "output", value);
    bool good = first != NULL && json_object_set_new(second, "input", json_string(value)) == 0 &&
                json_object_set_new(second, "weight", json_string(names + NAME_BYTES)) == 0 &&
                json_array_insert(draft->graph, index, first) == 0;
    json_decref(first);
    if (!good) return lp_fail_memory(err, 0);
    if (lp_draft_uses(draft, old) == 0) lp_draft_remove(draft, old);
    LP_TRY(put(draft, names, f->in, rank, fill(draft, f, rank, true), err));
    LP_TRY(put(draft, names + NAME_BYTES, rank, f->out, fill(draft, f, rank, false), err));
    /* Zeros: they cost nothing, and fine-tuning has something to learn. */
    return put(draft, names + 2 * (size_t)NAME_BYTES, rank, 0, lp_draft_take(draft, rank, sizeof(float)), err);
}
