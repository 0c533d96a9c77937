/* One mini-batch: gradients by thread, their sum in a fixed order, the optimizer's step. */
#include "train/trainer_private.h"

#include <math.h>
#include <string.h>

double lp_train_rate(const struct lp_trainer *trainer, uint64_t step)
{
    const struct lp_train_options *o = trainer->options;
    double rate = o->rate * trainer->state.rate_factor, all = (double)o->epochs * trainer->step_count;
    uint32_t epoch = trainer->step_count > 0 ? (uint32_t)(step / trainer->step_count) : 0;
    if (o->schedule == LP_SCHEDULE_STEP && o->schedule_epochs > 0)
        rate *= pow(o->schedule_factor, epoch / o->schedule_epochs);
    if (o->schedule == LP_SCHEDULE_COSINE) rate *= 0.5 * (1 + cos(M_PI * (double)step / all));
    if (step < o->warmup_steps) rate *= (double)(step + 1) / o->warmup_steps;
    return rate;
}

static struct lp_train_step make_step(const struct lp_trainer *trainer, uint64_t number)
{
    const struct lp_train_options *o = trainer->options;
    double rate = lp_train_rate(trainer, number), t = (double)(number + 1);
    bool adam = o->optimizer == LP_OPTIMIZER_ADAM || o->optimizer == LP_OPTIMIZER_ADAMW;
    struct lp_train_step step = {.scale = 1, .keep = 1, .rate = (float)rate, .epsilon = (float)o->epsilon};
    step.beta1 = (float)(adam ? o->beta1 : o->optimizer == LP_OPTIMIZER_MOMENTUM ? o->momentum : 0);
    if (!adam) return step;
    step.beta2 = (float)o->beta2;
    step.rate = (float)(rate / (1 - pow(o->beta1, t)));
    step.root = (float)(1 / sqrt(1 - pow(o->beta2, t)));
    return step;
}

static void take_penalties(const struct lp_trainer *trainer, uint64_t number, struct lp_train_step *step)
{
    const struct lp_train_options *o = trainer->options;
    step->l1 = (float)o->l1;
    step->l2 = (float)o->l2;
    if (o->optimizer == LP_OPTIMIZER_ADAMW) step->keep = (float)(1 - lp_train_rate(trainer, number) * o->decay);
}

static void apply(const struct lp_train_worker *worker, const struct lp_train_step *step, size_t at, size_t count,
                  const float *gradient)
{
    struct lp_trainer *t = worker->trainer;
    const struct lp_train_kernel *kernel = worker->pass.kernel;
    if (t->second != NULL) kernel->adam(step, count, gradient, t->net.params + at, t->first + at, t->second + at);
    else kernel->momentum(step, count, gradient, t->net.params + at, t->first + at);
}

static void add_threads(const struct lp_train_worker *worker)
{
    struct lp_trainer *t = worker->trainer;
    float *sum = t->workers[0].pass.gradient;
    for (uint32_t i = 0; i < worker->slice_count; i++)
        for (uint32_t other = 1; other < t->team.threads; other++)
            worker->pass.kernel->add(t->workers[other].pass.gradient + worker->slices[i].begin, worker->slices[i].count,
                                     sum + worker->slices[i].begin);
}

/* Thread 0: gradients, losses and the inputs' gradients of all ranks. */
static void add_ranks(struct lp_trainer *t, uint32_t count, double loss)
{
    const struct lp_train_peers *peers = t->team.peers;
    peers->sum_floats(peers->context, t->workers[0].pass.gradient, t->net.dense_floats);
    if (t->net.spec.embedding_count > 0) {
        peers->sum_floats(peers->context, t->table_index, (size_t)count * t->net.spec.embedding_count);
        peers->sum_floats(peers->context, t->table_gradient, (size_t)count * t->net.table_width);
    }
    t->peer_loss = loss;
    peers->sum_doubles(peers->context, &t->peer_loss, 1);
}

/* This thread's part of the tables' gradients: rows by their number, positions in their order. */
static uint32_t sum_table(struct lp_train_worker *worker, uint32_t e, uint32_t offset, uint32_t count)
{
    struct lp_trainer *t = worker->trainer;
    const struct lp_net *net = &t->net;
    uint32_t width = net->embeddings[e].width, touched = 0;
    size_t stride = lp_train_padded(width), table = net->tables[e] - net->dense_floats;
    for (uint32_t p = 0; p < count; p++) {
        uint32_t row = (uint32_t)t->table_index[(size_t)p * net->spec.embedding_count + e];
        if (row % t->team.threads != worker->index) continue;
        uint64_t *last = &t->table_steps[t->table_step_begin[e] + row];
        float *sum = t->table_sums + table + row * stride;
        const float *delta = t->table_gradient + (size_t)p * net->table_width + offset;
        if (*last != worker->step + 1) {
            memset(sum, 0, stride * sizeof *sum);
            worker->touched[touched++] = row;
            *last = worker->step + 1;
        }
        for (uint32_t c = 0; c < width; c++) sum[c] += delta[c];
    }
    return touched;
}

