/* The merging side: windows of all lanes added up, and reported once every lane has passed them. */
#include "core/clock.h"
#include "drift/window.h"

#include <pthread.h>
#include <stdlib.h>

enum { FREE_WINDOWS_MAX = 8, PENDING_WINDOWS_MIN = 8 };

/* Where a lane is. One that has not merged yet may still bring rows of any window. */
enum lane_phase { LANE_AWAITED, LANE_ACTIVE, LANE_IDLE, LANE_FLUSHED };

struct lane_state {
    enum lane_phase phase;
    int64_t first_open; /* of an active lane */
};

struct merged {
    struct merged *next; /* in the free list or a report */
    struct lp_drift_window window;
    uint64_t *bins;   /* [bins_max], for its report */
    uint64_t cells[]; /* the window's, then the bins */
};

struct lp_drift {
    struct lp_drift_layout layout;
    struct lp_drift_options options;
    uint32_t lane_count;

    pthread_mutex_t mutex; /* guards all below */
    struct lane_state *lanes;
    struct merged **pending; /* [pending_max], in no order */
    uint32_t pending_count, pending_max;
    struct merged *unused;
    uint32_t unused_count;
    uint64_t late, clock;
};

static size_t merged_bytes(const struct lp_drift_layout *layout)
{
    return sizeof(struct merged) + (layout->cell_count + layout->bins_max) * sizeof(uint64_t);
}

static uint32_t pending_limit(const struct lp_drift_layout *layout)
{
    size_t fit = LP_DRIFT_PENDING_BYTES / merged_bytes(layout);
    if (fit > LP_DRIFT_PENDING_WINDOWS) fit = LP_DRIFT_PENDING_WINDOWS;
    return fit < PENDING_WINDOWS_MIN ? PENDING_WINDOWS_MIN : (uint32_t)fit;
}

enum lp_code lp_drift_new(const struct lp_bundle *bundle, const struct lp_drift_options *options, uint32_t lane_count,
                          struct lp_drift **ret_drift, struct lp_error *err)
{
    struct lp_drift *drift = calloc(1, sizeof *drift);
    if (drift == NULL) return lp_fail_memory(err, sizeof *drift);
    pthread_mutex_init(&drift->mutex, NULL);
    enum lp_code rc = LP_OK;
    LP_GUARD(lp_drift_layout_init(&drift->layout, bundle, options, err));
    drift->options = *options;
    drift->lane_count = lane_count;
    drift->pending_max = pending_limit(&drift->layout);
    drift->lanes = calloc(lane_count, sizeof *drift->lanes);
    drift->pending = calloc(drift->pending_max, sizeof(struct merged *));
    if (drift->lanes == NULL || drift->pending == NULL) {
        rc = lp_fail_memory(err, lane_count * sizeof *drift->lanes + drift->pending_max * sizeof(struct merged *));
        goto out;
    }
    *ret_drift = drift;
    drift = NULL;
out:
    lp_drift_free(drift);
    return rc;
}

void lp_drift_free(struct lp_drift *drift)
{
    if (drift == NULL) return;
    for (uint32_t i = 0; i < drift->pending_count; i++) free(drift->pending[i]);
    for (struct merged *next, *merged = drift->unused; merged != NULL; merged = next) {
        next = merged->next;
        free(merged);
    }
    free(drift->pending);
    free(drift->lanes);
    lp_drift_layout_done(&drift->layout);
    pthread_mutex_destroy(&drift->mutex);
    free(drift);
}

uint64_t lp_drift_late(struct lp_drift *drift)
{
    pthread_mutex_lock(&drift->mutex);
    uint64_t late = drift->late;
    pthread_mutex_unlock(&drift->mutex);
    return late;
}

static void put_unused(struct lp_drift *drift, struct merged *merged)
{
    if (drift->unused_count == FREE_WINDOWS_MAX) {
        free(merged);
        return;
    }
    merged->next = drift->unused;
    drift->unused = merged;
    drift->unused_count++;
}

static struct merged *get_unused(struct lp_drift *drift)
{
    struct merged *merged = drift->unused;
    if (merged == NULL) {
        merged = calloc(1, merged_bytes(&drift->layout));
        if (merged == NULL) return NULL;
        merged->window.cells = merged->cells;
        merged->bins = merged->cells + drift->layout.cell_count;
        return merged;
    }
    drift->unused = merged->next;
    drift->unused_count--;
    lp_drift_window_close(&merged->window, drift->layout.cell_count);
    return merged;
}

