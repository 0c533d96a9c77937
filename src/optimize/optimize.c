#include "optimize/optimize.h"

#include "optimize/tune.h"
#include "optimize/variants.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CALIBRATION_ROWS = 4096, TIMED_ROWS = 4096, RUN_ROWS = 256 };
/* Timed rows are as near to each other as the machine allows: less is no gain. */
static const double gain = 0.95;
static const double leak = 0.01; /* of the rows that judge */

/* What the variants have while they are compared. */
struct work {
    struct lp_optimized *o;
    const struct lp_optimize_request *request;
    struct lp_truth truth;
    struct lp_bundle *bundles[LP_VARIANTS_MAX];
    struct lp_plan *plans[LP_VARIANTS_MAX];  /* NULL: not to be timed */
    float *scores, *margins, *first_margins; /* [rows][outputs] */
};

const char *lp_optimize_loss_name(const struct lp_bundle *bundle)
{
    if (bundle->task == LP_TASK_RANKING) return "pair loss";
    return bundle->task == LP_TASK_REGRESSION ? "RMSE" : "log loss";
}

static enum lp_code check_task(const struct lp_bundle *bundle, struct lp_error *err)
{
    bool probability = bundle->link == LP_LINK_SIGMOID || bundle->link == LP_LINK_SOFTMAX;
    bool classes = bundle->task == LP_TASK_BINARY || bundle->task == LP_TASK_MULTICLASS;
    if (classes && probability) return LP_OK;
    if (bundle->task == LP_TASK_REGRESSION && bundle->output_count == 1) return LP_OK;
    bool ranks = bundle->task == LP_TASK_RANKING && bundle->link == LP_LINK_IDENTITY;
    if (ranks && bundle->output_count == 1) return LP_OK;
    return lp_fail(
        err, LP_E_UNSUPPORTED, LP_FATAL,
        "models of classes with link sigmoid or softmax, and regressions and rankings of one number, can be compared");
}

/* Evenly over the data, so that an order in the file does not matter. */
static enum lp_code calibrate(struct lp_optimized *o, struct lp_error *err)
{
    const struct lp_valid *v = &o->valid;
    size_t width = v->column_count;
    uint32_t count = v->row_count < CALIBRATION_ROWS ? v->row_count : CALIBRATION_ROWS;
    double *rows = malloc(count * width * sizeof *rows + 1);
    o->ranges = calloc((size_t)o->model->bundle->op_count + 1, sizeof *o->ranges);
    enum lp_code rc = rows != NULL && o->ranges != NULL ? LP_OK : lp_fail_memory(err, count * width * sizeof *rows);
    for (uint32_t i = 0; rc == LP_OK && i < count; i++)
        memcpy(rows + i * width, v->rows + (uint64_t)i * v->row_count / count * width, width * sizeof *rows);
    if (rc == LP_OK) rc = lp_ranges_measure(o->model->bundle, rows, count, o->ranges, err);
    free(rows);
    return rc;
}

static enum lp_code score(const struct work *w, const struct lp_plan *plan, struct lp_error *err)
{
    const struct lp_valid *v = &w->o->valid;
    size_t outputs = w->o->model->bundle->output_count;
    struct lp_infer *infer;
    LP_TRY(lp_infer_new(plan, RUN_ROWS, &infer, err));
    for (uint32_t at = 0; at < v->row_count; at += RUN_ROWS) {
        uint32_t count = v->row_count - at < RUN_ROWS ? v->row_count - at : RUN_ROWS;
        lp_infer_run(infer, v->rows + (size_t)at * v->column_count, count, w->margins + at * outputs,
                     w->scores + at * outputs);
    }
    lp_infer_free(infer);
    return LP_OK;
}

static double margin_change(const struct work *w)
{
    uint32_t rows = w->o->valid.row_count, outputs = w->o->model->bundle->output_count;
    double most = 0;
    for (uint32_t k = 0; k < outputs; k++) {
        double square = 0;
        for (uint32_t r = 0; r < rows; r++) {
            size_t at = (size_t)r * outputs + k;
            double change = (double)w->margins[at] - (double)w->first_margins[at];
            square += change * change;
        }
        most = fmax(most, sqrt(square / rows));
    }
    return most;
}

static void say(const struct work *w, const char *what, const struct lp_variant *variant)
{
    if (w->request->on_step != NULL) w->request->on_step(w->request->context, what, variant);
}

