/*
 * Rank encoding: what a row says about all thresholds of an ensemble, as one byte a slot, exactly.
 *
 * A column's distinct thresholds are sorted; rank(x) = how many a value lies to the right of (XGBoost thr <= x,
 * LightGBM thr < x). A slot covers 255 neighbouring thresholds: byte = min(max(rank - low, 0), 255), and "x goes right
 * at threshold low + j" is byte >= j + 1. A column has a slot for each 255 thresholds and each way in which its nodes
 * treat missing values: there a byte of 0 goes left everywhere, 255 goes right everywhere. A category set is a slot of
 * its own.
 */
#ifndef LP_KERNELS_TREES_SLOTS_H
#define LP_KERNELS_TREES_SLOTS_H

#include "kernels/trees/trees.h"

enum {
    LP_SLOTS_MAX = 256,        /* a slot's number is a byte */
    LP_SLOTS_TABLE_BYTES = 64, /* a row's bytes are padded to this */
    LP_SLOT_THRESHOLDS = 255,
    LP_RANK_LEVELS_MAX = 6,
    LP_RANK_FANOUT = 16,
};

/* What a value is to missing rules; index of a slot's masks. */
enum lp_value_class { LP_VALUE_NUMBER, LP_VALUE_ZERO, LP_VALUE_NAN, LP_VALUE_CLASSES };

struct lp_slot {
    uint32_t low;                   /* first threshold */
    uint8_t keep[LP_VALUE_CLASSES]; /* byte = (byte & keep) | set */
    uint8_t set[LP_VALUE_CLASSES];
};

/*
 * A column's thresholds as a search tree of fan-out 16: level 0 holds all, each higher level the last one of every
 * block of 16 below. Blocks are padded with NaN, and each level but the highest has one more block of NaN behind.
 */
struct lp_rank_column {
    uint32_t column;
    uint32_t first_slot, slot_count;
    uint32_t level_count;                  /* 0: no thresholds */
    uint32_t level_at[LP_RANK_LEVELS_MAX]; /* in `thresholds` */
};

struct lp_set_slot {
    uint32_t node, column, slot; /* of a categorical node: which side a value takes */
};

struct lp_slots {
    uint32_t column_count, slot_count, set_slot_count;
    struct lp_rank_column *columns;
    struct lp_slot *slots;          /* [LP_SLOTS_MAX] */
    struct lp_set_slot *set_slots;  /* [set_slot_count] */
    float *float_thresholds;        /* XGBoost; 64-byte aligned */
    double *double_thresholds;      /* LightGBM */
    uint32_t threshold_count;       /* padded */
    uint8_t *node_slot, *node_rank; /* [node_count]: a node goes right where
                                       byte[node_slot] >= node_rank */
    uint32_t row_bytes;             /* of an encoded row: slots rounded up to 64, 128 or 256 */
};

/** @return LP_E_UNSUPPORTED: more than LP_SLOTS_MAX slots; LP_E_MEMORY. Done on failure too. */
LP_MUST_USE enum lp_code lp_slots_init(struct lp_slots *slots, const struct lp_trees *trees, struct lp_error *err);
void lp_slots_done(struct lp_slots *slots);

#endif