static uint32_t least_recent(const struct lp_drift *drift)
{
    uint32_t found = 0;
    for (uint32_t i = 1; i < drift->pending_count; i++)
        if (drift->pending[i]->window.last_use < drift->pending[found]->window.last_use) found = i;
    return found;
}

static struct merged *remove_pending(struct lp_drift *drift, uint32_t index)
{
    struct merged *merged = drift->pending[index];
    drift->pending[index] = drift->pending[--drift->pending_count];
    return merged;
}

static void give_up(struct lp_drift *drift, struct merged *merged)
{
    drift->late += merged->window.rows;
    put_unused(drift, merged);
}

/* The merged window of that number, made when there is none; NULL without memory. */
static struct lp_drift_window *find_or_make(struct lp_drift *drift, int64_t number)
{
    for (uint32_t i = 0; i < drift->pending_count; i++)
        if (drift->pending[i]->window.number == number) return &drift->pending[i]->window;
    if (drift->pending_count == drift->pending_max) give_up(drift, remove_pending(drift, least_recent(drift)));
    struct merged *merged = get_unused(drift);
    if (merged == NULL) return NULL;
    merged->window.number = number;
    drift->pending[drift->pending_count++] = merged;
    return &merged->window;
}

/* Under the lock. A window without rows has counts of clipped values at most, and is not worth a report. */
static void take(struct lp_drift *drift, struct lp_drift_window *window)
{
    if (window->rows > 0) {
        struct lp_drift_window *into = find_or_make(drift, window->number);
        if (into != NULL) {
            into->rows += window->rows;
            into->last_use = ++drift->clock;
            for (size_t i = 0; i < drift->layout.cell_count; i++) into->cells[i] += window->cells[i];
        } else {
            drift->late += window->rows;
        }
    }
    lp_drift_window_close(window, drift->layout.cell_count);
}

void lp_drift_take(struct lp_drift *drift, struct lp_drift_window *window)
{
    pthread_mutex_lock(&drift->mutex);
    take(drift, window);
    pthread_mutex_unlock(&drift->mutex);
}

static bool has_open(const struct lp_drift_lane *lane)
{
    for (uint32_t i = 0; i < LP_DRIFT_OPEN_WINDOWS; i++)
        if (lane->windows[i].is_open) return true;
    return false;
}

void lp_drift_merge(struct lp_drift *drift, uint32_t lane_index, struct lp_drift_lane *lane, int64_t watermark_ms,
                    bool flush)
{
    const bool is_idle = watermark_ms == INT64_MIN, is_first = lane->drift == NULL;
    /* An idle lane has passed nothing: whatever it is given next is counted. */
    int64_t first_open = INT64_MIN;
    if (!is_idle) first_open = lp_drift_first_open(&lane->layout, watermark_ms, lp_clock_wall_ms());
    /* Nothing can have closed while the first open window is the same: older rows were not admitted. */
    bool is_same = is_idle == lane->was_idle && first_open == lane->first_open;
    if (!flush && !is_first && is_same && !(is_idle && has_open(lane))) return;

    lane->drift = drift;
    lane->lane_index = lane_index;
    lane->was_idle = is_idle;
    lane->first_open = first_open;
    pthread_mutex_lock(&drift->mutex);
    for (uint32_t i = 0; i < LP_DRIFT_OPEN_WINDOWS; i++) {
        struct lp_drift_window *window = &lane->windows[i];
        if (window->is_open && (flush || is_idle || window->number < first_open)) take(drift, window);
    }
    enum lane_phase phase = flush ? LANE_FLUSHED : is_idle ? LANE_IDLE : LANE_ACTIVE;
    drift->lanes[lane_index] = (struct lane_state){.phase = phase, .first_open = first_open};
    pthread_mutex_unlock(&drift->mutex);
}

/* --- rows that wait --- */

void lp_drift_set_aside(struct lp_drift_lane *lane, struct lp_drift *waiting, int64_t watermark_ms,
                        struct lp_drift *next)
{
    const bool is_idle = watermark_ms == INT64_MIN;
    int64_t first_open = INT64_MIN;
    if (!is_idle) first_open = lp_drift_first_open(&lane->layout, watermark_ms, lp_clock_wall_ms());
    lane->drift = next;
    lane->first_open = first_open;
    pthread_mutex_lock(&waiting->mutex);
    for (uint32_t i = 0; i < LP_DRIFT_OPEN_WINDOWS; i++)
        if (lane->windows[i].is_open) take(waiting, &lane->windows[i]);
    waiting->lanes[0] = (struct lane_state){.phase = is_idle ? LANE_IDLE : LANE_ACTIVE, .first_open = first_open};
    pthread_mutex_unlock(&waiting->mutex);
}

