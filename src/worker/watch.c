/*
 * A feature that no record has. JSON brings no schema that a model could be held against when it is loaded: a path that
 * is misspelt, or a field that a producer dropped, is a missing value in every record, which scores without complaint.
 */
#include "worker/worker_private.h"

#include "core/clock.h"
#include "core/log.h"
#include "model/bundle.h"
#include "score/model.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_MIN = 10000, PERIOD_NS = 1000 * 1000 * 1000 };

uint64_t lp_worker_sum_features(struct lp_worker *worker, uint64_t generation, uint32_t feature_count,
                                struct lp_clean_counts *sums, struct lp_clean_counts *lane)
{
    uint64_t rows = 0;
    memset(sums, 0, feature_count * sizeof *sums);
    for (uint32_t i = 0; i < worker->shared.lane_count; i++) {
        uint64_t lane_rows;
        uint32_t count = lp_lane_feature_counts(worker->lanes[i], generation, lane, feature_count, &lane_rows);
        rows += lane_rows;
        for (uint32_t f = 0; f < count; f++) {
            sums[f].missing += lane[f].missing;
            sums[f].clipped += lane[f].clipped;
            sums[f].unknown += lane[f].unknown;
            sums[f].rejected += lane[f].rejected;
        }
    }
    return rows;
}

/* A rejected record counts what was missing in it too, without being a row: more missing than both is every row. */
static uint32_t warn_of_absent(const struct lp_bundle *bundle, const struct lp_clean_counts *sums, uint64_t rows)
{
    uint32_t absent = 0;
    uint64_t rejected = 0;
    for (uint32_t f = 0; f < bundle->feature_count; f++) rejected += sums[f].rejected;
    for (uint32_t f = 0; f < bundle->feature_count; f++) {
        if (sums[f].missing < rows + rejected) continue;
        absent++;
        LP_LOG(LP_LOG_WARN, "feature_absent", lp_kv("feature", bundle->features[f].name),
               lp_kv("from", bundle->features[f].from), lp_kv_int("rows", (int64_t)rows),
               lp_kv("version", bundle->version),
               lp_kv("reason", "missing in every row so far: is the path right, and does the producer write it?"));
    }
    return absent;
}

static void watch(struct lp_worker *worker, const struct lp_bundle *bundle, uint64_t generation)
{
    if (worker->watched && worker->watched_generation == generation) return;
    atomic_store(&worker->absent_features, 0);
    struct lp_clean_counts *sums = calloc(2 * (size_t)bundle->feature_count + 1, sizeof *sums);
    if (sums == NULL) return;
    uint64_t rows =
        lp_worker_sum_features(worker, generation, bundle->feature_count, sums, sums + bundle->feature_count);
    if (rows >= ROWS_MIN) {
        atomic_store(&worker->absent_features, warn_of_absent(bundle, sums, rows));
        worker->watched = true;
        worker->watched_generation = generation;
    }
    free(sums);
}

void lp_worker_watch_features(struct lp_worker *worker)
{
    uint64_t generation, now_ns = lp_clock_ns();
    bool degraded;
    if (now_ns < worker->next_watch_ns) return;
    worker->next_watch_ns = now_ns + PERIOD_NS;
    struct lp_model *model = lp_slot_model(&worker->slot, &generation, &degraded);
    if (model == NULL) return;
    watch(worker, model->bundle, generation);
    lp_model_unref(model);
}
