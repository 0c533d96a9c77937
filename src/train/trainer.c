#include "train/trainer_private.h"

#include "core/denormals.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t dropout_salt = UINT64_C(0x64726f706f757400);

static bool is_adam(const struct lp_train_options *o)
{
    return o->optimizer == LP_OPTIMIZER_ADAM || o->optimizer == LP_OPTIMIZER_ADAMW;
}

static enum lp_code check_options(const struct lp_train_options *o, const struct lp_net_spec *spec,
                                  struct lp_error *err)
{
    if (o->batch_rows < 1 || o->batch_rows > LP_TRAIN_BATCH_MAX || o->epochs > LP_TRAIN_EPOCHS_MAX)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "a batch has 1 to %d rows, and there are at most %d epochs",
                       LP_TRAIN_BATCH_MAX, LP_TRAIN_EPOCHS_MAX);
    if (!(o->rate > 0) || !isfinite(o->rate)) return lp_fail(err, LP_E_INVALID, LP_FATAL, "the rate must be above 0");
    if (o->threads < 1 || o->threads > LP_TEAM_THREADS_MAX)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "1 to %d threads", LP_TEAM_THREADS_MAX);
    uint32_t outputs = spec->layers[spec->layer_count - 1].width;
    if ((o->loss.kind == LP_LOSS_CATEGORICAL) != (outputs > 1) || o->loss.outputs != outputs)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "the loss does not fit %u outputs", outputs);
    return LP_OK;
}

/* A row number outside its table would be read outside its memory. */
static enum lp_code check_tables(const struct lp_trainer *t, struct lp_error *err)
{
    for (uint32_t e = 0; e < t->net.spec.embedding_count; e++)
        for (uint32_t r = 0; r < t->data->row_count; r++) {
            const struct lp_net_embedding *table = &t->net.embeddings[e];
            const float *x = lp_train_row(t->data, r);
            if (x == NULL) continue;
            float index = x[table->column];
            if (!(index >= 0 && index < (float)table->rows) || index != floorf(index))
                return lp_fail(err, LP_E_INVALID, LP_FATAL, "row %u, column %u: %g is no row of a table of %u", r,
                               table->column, (double)index, table->rows);
        }
    return LP_OK;
}

static enum lp_code take_tables(struct lp_trainer *t, struct lp_error *err)
{
    const struct lp_net *net = &t->net;
    size_t rows = 0, batch = t->options->batch_rows;
    if (net->spec.embedding_count == 0) return LP_OK;
    t->table_step_begin = calloc(net->spec.embedding_count, sizeof *t->table_step_begin);
    if (t->table_step_begin == NULL) return lp_fail_memory(err, net->spec.embedding_count * sizeof(size_t));
    for (uint32_t e = 0; e < net->spec.embedding_count; e++) {
        t->table_step_begin[e] = rows;
        rows += net->embeddings[e].rows;
    }
    t->table_steps = calloc(rows, sizeof *t->table_steps);
    t->table_index = lp_train_floats(batch * net->spec.embedding_count);
    t->table_gradient = lp_train_floats(batch * net->table_width);
    t->table_sums = lp_train_floats(net->param_floats - net->dense_floats);
    if (t->table_steps == NULL || t->table_index == NULL || t->table_gradient == NULL || t->table_sums == NULL)
        return lp_fail_memory(err, rows * sizeof *t->table_steps);
    return check_tables(t, err);
}

