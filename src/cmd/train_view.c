#include "cmd/train_view.h"

#include "cmd/terminal.h"
#include "core/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAR_CELLS = 24, SHAPE_BYTES = 256, SHOWN_METRICS = 4 };

/* Measures beside the loss, by task: indices of lp_metrics_names. */
static const int shown[][SHOWN_METRICS] = {
    [LP_TASK_BINARY] = {1, 2, 4, 5},
    [LP_TASK_MULTICLASS] = {1, 4, 3, 5},
    [LP_TASK_REGRESSION] = {6, 8, 7, -1},
    [LP_TASK_RANKING] = {2, -1, -1, -1},
};

void lp_train_view_init(struct lp_train_view *view, const char *data, bool json)
{
    *view = (struct lp_train_view){.json = json, .bar = isatty(STDERR_FILENO) == 1, .data = data};
}

static void clear_line(struct lp_train_view *view)
{
    if (view->bar && view->last_ns != 0) fputs("\r\033[K", stderr);
    view->last_ns = 0;
}

static void draw(struct lp_train_view *view, double share, const char *text)
{
    char cells[BAR_CELLS + 1];
    int full = (int)(share * BAR_CELLS);
    for (int i = 0; i < BAR_CELLS; i++) cells[i] = i < full ? '#' : '.';
    cells[BAR_CELLS] = '\0';
    fprintf(stderr, "\r\033[K[%s] %3.0f %% %s", cells, 100 * share, text);
    fflush(stderr);
    view->last_ns = lp_clock_ns();
}

void lp_train_view_rows(void *context, uint64_t rows, uint64_t bytes_done, uint64_t bytes_in_all)
{
    struct lp_train_view *view = context;
    char text[64];
    if (view->silent || !view->bar || bytes_in_all == 0) return;
    snprintf(text, sizeof text, "reading, %llu rows", (unsigned long long)rows);
    draw(view, (double)bytes_done / (double)bytes_in_all, text);
}

static void shape_text(const struct lp_job_result *result, char *text)
{
    size_t used = (size_t)snprintf(text, SHAPE_BYTES, "%u", result->spec.column_count);
    for (uint32_t i = 0; i < result->spec.layer_count && used + 16 < SHAPE_BYTES; i++)
        used += (size_t)snprintf(text + used, SHAPE_BYTES - used, "-%u", result->spec.layers[i].width);
}

static void print_json(json_t *object)
{
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    if (text != NULL) puts(text);
    fflush(stdout);
    free(text);
    json_decref(object);
}

static void put_number(json_t *object, const char *name, double value)
{
    if (isfinite(value)) json_object_set_new(object, name, json_real(value));
}

static json_t *metrics_json(const struct lp_metrics *metrics)
{
    json_t *object = json_object();
    for (int i = 0; i < LP_METRICS_COUNT; i++) put_number(object, lp_metrics_names[i], lp_metrics_at(metrics, i));
    return object;
}

static void print_header(const struct lp_job_result *result)
{
    printf("%6s  %12s", "epoch", "loss");
    if (result->valid_rows > 0) printf("  %12s", "valid loss");
    for (int i = 0; result->valid_rows > 0 && i < SHOWN_METRICS && shown[result->task][i] >= 0; i++)
        printf("  %17s", lp_metrics_names[shown[result->task][i]]);
    printf("  %12s\n", "rows/s");
}

