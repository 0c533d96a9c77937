/* Avro: a writer's schema and a list of wants, compiled once into a flat program that reads bodies into records. */
#ifndef LP_DECODE_AVRO_H
#define LP_DECODE_AVRO_H

#include "core/error.h"
#include "core/span.h"
#include "decode/want.h"

#include <stdint.h>

enum {
    LP_AVRO_SCHEMA_MAX_BYTES = 1 << 20,
    LP_AVRO_DEPTH_MAX = 64,               /* nesting of a schema, and of a datum's recursive part */
    LP_AVRO_NODES_MAX = 65536,            /* types in a schema */
    LP_AVRO_BRANCHES_MAX = 4096,          /* of one union */
    LP_AVRO_ITEMS_MAX = 16 * 1024 * 1024, /* array and map items in one record */
    LP_AVRO_EMPTY_ITEMS_MAX = 65536,      /* ... and how many more than the record has bytes: some have none */
};

struct lp_avro_schema; /* parsed, immutable, any thread */
struct lp_avro_plan;   /* compiled, immutable, any thread */

/**
 * Parse schema JSON (Avro specification 1.11 and 1.12, logical types included). Defaults are read when a plan
 * needs them. Names are checked part by part; letters of other alphabets pass, as in Java.
 *
 * @param json borrowed for the call
 * @return LP_E_INVALID says where; LP_E_LIMIT: the limits above, a name over 1,024 bytes, a fixed over 1 GiB, 64 MiB of
 *         memory for the whole
 */
LP_MUST_USE enum lp_code lp_avro_schema_parse(struct lp_span json, struct lp_avro_schema **ret_schema,
                                              struct lp_error *err);
void lp_avro_schema_free(struct lp_avro_schema *schema);

/** CRC-64-AVRO fingerprint of the Parsing Canonical Form (single-object encoding's id, there as little-endian bytes).
 */
uint64_t lp_avro_schema_fingerprint(const struct lp_avro_schema *schema);

/**
 * Compile a plan. Only what is wanted has to resolve; everything else of the writer's is skipped (and checked).
 *
 * Names, aliases, defaults, promotions and enum defaults of the specification's schema resolution apply between writer
 * and reader. Where it leaves room: a reader's union gives the writer's own type first, then its first match; decimals
 * match when their scales do.
 *
 * What a want takes, by the reader's type (null and absent are missing everywhere):
 * - number: int, long, float, double, boolean (0 and 1), decimal (times 10^-scale, correctly rounded up to 256 bytes).
 *   Dates and times keep their stored unit
 * - text: string, bytes and fixed (valid UTF-8), enum (the symbol, in the plan), uuid (on a fixed: its hexadecimal
 *   text), int, long, float, double, boolean (canonical text, in the scratch, at most 48 bytes); not decimals
 * - vector: an array of exactly `width` numbers as above; null items are NaN
 * - time: timestamps and local timestamps (as UTC) of any unit with their fractions of a millisecond, date, a plain
 *   long as milliseconds. The unit is the writer's where it says one
 *
 * A path may be empty: the datum itself. In a union each branch that a want cannot take fails when a datum is of that
 * branch; no branch at all fails here.
 *
 * @param writer borrowed for the call
 * @param reader borrowed for the call; NULL: the writer's own; wants' paths are the reader's
 * @param wants  borrowed for the call, paths copied; one path may be wanted several times
 * @return LP_E_MISMATCH when the schemas cannot be resolved or a want's type does not fit (err->field: its path),
 *         LP_E_NOT_FOUND when a want's path does not exist in the reader schema (err->field), LP_E_INVALID,
 *         LP_E_UNSUPPORTED for a path that is none (decode/path.h), LP_E_LIMIT for a plan of more than 262,144 ops
 */
LP_MUST_USE enum lp_code lp_avro_plan_new(const struct lp_avro_schema *writer, const struct lp_avro_schema *reader,
                                          const struct lp_want *wants, uint32_t want_count,
                                          struct lp_avro_plan **ret_plan, struct lp_error *err);
void lp_avro_plan_free(struct lp_avro_plan *plan);

/**
 * Decode one body. Never allocates, never reads outside `body`; the whole body must be consumed.
 * Strict: varints over ten bytes or of the wrong width, booleans above 1, bad union and enum indices, invalid lengths,
 * block sizes that disagree with their blocks, vectors of another width, invalid UTF-8 in a wanted text and trailing
 * bytes are LP_E_INVALID; LP_E_LIMIT past the limits above and for texts that do not fit in the scratch. The action is
 * LP_SKIP_RECORD; err->field is the path of the field being read (the want's, or the writer's for a skipped field).
 * Of a map's duplicate keys the last counts. About 3 KB of stack. Cost: see tests/bench/decode/bench_avro.c.
 */
LP_MUST_USE enum lp_code lp_avro_plan_run(const struct lp_avro_plan *plan, struct lp_span body,
                                          struct lp_record *record, struct lp_error *err);

/**
 * As lp_avro_plan_run for the datum at the front of `bytes`, and how long it was: container files hold data one after
 * the other without saying where each ends. A plan without wants skips (and checks) a whole datum.
 */
LP_MUST_USE enum lp_code lp_avro_plan_run_prefix(const struct lp_avro_plan *plan, struct lp_span bytes,
                                                 struct lp_record *record, size_t *ret_bytes, struct lp_error *err);

#endif
