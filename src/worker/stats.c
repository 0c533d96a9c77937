#include "worker/stats.h"

const uint64_t lp_latency_bounds_ns[LP_LATENCY_BOUNDS] = {
    1000,      2000,      5000,       10000,      20000,      50000,       100000,   200000,
    500000,    1000000,   2000000,    5000000,    10000000,   20000000,    50000000, 100000000,
    200000000, 500000000, 1000000000, 2000000000, 5000000000, 10000000000,
};

static uint32_t find_bucket(uint64_t duration_ns)
{
    uint32_t low = 0, high = LP_LATENCY_BOUNDS;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (lp_latency_bounds_ns[middle] < duration_ns) low = middle + 1;
        else high = middle;
    }
    return low;
}

void lp_latency_add_elsewhere(struct lp_latency *latency, uint64_t duration_ns, uint64_t times)
{
    uint32_t bucket = find_bucket(duration_ns);
    latency->last = bucket;
    /* The first bucket's 0 is left to this function: nothing is below it. */
    latency->last_above_ns = bucket > 0 ? lp_latency_bounds_ns[bucket - 1] : 0;
    latency->last_width_ns =
        (bucket < LP_LATENCY_BOUNDS ? lp_latency_bounds_ns[bucket] : UINT64_MAX) - latency->last_above_ns;
    latency->counts[bucket] += times;
    latency->sum_ns += (double)duration_ns * (double)times;
}

double lp_latency_quantile_ns(const struct lp_latency *latency, double share)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i <= LP_LATENCY_BOUNDS; i++) total += latency->counts[i];
    if (total == 0) return 0;
    double wanted = share * (double)total, seen = 0;
    for (uint32_t i = 0; i < LP_LATENCY_BOUNDS; i++) {
        double count = (double)latency->counts[i];
        if (count > 0 && seen + count >= wanted) {
            double low = i > 0 ? (double)lp_latency_bounds_ns[i - 1] : 0;
            return low + ((double)lp_latency_bounds_ns[i] - low) * (wanted - seen) / count;
        }
        seen += count;
    }
    return (double)lp_latency_bounds_ns[LP_LATENCY_BOUNDS - 1];
}

void lp_latency_merge(struct lp_latency *into, const struct lp_latency *from)
{
    for (uint32_t i = 0; i <= LP_LATENCY_BOUNDS; i++) into->counts[i] += from->counts[i];
    into->sum_ns += from->sum_ns;
}

void lp_lane_stats_merge(struct lp_lane_stats *into, const struct lp_lane_stats *from)
{
    into->records += from->records;
    into->record_bytes += from->record_bytes;
    into->rows += from->rows;
    into->batches += from->batches;
    into->predictions += from->predictions;
    into->prediction_bytes += from->prediction_bytes;
    into->tombstones += from->tombstones;
    into->dead_letters += from->dead_letters;
    into->skipped += from->skipped;
    for (uint32_t i = 0; i < LP_STAGE_COUNT; i++) into->errors[i] += from->errors[i];
    into->acknowledged += from->acknowledged;
    into->delivery_errors += from->delivery_errors;
    into->stale_reports += from->stale_reports;
    into->revoke_deadlines_missed += from->revoke_deadlines_missed;
    into->swaps += from->swaps;
    into->backpressure_loops += from->backpressure_loops;
    into->late_rows += from->late_rows;
    into->transactions_committed += from->transactions_committed;
    into->transactions_aborted += from->transactions_aborted;
    into->transactions_fenced += from->transactions_fenced;
    into->committed_records += from->committed_records;
    lp_latency_merge(&into->commit, &from->commit);
    lp_latency_merge(&into->fill, &from->fill);
    lp_latency_merge(&into->score, &from->score);
    lp_latency_merge(&into->publish, &from->publish);
    lp_latency_merge(&into->swap, &from->swap);
    lp_latency_merge(&into->event_to_prediction, &from->event_to_prediction);
    lp_latency_merge(&into->record_to_prediction, &from->record_to_prediction);
    into->in_flight += from->in_flight;
    into->queued += from->queued;
    into->assigned += from->assigned;
    into->held += from->held;
    into->stalled += from->stalled;
    into->rebalances += from->rebalances;
    into->lost_assignments += from->lost_assignments;
    into->offset_resets += from->offset_resets;
    into->offset_gap_records += from->offset_gap_records;
    into->stale_records += from->stale_records;
    into->commits += from->commits;
    into->commit_failures += from->commit_failures;
    into->revoke_commits_failed += from->revoke_commits_failed;
    into->alarms += from->alarms;
}
