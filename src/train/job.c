#include "train/job_private.h"

#include "train/export.h"
#include "train/target.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GOLDEN_ROWS = 16 };

static enum lp_code read_table(struct lp_job *job, struct lp_error *err)
{
    const struct lp_job_request *r = job->request;
    const struct lp_train_peers *peers = r->train.peers;
    const struct lp_table_options options = {.label = r->label,
                                             .weight = r->weight,
                                             .group = r->group,
                                             .segment = r->segment,
                                             .time = r->time,
                                             .skip_bad = r->skip_bad,
                                             .sample_count = r->no_golden_data ? 0 : GOLDEN_ROWS,
                                             .rank = peers != NULL ? peers->rank : 0,
                                             .ranks = peers != NULL ? peers->count : 1,
                                             .ranking = r->task == LP_JOB_RANKING || r->loss == LP_JOB_LOSS_BPR,
                                             .context = r->context,
                                             .on_progress = r->on_rows};
    return lp_table_read(r->data, job->result->features, &options, &job->result->table, err);
}

/* Waiting for each other costs more than smaller parts save. */
uint32_t lp_job_threads(const struct lp_net_spec *spec, uint32_t batch_rows)
{
    const double flops_a_thread = 4e6;
    double flops = 0;
    uint32_t in = spec->column_count;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    for (uint32_t i = 0; i < spec->layer_count; i++) {
        flops += 6.0 * in * spec->layers[i].width * batch_rows;
        in = spec->layers[i].width;
    }
    uint32_t threads = (uint32_t)(flops / flops_a_thread), most = processors > 0 ? (uint32_t)processors : 1;
    if (threads > most) threads = most;
    if (threads > LP_TEAM_THREADS_MAX) threads = LP_TEAM_THREADS_MAX;
    return threads > 0 ? threads : 1;
}

uint32_t lp_job_batch(uint32_t rows) { return rows < 20000 ? 32 : rows < 100000 ? 128 : 256; }

static void set_options(struct lp_job *job)
{
    struct lp_job_result *result = job->result;
    job->options = job->request->train;
    job->options.loss = result->loss;
    job->options.class_weight = job->class_weight;
    job->options.label_shift = job->label_mean;
    job->options.label_scale = job->label_scale;
    job->options.threshold = result->threshold;
    if (job->options.batch_rows == 0) job->options.batch_rows = lp_job_batch(result->table.row_count);
    if (job->options.threads == 0) job->options.threads = lp_job_threads(&result->spec, job->options.batch_rows);
    result->threads = job->options.threads;
    result->batch_rows = job->options.batch_rows;
}

static struct lp_split_rows split_rows(const struct lp_job *job)
{
    const struct lp_table *t = &job->result->table;
    return (struct lp_split_rows){.row_count = t->row_count,
                                  .class_of = job->class_of,
                                  .class_count = job->class_count,
                                  .time = t->time,
                                  .group = t->group,
                                  .seed = job->request->train.seed};
}

/* A bundle's output layer is in the label's units. */
static enum lp_code load_first(const struct lp_job *job, struct lp_net *net, struct lp_error *err)
{
    if (job->request->init == NULL) return LP_OK;
    LP_TRY(lp_export_load(job->request->init, net, err));
    const struct lp_net_dense *d = &net->dense[net->spec.layer_count - 1];
    if (job->label_scale == 1 && job->label_mean == 0) return LP_OK;
    for (size_t i = 0; i < d->weight_rows * d->weight_stride; i++)
        net->params[d->weight + i] = (float)(net->params[d->weight + i] / job->label_scale);
    float *bias = net->params + d->bias;
    *bias = (float)((*bias - job->label_mean) / job->label_scale);
    lp_net_turn_all(net);
    return LP_OK;
}

static enum lp_code new_trainer(struct lp_job *job, const uint32_t *order, uint32_t valid_count,
                                struct lp_trainer **ret_trainer, struct lp_error *err)
{
    uint32_t train_count = job->result->table.row_count - valid_count;
    const struct lp_train_split split = {
        .train = order, .valid = order + train_count, .train_count = train_count, .valid_count = valid_count};
    struct lp_trainer *trainer;
    LP_TRY(lp_target_encode(&job->result->table, job->result->features, order, train_count, job->options.seed, err));
    LP_TRY(lp_trainer_new(&job->result->spec, &job->data, &split, &job->options, &trainer, err));
    enum lp_code rc = load_first(job, lp_trainer_net(trainer), err);
    if (rc == LP_OK) *ret_trainer = trainer;
    else lp_trainer_free(trainer);
    return rc;
}

static enum lp_code run_fold(struct lp_job *job, uint32_t fold, struct lp_metrics *ret_metrics, struct lp_error *err)
{
    const struct lp_split_rows rows = split_rows(job);
    struct lp_trainer *trainer = NULL;
    uint32_t *order = NULL, valid = 0, count;
    const struct lp_train_options whole = job->options;
    enum lp_code rc;
    LP_GUARD(lp_split_fold(&rows, fold, job->request->folds, &order, &valid, err));
    job->options.checkpoint = NULL;
    job->options.resume = false;
    job->options.on_epoch = NULL;
    LP_GUARD(new_trainer(job, order, valid, &trainer, err));
    LP_GUARD(lp_trainer_run(trainer, err));
    uint32_t kept = lp_trainer_kept_epoch(trainer);
    const struct lp_train_epoch *history = lp_trainer_history(trainer, &count);
    if (kept == 0) rc = lp_fail(err, LP_E_INVALID, LP_FATAL, "folds need at least one epoch");
    else *ret_metrics = history[kept - 1].valid;
out:
    job->options = whole;
    lp_trainer_free(trainer);
    free(order);
    return rc;
}