static enum lp_code take_arrays(struct lp_trainer *t, struct lp_error *err)
{
    const struct lp_train_options *o = t->options;
    uint32_t outputs = o->loss.outputs, valid = t->split.valid_count;
    t->first = lp_train_floats(t->net.param_floats);
    if (is_adam(o)) t->second = lp_train_floats(t->net.param_floats);
    t->best_params = lp_train_floats(t->net.param_floats);
    t->best_running = lp_train_floats(t->net.running_floats);
    t->order = calloc((size_t)t->split.train_count + 1, sizeof *t->order);
    t->margins = lp_train_floats((size_t)valid * (o->loss.kind == LP_LOSS_BPR ? 2 : outputs));
    t->valid_y = lp_train_floats(valid);
    t->valid_weight = lp_train_floats(valid);
    t->valid_group = calloc((size_t)valid + 1, sizeof *t->valid_group);
    t->history = calloc((size_t)o->epochs + 1, sizeof *t->history);
    if (t->first == NULL || (is_adam(o) && t->second == NULL) || t->best_params == NULL || t->best_running == NULL ||
        t->order == NULL || t->margins == NULL || t->valid_y == NULL || t->valid_weight == NULL ||
        t->valid_group == NULL || t->history == NULL)
        return lp_fail_memory(err, 4 * t->net.param_floats * sizeof(float));
    for (uint32_t i = 0; i < valid; i++) {
        uint32_t row = t->split.valid[i];
        t->valid_y[i] = t->data->y[row];
        t->valid_weight[i] = t->data->weight != NULL ? t->data->weight[row] : 1;
        t->valid_group[i] = t->data->group != NULL ? t->data->group[row] : 0;
    }
    return LP_OK;
}

static void add_slice(struct lp_train_worker *w, size_t begin, size_t count)
{
    if (begin != SIZE_MAX) w->slices[w->slice_count++] = (struct lp_train_slice){.begin = begin, .count = count};
}

/* Each layer's rows of weights are split among the threads; biases and the like are thread 0's. */
static void make_slices(struct lp_train_worker *w)
{
    const struct lp_net *net = &w->trainer->net;
    for (uint32_t i = 0; i < net->spec.layer_count; i++) {
        const struct lp_net_dense *d = &net->dense[i];
        uint32_t rows = (uint32_t)d->weight_rows, threads = w->trainer->team.threads;
        uint32_t begin = lp_team_begin(rows, 1, w->index, threads), end = lp_team_begin(rows, 1, w->index + 1, threads);
        size_t side = lp_train_stride(d->out);
        if (end > begin)
            w->slices[w->slice_count++] = (struct lp_train_slice){.begin = d->weight + begin * d->weight_stride,
                                                                  .count = (end - begin) * d->weight_stride,
                                                                  .penalized = true,
                                                                  .layer = i,
                                                                  .first_row = d->is_vector ? 0 : begin,
                                                                  .last_row = d->is_vector ? 0 : end};
        if (w->index != 0) continue;
        add_slice(w, d->bias, side);
        add_slice(w, d->gamma, side);
        add_slice(w, d->beta, side);
    }
}

static enum lp_code take_worker(struct lp_trainer *t, uint32_t index, struct lp_error *err)
{
    struct lp_train_worker *w = &t->workers[index];
    uint32_t batch = t->options->batch_rows, unit = lp_loss_unit(&t->options->loss);
    uint32_t share = batch / t->team.threads + 2 * unit;
    w->trainer = t;
    w->index = index;
    LP_TRY(lp_pass_init(&w->pass, &t->net, &t->team, index, share > LP_TRAIN_SCORE_ROWS ? share : LP_TRAIN_SCORE_ROWS,
                        err));
    w->pass.dropout_seed = t->options->seed ^ dropout_salt;
    w->pass.label_shift = (float)t->options->label_shift;
    w->pass.label_scale = (float)t->options->label_scale;
    w->pass.class_weight = t->options->class_weight;
    w->slices = calloc(4 * (size_t)t->net.spec.layer_count, sizeof *w->slices);
    w->rows = calloc((size_t)batch + 1, sizeof *w->rows);
    w->positions = calloc((size_t)batch + 1, sizeof *w->positions);
    w->touched = calloc((size_t)batch + 1, sizeof *w->touched);
    if (w->slices == NULL || w->rows == NULL || w->positions == NULL || w->touched == NULL)
        return lp_fail_memory(err, batch * sizeof *w->rows);
    make_slices(w);
    return LP_OK;
}

