/* JSON records, on demand: one forward pass that parses only what is wanted and skips (but checks) the rest. */
#ifndef LP_DECODE_JSON_H
#define LP_DECODE_JSON_H

#include "core/error.h"
#include "core/span.h"
#include "decode/want.h"

enum { LP_JSON_DEPTH_MAX = 64 };

struct lp_json_plan; /* immutable, any thread */

LP_MUST_USE enum lp_code lp_json_plan_new(const struct lp_want *wants, uint32_t want_count,
                                          struct lp_json_plan **ret_plan, struct lp_error *err);
void lp_json_plan_free(struct lp_json_plan *plan);

/**
 * Decode one RFC 8259 object. null and an absent key are missing; of duplicate keys the first counts; a number wanted
 * from a string, an object or an array is LP_E_INVALID with err->field; numbers are correctly rounded doubles; `true`
 * and `false` wanted as numbers are 1 and 0; NaN and Infinity are not JSON. Never allocates (escaped strings unescape
 * into record->scratch; LP_E_LIMIT when it is full).
 */
LP_MUST_USE enum lp_code lp_json_plan_run(const struct lp_json_plan *plan, struct lp_span body,
                                          struct lp_record *record, struct lp_error *err);

#endif