void lp_train_view_start(void *context, const struct lp_job_result *result)
{
    static const char *const tasks[] = {"binary", "multiclass", "regression", "ranking"};
    struct lp_train_view *view = context;
    const struct lp_table *t = &result->table;
    char shape[SHAPE_BYTES];
    view->result = result;
    view->first_seen = false;
    if (view->silent) return;
    clear_line(view);
    if (t->refused > 0)
        lp_print_safe(stderr, "lepton: train: %llu records were refused by cleaning and passed over, the first: %s\n",
                      (unsigned long long)t->refused, t->first_refused);
    if (t->skipped > 0)
        fprintf(stderr, "lepton: train: %llu bad records were passed over\n", (unsigned long long)t->skipped);
    shape_text(result, shape);
    if (view->json) {
        print_json(json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:I, s:I, s:I}", "event", "start", "data", view->data,
                             "task", tasks[result->task], "rows", (json_int_t)t->row_count, "train_rows",
                             (json_int_t)result->train_rows, "valid_rows", (json_int_t)result->valid_rows, "network",
                             shape, "parameters", (json_int_t)result->parameter_count, "batch",
                             (json_int_t)result->batch_rows, "threads", (json_int_t)result->threads));
        return;
    }
    lp_print_safe(stdout, "%s: %s, %u rows: %u to learn from, %u validate\n", view->data, t->format, t->row_count,
                  result->train_rows, result->valid_rows);
    printf("%s network %s, %u parameters, batches of %u, %u thread%s\n", tasks[result->task], shape,
           result->parameter_count, result->batch_rows, result->threads, result->threads > 1 ? "s" : "");
    print_header(result);
    fflush(stdout);
}

void lp_train_view_progress(void *context, uint32_t epoch, uint64_t rows_done, uint64_t rows_in_all)
{
    struct lp_train_view *view = context;
    char text[96];
    if (!view->first_seen) { /* of a fold, of the training itself, of a resumed one */
        view->rows_before = rows_done;
        view->begin_ns = lp_clock_ns();
    }
    view->first_seen = true;
    double seconds = (double)(lp_clock_ns() - view->begin_ns) * 1e-9;
    double speed = (double)(rows_done - view->rows_before) / (seconds > 0 ? seconds : 1);
    if (view->silent || !view->bar || !(speed > 0)) return;
    snprintf(text, sizeof text, "epoch %u, %.0f rows/s, %.0f s left at most", epoch, speed,
             (double)(rows_in_all - rows_done) / speed);
    draw(view, (double)rows_done / (double)rows_in_all, text);
}

void lp_train_view_epoch(void *context, const struct lp_train_epoch *epoch)
{
    struct lp_train_view *view = context;
    const struct lp_job_result *result = view->result;
    double speed = epoch->seconds > 0 ? result->train_rows / epoch->seconds : 0;
    if (view->silent) return;
    clear_line(view);
    if (view->json) {
        json_t *line = json_pack("{s:s, s:I, s:f, s:f, s:f}", "event", "epoch", "epoch", (json_int_t)epoch->epoch,
                                 "rate", epoch->rate, "seconds", epoch->seconds, "rows_per_second", speed);
        put_number(line, "loss", epoch->train_loss);
        if (result->valid_rows > 0) json_object_set_new(line, "valid", metrics_json(&epoch->valid));
        print_json(line);
        return;
    }
    printf("%6u  %12.6g", epoch->epoch, epoch->train_loss);
    if (result->valid_rows > 0) printf("  %12.6g", epoch->valid.loss);
    for (int i = 0; result->valid_rows > 0 && i < SHOWN_METRICS && shown[result->task][i] >= 0; i++)
        printf("  %17.5g", lp_metrics_at(&epoch->valid, shown[result->task][i]));
    printf("  %12.0f\n", speed);
    if (view->bar) fflush(stdout);
}

void lp_train_view_fold(void *context, uint32_t fold, const struct lp_metrics *metrics)
{
    struct lp_train_view *view = context;
    view->first_seen = false;
    if (view->silent) return;
    clear_line(view);
    if (view->json) {
        print_json(
            json_pack("{s:s, s:I, s:o}", "event", "fold", "fold", (json_int_t)fold, "valid", metrics_json(metrics)));
        return;
    }
    printf("fold %u:", fold);
    for (int i = 0; i < LP_METRICS_COUNT; i++)
        if (isfinite(lp_metrics_at(metrics, i))) printf(" %s %.5g", lp_metrics_names[i], lp_metrics_at(metrics, i));
    putchar('\n');
}

static json_t *segments_json(const struct lp_job_result *result)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < result->segment_count; i++) {
        json_t *metrics = metrics_json(&result->segments[i].metrics);
        json_object_set_new(metrics, "rows", json_integer(result->segments[i].rows));
        json_object_set_new(object, result->segments[i].name, metrics);
    }
    return object;
}

