/* Thresholds of an ensemble sorted into slots. */
#include "kernels/trees/slots.h"

#include "core/hash.h"
#include "kernels/trees/trees_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum mode { PLAIN, NAN_LEFT, NAN_RIGHT, ZERO_LEFT, ZERO_RIGHT, MODES };

/* Work in progress. */
struct gather {
    const struct lp_trees *trees;
    struct lp_slots *slots;
    uint32_t *begin; /* [column_count + 1] in `thresholds` */
    uint32_t *count; /* [column_count] distinct */
    double *thresholds;
    uint32_t (*first)[MODES]; /* [column_count] first slot of a mode; NO_SLOT */
};

#define NO_SLOT UINT32_MAX

static bool numeric(const struct lp_trees *trees, uint32_t node)
{
    return trees->column[node] != LP_TREES_LEAF && (trees->flags[node] & LP_TREES_CATEGORICAL) == 0;
}

static enum mode mode_of(const struct lp_trees *trees, uint32_t node)
{
    uint8_t flags = trees->flags[node];
    bool left = (flags & LP_TREES_DEFAULT_LEFT) != 0;
    if (trees->compare == LP_TREES_XGBOOST || (flags & LP_TREES_MISSING_NAN) != 0) return left ? NAN_LEFT : NAN_RIGHT;
    if ((flags & LP_TREES_MISSING_ZERO) != 0) return left ? ZERO_LEFT : ZERO_RIGHT;
    return PLAIN;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void collect(struct gather *g)
{
    const struct lp_trees *trees = g->trees;
    for (uint32_t n = 0; n < trees->node_count; n++)
        if (numeric(trees, n)) g->begin[trees->column[n] + 1]++;
    for (uint32_t c = 0; c < trees->column_count; c++) g->begin[c + 1] += g->begin[c];
    for (uint32_t n = 0; n < trees->node_count; n++) {
        if (!numeric(trees, n)) continue;
        uint32_t c = (uint32_t)trees->column[n];
        g->thresholds[g->begin[c] + g->count[c]++] = trees->threshold[n] + 0.0; /* -0.0 becomes 0.0 */
    }
    for (uint32_t c = 0; c < trees->column_count; c++) {
        double *values = g->thresholds + g->begin[c];
        uint32_t kept = 0;
        qsort(values, g->count[c], sizeof *values, by_value);
        for (uint32_t i = 0; i < g->count[c]; i++)
            if (kept == 0 || values[i] != values[kept - 1]) values[kept++] = values[i];
        g->count[c] = kept;
    }
}

static enum lp_code no_room(struct lp_error *err)
{
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "trees: more than %d groups of 255 thresholds, or category sets",
                   LP_SLOTS_MAX);
}

/* keep 0 and set 0: left, set 255: right. */
static void force(struct lp_slot *slot, enum lp_value_class class, bool left)
{
    slot->keep[class] = 0;
    slot->set[class] = left ? 0 : UINT8_MAX;
}

static enum lp_code add_slots(struct gather *g, uint32_t column, enum mode mode, struct lp_error *err)
{
    struct lp_slots *slots = g->slots;
    g->first[column][mode] = slots->slot_count;
    for (uint32_t low = 0; low < g->count[column]; low += LP_SLOT_THRESHOLDS) {
        if (slots->slot_count == LP_SLOTS_MAX) return no_room(err);
        struct lp_slot *slot = &slots->slots[slots->slot_count++];
        *slot = (struct lp_slot){.low = low, .keep = {UINT8_MAX, UINT8_MAX, UINT8_MAX}};
        if (mode == ZERO_LEFT || mode == ZERO_RIGHT) force(slot, LP_VALUE_ZERO, mode == ZERO_LEFT);
        if (mode != PLAIN) force(slot, LP_VALUE_NAN, mode == NAN_LEFT || mode == ZERO_LEFT);
    }
    return LP_OK;
}

/* Slots of one column are neighbours, so that its rank is found once. */
static enum lp_code make_slots(struct gather *g, struct lp_error *err)
{
    const struct lp_trees *trees = g->trees;
    struct lp_slots *slots = g->slots;
    for (uint32_t n = 0; n < trees->node_count; n++)
        if (numeric(trees, n)) g->first[trees->column[n]][mode_of(trees, n)] = 0;
    for (uint32_t c = 0; c < trees->column_count; c++) {
        if (g->count[c] == 0) continue;
        if (slots->column_count == LP_SLOTS_MAX) return no_room(err);
        struct lp_rank_column *column = &slots->columns[slots->column_count++];
        *column = (struct lp_rank_column){.column = c, .first_slot = slots->slot_count};
        for (int mode = 0; mode < MODES; mode++)
            if (g->first[c][mode] != NO_SLOT) LP_TRY(add_slots(g, c, (enum mode)mode, err));
        column->slot_count = slots->slot_count - column->first_slot;
    }
    return LP_OK;
}