/* Mean and standard deviation (of the sample) of each measure. */
static enum lp_code run_folds(struct lp_job *job, struct lp_error *err)
{
    struct lp_metrics all[LP_JOB_FOLDS_MAX];
    uint32_t folds = job->request->folds;
    for (uint32_t f = 0; f < folds; f++) {
        enum lp_code rc = run_fold(job, f, &all[f], err);
        if (rc != LP_OK) return lp_error_wrap(err, "fold %u", f + 1);
        if (job->request->on_fold != NULL) job->request->on_fold(job->request->context, f + 1, &all[f]);
    }
    for (int m = 0; m < LP_METRICS_COUNT && folds > 0; m++) {
        double mean = 0, square = 0;
        for (uint32_t f = 0; f < folds; f++) mean += lp_metrics_at(&all[f], m) / folds;
        for (uint32_t f = 0; f < folds; f++) square += pow(lp_metrics_at(&all[f], m) - mean, 2);
        (&job->result->fold_mean.loss)[m] = mean;
        (&job->result->fold_deviation.loss)[m] = folds > 1 ? sqrt(square / (folds - 1)) : NAN;
    }
    return LP_OK;
}

static enum lp_code keep_history(struct lp_job *job, const struct lp_trainer *trainer, struct lp_error *err)
{
    struct lp_job_result *result = job->result;
    const struct lp_train_epoch *history = lp_trainer_history(trainer, &result->epoch_count);
    result->kept_epoch = lp_trainer_kept_epoch(trainer);
    result->history = malloc((result->epoch_count + 1) * sizeof *result->history);
    if (result->history == NULL) return lp_fail_memory(err, result->epoch_count * sizeof *result->history);
    if (result->epoch_count > 0) memcpy(result->history, history, result->epoch_count * sizeof *history);
    for (uint32_t i = 0; i < result->epoch_count; i++) result->train_seconds += history[i].seconds;
    return LP_OK;
}

static enum lp_code prepare(struct lp_job *job, struct lp_error *err)
{
    struct lp_job_result *result = job->result;
    LP_TRY(lp_job_set_features(job, err));
    LP_TRY(read_table(job, err));
    LP_TRY(lp_job_set_labels(job, err));
    LP_TRY(lp_job_set_shape(job, err));
    const struct lp_split_rows rows = split_rows(job);
    LP_TRY(lp_split_run(&job->request->split, &rows, &job->order, &job->valid_count, err));
    result->valid_rows = job->valid_count;
    result->train_rows = result->table.row_count - job->valid_count;
    set_options(job);
    struct lp_table *t = &result->table;
    job->data = (struct lp_train_data){.row_count = t->row_count,
                                       .column_count = t->column_count,
                                       .x = t->x,
                                       .x_row = t->x_row,
                                       .where = t->where,
                                       .y = job->y,
                                       .weight = t->weight,
                                       .group = t->group};
    return LP_OK;
}

static enum lp_code train(struct lp_job *job, struct lp_error *err)
{
    struct lp_job_result *result = job->result;
    const struct lp_train_peers *peers = job->options.peers;
    struct lp_trainer *trainer = NULL;
    enum lp_code rc;
    LP_GUARD(run_folds(job, err));
    LP_GUARD(new_trainer(job, job->order, job->valid_count, &trainer, err));
    result->parameter_count = lp_net_count(lp_trainer_net(trainer));
    if (job->request->on_start != NULL) job->request->on_start(job->request->context, result);
    LP_GUARD(lp_trainer_run(trainer, err));
    LP_GUARD(keep_history(job, trainer, err));
    LP_GUARD(lp_job_judge(job, trainer, err));
    if (peers == NULL || peers->rank == 0) rc = lp_job_write(job, trainer, err);
out:
    lp_trainer_free(trainer);
    return rc;
}

enum lp_code lp_job_run(const struct lp_job_request *request, struct lp_job_result *ret_result, struct lp_error *err)
{
    static const struct lp_metrics none = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    *ret_result = (struct lp_job_result){
        .threshold = request->threshold, .valid = none, .fold_mean = none, .fold_deviation = none};
    struct lp_job job = {.request = request, .result = ret_result};
    lp_buffer_init(&ret_result->bundle, SIZE_MAX / 2);
    enum lp_code rc = prepare(&job, err);
    if (rc == LP_OK) rc = train(&job, err);
    void *const owned[] = {job.y,       job.class_of, job.class_weight, job.order,
                           job.margins, job.valid_y,  job.valid_weight, job.valid_group};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free(owned[i]);
    if (rc != LP_OK) lp_job_done(ret_result);
    return rc;
}

void lp_job_done(struct lp_job_result *result)
{
    lp_table_done(&result->table);
    lp_bundle_free(result->features);
    json_decref(result->feature_list);
    json_decref(result->labels);
    free(result->embeddings);
    free(result->history);
    free(result->segments);
    free(result->point_margins);
    free(result->point_scores);
    lp_buffer_done(&result->bundle);
    *result = (struct lp_job_result){.history = NULL};
}