static bool is_one_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What validates is not learned from: the gain would be that of having seen the answers. */
static enum lp_code open_learn(struct work *w, struct lp_error *err)
{
    const struct lp_optimize_request *r = w->request;
    if (r->train == NULL) return LP_OK;
    if (is_one_file(r->train, r->data))
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "%s: it is the validation data too: learn from other rows than those that judge", r->train);
    return lp_learn_open(r->train, r->label, r->group, w->o->model, r->seed, &w->o->learn, err);
}

static enum lp_code tune(struct work *w, struct lp_variant *v, struct lp_error *err)
{
    struct lp_draft *draft;
    struct lp_buffer bytes;
    struct lp_bundle *plain = NULL;
    say(w, "tuning", v);
    lp_buffer_init(&bytes, SIZE_MAX / 2);
    LP_TRY(lp_variants_make(w->o, v, &draft, err));
    enum lp_code rc = lp_draft_encode(draft, &bytes, err);
    if (rc == LP_OK) rc = lp_bundle_parse(lp_buffer_span(&bytes), &plain, err);
    if (rc == LP_OK)
        rc = lp_tune(&w->o->learn, plain, w->request->tune_epochs, v->kind == LP_VARIANT_PRUNED, &v->made, err);
    lp_bundle_free(plain);
    lp_buffer_done(&bytes);
    lp_draft_free(draft);
    return rc;
}

static enum lp_code learn_all(struct work *w, struct lp_error *err)
{
    struct lp_optimized *o = w->o;
    const struct lp_optimize_request *r = w->request;
    const struct lp_trials_request trials = {r->trials, r->trials_ms, r->context, r->on_trial};
    struct lp_trial best[LP_TRIALS_KEPT];
    uint32_t count = 0;
    for (uint32_t i = 0; i < o->variant_count; i++)
        if (o->variants[i].tuned && tune(w, &o->variants[i], err) != LP_OK)
            return lp_error_wrap(err, "%s", o->variants[i].name);
    if (r->train == NULL || r->trials == 0) return LP_OK;
    LP_TRY(lp_trials_run(&o->learn, o->model->bundle, &trials, best, &count, err));
    for (uint32_t i = 0; i < count; i++) lp_variants_add_trial(o, &best[i]);
    return LP_OK;
}

static enum lp_code list(struct work *w, struct lp_error *err)
{
    struct lp_optimized *o = w->o;
    const struct lp_bundle *bundle = o->model->bundle;
    struct lp_chain chain;
    bool tuned = w->request->train != NULL && w->request->tune_epochs > 0 && lp_chain_read(bundle, &chain);
    if (tuned) lp_chain_done(&chain);
    o->factors = calloc((size_t)bundle->op_count + 1, sizeof *o->factors);
    if (o->factors == NULL) return lp_fail_memory(err, bundle->op_count * sizeof *o->factors);
    LP_TRY(lp_factors_measure(bundle, o->factors, err));
    LP_TRY(lp_variants_list(o, tuned, err));
    if (w->request->train != NULL && w->request->tune_epochs > 0 && !tuned)
        snprintf(o->verdicts[o->verdict_count++], LP_VERDICT_BYTES,
                 "nothing is tuned: the graph is no chain of float dense layers with biases");
    return learn_all(w, err);
}

static enum lp_code make(struct work *w, uint32_t index, struct lp_error *err)
{
    struct lp_draft *draft;
    struct lp_buffer bytes;
    lp_buffer_init(&bytes, SIZE_MAX / 2);
    LP_TRY(lp_variants_make(w->o, &w->o->variants[index], &draft, err));
    enum lp_code rc = lp_draft_encode(draft, &bytes, err);
    if (rc == LP_OK) rc = lp_bundle_parse(lp_buffer_span(&bytes), &w->bundles[index], err);
    lp_buffer_done(&bytes);
    lp_draft_free(draft);
    return rc == LP_OK ? lp_plan_new(w->bundles[index], &w->plans[index], err) : rc;
}

