/*
 * Models of other libraries -> a draft -> a bundle. A draft is what the file says; a spec (JSON) is what a team may say
 * besides: where features are in a record, labels, a threshold.
 */
#ifndef LP_IMPORT_IMPORT_H
#define LP_IMPORT_IMPORT_H

#include "core/buffer.h"
#include "import/draft.h"

#include <jansson.h>

/** One `--from name=path`. */
struct lp_import_mapping {
    const char *name, *path;
};

/**
 * Read a model, its kind recognized by content: XGBoost JSON and UBJSON, LightGBM text, ONNX.
 *
 * @param bytes     borrowed for the call
 * @param ret_draft caller's storage; lp_draft_done on success only
 * @return LP_E_INVALID (damage), LP_E_UNSUPPORTED (what cannot be served as the library serves it, with its name),
 *         LP_E_LIMIT, LP_E_MEMORY
 * Time and memory are linear in the file.
 */
LP_MUST_USE enum lp_code lp_import_read(struct lp_span bytes, const struct lp_import_options *options,
                                        struct lp_draft *ret_draft, struct lp_error *err);

/**
 * The spec of a draft: {"name", "version", "features": [as in a manifest, ...]}, everything as the file says it; paths
 * are the features' names.
 * @return owned (json_decref); NULL without memory
 */
json_t *lp_import_spec(const struct lp_draft *draft, const char *name, const char *version);

/** Paths of features by name. LP_E_NOT_FOUND: the model has no such feature. */
LP_MUST_USE enum lp_code lp_import_map(json_t *spec, const struct lp_import_mapping *mappings, uint32_t count,
                                       struct lp_error *err);

/**
 * Lay an edited spec over a draft's: its name, version, labels and threshold, and its features, each in place of the
 * one of its name. When it names a feature that the draft has not (a vector for several columns), its list is the
 * whole.
 */
LP_MUST_USE enum lp_code lp_import_merge(json_t *spec, const json_t *edited, struct lp_error *err);

/**
 * Golden rows: JSON Lines of {"record": {...}, "margin": [...], "score": [...]}, the library's own answers; a number
 * may stand for an array of one, and one of the two is enough where the score is the margin.
 * @param ret_golden the manifest's `golden`, owned
 */
LP_MUST_USE enum lp_code lp_import_golden(const struct lp_draft *draft, struct lp_span lines, json_t **ret_golden,
                                          struct lp_error *err);

/**
 * The bundle's bytes.
 * @param golden may be NULL
 * @param out    appended to
 * The result is parsed again and its columns compared with the draft's: LP_E_MISMATCH when a spec does not give them.
 */
LP_MUST_USE enum lp_code lp_import_encode(const struct lp_draft *draft, const json_t *spec, const json_t *golden,
                                          struct lp_buffer *out, struct lp_error *err);

#endif
