/* Private to publish/: the pieces of a JSON object that records need. */
#ifndef LP_PUBLISH_JSON_WRITE_H
#define LP_PUBLISH_JSON_WRITE_H

#include "core/buffer.h"
#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

/** `{"name":` for the first key of an object, else `,"name":`; names need no escapes. */
void lp_json_key(struct lp_buffer *out, bool is_first, const char *name);
/** A string, or null where data is NULL. Plain ASCII is copied; the rest goes through lp_buffer_json_string. */
void lp_json_text(struct lp_buffer *out, struct lp_span text);
void lp_json_integer(struct lp_buffer *out, int64_t value);
/** Shortest form; what is not finite is null. */
void lp_json_float(struct lp_buffer *out, float value);
/** A list of them. */
void lp_json_floats(struct lp_buffer *out, const float *values, size_t count);
void lp_json_double(struct lp_buffer *out, double value);
/** 16 hex digits, quoted. */
void lp_json_hash(struct lp_buffer *out, uint64_t prefix);

#endif