static enum lp_code judge(struct work *w, uint32_t index, struct lp_error *err)
{
    struct lp_variant *v = &w->o->variants[index];
    say(w, "scoring", v);
    LP_TRY(make(w, index, err));
    LP_TRY(score(w, w->plans[index], err));
    LP_TRY(lp_judge(w->bundles[index], w->scores, &w->truth, &v->judged, err));
    size_t bytes = (size_t)w->o->valid.row_count * w->o->model->bundle->output_count * sizeof *w->margins;
    if (index == 0) memcpy(w->first_margins, w->margins, bytes);
    v->margin_change = margin_change(w);
    v->bytes = w->bundles[index]->file_bytes;
    if (v->kind != LP_VARIANT_LAYER) return LP_OK;
    lp_plan_free(w->plans[index]);
    lp_bundle_free(w->bundles[index]);
    w->plans[index] = NULL;
    w->bundles[index] = NULL;
    return LP_OK;
}

static enum lp_code judge_all(struct work *w, struct lp_error *err)
{
    struct lp_optimized *o = w->o;
    const struct lp_bundle *bundle = o->model->bundle;
    size_t count = (size_t)o->valid.row_count * bundle->output_count;
    w->scores = malloc(count * sizeof *w->scores);
    w->margins = malloc(count * sizeof *w->margins);
    w->first_margins = malloc(count * sizeof *w->first_margins);
    if (w->scores == NULL || w->margins == NULL || w->first_margins == NULL) return lp_fail_memory(err, 3 * count);
    for (uint32_t i = 0; i < o->variant_count; i++)
        if (judge(w, i, err) != LP_OK) return lp_error_wrap(err, "%s", o->variants[i].name);
    if (lp_variants_add_mixed(o)) LP_TRY(judge(w, o->variant_count - 1, err));
    struct lp_judged judged[LP_VARIANTS_MAX];
    struct lp_differences differences[LP_VARIANTS_MAX];
    for (uint32_t i = 0; i < o->variant_count; i++) judged[i] = o->variants[i].judged;
    LP_TRY(lp_judge_differences(judged, o->variant_count, &w->truth, bundle->task == LP_TASK_REGRESSION, differences,
                                err));
    for (uint32_t i = 0; i < o->variant_count; i++) o->variants[i].differences = differences[i];
    return LP_OK;
}

/* The original's kernels on other numbers: it takes its time, and chance must not make it the faster. */
static bool is_same_work(const struct lp_variant *v)
{
    return v->tuned && (v->kind == LP_VARIANT_PRUNED || v->kind == LP_VARIANT_MORE);
}

static enum lp_code time_all(struct work *w, struct lp_error *err)
{
    struct lp_optimized *o = w->o;
    const struct lp_plan *plans[LP_VARIANTS_MAX];
    struct lp_speed speeds[LP_VARIANTS_MAX];
    uint32_t batches[LP_VARIANTS_MAX], count = 0,
                                       rows = o->valid.row_count < TIMED_ROWS ? o->valid.row_count : TIMED_ROWS;
    o->batch = w->request->batch < rows ? w->request->batch : rows;
    for (uint32_t i = 0; i < o->variant_count; i++) {
        if (w->plans[i] == NULL || is_same_work(&o->variants[i])) continue;
        batches[count] = o->batch;
        plans[count++] = w->plans[i];
    }
    const struct lp_speed_rows timed = {.rows = o->valid.rows,
                                        .row_count = rows,
                                        .column_count = o->valid.column_count,
                                        .output_count = o->model->bundle->output_count,
                                        .singles = true};
    LP_TRY(lp_speed_measure(plans, batches, count, &timed, w->request->time_ms, speeds, err));
    count = 0;
    for (uint32_t i = 0; i < o->variant_count; i++)
        if (w->plans[i] != NULL) o->variants[i].speed = is_same_work(&o->variants[i]) ? speeds[0] : speeds[count++];
    return LP_OK;
}

static bool dominates(const struct lp_variant *a, const struct lp_variant *b)
{
    double x = a->judged.quality.loss, y = b->judged.quality.loss;
    bool as_good = x <= y && a->speed.ns <= b->speed.ns && a->bytes <= b->bytes;
    return as_good && (x < y || a->speed.ns < b->speed.ns || a->bytes < b->bytes);
}

static void mark_dominated(struct lp_optimized *o)
{
    for (uint32_t i = 0; i < o->variant_count; i++)
        for (uint32_t k = 0; k < o->variant_count; k++)
            if (o->variants[i].candidate && o->variants[k].candidate && dominates(&o->variants[k], &o->variants[i]))
                o->variants[i].dominated = true;
}

