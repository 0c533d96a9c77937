/* Conversions of single Avro values, shared by the runner and by defaults. Private to src/decode/avro*.c. */
#ifndef LP_DECODE_AVRO_VALUE_H
#define LP_DECODE_AVRO_VALUE_H

#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LP_AVRO_DECIMAL_MAX_BYTES = 256, /* of a decimal's unscaled value, leading sign bytes aside */
    LP_AVRO_NUMBER_TEXT_BYTES = 48,
    LP_AVRO_UUID_TEXT_BYTES = 36,
};

enum lp_avro_source {
    LP_AVRO_FROM_BOOLEAN,
    LP_AVRO_FROM_INT,
    LP_AVRO_FROM_LONG,
    LP_AVRO_FROM_FLOAT,
    LP_AVRO_FROM_DOUBLE,
};

enum lp_avro_time {
    LP_AVRO_MILLIS,
    LP_AVRO_MICROS,
    LP_AVRO_NANOS,
    LP_AVRO_DAYS,
};

/** A number before it becomes text: `integer` for booleans, ints and longs, `real` for floats and doubles. */
struct lp_avro_number {
    enum lp_avro_source source;
    int64_t integer;
    double real;
};

/** Milliseconds since the epoch, fractions kept, correctly rounded. */
double lp_avro_time_ms(int64_t value, enum lp_avro_time unit);

/** Text of `number` after promotion to `form`, into at least LP_AVRO_NUMBER_TEXT_BYTES; returns its length. */
size_t lp_avro_number_text(struct lp_avro_number number, enum lp_avro_source form, char *to);

/** Big-endian two's complement times 10^-scale, correctly rounded; false past LP_AVRO_DECIMAL_MAX_BYTES. */
bool lp_avro_decimal(struct lp_span bytes, uint32_t scale, double *ret_value);

/** 16 bytes as 8-4-4-4-12 lower-case hexadecimal digits into LP_AVRO_UUID_TEXT_BYTES. */
void lp_avro_uuid_text(const unsigned char *bytes, unsigned char *to);

#endif
