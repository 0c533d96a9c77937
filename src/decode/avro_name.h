/* Names of Avro types: validity, namespaces, full names. Private to src/decode/avro*.c. */
#ifndef LP_DECODE_AVRO_NAME_H
#define LP_DECODE_AVRO_NAME_H

#include "decode/avro_schema.h"

/** A JSON string as a span, or absent. */
struct lp_span lp_avro_string(const json_t *json);

/**
 * [A-Za-z_][A-Za-z0-9_]*, and any byte above 0x7f in a letter's place: Java and Python writers let other alphabets'
 * letters through, and jansson has checked that they are UTF-8.
 */
bool lp_avro_name_valid(struct lp_span name);

/** Everything before the last dot; empty without one. */
struct lp_span lp_avro_name_space(struct lp_span full);
/** Everything after the last dot. */
struct lp_span lp_avro_name_plain(struct lp_span full);

/**
 * The full name of `name` in namespace `space`; a dot in `name` overrides the space.
 *
 * @param ret_text storage of the name, with a NUL; *ret_full points into it
 * @return LP_E_INVALID for what is no name, LP_E_LIMIT past LP_AVRO_NAME_MAX_BYTES
 */
LP_MUST_USE enum lp_code lp_avro_name_full(struct lp_span name, struct lp_span space,
                                           char ret_text[LP_AVRO_NAME_MAX_BYTES + 1], struct lp_span *ret_full,
                                           struct lp_error *err);
/** As lp_avro_name_full, kept in `pool`. */
LP_MUST_USE enum lp_code lp_avro_name_keep(struct lp_avro_pool *pool, struct lp_span name, struct lp_span space,
                                           struct lp_span *ret_full, struct lp_error *err);

/** The primitive of that name, or LP_AVRO_PRIMITIVES. */
enum lp_avro_kind lp_avro_name_primitive(struct lp_span name);

#endif
