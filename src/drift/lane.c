/* The lane's side: counting batches into open windows. Everything here runs on the lane's thread. */
#include "core/clock.h"
#include "core/cpu.h"
#include "drift/window.h"

#include <stdlib.h>
#include <string.h>

enum lp_code lp_drift_lane_new(const struct lp_bundle *bundle, const struct lp_drift_options *options,
                               struct lp_drift_lane **ret_lane, struct lp_error *err)
{
    struct lp_drift_layout layout;
    LP_TRY(lp_drift_layout_init(&layout, bundle, options, err));
    size_t bytes = sizeof(struct lp_drift_lane) + LP_DRIFT_OPEN_WINDOWS * layout.cell_count * sizeof(uint64_t);
    struct lp_drift_lane *lane = calloc(1, bytes);
    if (lane == NULL) {
        lp_drift_layout_done(&layout);
        return lp_fail_memory(err, bytes);
    }
    lane->layout = layout;
    lane->bundle = bundle;
    lane->bins = lp_bins_select(lp_cpu_get());
    lane->first_open = INT64_MIN;
    for (uint32_t i = 0; i < LP_DRIFT_OPEN_WINDOWS; i++) lane->windows[i].cells = lane->cells + i * layout.cell_count;
    *ret_lane = lane;
    return LP_OK;
}

void lp_drift_lane_free(struct lp_drift_lane *lane)
{
    if (lane == NULL) return;
    lp_drift_layout_done(&lane->layout);
    free(lane);
}

uint64_t lp_drift_lane_late(const struct lp_drift_lane *lane) { return lane->late; }

void lp_drift_window_close(struct lp_drift_window *window, size_t cell_count)
{
    window->is_open = false;
    window->rows = 0;
    memset(window->cells, 0, cell_count * sizeof *window->cells);
}

/* Room for a new window: a free one, or the least recently used one after it was handed over. */
static struct lp_drift_window *make_room(struct lp_drift_lane *lane)
{
    struct lp_drift_window *oldest = &lane->windows[0];
    for (uint32_t i = 0; i < LP_DRIFT_OPEN_WINDOWS; i++) {
        struct lp_drift_window *window = &lane->windows[i];
        if (!window->is_open) return window;
        if (window->last_use < oldest->last_use) oldest = window;
    }
    if (lane->drift != NULL) {
        lp_drift_take(lane->drift, oldest);
    } else {
        lane->late += oldest->rows;
        lp_drift_window_close(oldest, lane->layout.cell_count);
    }
    return oldest;
}

/* The window that counts rows of this event time, or NULL: they are late or ahead. */
static struct lp_drift_window *admit(struct lp_drift_lane *lane, int64_t event_time_ms, int64_t now_ms)
{
    if (event_time_ms - now_ms > LP_DRIFT_AHEAD_MAX_MS) return NULL;
    int64_t number = lp_drift_window_of(&lane->layout, event_time_ms);
    if (number < lane->first_open) return NULL;
    struct lp_drift_window *found = NULL;
    for (uint32_t i = 0; i < LP_DRIFT_OPEN_WINDOWS; i++)
        if (lane->windows[i].is_open && lane->windows[i].number == number) found = &lane->windows[i];
    if (found == NULL) {
        found = make_room(lane);
        found->number = number;
        found->is_open = true;
    }
    found->last_use = ++lane->clock;
    return found;
}

static int64_t known_time(int64_t event_time_ms, int64_t now_ms) { return event_time_ms < 0 ? now_ms : event_time_ms; }

/* End of the run of rows from `first` on that share its window. */
static uint32_t run_end(const struct lp_drift_layout *layout, const int64_t *event_time, uint32_t first,
                        uint32_t row_count, int64_t now_ms)
{
    int64_t start_ms = known_time(event_time[first], now_ms);
    start_ms -= start_ms % layout->window_ms;
    uint32_t end = first + 1;
    while (end < row_count && (uint64_t)(known_time(event_time[end], now_ms) - start_ms) < (uint64_t)layout->window_ms)
        end++;
    return end;
}

static void count_category(const struct lp_baseline *baseline, const double *values, uint32_t count, uint64_t *cells)
{
    uint64_t *counts = cells + LP_CELL_BINS;
    uint64_t present = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!(values[i] >= 0 && values[i] < (double)baseline->bin_count)) continue; /* NaN: missing */
        counts[(uint32_t)values[i]]++;
        present++;
    }
    cells[LP_CELL_PRESENT] += present;
}

