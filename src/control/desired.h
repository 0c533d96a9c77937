/* Desired state: one record of the control topic (schemas/control.schema.json), parsed strictly. */
#ifndef LP_CONTROL_DESIRED_H
#define LP_CONTROL_DESIRED_H

#include "control/signature.h"
#include "core/error.h"
#include "core/span.h"
#include "model/bundle.h"

#include <stdbool.h>
#include <stdint.h>

enum { LP_URI_MAX_BYTES = 4096 };
#define LP_GENERATION_MAX ((INT64_C(1) << 53) - 1)

struct lp_model_source {
    char uri[LP_URI_MAX_BYTES + 1];
    char sha256[LP_SHA256_TEXT_BYTES];       /* lower-case hexadecimal; empty: not stated (generation 0 only) */
    char signature[LP_SIGNATURE_TEXT_BYTES]; /* empty: unsigned */
};

struct lp_desired {
    uint64_t generation;
    struct lp_model_source active;
    bool has_previous;
    struct lp_model_source previous;
    bool paused;
    char *json; /* owned: the record's text, compact */
};

/**
 * Parse and validate. LP_E_INVALID names the member; LP_E_UNSUPPORTED for candidate and guards, which this release does
 * not act on; LP_E_LIMIT past max_bytes. On success the caller owns *ret_desired (lp_desired_free).
 */
LP_MUST_USE enum lp_code lp_desired_parse(struct lp_span json, size_t max_bytes, struct lp_desired **ret_desired,
                                          struct lp_error *err);
void lp_desired_free(struct lp_desired *desired);

/** The JSON text of a desired state (previous left out without a URI); owned by the caller (free). NULL: out of memory.
 */
char *lp_desired_encode(uint64_t generation, const struct lp_model_source *active,
                        const struct lp_model_source *previous, bool paused);

#endif