static struct lp_span words_of(const struct lp_trees *trees, uint32_t set)
{
    uint32_t begin = trees->set_begin[set], end = trees->set_begin[set + 1];
    return lp_span_of((const unsigned char *)(trees->set_words + begin), (end - begin) * sizeof *trees->set_words);
}

/* Distinct sets by their words, each compared once, however many nodes name it. */
struct distinct {
    uint32_t count, set[LP_SLOTS_MAX];
    uint64_t hash[LP_SLOTS_MAX];
    uint16_t *number; /* [set_count] of the distinct one, NO_NUMBER: not yet seen */
};

#define NO_NUMBER UINT16_MAX

/* Each distinct set takes a slot or more. */
static enum lp_code number_set(const struct lp_trees *trees, struct distinct *d, uint32_t set, struct lp_error *err)
{
    if (d->number[set] != NO_NUMBER) return LP_OK;
    struct lp_span words = words_of(trees, set);
    uint64_t hash = lp_fnv1a64(words);
    uint32_t i = 0;
    for (; i < d->count; i++) {
        struct lp_span other = words_of(trees, d->set[i]);
        if (hash == d->hash[i] && words.size == other.size &&
            (words.size == 0 || memcmp(words.data, other.data, words.size) == 0))
            break;
    }
    if (i == LP_SLOTS_MAX) return no_room(err);
    d->number[set] = (uint16_t)i;
    if (i < d->count) return LP_OK;
    d->set[i] = set;
    d->hash[i] = hash;
    d->count++;
    return LP_OK;
}

static bool same_set(const struct lp_trees *trees, const struct distinct *d, uint32_t a, uint32_t b)
{
    return trees->column[a] == trees->column[b] && trees->flags[a] == trees->flags[b] &&
           d->number[trees->index[a]] == d->number[trees->index[b]];
}

static enum lp_code find_set_slots(struct gather *g, struct distinct *d, struct lp_error *err)
{
    const struct lp_trees *trees = g->trees;
    struct lp_slots *slots = g->slots;
    for (uint32_t n = 0; n < trees->node_count; n++) {
        if (trees->column[n] == LP_TREES_LEAF || numeric(trees, n)) continue;
        uint32_t i = 0;
        LP_TRY(number_set(trees, d, trees->index[n], err));
        while (i < slots->set_slot_count && !same_set(trees, d, slots->set_slots[i].node, n)) i++;
        if (i == slots->set_slot_count) {
            if (slots->slot_count == LP_SLOTS_MAX) return no_room(err);
            slots->set_slots[slots->set_slot_count++] =
                (struct lp_set_slot){n, (uint32_t)trees->column[n], slots->slot_count++};
        }
        slots->node_slot[n] = (uint8_t)slots->set_slots[i].slot;
        slots->node_rank[n] = 1;
    }
    return LP_OK;
}

static enum lp_code make_set_slots(struct gather *g, struct lp_error *err)
{
    size_t bytes = ((size_t)g->trees->set_count + 1) * sizeof(uint16_t);
    struct distinct *d = calloc(1, sizeof *d);
    uint16_t *number = malloc(bytes);
    enum lp_code rc = LP_OK;
    if (d == NULL || number == NULL) {
        rc = lp_fail_memory(err, bytes);
    } else {
        memset(number, 0xFF, bytes); /* NO_NUMBER */
        d->number = number;
        rc = find_set_slots(g, d, err);
    }
    free(number);
    free(d);
    return rc;
}

/* Sizes of the levels of `count` thresholds, padded; returns their number. */
static uint32_t level_sizes(uint32_t count, uint32_t *sizes)
{
    uint32_t level = 0, blocks;
    do {
        blocks = (count + LP_RANK_FANOUT - 1) / LP_RANK_FANOUT;
        sizes[level++] = (blocks + (blocks > 1)) * LP_RANK_FANOUT;
        count = blocks;
    } while (blocks > 1);
    return level;
}

static void store_threshold(struct lp_slots *slots, uint32_t at, double value)
{
    if (slots->float_thresholds != NULL) slots->float_thresholds[at] = (float)value;
    else slots->double_thresholds[at] = value;
}

static void fill_levels(struct gather *g, struct lp_rank_column *column, uint32_t *at)
{
    uint32_t sizes[LP_RANK_LEVELS_MAX], count = g->count[column->column], step = 1;
    const double *values = g->thresholds + g->begin[column->column];
    column->level_count = level_sizes(count, sizes);
    for (uint32_t level = 0; level < column->level_count; level++, step *= LP_RANK_FANOUT) {
        column->level_at[level] = *at;
        for (uint32_t i = 0; i < sizes[level]; i++) {
            size_t source = (size_t)(i + 1) * step - 1;
            store_threshold(g->slots, *at + i, source < count ? values[source] : NAN);
        }
        *at += sizes[level];
    }
}