static void update_tables(struct lp_train_worker *worker, const struct lp_train_step *step, uint32_t count)
{
    struct lp_trainer *t = worker->trainer;
    uint32_t offset = 0;
    for (uint32_t e = 0; e < t->net.spec.embedding_count; e++) {
        size_t stride = lp_train_padded(t->net.embeddings[e].width);
        uint32_t touched = sum_table(worker, e, offset, count);
        for (uint32_t i = 0; i < touched; i++) {
            size_t at = t->net.tables[e] + worker->touched[i] * stride;
            apply(worker, step, at, stride, t->table_sums + (at - t->net.dense_floats));
        }
        offset += t->net.embeddings[e].width;
    }
}

/* The norm is of the dense parameters' gradient; tables, which see few rows of a batch, take the same factor. */
static float clip_scale(struct lp_train_worker *worker)
{
    struct lp_trainer *t = worker->trainer;
    const float *gradient = t->workers[0].pass.gradient;
    double square = 0;
    for (uint32_t i = 0; i < worker->slice_count; i++)
        for (size_t k = 0; k < worker->slices[i].count; k++) {
            double g = (double)gradient[worker->slices[i].begin + k];
            square += g * g;
        }
    lp_team_sum_threads(&t->team, worker->index, &square, 1); /* the ranks' sum is in the gradient already */
    double norm = sqrt(square);
    return norm > t->options->clip ? (float)(t->options->clip / norm) : 1.0f;
}

static void hold(const struct lp_trainer *t, const struct lp_train_slice *slice)
{
    float *params = t->net.params + slice->begin;
    const float *held = t->held + slice->begin;
    for (size_t i = 0; i < slice->count; i++) params[i] *= held[i];
}

static void update(struct lp_train_worker *worker, uint32_t count)
{
    struct lp_trainer *t = worker->trainer;
    const float *gradient = t->workers[0].pass.gradient;
    struct lp_train_step step = make_step(t, worker->step), penalized;
    if (t->options->clip > 0) step.scale = clip_scale(worker);
    penalized = step;
    take_penalties(t, worker->step, &penalized);
    for (uint32_t i = 0; i < worker->slice_count; i++) {
        const struct lp_train_slice *s = &worker->slices[i];
        apply(worker, s->penalized ? &penalized : &step, s->begin, s->count, gradient + s->begin);
        if (t->held != NULL && s->penalized) hold(t, s);
        if (s->last_row > s->first_row) lp_net_turn(&t->net, s->layer, s->first_row, s->last_row);
    }
    if (t->net.spec.embedding_count > 0) update_tables(worker, &step, count);
}

/* Which rows of the batch are this thread's: with ranks, of those that this process has. */
static struct lp_share make_share(struct lp_train_worker *worker, uint32_t first, uint32_t count)
{
    struct lp_trainer *t = worker->trainer;
    const uint32_t *order = t->order + first;
    uint32_t unit = lp_loss_unit(&t->options->loss), own = 0;
    for (uint32_t p = 0; p < count; p++) {
        if (t->data->where != NULL && t->data->where[order[p]] == UINT32_MAX) continue;
        worker->rows[own] = order[p];
        worker->positions[own++] = p;
    }
    uint32_t begin = lp_team_begin(own, unit, worker->index, t->team.threads);
    uint32_t end = lp_team_begin(own, unit, worker->index + 1, t->team.threads);
    return (struct lp_share){.data = t->data,
                             .rows = worker->rows + begin,
                             .positions = worker->positions + begin,
                             .count = end - begin,
                             .batch_rows = count,
                             .step = worker->step};
}

static void keep_table_gradient(struct lp_train_worker *worker, const struct lp_share *share, const float *delta)
{
    struct lp_trainer *t = worker->trainer;
    const struct lp_net *net = &t->net;
    uint32_t tables = net->spec.embedding_count;
    for (uint32_t r = 0; r < share->count; r++) {
        const float *x = lp_train_row(t->data, share->rows[r]);
        for (uint32_t e = 0; e < tables; e++)
            t->table_index[(size_t)share->positions[r] * tables + e] = x[net->embeddings[e].column];
        memcpy(t->table_gradient + (size_t)share->positions[r] * net->table_width,
               delta + r * net->input_stride + net->plain_count, net->table_width * sizeof *delta);
    }
}

bool lp_train_step_run(struct lp_train_worker *worker, uint32_t first, uint32_t count, double *ret_loss)
{
    struct lp_trainer *t = worker->trainer;
    bool tables = t->net.spec.embedding_count > 0, ranks = t->team.peers != NULL;
    struct lp_share share = make_share(worker, first, count);
    const float *input_gradient;
    if (tables && ranks) { /* positions of other ranks add zeros */
        if (worker->index == 0) {
            memset(t->table_index, 0, (size_t)count * t->net.spec.embedding_count * sizeof(float));
            memset(t->table_gradient, 0, (size_t)count * t->net.table_width * sizeof(float));
        }
        lp_team_wait(&t->team);
    }
    t->losses[worker->index] = lp_pass_learn(&worker->pass, &t->options->loss, &share, &input_gradient);
    if (tables) keep_table_gradient(worker, &share, input_gradient);
    lp_team_wait(&t->team);
    double loss = 0;
    for (uint32_t i = 0; i < t->team.threads; i++) loss += t->losses[i];
    add_threads(worker);
    if (ranks) {
        lp_team_wait(&t->team);
        if (worker->index == 0) add_ranks(t, count, loss);
        lp_team_wait(&t->team);
        loss = t->peer_loss;
    }
    *ret_loss = loss;
    if (!isfinite(loss)) return false;
    update(worker, count);
    lp_team_wait(&t->team);
    return true;
}
