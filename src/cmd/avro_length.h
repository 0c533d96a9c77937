/*
 * How long is the Avro datum at the front of these bytes? A container file's blocks hold data one after the other
 * without saying where each ends; a plan (decode/avro.h) wants exactly one.
 */
#ifndef LP_CMD_AVRO_LENGTH_H
#define LP_CMD_AVRO_LENGTH_H

#include "core/error.h"
#include "core/span.h"

struct lp_avro_length; /* immutable once made */

/** @param schema JSON that lp_avro_schema_parse accepted. LP_E_INVALID, LP_E_LIMIT, LP_E_MEMORY */
LP_MUST_USE enum lp_code lp_avro_length_new(struct lp_span schema, struct lp_avro_length **ret_length,
                                            struct lp_error *err);
void lp_avro_length_free(struct lp_avro_length *length);

/**
 * Length in bytes of the first datum. Checks bounds and nothing else: decoding it is the plan's business.
 * Never reads outside `bytes`, never allocates, nesting and items are bounded.
 * @return LP_E_INVALID (cut short, impossible length or branch), LP_E_LIMIT
 */
LP_MUST_USE enum lp_code lp_avro_length_run(const struct lp_avro_length *length, struct lp_span bytes,
                                            size_t *ret_bytes, struct lp_error *err);

#endif
