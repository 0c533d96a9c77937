/* What a decoder is asked for: an ordered list of fields and where their values go. */
#ifndef LP_DECODE_WANT_H
#define LP_DECODE_WANT_H

#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

enum lp_want_type {
    LP_WANT_NUMBER,  /* one double; NaN when null or absent */
    LP_WANT_TEXT,    /* one span; data == NULL when null or absent */
    LP_WANT_VECTOR,  /* `width` doubles from an array of numbers; all NaN when null or absent */
    LP_WANT_TIME_MS, /* one double: milliseconds since the epoch, by the logical type; a plain long is milliseconds */
};

/**
 * One wanted field. Paths: record fields by dots, `a[2]` an element of an array, `m.key` a map's entry, `\.` a dot
 * inside a name. Unions on the way are resolved by what the datum is; null on the way means absent.
 */
struct lp_want {
    const char *path; /* borrowed for the decoder's life */
    enum lp_want_type type;
    uint32_t width; /* vector: values; else 1 */
    uint32_t slot;  /* first index in numbers[] (number, vector, time) or in texts[] (text) */
};

/**
 * Give each want its slot: numbers and texts count up separately, in order, so that wants appended to a list do not
 * move those before them.
 */
static inline void lp_want_assign_slots(struct lp_want *wants, uint32_t want_count, uint32_t *ret_number_count,
                                        uint32_t *ret_text_count)
{
    uint32_t numbers = 0, texts = 0;
    for (uint32_t i = 0; i < want_count; i++) {
        if (wants[i].type == LP_WANT_TEXT) {
            wants[i].slot = texts++;
        } else {
            wants[i].slot = numbers;
            numbers += wants[i].width;
        }
    }
    *ret_number_count = numbers;
    *ret_text_count = texts;
}

/**
 * One record as decode leaves it and clean takes it; caller's storage, written whole by each decode.
 * Texts point into the record's bytes, into `scratch` or into the decoder (enum symbols, defaults), valid until the
 * next decode with the same decoder or the same storage. Numbers, booleans and enum symbols wanted as text become their
 * canonical text: 42, -1.5 (core/shortest.h), true, RED.
 */
struct lp_record {
    double *numbers;       /* [number_count] */
    struct lp_span *texts; /* [text_count] */
    unsigned char *scratch;
    size_t scratch_bytes;
    size_t scratch_used; /* reset by decode */
};

#endif
