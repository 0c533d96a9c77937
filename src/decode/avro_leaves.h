/* What a schema's records hold, path by path: for those who do not know yet what to want. */
#ifndef LP_DECODE_AVRO_LEAVES_H
#define LP_DECODE_AVRO_LEAVES_H

#include "decode/avro.h"

enum lp_avro_leaf {
    LP_AVRO_LEAF_NUMBER,
    LP_AVRO_LEAF_BOOLEAN,
    LP_AVRO_LEAF_TEXT,
    LP_AVRO_LEAF_TIME,  /* a timestamp or a date */
    LP_AVRO_LEAF_ANY,   /* a union of numbers and texts */
    LP_AVRO_LEAF_OTHER, /* arrays, maps, unions of records, a record inside itself: no want of one value takes it */
};

enum { LP_AVRO_LEAVES_DEPTH_MAX = 16 };

/**
 * Each leaf in the order of the fields, as a path that a want may name; a union with null is its other branch.
 * @param leaf is called for each; its failure ends the walk
 */
LP_MUST_USE enum lp_code lp_avro_leaves(const struct lp_avro_schema *schema,
                                        enum lp_code (*leaf)(void *context, struct lp_span path, enum lp_avro_leaf kind,
                                                             struct lp_error *err),
                                        void *context, struct lp_error *err);

#endif