void lp_drift_settle(struct lp_drift *drift, uint32_t lane_index, struct lp_drift *waiting, bool flush)
{
    pthread_mutex_lock(&waiting->mutex);
    pthread_mutex_lock(&drift->mutex);
    while (waiting->pending_count > 0) {
        struct merged *merged = remove_pending(waiting, waiting->pending_count - 1);
        take(drift, &merged->window);
        put_unused(waiting, merged);
    }
    drift->late += waiting->late;
    waiting->late = 0;
    drift->lanes[lane_index] = waiting->lanes[0];
    if (flush) drift->lanes[lane_index].phase = LANE_FLUSHED;
    pthread_mutex_unlock(&drift->mutex);
    pthread_mutex_unlock(&waiting->mutex);
}

void lp_drift_forget(struct lp_drift *waiting)
{
    pthread_mutex_lock(&waiting->mutex);
    while (waiting->pending_count > 0) put_unused(waiting, remove_pending(waiting, waiting->pending_count - 1));
    waiting->late = 0;
    pthread_mutex_unlock(&waiting->mutex);
}

void lp_drift_lane_forget(struct lp_drift_lane *lane, int64_t first_open)
{
    for (uint32_t i = 0; i < LP_DRIFT_OPEN_WINDOWS; i++)
        if (lane->windows[i].is_open) lp_drift_window_close(&lane->windows[i], lane->layout.cell_count);
    lane->first_open = first_open;
}

int64_t lp_drift_lane_first_open(const struct lp_drift_lane *lane) { return lane->first_open; }

/* First window that some lane may still add to. */
static int64_t reportable_before(const struct lp_drift *drift)
{
    int64_t before = INT64_MAX;
    bool is_any_active = false, is_any_idle = false;
    for (uint32_t i = 0; i < drift->lane_count; i++) {
        const struct lane_state *lane = &drift->lanes[i];
        if (lane->phase == LANE_AWAITED) return INT64_MIN;
        if (lane->phase == LANE_IDLE) is_any_idle = true;
        if (lane->phase != LANE_ACTIVE) continue;
        is_any_active = true;
        if (lane->first_open < before) before = lane->first_open;
    }
    if (is_any_active || !is_any_idle) return before;
    int64_t now_ms = lp_clock_wall_ms();
    return lp_drift_first_open(&drift->layout, now_ms, now_ms);
}

static void push(struct merged **list, struct merged *merged)
{
    merged->next = *list;
    *list = merged;
}

static struct merged *detach_ready(struct lp_drift *drift)
{
    struct merged *ready = NULL;
    int64_t before = reportable_before(drift);
    for (uint32_t i = drift->pending_count; i-- > 0;)
        if (drift->pending[i]->window.number < before) push(&ready, remove_pending(drift, i));
    while (drift->pending_count > drift->pending_max / 2) {
        struct merged *merged = remove_pending(drift, least_recent(drift));
        if (drift->options.min_rows > 0 && merged->window.rows < (uint64_t)drift->options.min_rows)
            give_up(drift, merged);
        else push(&ready, merged);
    }
    return ready;
}

/* By window number; insertion, as there are few and a lane's come in order. */
static struct merged *sorted(struct merged *list)
{
    struct merged *result = NULL;
    for (struct merged *next; list != NULL; list = next) {
        next = list->next;
        struct merged **at = &result;
        while (*at != NULL && (*at)->window.number < list->window.number) at = &(*at)->next;
        list->next = *at;
        *at = list;
    }
    return result;
}

uint32_t lp_drift_report(struct lp_drift *drift, void (*callback)(void *context, const struct lp_drift_report *report),
                         void *context)
{
    pthread_mutex_lock(&drift->mutex);
    struct merged *ready = detach_ready(drift);
    pthread_mutex_unlock(&drift->mutex);
    ready = sorted(ready);

    uint32_t reported = 0;
    for (struct merged *next; ready != NULL; ready = next, reported++) {
        next = ready->next;
        for (uint32_t i = 0; i < drift->layout.item_count; i++) {
            struct lp_drift_report report;
            lp_drift_fill_report(&drift->layout, &drift->options, &drift->layout.items[i], &ready->window, ready->bins,
                                 &report);
            callback(context, &report);
        }
        pthread_mutex_lock(&drift->mutex);
        put_unused(drift, ready);
        pthread_mutex_unlock(&drift->mutex);
    }
    return reported;
}