static void print_segments(const struct lp_job_result *result)
{
    if (result->segment_count == 0) return;
    printf("%-24s  %8s  %12s", "segment", "rows", "loss");
    for (int i = 0; i < SHOWN_METRICS && shown[result->task][i] >= 0; i++)
        printf("  %17s", lp_metrics_names[shown[result->task][i]]);
    putchar('\n');
    double low[LP_METRICS_COUNT], high[LP_METRICS_COUNT];
    for (int m = 0; m < LP_METRICS_COUNT; m++) {
        low[m] = INFINITY;
        high[m] = -INFINITY;
    }
    for (uint32_t s = 0; s < result->segment_count; s++) {
        const struct lp_job_segment *segment = &result->segments[s];
        lp_print_safe(stdout, "%-24.24s  %8u  %12.6g", segment->name, segment->rows, segment->metrics.loss);
        for (int i = 0; i < SHOWN_METRICS && shown[result->task][i] >= 0; i++) {
            int m = shown[result->task][i];
            double value = lp_metrics_at(&segment->metrics, m);
            printf("  %17.5g", value);
            if (!isfinite(value)) continue;
            low[m] = fmin(low[m], value);
            high[m] = fmax(high[m], value);
        }
        putchar('\n');
    }
    printf("%-24s  %8s  %12s", "gap", "", "");
    for (int i = 0; i < SHOWN_METRICS && shown[result->task][i] >= 0; i++) {
        int m = shown[result->task][i];
        printf("  %17.5g", high[m] >= low[m] ? high[m] - low[m] : NAN);
    }
    putchar('\n');
}

static void print_folds(const struct lp_job_result *result)
{
    bool any = false;
    for (int i = 0; i < LP_METRICS_COUNT; i++) {
        double mean = lp_metrics_at(&result->fold_mean, i), sd = lp_metrics_at(&result->fold_deviation, i);
        if (!isfinite(mean)) continue;
        printf("%s %s %.5g +- %.3g", any ? "," : "folds:", lp_metrics_names[i], mean, sd);
        any = true;
    }
    if (any) putchar('\n');
}

void lp_train_view_done(struct lp_train_view *view, const struct lp_job_result *result, const char *out, double seconds)
{
    if (view->silent) return;
    clear_line(view);
    if (view->json) {
        json_t *line = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f}", "event", "done", "bundle", out, "sha256",
                                 result->sha256, "bytes", (json_int_t)result->bundle.size, "epochs",
                                 (json_int_t)result->epoch_count, "kept_epoch", (json_int_t)result->kept_epoch,
                                 "train_seconds", result->train_seconds, "seconds", seconds);
        if (result->task == LP_TASK_BINARY) put_number(line, "threshold", result->threshold);
        if (result->calibrated) put_number(line, "platt_scale", result->platt_a);
        if (result->calibrated) put_number(line, "platt_shift", result->platt_b);
        if (result->valid_rows > 0) json_object_set_new(line, "valid", metrics_json(&result->valid));
        if (result->segment_count > 0) json_object_set_new(line, "segments", segments_json(result));
        print_json(line);
        return;
    }
    print_folds(result);
    print_segments(result);
    printf("kept epoch %u of %u", result->kept_epoch, result->epoch_count);
    for (int i = 0; i < LP_METRICS_COUNT; i++)
        if (isfinite(lp_metrics_at(&result->valid, i)))
            printf(", %s %.5g", lp_metrics_names[i], lp_metrics_at(&result->valid, i));
    if (result->task == LP_TASK_BINARY) printf(", threshold %.4g", result->threshold);
    if (result->calibrated) printf(", calibrated (%.4g x %+.4g)", result->platt_a, result->platt_b);
    putchar('\n');
    lp_print_safe(stdout, "%s: %zu bytes, sha256 %.16s..., %.3f s training, %.3f s in all\n", out, result->bundle.size,
                  result->sha256, result->train_seconds, seconds);
}
