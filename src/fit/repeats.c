#include "fit/repeats.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 1 << 12, SLOTS_MAX = LP_REPEATS_HASHES_MAX * 2 };

static bool take_slots(struct lp_repeats *repeats, uint32_t slots)
{
    repeats->hashes = calloc(slots, sizeof *repeats->hashes);
    repeats->counts = calloc(slots, sizeof *repeats->counts);
    repeats->slots = slots;
    return repeats->hashes != NULL && repeats->counts != NULL;
}

enum lp_code lp_repeats_init(struct lp_repeats *repeats, struct lp_error *err)
{
    *repeats = (struct lp_repeats){0};
    if (take_slots(repeats, SLOTS_MIN)) return LP_OK;
    lp_repeats_done(repeats);
    return lp_fail_memory(err, SLOTS_MIN * sizeof *repeats->hashes);
}

void lp_repeats_done(struct lp_repeats *repeats)
{
    free(repeats->hashes);
    free(repeats->counts);
    *repeats = (struct lp_repeats){0};
}

static uint32_t find_slot(const struct lp_repeats *repeats, uint64_t hash)
{
    uint32_t slot = (uint32_t)hash & (repeats->slots - 1);
    while (repeats->hashes[slot] != 0 && repeats->hashes[slot] != hash) slot = (slot + 1) & (repeats->slots - 1);
    return slot;
}

static bool is_kept(const struct lp_repeats *repeats, uint64_t hash)
{
    return repeats->shift == 0 || hash >> (64 - repeats->shift) == 0;
}

static void keep(struct lp_repeats *repeats, const struct lp_repeats *old)
{
    for (uint32_t i = 0; i < old->slots; i++) {
        if (old->hashes[i] == 0 || !is_kept(repeats, old->hashes[i])) continue;
        uint32_t slot = find_slot(repeats, old->hashes[i]);
        repeats->hashes[slot] = old->hashes[i];
        repeats->counts[slot] = old->counts[i];
        repeats->used++;
    }
}

/* A table twice as large; at the bound half of the hashes go. */
static enum lp_code make_room(struct lp_repeats *repeats, struct lp_error *err)
{
    struct lp_repeats old = *repeats;
    repeats->used = 0;
    if (old.slots == SLOTS_MAX) repeats->shift++;
    if (!take_slots(repeats, old.slots == SLOTS_MAX ? SLOTS_MAX : old.slots * 2)) {
        lp_repeats_done(repeats);
        *repeats = old;
        return lp_fail_memory(err, (size_t)old.slots * 2 * sizeof *old.hashes);
    }
    keep(repeats, &old);
    lp_repeats_done(&old);
    return LP_OK;
}

enum lp_code lp_repeats_add(struct lp_repeats *repeats, uint64_t hash, struct lp_error *err)
{
    hash |= hash == 0; /* 0 marks a free slot */
    if (!is_kept(repeats, hash)) return LP_OK;
    uint32_t slot = find_slot(repeats, hash);
    if (repeats->counts[slot] < UINT32_MAX) repeats->counts[slot]++;
    if (repeats->hashes[slot] == hash) return LP_OK;
    repeats->hashes[slot] = hash;
    return ++repeats->used > repeats->slots / 2 ? make_room(repeats, err) : LP_OK;
}

double lp_repeats_count(const struct lp_repeats *repeats)
{
    uint64_t repeated = 0;
    for (uint32_t i = 0; i < repeats->slots; i++)
        if (repeats->counts[i] > 1) repeated += repeats->counts[i] - 1;
    return (double)repeated * (double)(UINT64_C(1) << repeats->shift);
}