static void count_number(const struct lp_drift_lane *lane, const struct lp_drift_item *item, const double *values,
                         uint32_t count, uint64_t *cells)
{
    lane->bins(values, count, item->baseline->edges, item->baseline->edge_count, cells + LP_CELL_BINS,
               &cells[LP_CELL_PRESENT]);
}

static float watched_score(const struct lp_bundle *bundle, const float *scores)
{
    if (bundle->task == LP_TASK_BINARY && bundle->output_count == 2) return scores[1];
    float best = scores[0];
    if (bundle->task != LP_TASK_MULTICLASS) return best;
    for (uint32_t i = 1; i < bundle->output_count; i++) best = scores[i] > best ? scores[i] : best;
    return best;
}

static void count_scores(struct lp_drift_lane *lane, const struct lp_drift_item *item, const float *scores,
                         uint32_t row_count, uint64_t *cells)
{
    for (uint32_t first = 0; first < row_count; first += LP_DRIFT_SCORE_CHUNK) {
        uint32_t count = row_count - first < LP_DRIFT_SCORE_CHUNK ? row_count - first : LP_DRIFT_SCORE_CHUNK;
        for (uint32_t i = 0; i < count; i++)
            lane->scores[i] =
                (double)watched_score(lane->bundle, scores + (size_t)(first + i) * lane->bundle->output_count);
        count_number(lane, item, lane->scores, count, cells);
    }
}

/* Rows of one window. */
static void count_run(struct lp_drift_lane *lane, struct lp_drift_window *window, const double *observed,
                      uint32_t stride, const float *scores, uint32_t row_count)
{
    window->rows += row_count;
    for (uint32_t i = 0; i < lane->layout.item_count; i++) {
        const struct lp_drift_item *item = &lane->layout.items[i];
        uint64_t *cells = window->cells + item->cell;
        if (item->feature == LP_DRIFT_SCORE) {
            count_scores(lane, item, scores, row_count, cells);
            continue;
        }
        const double *values = observed + (size_t)item->feature * stride;
        if (item->is_category) count_category(item->baseline, values, row_count, cells);
        else count_number(lane, item, values, row_count, cells);
    }
}

void lp_drift_lane_observe(struct lp_drift_lane *lane, const double *observed, uint32_t stride, const float *scores,
                           const int64_t *event_time, uint32_t row_count)
{
    int64_t now_ms = lp_clock_wall_ms();
    for (uint32_t first = 0, end; first < row_count; first = end) {
        end = run_end(&lane->layout, event_time, first, row_count, now_ms);
        struct lp_drift_window *window = admit(lane, known_time(event_time[first], now_ms), now_ms);
        if (window == NULL) {
            lane->late += end - first;
            continue;
        }
        count_run(lane, window, observed + first, stride, scores + (size_t)first * lane->bundle->output_count,
                  end - first);
    }
}

static bool is_any_counted(const struct lp_drift_layout *layout, const uint64_t *clipped, const uint64_t *unknown)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < layout->item_count; i++) {
        const struct lp_drift_item *item = &layout->items[i];
        if (item->feature != LP_DRIFT_SCORE) any |= clipped[item->feature] | unknown[item->feature];
    }
    return any != 0;
}

void lp_drift_lane_add_counts(struct lp_drift_lane *lane, int64_t event_time_ms, const uint64_t *clipped,
                              const uint64_t *unknown)
{
    if (!is_any_counted(&lane->layout, clipped, unknown)) return; /* opens no window */
    int64_t now_ms = lp_clock_wall_ms();
    struct lp_drift_window *window = admit(lane, known_time(event_time_ms, now_ms), now_ms);
    if (window == NULL) return;
    for (uint32_t i = 0; i < lane->layout.item_count; i++) {
        const struct lp_drift_item *item = &lane->layout.items[i];
        if (item->feature == LP_DRIFT_SCORE) continue;
        window->cells[item->cell + LP_CELL_CLIPPED] += clipped[item->feature];
        window->cells[item->cell + LP_CELL_UNKNOWN] += unknown[item->feature];
    }
}
