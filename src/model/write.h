/* Writing bundle files: the reverse of bundle.h. */
#ifndef LP_MODEL_WRITE_H
#define LP_MODEL_WRITE_H

#include "core/buffer.h"
#include "model/bundle.h"

/**
 * A safetensors file with this manifest and these tensors, 8-byte aligned, appended to `out`. What it says is not
 * checked: lp_bundle_parse does that.
 *
 * @param manifest JSON text, borrowed
 * @param tensors  borrowed; name, dtype, rank, dims, count and data are used
 * @return LP_OK; LP_E_LIMIT past out's maximum, LP_E_MEMORY
 */
LP_MUST_USE enum lp_code lp_bundle_encode(const char *manifest, const struct lp_tensor *tensors, uint32_t tensor_count,
                                          struct lp_buffer *out, struct lp_error *err);

/**
 * Put bytes into a file so that a reader finds the old one or the whole new one: written beside it, synced, renamed.
 * @return LP_E_IO naming the path
 */
LP_MUST_USE enum lp_code lp_bundle_save(const char *path, struct lp_span bytes, struct lp_error *err);

#endif
