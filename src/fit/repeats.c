#include "fit/repeats.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 1 << 12, SLOTS_MAX = LP_REPEATS_HASHES_MAX * 2, AHEAD = 32 };

static bool take_slots(struct lp_repeats *repeats, uint32_t slots)
{
    repeats->table = calloc(slots, sizeof *repeats->table);
    repeats->slots = slots;
    return repeats->table != NULL;
}

enum lp_code lp_repeats_init(struct lp_repeats *repeats, struct lp_error *err)
{
    *repeats = (struct lp_repeats){0};
    if (take_slots(repeats, SLOTS_MIN)) return LP_OK;
    lp_repeats_done(repeats);
    return lp_fail_memory(err, SLOTS_MIN * sizeof *repeats->table);
}

void lp_repeats_done(struct lp_repeats *repeats)
{
    free(repeats->table);
    *repeats = (struct lp_repeats){0};
}

static uint32_t find_slot(const struct lp_repeats *repeats, uint64_t hash)
{
    uint32_t slot = (uint32_t)hash & (repeats->slots - 1);
    while (repeats->table[slot].hash != 0 && repeats->table[slot].hash != hash)
        slot = (slot + 1) & (repeats->slots - 1);
    return slot;
}

static bool is_kept(const struct lp_repeats *repeats, uint64_t hash)
{
    return repeats->shift == 0 || hash >> (64 - repeats->shift) == 0;
}

static void keep(struct lp_repeats *repeats, const struct lp_repeats *old)
{
    for (uint32_t i = 0; i < old->slots; i++) {
        if (old->table[i].hash == 0 || !is_kept(repeats, old->table[i].hash)) continue;
        repeats->table[find_slot(repeats, old->table[i].hash)] = old->table[i];
        repeats->used++;
    }
}

/* A table four times as large; at the bound half of the hashes go. */
static enum lp_code make_room(struct lp_repeats *repeats, struct lp_error *err)
{
    struct lp_repeats old = *repeats;
    repeats->used = 0;
    if (old.slots == SLOTS_MAX) repeats->shift++;
    if (!take_slots(repeats, old.slots == SLOTS_MAX ? SLOTS_MAX : old.slots * 4)) {
        lp_repeats_done(repeats);
        *repeats = old;
        return lp_fail_memory(err, (size_t)old.slots * 4 * sizeof *old.table);
    }
    keep(repeats, &old);
    lp_repeats_done(&old);
    return LP_OK;
}

static enum lp_code add(struct lp_repeats *repeats, uint64_t hash, struct lp_error *err)
{
    hash |= hash == 0; /* 0 marks a free slot */
    if (!is_kept(repeats, hash)) return LP_OK;
    struct lp_repeats_slot *slot = &repeats->table[find_slot(repeats, hash)];
    slot->count++;
    if (slot->hash == hash) return LP_OK;
    slot->hash = hash;
    return ++repeats->used > repeats->slots / 2 ? make_room(repeats, err) : LP_OK;
}

enum lp_code lp_repeats_add(struct lp_repeats *repeats, const uint64_t *hashes, uint32_t count, struct lp_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        /* The table is larger than the caches: ask for a line before it is needed. */
        if (i + AHEAD < count && is_kept(repeats, hashes[i + AHEAD]))
            __builtin_prefetch(&repeats->table[(uint32_t)hashes[i + AHEAD] & (repeats->slots - 1)]);
        LP_TRY(add(repeats, hashes[i], err));
    }
    return LP_OK;
}

double lp_repeats_count(const struct lp_repeats *repeats)
{
    uint64_t repeated = 0;
    for (uint32_t i = 0; i < repeats->slots; i++)
        if (repeats->table[i].count > 1) repeated += repeats->table[i].count - 1;
    return (double)repeated * (double)(UINT64_C(1) << repeats->shift);
}
