/*
 * ONNX Runtime as a backend for graphs that the plan has no ops for: libonnxruntime is loaded with dlopen, when a
 * bundle asks for it and the build allows it (-DLEPTON_ONNXRUNTIME=ON). Private to infer/.
 */
#ifndef LP_INFER_ONNXRUNTIME_H
#define LP_INFER_ONNXRUNTIME_H

#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LP_ONNXRUNTIME_INPUTS_MAX = 256, LP_ONNXRUNTIME_RANK_MAX = 4 };

enum lp_onnxruntime_type { LP_ONNXRUNTIME_FLOAT, LP_ONNXRUNTIME_DOUBLE, LP_ONNXRUNTIME_INT32, LP_ONNXRUNTIME_INT64 };

/** One input of the model: so many of the row's columns, in order. */
struct lp_onnxruntime_input {
    const char *name;
    enum lp_onnxruntime_type type;
    uint32_t rank, dims[LP_ONNXRUNTIME_RANK_MAX]; /* without the batch */
    uint32_t column, width;
};

struct lp_onnxruntime_model {
    struct lp_span bytes; /* the ONNX file */
    uint32_t input_count;
    const struct lp_onnxruntime_input *inputs;
    const char *output; /* of floats, output_count a row */
    uint32_t output_count;
};

struct lp_onnxruntime; /* a session; runs are one thread's at a time */

/**
 * Load the library if need be, and the model into it, on one thread of its own.
 *
 * @param model copied, its texts and bytes are borrowed until _free
 * @return LP_E_UNSUPPORTED: built without it, no library, or the model needs what it does not have; LP_E_INVALID: it
 *         refuses the model, in its words; LP_E_MISMATCH: inputs or output are not as the bundle says; LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_onnxruntime_new(const struct lp_onnxruntime_model *model,
                                            struct lp_onnxruntime **ret_session, struct lp_error *err);
void lp_onnxruntime_free(struct lp_onnxruntime *session);

/** Bytes that _run wants for so many rows, 64-byte aligned. */
size_t lp_onnxruntime_scratch_bytes(const struct lp_onnxruntime *session, uint32_t row_count);

/**
 * Outputs of rows. The library allocates inside.
 * @param rows    row r at rows + r * row_stride_doubles
 * @param outputs [row_count] of output_count floats, output_stride_floats apart
 * When the library fails, for whatever reason, all outputs are NaN: each record is a bad one.
 */
void lp_onnxruntime_run(struct lp_onnxruntime *session, const double *rows, size_t row_stride_doubles,
                        uint32_t row_count, float *outputs, size_t output_stride_floats, void *scratch);

#endif
