/* Every thread's way through the epochs: batches, validation, and whether to go on. */
#include "core/clock.h"
#include "train/trainer_private.h"

#include <math.h>
#include <string.h>

static const uint64_t progress_ns = 100000000;

/* Each epoch's order follows from the seed and its number alone: a resumed run has the same. */
static void set_order(struct lp_trainer *t)
{
    uint64_t seed = t->options->seed + (t->state.epoch + 1) * UINT64_C(0x9fb21c651e98df25);
    if (t->options->loss.kind == LP_LOSS_BPR) {
        lp_train_pairs_draw(t, seed);
        return;
    }
    memcpy(t->order, t->split.train, t->order_count * sizeof *t->order);
    for (uint32_t i = t->options->in_order ? 0 : t->order_count; i > 1; i--) {
        uint32_t j = lp_train_below(&seed, i), swap = t->order[i - 1];
        t->order[i - 1] = t->order[j];
        t->order[j] = swap;
    }
}

void lp_train_score_rows(struct lp_train_worker *w, const uint32_t *rows, uint32_t count, float *ret_margins)
{
    struct lp_trainer *t = w->trainer;
    const struct lp_net_dense *last = &t->net.dense[t->net.spec.layer_count - 1];
    uint32_t end = lp_team_begin(count, 1, w->index + 1, t->team.threads), own[LP_TRAIN_SCORE_ROWS],
             places[LP_TRAIN_SCORE_ROWS];
    for (uint32_t at = lp_team_begin(count, 1, w->index, t->team.threads); at < end;) {
        struct lp_share share = {.data = t->data, .rows = own, .positions = places};
        for (; at < end && share.count < LP_TRAIN_SCORE_ROWS; at++) {
            if (lp_train_row(t->data, rows[at]) == NULL) {
                memset(ret_margins + (size_t)at * last->out, 0, last->out * sizeof *ret_margins);
                continue;
            }
            own[share.count] = rows[at];
            places[share.count++] = at;
        }
        const float *margins = lp_pass_score(&w->pass, &share);
        for (uint32_t r = 0; r < share.count; r++)
            memcpy(ret_margins + (size_t)places[r] * last->out, margins + r * last->out_stride,
                   last->out * sizeof *margins);
    }
    lp_team_wait(&t->team);
    if (t->team.peers == NULL) return;
    if (w->index == 0) t->team.peers->sum_floats(t->team.peers->context, ret_margins, (size_t)count * last->out);
    lp_team_wait(&t->team);
}

static enum lp_code measure(struct lp_trainer *t, struct lp_metrics *ret_metrics, struct lp_error *err)
{
    const struct lp_train_options *o = t->options;
    size_t count = (size_t)t->split.valid_count * o->loss.outputs;
    for (size_t i = 0; i < count && (o->label_shift != 0 || o->label_scale != 1); i++)
        t->margins[i] = (float)((double)t->margins[i] * o->label_scale + o->label_shift);
    const struct lp_metrics_rows rows = {.margins = t->margins,
                                         .y = t->valid_y,
                                         .weight = t->valid_weight,
                                         .group = t->data->group != NULL ? t->valid_group : NULL,
                                         .rows = t->split.valid_count,
                                         .outputs = o->loss.outputs,
                                         .threshold = o->threshold};
    return lp_metrics_run(&o->loss, &rows, ret_metrics, err);
}

/* BPR's loss is of pairs; every thread takes part. */
static double pair_loss(struct lp_train_worker *w)
{
    struct lp_trainer *t = w->trainer;
    uint32_t count = t->valid_pair_rows;
    if (count == 0) return NAN;
    lp_train_score_rows(w, t->valid_pairs, count, t->margins);
    double loss = w->index == 0 ? lp_loss_run(&t->options->loss, t->margins, 1, NULL, NULL, count, 1, NULL) : 0;
    lp_team_wait(&t->team);
    return loss / (count / 2);
}

static enum lp_code explain_divergence(struct lp_trainer *t, uint32_t batch, uint64_t step)
{
    for (uint32_t r = 0; r < t->data->row_count; r++) {
        const float *x = lp_train_row(t->data, r);
        if (!isfinite(t->data->y[r]) || (t->data->weight != NULL && !isfinite(t->data->weight[r])))
            return lp_fail(&t->err, LP_E_REFUSED, LP_FATAL, "the loss is not finite: row %u has no finite label", r);
        for (uint32_t c = 0; x != NULL && c < t->data->column_count; c++)
            if (!isfinite(x[c]))
                return lp_fail(&t->err, LP_E_REFUSED, LP_FATAL, "the loss is not finite: row %u, column %u is %g", r, c,
                               (double)x[c]);
    }
    return lp_fail(&t->err, LP_E_REFUSED, LP_FATAL,
                   "the loss is not finite in epoch %u, batch %u: the weights grew without bound; the learning rate of "
                   "%g is too high for these features (normalize them, lower it, or clip the gradient)",
                   t->state.epoch + 1, batch + 1, lp_train_rate(t, step));
}

