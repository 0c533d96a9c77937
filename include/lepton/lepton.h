/*
 * liblepton: load a bundle, read its description, score rows and records.
 *
 *     struct lp_error err;
 *     struct lp_model *model;
 *     struct lp_scorer *scorer;
 *     float score[1];
 *     if (lepton_model_open("model.safetensors", &model, &err) != LP_OK) return fail(err.text);
 *     if (lepton_scorer_new(model, 256, &scorer, &err) != LP_OK) return fail(err.text);
 *     const char record[] = "{\"age\": 41, \"country\": \"de\"}";
 *     if (lepton_score_json(scorer, record, sizeof record - 1, score, &err) == LP_OK) printf("%g\n", (double)score[0]);
 *     else fprintf(stderr, "%s: %s\n", err.field, err.text);
 *     lepton_scorer_free(scorer);
 *     lepton_model_unref(model);
 *
 * Build with: cc program.c $(pkg-config --cflags --libs lepton)
 */
#ifndef LEPTON_LEPTON_H
#define LEPTON_LEPTON_H

#include "lepton/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lp_model;  /* immutable, reference-counted, any thread */
struct lp_scorer; /* one thread's buffers for one model */

/** Release of the library, "0.1.0". */
LP_API const char *lepton_version(void);

/**
 * Load and verify a bundle, golden rows included. Needs the pthread build of OpenBLAS, whose threads it sets to 1.
 * @param path      borrowed
 * @param ret_model owned: release with lepton_model_unref
 * @return LP_E_NOT_FOUND, LP_E_IO, LP_E_INVALID, LP_E_LIMIT, LP_E_UNSUPPORTED, LP_E_MEMORY; LP_E_MISMATCH when the
 * bundle does not reproduce its golden rows
 */
LP_API LP_MUST_USE enum lp_code lepton_model_open(const char *path, struct lp_model **ret_model, struct lp_error *err);
/** Thread-safe; unref accepts NULL, the last one frees. */
LP_API struct lp_model *lepton_model_ref(struct lp_model *model);
LP_API void lepton_model_unref(struct lp_model *model);

/** The manifest, JSON text; owned by the model. */
LP_API const char *lepton_model_manifest(const struct lp_model *model);
LP_API const char *lepton_model_name(const struct lp_model *model);
LP_API const char *lepton_model_version(const struct lp_model *model);
LP_API uint32_t lepton_model_feature_count(const struct lp_model *model);
/** NULL when index is out of range. */
LP_API const char *lepton_model_feature_name(const struct lp_model *model, uint32_t index);
/** Columns of a cleaned row, and scores a row gives. */
LP_API uint32_t lepton_model_column_count(const struct lp_model *model);
LP_API uint32_t lepton_model_output_count(const struct lp_model *model);

/** Buffers for up to rows_max rows a call; holds a reference to the model. */
LP_API LP_MUST_USE enum lp_code lepton_scorer_new(struct lp_model *model, uint32_t rows_max,
                                                  struct lp_scorer **ret_scorer, struct lp_error *err);
LP_API void lepton_scorer_free(struct lp_scorer *scorer);

/**
 * Score rows that are cleaned and encoded already.
 * @param rows   [row_count][column_count] doubles, row-major
 * @param scores out, [row_count][output_count]
 * @return LP_E_LIMIT when row_count > rows_max
 * Scores are as the model gives them, non-finite ones too. Never allocates.
 */
LP_API LP_MUST_USE enum lp_code lepton_score_rows(struct lp_scorer *scorer, const double *rows, uint32_t row_count,
                                                  float *scores, struct lp_error *err);

/**
 * Score one JSON record: decode, clean, infer.
 * @param record borrowed, record_bytes long
 * @param scores out, [output_count]
 * @return LP_E_INVALID / LP_E_REFUSED with err->field for a bad record (a non-finite score is one), LP_E_LIMIT for one
 *         above 64 MiB; the scorer stays usable
 */
LP_API LP_MUST_USE enum lp_code lepton_score_json(struct lp_scorer *scorer, const char *record, size_t record_bytes,
                                                  float *scores, struct lp_error *err);

#ifdef __cplusplus
}
#endif
#endif
