/* JSON records, on demand: one forward pass that converts only what is wanted and skips (but checks) the rest. */
#ifndef LP_DECODE_JSON_H
#define LP_DECODE_JSON_H

#include "core/error.h"
#include "core/span.h"
#include "decode/want.h"

enum {
    LP_JSON_DEPTH_MAX = 64,
    LP_JSON_WANTS_MAX = 32768,
    LP_JSON_NODES_MAX = 65536,            /* steps of all paths together */
    LP_JSON_SLOTS_MAX = 64 * 1024 * 1024, /* numbers, or texts, in one record */
};

struct lp_json_plan; /* immutable, any thread */

/**
 * Compile wants. Paths are copied; slots are the caller's.
 * LP_E_INVALID, LP_E_LIMIT, LP_E_UNSUPPORTED (err->field: the path), all LP_FATAL.
 */
LP_MUST_USE enum lp_code lp_json_plan_new(const struct lp_want *wants, uint32_t want_count,
                                          struct lp_json_plan **ret_plan, struct lp_error *err);
void lp_json_plan_free(struct lp_json_plan *plan);

/**
 * Decode one record: an RFC 8259 object in UTF-8 without a byte order mark.
 *
 * The whole text is checked, wanted or not (structure, escapes, surrogate pairs, UTF-8, numbers; nesting up to
 * LP_JSON_DEPTH_MAX). null, an absent key, an element past an array's end and null on a path's way are missing. Of
 * duplicate keys the first counts.
 * - number: a number as the nearest double (beyond double's range: LP_E_INVALID); true and false are 1 and 0. NaN and
 *   Infinity are not JSON.
 * - text: a string's characters; a number's own characters as they stand; true or false.
 * - vector: an array of exactly `width` numbers, true, false or null (NaN).
 * - time: a number is milliseconds; a string is RFC 3339 with a zone, fractions of a millisecond kept.
 * Any other value there is LP_E_INVALID.
 *
 * @return LP_E_INVALID, or LP_E_LIMIT when an escaped string does not fit in record->scratch; the action is
 *         LP_SKIP_RECORD, err->field the want's path or the key being read, the record's contents undefined
 * Never allocates. About 8 KB of stack. Cost: see tests/bench/decode/bench_json.c.
 */
LP_MUST_USE enum lp_code lp_json_plan_run(const struct lp_json_plan *plan, struct lp_span body,
                                          struct lp_record *record, struct lp_error *err);

#endif
