/*
 * ONNX Runtime as a backend for graphs that the plan has no ops for: libonnxruntime is loaded with dlopen, when a
 * bundle asks for it and the build allows it (-DLEPTON_ONNXRUNTIME=ON). Private to infer/.
 */
#ifndef LP_INFER_ONNXRUNTIME_H
#define LP_INFER_ONNXRUNTIME_H

#include "core/error.h"
#include "core/span.h"
#include "model/op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lp_onnxruntime; /* a session; any thread may run it */

/**
 * Load the library if need be, and the model into it, on the caller's thread alone.
 *
 * @param model   borrowed until _free, as `bytes` (the ONNX file) is
 * @param outputs floats a row
 * @return LP_E_UNSUPPORTED: built without it, or no library; LP_E_INVALID: it refuses the model, in its words;
 *         LP_E_MISMATCH: inputs or output are not as the bundle says; LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_onnxruntime_new(const struct lp_foreign *model, struct lp_span bytes, uint32_t outputs,
                                            struct lp_onnxruntime **ret_session, struct lp_error *err);
void lp_onnxruntime_free(struct lp_onnxruntime *session);

/** Bytes that _run wants for so many rows, 64-byte aligned. */
size_t lp_onnxruntime_scratch_bytes(const struct lp_onnxruntime *session, uint32_t row_count);

/**
 * Outputs of rows. The library allocates inside.
 * @param rows    row r at rows + r * row_stride_doubles
 * @param outputs [row_count] rows of them, output_stride_floats apart
 * When the library fails, for whatever reason, all outputs are NaN: each record is a bad one.
 */
void lp_onnxruntime_run(struct lp_onnxruntime *session, const double *rows, size_t row_stride_doubles,
                        uint32_t row_count, float *outputs, size_t output_stride_floats, void *scratch);

#endif