static enum lp_code set_up(struct lp_trainer *t, const struct lp_net_spec *spec, struct lp_error *err)
{
    const struct lp_train_options *o = t->options;
    uint32_t unit = lp_loss_unit(&o->loss);
    LP_TRY(check_options(o, spec, err));
    if (t->split.train_count == 0) return lp_fail(err, LP_E_INVALID, LP_FATAL, "there is no row to learn from");
    LP_TRY(lp_net_init(&t->net, spec, o->seed, err));
    LP_TRY(lp_team_init(&t->team, o->threads, o->peers, lp_pass_sum_max(&t->net), err));
    t->workers = calloc(o->threads, sizeof *t->workers);
    if (t->workers == NULL) return lp_fail_memory(err, o->threads * sizeof *t->workers);
    LP_TRY(take_arrays(t, err));
    LP_TRY(take_tables(t, err));
    t->order_count = t->split.train_count;
    if (o->loss.kind == LP_LOSS_BPR) LP_TRY(lp_train_pairs_init(t, err));
    uint32_t batch = o->batch_rows / unit * unit;
    if (batch == 0) return lp_fail(err, LP_E_INVALID, LP_FATAL, "a batch of pairs has 2 rows or more");
    t->step_count = (t->order_count + batch - 1) / batch;
    for (uint32_t i = 0; i < o->threads; i++) LP_TRY(take_worker(t, i, err));
    t->state = (struct lp_train_state){.best_loss = INFINITY, .plateau_loss = INFINITY, .rate_factor = 1};
    return LP_OK;
}

enum lp_code lp_trainer_new(const struct lp_net_spec *spec, const struct lp_train_data *data,
                            const struct lp_train_split *split, const struct lp_train_options *options,
                            struct lp_trainer **ret_trainer, struct lp_error *err)
{
    struct lp_trainer *t = calloc(1, sizeof *t);
    if (t == NULL) return lp_fail_memory(err, sizeof *t);
    t->options = options;
    t->data = data;
    t->split = *split;
    enum lp_code rc = set_up(t, spec, err);
    if (rc == LP_OK) *ret_trainer = t;
    else lp_trainer_free(t);
    return rc;
}

void lp_trainer_free(struct lp_trainer *t)
{
    if (t == NULL) return;
    for (uint32_t i = 0; t->workers != NULL && i < t->team.threads; i++) {
        struct lp_train_worker *w = &t->workers[i];
        lp_pass_done(&w->pass);
        free(w->slices);
        free(w->rows);
        free(w->positions);
        free(w->touched);
    }
    void *const owned[] = {
        t->workers,     t->first,          t->second,         t->best_params, t->best_running,     t->order,
        t->margins,     t->valid_y,        t->valid_weight,   t->valid_group, t->history,          t->valid_pairs,
        t->table_index, t->table_gradient, t->table_sums,     t->table_steps, t->table_step_begin, t->labelled[0],
        t->labelled[1], t->group_begin[0], t->group_begin[1], t->held};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free(owned[i]);
    lp_team_done(&t->team);
    lp_net_done(&t->net);
    free(t);
}

struct lp_net *lp_trainer_net(struct lp_trainer *t) { return &t->net; }

const struct lp_train_epoch *lp_trainer_history(const struct lp_trainer *t, uint32_t *ret_count)
{
    *ret_count = t->state.epoch;
    return t->history;
}

uint32_t lp_trainer_kept_epoch(const struct lp_trainer *t)
{
    bool last = t->options->keep_last || t->split.valid_count == 0 || t->state.best_epoch == 0;
    return last ? t->state.epoch : t->state.best_epoch;
}

