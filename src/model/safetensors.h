/*
 * The container: 8 bytes of header length (little-endian), a JSON header {name: {dtype, shape, data_offsets}} with
 * __metadata__ {text: text}, then the tensors' bytes. Format: huggingface/safetensors, README "Format".
 */
#ifndef LP_MODEL_SAFETENSORS_H
#define LP_MODEL_SAFETENSORS_H

#include "core/span.h"
#include "model/bundle.h"

/**
 * Check a file and copy its tensors, sorted by name, to bundle->tensors.
 *
 * Offsets must cover the data without holes or overlaps; floating-point tensors must be finite.
 * @param bytes        borrowed for the call
 * @param ret_manifest __metadata__.lepton, in the bundle's storage
 */
LP_MUST_USE enum lp_code lp_safetensors_parse(struct lp_bundle *bundle, struct lp_span bytes,
                                              struct lp_span *ret_manifest, struct lp_error *err);

#endif
