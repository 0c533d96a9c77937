#include "rivals.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *symbol(const struct rival *rival, const char *name)
{
    void *found = dlsym(rival->library, name);
    if (found == NULL) {
        fprintf(stderr, "bench_trees: %s\n", dlerror());
        exit(1);
    }
    return found;
}

static void check(int status, const char *what)
{
    if (status == 0) return;
    fprintf(stderr, "bench_trees: %s failed\n", what);
    exit(1);
}

/* XGBoost's c_api.h. */
typedef int xgb_create(const void *matrices, uint64_t count, void **ret);
typedef int xgb_load(void *booster, const char *path);
typedef int xgb_set(void *booster, const char *name, const char *value);
typedef int xgb_dense(void *booster, const char *array, const char *config, void *matrix, const uint64_t **shape,
                      uint64_t *dimensions, const float **result);

static void run_xgboost(struct rival *rival, uint32_t first_row, uint32_t count, double *ret_margins)
{
    char array[200];
    const uint64_t *shape;
    uint64_t dimensions;
    const float *result;
    const float *rows = rival->float_rows + (size_t)first_row * rival->columns;
    snprintf(array, sizeof array, "{\"data\": [%zu, true], \"shape\": [%u, %u], \"typestr\": \"<f4\", \"version\": 3}",
             (size_t)(uintptr_t)rows, count, rival->columns);
    xgb_dense *predict = (xgb_dense *)rival->calls[0];
    check(predict(rival->handle, array,
                  "{\"type\": 1, \"iteration_begin\": 0, \"iteration_end\": 0, \"strict_shape\": false, "
                  "\"missing\": NaN, \"cache_id\": 0}",
                  NULL, &shape, &dimensions, &result),
          "XGBoosterPredictFromDense");
    for (uint32_t r = 0; r < count; r++) ret_margins[r] = (double)result[r];
}

static void open_xgboost(struct rival *rival, const char *model)
{
    check(((xgb_create *)symbol(rival, "XGBoosterCreate"))(NULL, 0, &rival->handle), "XGBoosterCreate");
    check(((xgb_load *)symbol(rival, "XGBoosterLoadModel"))(rival->handle, model), "XGBoosterLoadModel");
    check(((xgb_set *)symbol(rival, "XGBoosterSetParam"))(rival->handle, "nthread", "1"), "XGBoosterSetParam");
    rival->calls[0] = symbol(rival, "XGBoosterPredictFromDense");
    rival->run = run_xgboost;
}

/* LightGBM's c_api.h: C_API_DTYPE_FLOAT64 1, C_API_PREDICT_RAW_SCORE 1. */
typedef int lgb_load(const char *path, int *iterations, void **ret);
typedef int lgb_matrix(void *booster, const void *data, int type, int32_t rows, int32_t columns, int row_major,
                       int kind, int start, int iterations, const char *parameters, int64_t *length, double *result);
typedef int lgb_fast_init(void *booster, int kind, int start, int iterations, int type, int32_t columns,
                          const char *parameters, void **ret);
typedef int lgb_fast(void *fast, const void *row, int64_t *length, double *result);

static void run_lightgbm(struct rival *rival, uint32_t first_row, uint32_t count, double *ret_margins)
{
    int64_t length;
    const double *rows = rival->rows + (size_t)first_row * rival->columns;
    if (count == 1) {
        check(((lgb_fast *)rival->calls[1])(rival->fast, rows, &length, ret_margins), "single row fast");
        return;
    }
    check(((lgb_matrix *)rival->calls[0])(rival->handle, rows, 1, (int32_t)count, (int32_t)rival->columns, 1, 1, 0, -1,
                                          "num_threads=1", &length, ret_margins),
          "LGBM_BoosterPredictForMat");
}

static void open_lightgbm(struct rival *rival, const char *model)
{
    int iterations;
    check(((lgb_load *)symbol(rival, "LGBM_BoosterCreateFromModelfile"))(model, &iterations, &rival->handle),
          "LGBM_BoosterCreateFromModelfile");
    rival->calls[0] = symbol(rival, "LGBM_BoosterPredictForMat");
    rival->calls[1] = symbol(rival, "LGBM_BoosterPredictForMatSingleRowFast");
    lgb_fast_init *init = (lgb_fast_init *)symbol(rival, "LGBM_BoosterPredictForMatSingleRowFastInit");
    check(init(rival->handle, 1, 0, -1, 1, (int32_t)rival->columns, "num_threads=1", &rival->fast), "single row init");
    rival->run = run_lightgbm;
}

/* What lleaves compiles: scores of rows begin to end. */
typedef void lleaves_root(const double *rows, double *result, int begin, int end);

static void run_lleaves(struct rival *rival, uint32_t first_row, uint32_t count, double *ret_margins)
{
    ((lleaves_root *)rival->calls[0])(rival->rows + (size_t)first_row * rival->columns, ret_margins, 0, (int)count);
}

/* What TL2cgen generates: adds to the result; an entry is a missing -1 or a float. */
union entry {
    int missing;
    float value;
};
typedef void tl2cgen_predict(union entry *row, int margin, float *result);

static void run_tl2cgen(struct rival *rival, uint32_t first_row, uint32_t count, double *ret_margins)
{
    tl2cgen_predict *predict = (tl2cgen_predict *)rival->calls[0];
    union entry row[64];
    for (uint32_t r = 0; r < count; r++) {
        float result = 0.0f;
        memcpy(row, rival->float_rows + (size_t)(first_row + r) * rival->columns, rival->columns * sizeof *row);
        predict(row, 1, &result);
        ret_margins[r] = (double)result;
    }
}

typedef void tl2cgen_predict_double(void *row, int margin, double *result);

static void run_tl2cgen_double(struct rival *rival, uint32_t first_row, uint32_t count, double *ret_margins)
{
    tl2cgen_predict_double *predict = (tl2cgen_predict_double *)rival->calls[0];
    double row[64];
    for (uint32_t r = 0; r < count; r++) {
        ret_margins[r] = 0.0;
        memcpy(row, rival->rows + (size_t)(first_row + r) * rival->columns, rival->columns * sizeof *row);
        predict(row, 1, &ret_margins[r]);
    }
}

void rival_open(struct rival *rival, const char *kind, const char *library, const char *model)
{
    rival->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (rival->library == NULL) {
        fprintf(stderr, "bench_trees: %s\n", dlerror());
        exit(1);
    }
    if (strcmp(kind, "xgboost") == 0) {
        open_xgboost(rival, model);
    } else if (strcmp(kind, "lightgbm") == 0) {
        open_lightgbm(rival, model);
    } else if (strcmp(kind, "lleaves") == 0) {
        rival->calls[0] = symbol(rival, "forest_root");
        rival->run = run_lleaves;
    } else {
        rival->calls[0] = symbol(rival, "predict");
        rival->run = strcmp(kind, "tl2cgen64") == 0 ? run_tl2cgen_double : run_tl2cgen;
    }
}