/* The fastest of a kind, and the fastest whose loss is not shown to be worse. */
static void judge_kind(struct lp_optimized *o, const char *what, uint32_t kinds)
{
    const struct lp_variant *fast = NULL, *good = NULL, *first = &o->variants[0];
    for (uint32_t i = 1; i < o->variant_count; i++) {
        const struct lp_variant *v = &o->variants[i];
        if ((kinds & 1u << v->kind) == 0 || !isfinite(v->speed.ns) || is_same_work(v)) continue;
        if (fast == NULL || v->speed.ns < fast->speed.ns) fast = v;
        if (v->differences.loss.low <= 0 && (good == NULL || v->speed.ns < good->speed.ns)) good = v;
    }
    if (fast == NULL) return;
    const char *loss = lp_optimize_loss_name(o->model->bundle);
    const struct lp_variant *v = good != NULL && good->speed.ns < gain * first->speed.ns ? good : fast;
    const struct lp_interval *d = &v->differences.loss;
    char *text = o->verdicts[o->verdict_count++];
    if (fast->speed.ns >= gain * first->speed.ns)
        snprintf(text, LP_VERDICT_BYTES, "%s does not pay on this CPU: a row takes %.1f ns at best, the original %.1f",
                 what, fast->speed.ns, first->speed.ns);
    else if (v == good)
        snprintf(text, LP_VERDICT_BYTES,
                 "%s pays: `%s` gives %.2f times the rows, %s %+.2g (%+.2g to %+.2g), not shown to be worse", what,
                 v->name, first->speed.ns / v->speed.ns, loss, d->difference, d->low, d->high);
    else
        snprintf(text, LP_VERDICT_BYTES, "%s costs quality: `%s` gives %.2f times the rows, %s %+.2g (%+.2g to %+.2g)",
                 what, v->name, first->speed.ns / v->speed.ns, loss, d->difference, d->low, d->high);
}

/* Zeros have the place and the kernels of other numbers. */
static void judge_pruning(struct lp_optimized *o)
{
    const struct lp_variant *plain = NULL, *tuned = NULL, *first = &o->variants[0];
    for (uint32_t i = 1; i < o->variant_count; i++) {
        const struct lp_variant *v = &o->variants[i];
        if (v->kind != LP_VARIANT_PRUNED) continue;
        if (v->tuned && (tuned == NULL || v->judged.quality.loss < tuned->judged.quality.loss)) tuned = v;
        if (!v->tuned && (plain == NULL || v->speed.ns < plain->speed.ns)) plain = v;
    }
    if (plain == NULL) return;
    char *text = o->verdicts[o->verdict_count++];
    int used = snprintf(text, LP_VERDICT_BYTES,
                        "pruning does not pay on this CPU: kernels multiply zeros too, %.1f ns a row at best, the "
                        "original %.1f",
                        plain->speed.ns, first->speed.ns);
    if (tuned == NULL || used < 0 || used >= LP_VERDICT_BYTES) return;
    const struct lp_interval *d = &tuned->differences.loss;
    snprintf(text + used, LP_VERDICT_BYTES - (size_t)used, "; `%s`: %s %+.2g (%+.2g to %+.2g)", tuned->name,
             lp_optimize_loss_name(o->model->bundle), d->difference, d->low, d->high);
}

static void judge_trials(struct lp_optimized *o)
{
    const struct lp_variant *best = NULL, *first = &o->variants[0];
    for (uint32_t i = 1; i < o->variant_count; i++) {
        const struct lp_variant *v = &o->variants[i];
        bool better = best == NULL || v->judged.quality.loss < best->judged.quality.loss;
        if (v->kind == LP_VARIANT_TRIAL && better) best = v;
    }
    if (best == NULL) return;
    const struct lp_interval *d = &best->differences.loss;
    snprintf(o->verdicts[o->verdict_count++], LP_VERDICT_BYTES,
             "the search %s: `%s` (%s), %.2f times the rows, %s %+.2g (%+.2g to %+.2g)",
             d->high < 0 ? "found a better network" : "found none that is shown to be better", best->name, best->detail,
             first->speed.ns / best->speed.ns, lp_optimize_loss_name(o->model->bundle), d->difference, d->low, d->high);
}