static void *work(void *argument)
{
    struct lp_train_worker *w = argument;
    struct lp_trainer *t = w->trainer;
    int go;
    while ((go = atomic_load_explicit(&t->go, memory_order_acquire)) == LP_TRAIN_GO_WAIT) sched_yield();
    if (go == LP_TRAIN_GO_HOME) return NULL;
    uint32_t mode = lp_denormals_mode();
    lp_denormals_set(mode, true); /* moments decay into denormals */
    if (t->work == LP_TRAIN_WORK_EPOCHS) lp_train_epochs_run(w);
    else lp_train_score_rows(w, t->score_rows, t->score_count, t->score_margins);
    lp_denormals_set(mode, false);
    return NULL;
}

/* No thread begins before all are there: the others would wait for a missing one for ever. */
static enum lp_code run_team(struct lp_trainer *t, enum lp_train_work what, struct lp_error *err)
{
    uint32_t started = 1;
    int failed = 0;
    t->work = what;
    atomic_store(&t->go, LP_TRAIN_GO_WAIT);
    while (failed == 0 && started < t->team.threads) {
        failed = pthread_create(&t->workers[started].thread, NULL, work, &t->workers[started]);
        started += failed == 0;
    }
    atomic_store_explicit(&t->go, failed == 0 ? LP_TRAIN_GO_WORK : LP_TRAIN_GO_HOME, memory_order_release);
    work(&t->workers[0]);
    for (uint32_t i = 1; i < started; i++) pthread_join(t->workers[i].thread, NULL);
    if (failed == 0) return LP_OK;
    return lp_fail(err, LP_E_LIMIT, LP_FATAL, "cannot start thread %u: %s: use fewer --threads", started + 1,
                   strerror(failed));
}

enum lp_code lp_trainer_score(struct lp_trainer *t, const uint32_t *rows, uint32_t count, float *ret_margins,
                              struct lp_error *err)
{
    t->score_rows = rows;
    t->score_count = count;
    t->score_margins = ret_margins;
    return run_team(t, LP_TRAIN_WORK_SCORE, err);
}

static enum lp_code hold_zeros(struct lp_trainer *t, struct lp_error *err)
{
    if (!t->options->hold_zeros) return LP_OK;
    if (t->held == NULL) t->held = lp_train_floats(t->net.dense_floats);
    if (t->held == NULL) return lp_fail_memory(err, t->net.dense_floats * sizeof *t->held);
    for (size_t i = 0; i < t->net.dense_floats; i++) t->held[i] = t->net.params[i] != 0.0f;
    return LP_OK;
}

/* A rank that found another checkpoint, or none, would go on from elsewhere. */
static enum lp_code check_ranks(const struct lp_trainer *t, struct lp_error *err)
{
    uint64_t step = t->state.step;
    t->team.peers->same(t->team.peers->context, &step, sizeof step);
    if (step == t->state.step) return LP_OK;
    return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "%s: is at another step than rank 0's: every rank must see one file",
                   t->options->checkpoint);
}

enum lp_code lp_trainer_run(struct lp_trainer *t, struct lp_error *err)
{
    bool found = false;
    if (t->options->resume) LP_TRY(lp_train_checkpoint_read(t, &found, err));
    if (t->options->resume && t->team.peers != NULL) LP_TRY(check_ranks(t, err));
    LP_TRY(hold_zeros(t, err));
    t->rc = LP_OK;
    t->stop = t->state.epoch >= t->options->epochs ||
              (found && t->options->patience > 0 && t->state.idle_epochs >= t->options->patience);
    LP_TRY(run_team(t, LP_TRAIN_WORK_EPOCHS, err));
    if (t->rc != LP_OK) {
        *err = t->err;
        return t->rc;
    }
    if (lp_trainer_kept_epoch(t) != t->state.epoch && t->state.best_epoch > 0) {
        memcpy(t->net.params, t->best_params, t->net.param_floats * sizeof(float));
        memcpy(t->net.running, t->best_running, t->net.running_floats * sizeof(float));
    }
    lp_net_turn_all(&t->net);
    return LP_OK;
}
