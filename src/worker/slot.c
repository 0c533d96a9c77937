#include "worker/slot.h"

#include "worker/shared.h"

#include <stdlib.h>

enum { SHARES_MAX = 64 };

enum lp_code lp_slot_init(struct lp_slot *slot, uint32_t lane_count, struct lp_error *err)
{
    *slot = (struct lp_slot){.lane_count = lane_count, .share_max = SHARES_MAX};
    pthread_mutex_init(&slot->mutex, NULL);
    /* Room for some swaps between two collections, and beyond that for each lane's last kit. */
    slot->retired_max = lane_count * 4;
    slot->mailboxes = calloc(lane_count, sizeof *slot->mailboxes);
    slot->retired = calloc((size_t)slot->retired_max + lane_count, sizeof(struct lp_kit *));
    slot->shares = calloc(slot->share_max, sizeof(struct lp_drift_share *));
    if (slot->mailboxes != NULL && slot->retired != NULL && slot->shares != NULL) return LP_OK;
    free(slot->mailboxes);
    free(slot->retired);
    free(slot->shares);
    pthread_mutex_destroy(&slot->mutex);
    *slot = (struct lp_slot){0}; /* lp_slot_done has nothing to do */
    return lp_fail_memory(err, lane_count * sizeof *slot->mailboxes);
}

static struct lp_drift_share *share_new(const struct lp_shared *shared, struct lp_model *model, struct lp_error *err)
{
    struct lp_drift_share *share = calloc(1, sizeof *share);
    if (share == NULL) {
        (void)lp_fail_memory(err, sizeof *share);
        return NULL;
    }
    if (lp_drift_new(model->bundle, &shared->drift, shared->lane_count, &share->drift, err) != LP_OK) {
        free(share);
        return NULL;
    }
    share->model = lp_model_ref(model);
    share->references = 1; /* the slot's, while it is the current one */
    return share;
}

static void share_free(struct lp_drift_share *share)
{
    if (share == NULL) return;
    lp_drift_free(share->drift);
    lp_model_unref(share->model);
    free(share);
}

/* Drop one reference; a share that nobody holds leaves the list and is returned for freeing outside the lock. */
static struct lp_drift_share *share_drop(struct lp_slot *slot, struct lp_drift_share *share)
{
    if (share == NULL || --share->references > 0) return NULL;
    for (uint32_t i = 0; i < slot->share_count; i++) {
        if (slot->shares[i] != share) continue;
        slot->shares[i] = slot->shares[--slot->share_count];
        break;
    }
    return share;
}

/* Returns the kit's drift share when nobody else holds it any more; the caller frees that. */
static struct lp_drift_share *free_kit(struct lp_slot *slot, struct lp_kit *kit)
{
    if (kit == NULL) return NULL;
    struct lp_drift_share *share = kit->drift_share;
    lp_kit_free(kit);
    pthread_mutex_lock(&slot->mutex);
    struct lp_drift_share *last = share_drop(slot, share);
    pthread_mutex_unlock(&slot->mutex);
    return last;
}

void lp_slot_collect(struct lp_slot *slot, lp_slot_drift_callback *last_report, void *context)
{
    for (;;) {
        pthread_mutex_lock(&slot->mutex);
        struct lp_kit *kit = slot->retired_count > 0 ? slot->retired[--slot->retired_count] : NULL;
        pthread_mutex_unlock(&slot->mutex);
        if (kit == NULL) return;
        struct lp_drift_share *share = free_kit(slot, kit);
        if (share != NULL && last_report != NULL) last_report(context, share);
        share_free(share);
    }
}

static void free_kits(struct lp_slot *slot, struct lp_kit **kits, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) share_free(free_kit(slot, kits[i]));
    free(kits);
}

static enum lp_code build_kits(struct lp_slot *slot, const struct lp_shared *shared, struct lp_model *model,
                               uint64_t generation, bool degraded, struct lp_drift_share *share,
                               struct lp_kit ***ret_kits, struct lp_error *err)
{
    struct lp_kit **kits = calloc(slot->lane_count, sizeof(struct lp_kit *));
    if (kits == NULL) return lp_fail_memory(err, slot->lane_count * sizeof(struct lp_kit *));
    for (uint32_t i = 0; model != NULL && i < slot->lane_count; i++) {
        enum lp_code rc = lp_kit_new(shared, model, generation, degraded, share, &kits[i], err);
        if (rc != LP_OK) {
            for (uint32_t j = 0; j < i; j++) lp_kit_free(kits[j]);
            free(kits);
            return rc;
        }
    }
    *ret_kits = kits;
    return LP_OK;
}

/* Put the kits in the mailboxes; what waited there and was never taken comes back in `kits`. */
static void exchange(struct lp_slot *slot, struct lp_kit **kits, struct lp_drift_share *share)
{
    for (uint32_t i = 0; i < slot->lane_count; i++) {
        struct lp_kit *waiting = slot->mailboxes[i].staged;
        slot->mailboxes[i].staged = kits[i];
        slot->mailboxes[i].changed = true;
        kits[i] = waiting;
    }
    if (share != NULL) {
        share->references += slot->lane_count;
        slot->shares[slot->share_count++] = share;
    }
}