/* Few equal rows happen; many of them were learned from. */
static enum lp_code check_leak(const struct work *w, struct lp_error *err)
{
    struct lp_optimized *o = w->o;
    uint32_t known;
    if (w->request->train == NULL) return LP_OK;
    LP_TRY(lp_learn_count_known(&o->learn, &o->valid, &known, err));
    if (known <= leak * o->valid.row_count) return LP_OK;
    snprintf(o->verdicts[o->verdict_count++], LP_VERDICT_BYTES,
             "%u of the %u rows that judge equal rows that are learned from: tuned forms and trials look better than "
             "they are",
             known, o->valid.row_count);
    return LP_OK;
}

static enum lp_code check_pairs(const struct work *w, struct lp_error *err)
{
    uint32_t ones = 0;
    for (uint32_t r = 0; r < w->truth.rows; r++) ones += w->truth.y[r] == 1;
    if (w->o->model->bundle->task != LP_TASK_RANKING || (ones > 0 && ones < w->truth.rows)) return LP_OK;
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: a ranking is judged by rows of label 1 beside others",
                   w->request->data);
}

enum lp_code lp_optimize_run(const struct lp_model *model, const struct lp_optimize_request *request,
                             struct lp_optimized *ret, struct lp_error *err)
{
    struct work w = {.o = ret, .request = request};
    *ret = (struct lp_optimized){.model = model};
    enum lp_code rc;
    LP_GUARD(check_task(model->bundle, err));
    LP_GUARD(open_learn(&w, err));
    LP_GUARD(lp_valid_read(request->data, model, request->label, request->group, &ret->valid, err));
    w.truth = (struct lp_truth){ret->valid.y, ret->valid.group, ret->valid.row_count, ret->valid.groups.count};
    LP_GUARD(check_pairs(&w, err));
    LP_GUARD(check_leak(&w, err));
    LP_GUARD(calibrate(ret, err));
    LP_GUARD(list(&w, err));
    LP_GUARD(judge_all(&w, err));
    LP_GUARD(time_all(&w, err));
    mark_dominated(ret);
    judge_kind(ret, "bf16", 1u << LP_VARIANT_BF16);
    judge_kind(ret, "int8", 1u << LP_VARIANT_INT8 | 1u << LP_VARIANT_INT8_BUT);
    judge_pruning(ret);
    judge_kind(ret, "cutting units", 1u << LP_VARIANT_UNITS);
    judge_kind(ret, "low rank", 1u << LP_VARIANT_RANK);
    judge_trials(ret);
    judge_kind(ret, "leaving trees out", 1u << LP_VARIANT_TREES);
out:
    for (uint32_t i = 0; i < LP_VARIANTS_MAX; i++) {
        lp_plan_free(w.plans[i]);
        lp_bundle_free(w.bundles[i]);
    }
    free(w.scores);
    free(w.margins);
    free(w.first_margins);
    return rc;
}

void lp_optimized_done(struct lp_optimized *o)
{
    for (uint32_t i = 0; i < o->variant_count; i++) {
        lp_judged_done(&o->variants[i].judged);
        lp_bundle_free(o->variants[i].made);
    }
    lp_valid_done(&o->valid);
    lp_learn_done(&o->learn);
    lp_factors_done(o->factors, o->model->bundle->op_count);
    o->factors = NULL;
    free(o->ranges);
    o->ranges = NULL;
    o->variant_count = 0;
}

double lp_optimize_price(const struct lp_variant *variant, double price_per_core_hour)
{
    return variant->speed.ns * 1e6 / (3600.0 * 1e9) * price_per_core_hour;
}

static bool obeys(const struct lp_variant *v, const struct lp_limits *limits)
{
    if (!v->candidate) return false;
    if (!isnan(limits->loss_increase) && !(v->differences.loss.high <= limits->loss_increase)) return false;
    if (!isnan(limits->p99_ns) && !(v->speed.p99_ns <= limits->p99_ns)) return false;
    return isnan(limits->price_per_million) ||
           lp_optimize_price(v, limits->price_per_core_hour) <= limits->price_per_million;
}

const struct lp_variant *lp_optimize_pick(const struct lp_optimized *o, const struct lp_limits *limits)
{
    const struct lp_variant *pick = NULL;
    bool by_speed = !isnan(limits->loss_increase);
    for (uint32_t i = 0; i < o->variant_count; i++) {
        const struct lp_variant *v = &o->variants[i];
        if (!obeys(v, limits)) continue;
        double x = by_speed ? v->speed.ns : v->judged.quality.loss;
        double least = pick == NULL ? INFINITY : by_speed ? pick->speed.ns : pick->judged.quality.loss;
        if (x < least) pick = v;
    }
    return pick;
}
