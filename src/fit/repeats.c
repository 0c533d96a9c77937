#include "fit/repeats.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = LP_REPEATS_HASHES_MAX * 2 };

enum lp_code lp_repeats_init(struct lp_repeats *repeats, struct lp_error *err)
{
    *repeats = (struct lp_repeats){0};
    repeats->hashes = calloc(SLOTS, sizeof *repeats->hashes);
    repeats->counts = calloc(SLOTS, sizeof *repeats->counts);
    if (repeats->hashes != NULL && repeats->counts != NULL) return LP_OK;
    lp_repeats_done(repeats);
    return lp_fail_memory(err, SLOTS * sizeof *repeats->hashes);
}

void lp_repeats_done(struct lp_repeats *repeats)
{
    free(repeats->hashes);
    free(repeats->counts);
    *repeats = (struct lp_repeats){0};
}

static uint32_t find_slot(const struct lp_repeats *repeats, uint64_t hash)
{
    uint32_t slot = (uint32_t)hash & (SLOTS - 1);
    while (repeats->hashes[slot] != 0 && repeats->hashes[slot] != hash) slot = (slot + 1) & (SLOTS - 1);
    return slot;
}

static bool is_kept(const struct lp_repeats *repeats, uint64_t hash)
{
    return repeats->shift == 0 || hash >> (64 - repeats->shift) == 0;
}

/* Halve the limit and put what is left into its places anew: from behind a free slot on, so that none is lost. */
static void thin_out(struct lp_repeats *repeats)
{
    repeats->shift++;
    uint32_t begin = 0;
    while (repeats->hashes[begin] != 0) begin++;
    for (uint32_t i = 1; i <= SLOTS; i++) {
        uint32_t slot = (begin + i) & (SLOTS - 1), count = repeats->counts[slot];
        uint64_t hash = repeats->hashes[slot];
        if (hash == 0) continue;
        repeats->hashes[slot] = 0;
        repeats->counts[slot] = 0;
        if (!is_kept(repeats, hash)) {
            repeats->used--;
            continue;
        }
        slot = find_slot(repeats, hash);
        repeats->hashes[slot] = hash;
        repeats->counts[slot] = count;
    }
}

void lp_repeats_add(struct lp_repeats *repeats, uint64_t hash)
{
    hash |= hash == 0; /* 0 marks a free slot */
    if (!is_kept(repeats, hash)) return;
    uint32_t slot = find_slot(repeats, hash);
    if (repeats->counts[slot] < UINT32_MAX) repeats->counts[slot]++;
    if (repeats->hashes[slot] == hash) return;
    repeats->hashes[slot] = hash;
    if (++repeats->used > LP_REPEATS_HASHES_MAX) thin_out(repeats);
}

double lp_repeats_count(const struct lp_repeats *repeats)
{
    uint64_t repeated = 0;
    for (uint32_t i = 0; i < SLOTS; i++)
        if (repeats->counts[i] > 1) repeated += repeats->counts[i] - 1;
    return (double)repeated * (double)(UINT64_C(1) << repeats->shift);
}
