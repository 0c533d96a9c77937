/*
 * The slot: where the control thread leaves a new model and the lanes find it. Each lane has a mailbox; a lane looks at
 * one atomic number between batches and takes the mutex only when it changed.
 */
#ifndef LP_WORKER_SLOT_H
#define LP_WORKER_SLOT_H

#include "core/error.h"
#include "worker/kit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lp_slot_mailbox {
    struct lp_kit *staged; /* waiting for its lane; NULL with `changed`: retire */
    bool changed;
};

struct lp_slot {
    pthread_mutex_t mutex;
    _Atomic uint64_t version; /* grows with every change the lanes must see */
    atomic_bool paused;
    uint32_t lane_count;
    struct lp_slot_mailbox *mailboxes; /* [lane_count] */
    struct lp_kit **retired;           /* handed back by lanes, freed by whoever calls lp_slot_collect */
    uint32_t retired_count, retired_max;
    /* what was staged last, for status, metrics and the drift reporter */
    struct lp_model *model; /* a reference, NULL: none */
    struct lp_drift_share *drift;
    struct lp_drift_share **shares; /* alive, the current one included */
    uint32_t share_count, share_max;
    uint64_t generation;
    bool degraded;
};

LP_MUST_USE enum lp_code lp_slot_init(struct lp_slot *slot, uint32_t lane_count, struct lp_error *err);
void lp_slot_done(struct lp_slot *slot);

/**
 * Build a kit for every lane and stage them all; lanes take them between two batches. Control thread.
 * @param model borrowed (referenced inside); NULL retires: lanes stop taking records
 * On failure nothing changes.
 */
LP_MUST_USE enum lp_code lp_slot_stage(struct lp_slot *slot, const struct lp_shared *shared, struct lp_model *model,
                                       uint64_t generation, bool degraded, struct lp_error *err);

/** Lane thread: has something changed since `seen`? Then the caller closes its batch and calls lp_slot_take. */
static inline bool lp_slot_changed(struct lp_slot *slot, uint64_t seen)
{
    return atomic_load_explicit(&slot->version, memory_order_acquire) != seen;
}

/**
 * Lane thread: swap `*kit` (may be NULL) for what is staged, if anything; the old one goes back to be freed elsewhere.
 * Returns the version now seen; *ret_swapped tells whether *kit changed.
 */
uint64_t lp_slot_take(struct lp_slot *slot, uint32_t lane_index, struct lp_kit **kit, bool *ret_swapped);

/** Lane thread, at its end: give the kit back. */
void lp_slot_return(struct lp_slot *slot, struct lp_kit **kit);

typedef void lp_slot_drift_callback(void *context, struct lp_drift_share *share);

/**
 * Free what lanes handed back. Housekeeping thread. `last_report` (may be NULL) sees each share of drift that nobody
 * holds any more before it is freed.
 */
void lp_slot_collect(struct lp_slot *slot, lp_slot_drift_callback *last_report, void *context);

/** A reference to the current model, or NULL; and its generation. Any thread. */
struct lp_model *lp_slot_model(struct lp_slot *slot, uint64_t *ret_generation, bool *ret_degraded);

/** Hold the shares of drift for a report: calls fn for each share alive, under no lock. Housekeeping thread. */
void lp_slot_each_drift(struct lp_slot *slot, lp_slot_drift_callback *fn, void *context);

#endif
