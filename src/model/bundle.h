/* A bundle file in memory: manifest, features, graph and tensors, every offset, shape, count and name checked. */
#ifndef LP_MODEL_BUNDLE_H
#define LP_MODEL_BUNDLE_H

#include "core/error.h"
#include "core/span.h"
#include "model/feature.h"
#include "model/op.h"
#include "model/tensor.h"

#include <stddef.h>
#include <stdint.h>

enum lp_task { LP_TASK_BINARY, LP_TASK_MULTICLASS, LP_TASK_REGRESSION, LP_TASK_RANKING };
/* Margin x to score. */
enum lp_link {
    LP_LINK_IDENTITY,
    LP_LINK_SIGMOID, /* of link_scale * x, each output by itself */
    LP_LINK_SOFTMAX,
    LP_LINK_EXP,
    LP_LINK_SIGNED_SQUARE, /* sign(x) x^2 */
    LP_LINK_LOG1P_EXP,     /* log(1 + exp(x)) */
    LP_LINK_HINGE,         /* 1 above 0, else 0 */
};
enum {
    LP_BUNDLE_HEADER_MAX_BYTES = 100 * 1000 * 1000,
    LP_BUNDLE_FEATURES_MAX = 16384,
    LP_BUNDLE_COLUMNS_MAX = 1 << 20,
    LP_BUNDLE_OPS_MAX = 4096,
    LP_BUNDLE_VALUES_MAX = 1 << 25, /* elements of all values of a graph together */
    LP_BUNDLE_TENSORS_MAX = 65536,
    LP_BUNDLE_OUTPUTS_MAX = 65536,
    LP_BUNDLE_GOLDEN_MAX = 10000,
    LP_BUNDLE_INLINE_MAX = 1000,            /* longer arrays are tensors */
    LP_BUNDLE_JSON_VALUES_MAX = 2000000,    /* in the header and in the manifest, each */
    LP_BUNDLE_JSON_CONTAINERS_MAX = 400000, /* objects and arrays among them */
    LP_BUNDLE_JSON_DEPTH_MAX = 64,
    LP_BUNDLE_NODES_MAX = 1 << 28,         /* of trees */
    LP_BUNDLE_WORK_GIGA_MAX = 32,          /* 2^30 multiply-adds a row: seconds of one core */
    LP_BUNDLE_GOLDEN_WORK_GIGA_MAX = 1024, /* all golden rows together */
    LP_NAME_MAX_BYTES = 255,
    LP_SHA256_BYTES = 32,
    LP_SHA256_TEXT_BYTES = 2 * LP_SHA256_BYTES + 1,
};

/** One golden record and what it must score. */
struct lp_golden_row {
    const char *record;   /* one JSON object, as `score` reads it */
    const double *margin; /* [output_count] */
    const double *score;  /* [output_count] */
};

/** Score by margin: straight lines between points, level beyond them. Takes the link's place in the scores. */
struct lp_calibration {
    uint32_t count;        /* 0: none; else 2 or more */
    const double *margins; /* [count] strictly rising, owned by the bundle */
    const double *scores;  /* [count] never falling, 0 to 1, owned by the bundle */
};

/** Everything a bundle says. Immutable after load; any thread may read. */
struct lp_bundle {
    const char *name, *version, *created;
    enum lp_task task;
    uint32_t label_count;
    const char *const *labels; /* may be 0 */

    uint32_t feature_count;
    const struct lp_feature *features;
    uint32_t column_count; /* width of the cleaned row */

    uint32_t op_count;
    const struct lp_op *ops; /* in the order of execution */
    uint32_t output_count;   /* width of the margin */
    enum lp_link link;
    double link_scale; /* sigmoid: times the margin; else 1 */
    double threshold;  /* binary: label 1 from this score on; NaN in other tasks */
    struct lp_calibration calibration;
    struct lp_baseline
        score_baseline; /* of the score (class 1 of binary, the value of regression); bin_count 0: none */

    const char *golden_source; /* "none" without rows */
    double golden_rtol, golden_atol;
    uint32_t golden_count;
    const struct lp_golden_row *golden;

    uint32_t tensor_count;
    const struct lp_tensor *tensors; /* by name, as strcmp sorts */

    unsigned char sha256[LP_SHA256_BYTES];
    uint64_t file_bytes;
    const char *manifest_json;         /* the manifest's text, for `inspect --json` */
    struct lp_bundle_storage *storage; /* private to model/ */
};

/**
 * Read and verify a bundle file.
 *
 * @param path      borrowed
 * @param max_bytes larger files are refused before anything is read (LP_E_LIMIT)
 * @return LP_OK and an owned bundle; LP_E_IO/LP_E_NOT_FOUND (file), LP_E_INVALID (format), LP_E_LIMIT, LP_E_MISMATCH
 *         (shapes), LP_E_UNSUPPORTED (op, kind, dtype), LP_E_MEMORY
 * Reads the whole file into memory; the SHA-256 is of the bytes that were parsed.
 */
LP_MUST_USE enum lp_code lp_bundle_load(const char *path, uint64_t max_bytes, struct lp_bundle **ret_bundle,
                                        struct lp_error *err);

/**
 * As lp_bundle_load, of one file only: LP_E_MISMATCH, before a byte of it is parsed, for any other.
 * @param sha256 64 lower-case hexadecimal digits; NULL: any file
 */
LP_MUST_USE enum lp_code lp_bundle_load_exactly(const char *path, uint64_t max_bytes, const char *sha256,
                                                struct lp_bundle **ret_bundle, struct lp_error *err);

/** As lp_bundle_load, from memory (copied). */
LP_MUST_USE enum lp_code lp_bundle_parse(struct lp_span bytes, struct lp_bundle **ret_bundle, struct lp_error *err);

void lp_bundle_free(struct lp_bundle *bundle);

/** 64 lower-case hexadecimal digits and a zero. */
void lp_sha256_text(const unsigned char sha256[LP_SHA256_BYTES], char ret_text[LP_SHA256_TEXT_BYTES]);

/** Heap that the bundle holds, in bytes as asked of the allocator. */
uint64_t lp_bundle_heap_bytes(const struct lp_bundle *bundle);

/** A tensor by name, or NULL. O(log tensor_count). */
const struct lp_tensor *lp_bundle_tensor(const struct lp_bundle *bundle, const char *name);

#endif