enum lp_code lp_slot_stage(struct lp_slot *slot, const struct lp_shared *shared, struct lp_model *model,
                           uint64_t generation, bool degraded, struct lp_error *err)
{
    struct lp_drift_share *share = NULL;
    struct lp_kit **kits = NULL;
    if (model != NULL && shared->config->drift_enabled && (share = share_new(shared, model, err)) == NULL)
        return err->code;
    enum lp_code rc = build_kits(slot, shared, model, generation, degraded, share, &kits, err);
    if (rc != LP_OK) {
        share_free(share);
        return rc;
    }
    pthread_mutex_lock(&slot->mutex);
    if (share != NULL && slot->share_count == slot->share_max) {
        /* Lanes have not let go of the models before; they will, and the deployer can try again. */
        pthread_mutex_unlock(&slot->mutex);
        for (uint32_t i = 0; i < slot->lane_count; i++) lp_kit_free(kits[i]);
        free(kits);
        share_free(share);
        return lp_fail(err, LP_E_LIMIT, LP_RETRY, "swap: %u models are still being let go: try again in a second",
                       slot->share_max);
    }
    exchange(slot, kits, share);
    struct lp_model *old = slot->model;
    struct lp_drift_share *dropped = share_drop(slot, slot->drift);
    slot->model = model != NULL ? lp_model_ref(model) : NULL;
    slot->drift = share;
    slot->generation = generation;
    slot->degraded = degraded;
    atomic_fetch_add_explicit(&slot->version, 1, memory_order_release);
    pthread_mutex_unlock(&slot->mutex);
    free_kits(slot, kits, slot->lane_count);
    share_free(dropped);
    if (old != NULL) lp_model_unref(old);
    return LP_OK;
}

uint64_t lp_slot_take(struct lp_slot *slot, uint32_t lane_index, struct lp_kit **kit, bool *ret_swapped)
{
    pthread_mutex_lock(&slot->mutex);
    uint64_t version = atomic_load_explicit(&slot->version, memory_order_relaxed);
    struct lp_slot_mailbox *box = &slot->mailboxes[lane_index];
    *ret_swapped = false;
    if (box->changed && (*kit == NULL || slot->retired_count < slot->retired_max)) {
        if (*kit != NULL) slot->retired[slot->retired_count++] = *kit;
        *kit = box->staged;
        box->staged = NULL;
        box->changed = false;
        *ret_swapped = true;
    } else if (box->changed) {
        version--; /* nowhere to put the old kit yet: look again at the next batch */
    }
    pthread_mutex_unlock(&slot->mutex);
    return version;
}

void lp_slot_return(struct lp_slot *slot, struct lp_kit **kit)
{
    pthread_mutex_lock(&slot->mutex);
    if (*kit != NULL) slot->retired[slot->retired_count++] = *kit;
    pthread_mutex_unlock(&slot->mutex);
    *kit = NULL;
}

struct lp_model *lp_slot_model(struct lp_slot *slot, uint64_t *ret_generation, bool *ret_degraded)
{
    pthread_mutex_lock(&slot->mutex);
    struct lp_model *model = slot->model != NULL ? lp_model_ref(slot->model) : NULL;
    *ret_generation = slot->generation;
    *ret_degraded = slot->degraded;
    pthread_mutex_unlock(&slot->mutex);
    return model;
}

void lp_slot_each_drift(struct lp_slot *slot, lp_slot_drift_callback *fn, void *context)
{
    struct lp_drift_share *held[SHARES_MAX], *gone[SHARES_MAX];
    pthread_mutex_lock(&slot->mutex);
    uint32_t count = slot->share_count;
    for (uint32_t i = 0; i < count; i++) {
        held[i] = slot->shares[i];
        held[i]->references++;
    }
    pthread_mutex_unlock(&slot->mutex);
    for (uint32_t i = 0; i < count; i++) fn(context, held[i]);
    pthread_mutex_lock(&slot->mutex);
    for (uint32_t i = 0; i < count; i++) gone[i] = share_drop(slot, held[i]);
    pthread_mutex_unlock(&slot->mutex);
    for (uint32_t i = 0; i < count; i++) share_free(gone[i]);
}

void lp_slot_done(struct lp_slot *slot)
{
    if (slot->mailboxes == NULL) return;
    lp_slot_collect(slot, NULL, NULL);
    for (uint32_t i = 0; i < slot->lane_count; i++) share_free(free_kit(slot, slot->mailboxes[i].staged));
    struct lp_drift_share *last = share_drop(slot, slot->drift);
    share_free(last);
    if (slot->model != NULL) lp_model_unref(slot->model);
    free(slot->mailboxes);
    free(slot->retired);
    free(slot->shares);
    pthread_mutex_destroy(&slot->mutex);
    *slot = (struct lp_slot){0};
}