/* Every thread: validation margins; thread 0 measures them. */
static void validate(struct lp_train_worker *w, struct lp_metrics *ret_metrics)
{
    struct lp_trainer *t = w->trainer;
    bool pairs = t->options->loss.kind == LP_LOSS_BPR;
    double loss = pairs ? pair_loss(w) : NAN;
    lp_train_score_rows(w, t->split.valid, t->split.valid_count, t->margins);
    if (w->index != 0) return;
    bool finite = true; /* behind the epoch's last step no batch shows what it did */
    for (size_t i = 0; i < (size_t)t->split.valid_count * t->options->loss.outputs; i++)
        finite = finite && isfinite(t->margins[i]);
    t->rc = finite ? measure(t, ret_metrics, &t->err) : explain_divergence(t, t->step_count - 1, w->step - 1);
    if (pairs) ret_metrics->loss = loss;
}

static void keep_best(struct lp_trainer *t)
{
    memcpy(t->best_params, t->net.params, t->net.param_floats * sizeof(float));
    memcpy(t->best_running, t->net.running, t->net.running_floats * sizeof(float));
    t->state.best_epoch = t->state.epoch;
}

/* Thread 0, behind an epoch: what is remembered, and whether to go on. Ranks must decide alike: rank 0 does. */
static void judge(struct lp_trainer *t, struct lp_train_epoch *epoch)
{
    const struct lp_train_options *o = t->options;
    struct lp_train_state *s = &t->state;
    if (t->team.peers != NULL) t->team.peers->same(t->team.peers->context, epoch, sizeof *epoch);
    t->history[s->epoch++] = *epoch;
    double loss = t->split.valid_count > 0 ? epoch->valid.loss : epoch->train_loss;
    if (loss < s->best_loss - o->min_improvement) {
        s->best_loss = loss;
        s->idle_epochs = 0;
        if (t->split.valid_count > 0) keep_best(t);
    } else {
        s->idle_epochs++;
    }
    if (loss < s->plateau_loss) {
        s->plateau_loss = loss;
        s->plateau_epochs = 0;
    } else if (o->schedule == LP_SCHEDULE_PLATEAU && ++s->plateau_epochs >= o->schedule_epochs) {
        s->rate_factor *= o->schedule_factor;
        s->plateau_epochs = 0;
    }
    if (o->on_epoch != NULL) o->on_epoch(o->context, epoch);
    if (o->checkpoint != NULL && lp_team_rank(&t->team) == 0 && t->rc == LP_OK)
        t->rc = lp_train_checkpoint_write(t, &t->err);
    bool stop = o->patience > 0 && t->split.valid_count > 0 && s->idle_epochs >= o->patience;
    if (o->should_stop != NULL && o->should_stop(o->context)) stop = true;
    if (t->rc != LP_OK) stop = true;
    if (t->team.peers != NULL) t->team.peers->same(t->team.peers->context, &stop, sizeof stop);
    t->stop = stop;
}

static void show_progress(struct lp_trainer *t, uint64_t *last_ns, uint32_t rows_done)
{
    const struct lp_train_options *o = t->options;
    uint64_t now = o->on_progress != NULL ? lp_clock_ns() : 0;
    if (o->on_progress == NULL || now - *last_ns < progress_ns) return;
    *last_ns = now;
    o->on_progress(o->context, t->state.epoch + 1, (uint64_t)t->state.epoch * t->order_count + rows_done,
                   (uint64_t)o->epochs * t->order_count);
}

/* False: stopped for a loss that is not finite, on every thread. */
static bool run_batches(struct lp_train_worker *w, double *ret_loss, uint64_t *shown_ns)
{
    struct lp_trainer *t = w->trainer;
    uint32_t unit = lp_loss_unit(&t->options->loss), batch = t->options->batch_rows / unit * unit;
    double sum = 0;
    for (uint32_t first = 0, index = 0; first < t->order_count; first += batch, index++) {
        uint32_t left = t->order_count - first, count = left < batch ? left : batch;
        double loss;
        if (!lp_train_step_run(w, first, count, &loss)) {
            if (w->index == 0) t->rc = explain_divergence(t, index, w->step);
            lp_team_wait(&t->team);
            return false;
        }
        sum += loss;
        w->step++;
        if (w->index == 0) show_progress(t, shown_ns, first + count);
    }
    *ret_loss = sum / (t->order_count / unit);
    return true;
}

static double label_units(const struct lp_train_options *o)
{
    if (o->loss.kind == LP_LOSS_SQUARED) return o->label_scale * o->label_scale;
    return 1;
}

void lp_train_epochs_run(struct lp_train_worker *w)
{
    struct lp_trainer *t = w->trainer;
    uint64_t shown_ns = 0;
    while (!t->stop) {
        struct lp_train_epoch epoch = {.epoch = t->state.epoch + 1};
        uint64_t begin = lp_clock_ns();
        if (w->index == 0) set_order(t);
        w->step = t->state.step;
        lp_team_wait(&t->team);
        if (!run_batches(w, &epoch.train_loss, &shown_ns)) return;
        epoch.seconds = (double)(lp_clock_ns() - begin) * 1e-9;
        epoch.train_loss *= label_units(t->options);
        epoch.rate = lp_train_rate(t, w->step - 1);
        validate(w, &epoch.valid);
        if (w->index == 0) {
            t->state.step = w->step;
            if (t->rc == LP_OK) judge(t, &epoch);
            if (t->rc != LP_OK || t->state.epoch >= t->options->epochs) t->stop = true;
        }
        lp_team_wait(&t->team);
    }
}
