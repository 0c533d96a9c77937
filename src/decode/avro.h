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
    LP_AVRO_ITEMS_MAX = 16 * 1024 * 1024, /* array and map items in one record, zero-size ones included */
};

struct lp_avro_schema; /* parsed, immutable, any thread */
struct lp_avro_plan;   /* compiled, immutable, any thread */

/** Parse schema JSON. LP_E_INVALID says where; limits above. */
LP_MUST_USE enum lp_code lp_avro_schema_parse(struct lp_span json, struct lp_avro_schema **ret_schema,
                                              struct lp_error *err);
void lp_avro_schema_free(struct lp_avro_schema *schema);

/** CRC-64-AVRO fingerprint of the Parsing Canonical Form (single-object encoding's id). */
uint64_t lp_avro_schema_fingerprint(const struct lp_avro_schema *schema);

/**
 * Compile a plan.
 *
 * @param writer borrowed for the call
 * @param reader borrowed for the call; NULL: the writer's own. Names, aliases, defaults, promotions, enum defaults of
 *               the specification's schema resolution apply between the two; wants' paths are the reader's
 * @param wants  borrowed for the call, paths copied
 * @return LP_E_MISMATCH when the schemas cannot be resolved or a want's type does not fit (err->field: its path),
 *         LP_E_NOT_FOUND when a want's path does not exist in the reader schema (err->field)
 */
LP_MUST_USE enum lp_code lp_avro_plan_new(const struct lp_avro_schema *writer, const struct lp_avro_schema *reader,
                                          const struct lp_want *wants, uint32_t want_count,
                                          struct lp_avro_plan **ret_plan, struct lp_error *err);
void lp_avro_plan_free(struct lp_avro_plan *plan);

/**
 * Decode one body. Never allocates, never reads outside `body`; the whole body must be consumed.
 * Strict: varints over ten bytes or of the wrong width, booleans above 1, bad union and enum indices, invalid lengths,
 * invalid UTF-8 in a wanted string and trailing bytes are LP_E_INVALID with LP_SKIP_RECORD; err->field is the path of
 * the field being read (the want's, or the writer's for a skipped field).
 */
LP_MUST_USE enum lp_code lp_avro_plan_run(const struct lp_avro_plan *plan, struct lp_span body,
                                          struct lp_record *record, struct lp_error *err);

#endif