static enum lp_code make_levels(struct gather *g, struct lp_error *err)
{
    struct lp_slots *slots = g->slots;
    uint32_t total = LP_RANK_FANOUT, sizes[LP_RANK_LEVELS_MAX], at = 0;
    for (uint32_t i = 0; i < slots->column_count; i++) {
        uint32_t levels = level_sizes(g->count[slots->columns[i].column], sizes);
        for (uint32_t level = 0; level < levels; level++) total += sizes[level];
    }
    slots->threshold_count = total;
    bool floats = g->trees->compare == LP_TREES_XGBOOST;
    size_t bytes = (size_t)total * (floats ? sizeof(float) : sizeof(double));
    void *memory = aligned_alloc(LP_SLOTS_TABLE_BYTES, bytes);
    if (memory == NULL) return lp_fail_memory(err, bytes);
    if (floats) slots->float_thresholds = memory;
    else slots->double_thresholds = memory;
    for (uint32_t i = 0; i < slots->column_count; i++) fill_levels(g, &slots->columns[i], &at);
    return LP_OK;
}

static void place_nodes(struct gather *g)
{
    const struct lp_trees *trees = g->trees;
    for (uint32_t n = 0; n < trees->node_count; n++) {
        if (!numeric(trees, n)) continue;
        uint32_t c = (uint32_t)trees->column[n], low = 0, high = g->count[c];
        const double *values = g->thresholds + g->begin[c];
        while (high - low > 1) {
            uint32_t middle = low + (high - low) / 2;
            if (values[middle] <= trees->threshold[n]) low = middle;
            else high = middle;
        }
        g->slots->node_slot[n] = (uint8_t)(g->first[c][mode_of(trees, n)] + low / LP_SLOT_THRESHOLDS);
        g->slots->node_rank[n] = (uint8_t)(low % LP_SLOT_THRESHOLDS + 1);
    }
}

static uint32_t row_bytes(uint32_t slot_count)
{
    uint32_t bytes = LP_SLOTS_TABLE_BYTES;
    while (bytes < slot_count) bytes *= 2;
    return bytes;
}

static enum lp_code build(struct gather *g, struct lp_error *err)
{
    struct lp_slots *slots = g->slots;
    size_t columns = g->trees->column_count, nodes = g->trees->node_count;
    slots->columns = calloc(LP_SLOTS_MAX, sizeof *slots->columns);
    slots->slots = calloc(LP_SLOTS_MAX, sizeof *slots->slots);
    slots->set_slots = calloc(LP_SLOTS_MAX, sizeof *slots->set_slots);
    slots->node_slot = calloc(nodes + 1, 1);
    slots->node_rank = calloc(nodes + 1, 1);
    g->begin = calloc(columns + 1, sizeof *g->begin);
    g->count = calloc(columns + 1, sizeof *g->count);
    g->thresholds = calloc(nodes + 1, sizeof *g->thresholds);
    g->first = malloc((columns + 1) * sizeof *g->first);
    if (slots->columns == NULL || slots->slots == NULL || slots->set_slots == NULL || slots->node_slot == NULL ||
        slots->node_rank == NULL || g->begin == NULL || g->count == NULL || g->thresholds == NULL || g->first == NULL)
        return lp_fail_memory(err, nodes * sizeof *g->thresholds);
    memset(g->first, 0xFF, (columns + 1) * sizeof *g->first); /* NO_SLOT */
    collect(g);
    LP_TRY(make_slots(g, err));
    LP_TRY(make_set_slots(g, err));
    LP_TRY(make_levels(g, err));
    place_nodes(g);
    slots->row_bytes = row_bytes(slots->slot_count);
    return LP_OK;
}

enum lp_code lp_slots_init(struct lp_slots *slots, const struct lp_trees *trees, struct lp_error *err)
{
    *slots = (struct lp_slots){.row_bytes = 0};
    struct gather g = {.trees = trees, .slots = slots};
    enum lp_code rc = build(&g, err);
    free(g.begin);
    free(g.count);
    free(g.thresholds);
    free(g.first);
    if (rc != LP_OK) lp_slots_done(slots);
    return rc;
}

void lp_slots_done(struct lp_slots *slots)
{
    free(slots->columns);
    free(slots->slots);
    free(slots->set_slots);
    free(slots->float_thresholds);
    free(slots->double_thresholds);
    free(slots->node_slot);
    free(slots->node_rank);
    *slots = (struct lp_slots){.row_bytes = 0};
}
