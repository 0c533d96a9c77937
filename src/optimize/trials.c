#include "optimize/trials.h"

#include "core/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THIRD = 3, EPOCHS_MAX = 27, RUNGS_MAX = 4, TABLE_WIDTH_MAX = 64 };

struct search {
    const struct lp_learn *learn;
    const struct lp_bundle *parent;
    const struct lp_trials_request *request;
    struct lp_net_embedding *embeddings;
    uint32_t embedding_count;
    struct lp_trial *trials; /* [count], after each rung from the best on */
    struct lp_trial best[LP_TRIALS_KEPT];
    uint32_t best_count, done, in_all;
    uint64_t end_ns; /* 0: no limit */
};

void lp_trial_layers(const struct lp_trial *trial, char *ret_text)
{
    size_t used = 0;
    snprintf(ret_text, LP_TRIAL_TEXT_BYTES, "none");
    for (uint32_t i = 0; i < trial->layer_count; i++)
        used +=
            (size_t)snprintf(ret_text + used, LP_TRIAL_TEXT_BYTES - used, "%s%u", i > 0 ? "," : "", trial->widths[i]);
}

static double between(uint64_t *random, double low, double high)
{
    return exp(log(low) + lp_train_uniform(random) * (log(high) - log(low)));
}

/* To two digits: what is said of a trial is what it was. */
static double rounded(double value)
{
    double unit = pow(10, floor(log10(value)) - 1);
    return round(value / unit) * unit;
}

static void draw(uint64_t seed, uint32_t number, struct lp_trial *trial)
{
    static const uint32_t widths[] = {16, 32, 64, 128, 256};
    static const double dropouts[] = {0, 0, 0.1, 0.3};
    uint64_t random = (seed ^ UINT64_C(0x747269616c000000)) + number * UINT64_C(0x9fb21c651e98df25);
    uint32_t most = sizeof widths / sizeof *widths;
    *trial = (struct lp_trial){.number = number, .layer_count = lp_train_below(&random, LP_TRIAL_LAYERS_MAX + 1)};
    for (uint32_t i = 0; i < trial->layer_count; i++) {
        uint32_t at = lp_train_below(&random, most);
        trial->widths[i] = widths[at];
        most = at + 1;
    }
    trial->rate = rounded(between(&random, 1e-4, 1e-2));
    trial->l2 = lp_train_below(&random, THIRD) == 0 ? 0 : rounded(between(&random, 1e-6, 1e-3));
    if (trial->layer_count > 0) trial->dropout = dropouts[lp_train_below(&random, sizeof dropouts / sizeof *dropouts)];
}

/* Columns that are row numbers of tables, as `lepton train` learns them. */
static enum lp_code find_tables(struct search *s, struct lp_error *err)
{
    const struct lp_bundle *b = s->parent;
    s->embeddings = calloc((size_t)b->feature_count + 1, sizeof *s->embeddings);
    if (s->embeddings == NULL) return lp_fail_memory(err, b->feature_count * sizeof *s->embeddings);
    for (uint32_t i = 0; i < b->feature_count; i++) {
        const struct lp_feature *f = &b->features[i];
        if (f->missing == LP_MISSING_KEEP)
            return lp_fail_field(err, LP_E_UNSUPPORTED, LP_FATAL, f->name,
                                 "`%.64s`: missing=keep is for trees: no network can be tried on it", f->name);
        bool is_index = f->encoding == LP_ENCODING_INDEX || f->encoding == LP_ENCODING_HASH;
        if (f->kind != LP_FEATURE_CATEGORY || !is_index) continue;
        uint32_t rows = f->vocabulary_count + (f->encoding == LP_ENCODING_INDEX && f->unknown_bucket);
        double width = ceil(1.6 * pow(rows, 0.56));
        if (rows > LP_NET_TABLE_ROWS_MAX || s->embedding_count == LP_NET_EMBEDDINGS_MAX)
            return lp_fail_field(err, LP_E_LIMIT, LP_FATAL, f->name, "`%.64s` has %u values, at most %d are learned",
                                 f->name, rows, LP_NET_TABLE_ROWS_MAX);
        s->embeddings[s->embedding_count++] = (struct lp_net_embedding){
            .column = f->column, .rows = rows, .width = width > TABLE_WIDTH_MAX ? TABLE_WIDTH_MAX : (uint32_t)width};
    }
    return LP_OK;
}

static struct lp_net_spec shape_of(const struct search *s, const struct lp_trial *trial)
{
    struct lp_net_spec spec = {.column_count = s->parent->column_count,
                               .embedding_count = s->embedding_count,
                               .embeddings = s->embeddings,
                               .layer_count = trial->layer_count + 1};
    for (uint32_t i = 0; i < trial->layer_count; i++)
        spec.layers[i] = (struct lp_net_layer){
            .width = trial->widths[i], .activation = LP_ACTIVATION_RELU, .alpha = 1, .dropout = (float)trial->dropout};
    spec.layers[trial->layer_count] = (struct lp_net_layer){.width = s->learn->loss.outputs};
    return spec;
}

static bool is_late(void *context)
{
    const struct search *s = context;
    return s->end_ns > 0 && lp_clock_ns() >= s->end_ns;
}

/* Those that got further learned longer: their loss counts before that of the others. */
static int by_merit(const void *a, const void *b)
{
    const struct lp_trial *x = a, *y = b;
    if (x->rung != y->rung) return x->rung > y->rung ? -1 : 1;
    if (x->loss != y->loss) return x->loss < y->loss ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Keeps a network while it is among the best; a trial's later training takes the place of its earlier one. */
static enum lp_code keep(struct search *s, const struct lp_trial *trial, const struct lp_net *net, struct lp_error *err)
{
    struct lp_trial offered = *trial;
    uint32_t at = 0;
    while (at < s->best_count && s->best[at].number != trial->number) at++;
    if (at == s->best_count && at == LP_TRIALS_KEPT) at--;
    bool free_place = at == s->best_count, same = !free_place && s->best[at].number == trial->number;
    if (!isfinite(trial->loss) || (!free_place && !same && by_merit(&s->best[at], trial) < 0)) return LP_OK;
    LP_TRY(lp_learn_export(s->learn, s->parent, net, &offered.bundle, err));
    if (!free_place) lp_bundle_free(s->best[at].bundle);
    s->best[at] = offered;
    s->best_count += free_place;
    qsort(s->best, s->best_count, sizeof *s->best, by_merit);
    return LP_OK;
}

static enum lp_code train(struct search *s, struct lp_trial *trial, struct lp_error *err)
{
    const struct lp_knobs knobs = {
        .rate = trial->rate, .l2 = trial->l2, .epochs = trial->epochs, .context = s, .should_stop = is_late};
    const struct lp_net_spec spec = shape_of(s, trial);
    struct lp_train_options options;
    struct lp_trainer *trainer;
    uint32_t count;
    LP_TRY(lp_learn_new(s->learn, &spec, &knobs, &options, &trainer, err));
    enum lp_code rc = lp_trainer_run(trainer, err);
    trial->loss = INFINITY;
    if (rc == LP_E_REFUSED) rc = LP_OK; /* its loss grew without bound: it is out, the others go on */
    else if (rc == LP_OK) {
        const struct lp_train_epoch *history = lp_trainer_history(trainer, &count);
        uint32_t kept = lp_trainer_kept_epoch(trainer);
        if (kept > 0 && isfinite(history[kept - 1].valid.loss)) trial->loss = history[kept - 1].valid.loss;
        /* Cut short it got no further: only as the best of all does it take a place. */
        bool cut = count<trial->epochs, beaten = s->best_count> 0 && !(trial->loss < s->best[0].loss);
        trial->epochs = count;
        if (!cut || !beaten) rc = keep(s, trial, lp_trainer_net(trainer), err);
    }
    lp_trainer_free(trainer);
    return rc;
}

/* How many trials a rung has: a third of the one before, and never none. */
static uint32_t rung_size(uint32_t count, uint32_t rung)
{
    for (uint32_t i = 0; i < rung; i++) count = (count + THIRD - 1) / THIRD;
    return count;
}

static enum lp_code run_rung(struct search *s, uint32_t rung, uint32_t rungs, uint32_t *ret_done, struct lp_error *err)
{
    uint32_t count = rung_size(s->request->count, rung), epochs = EPOCHS_MAX, done = 0;
    for (uint32_t i = rung + 1; i < rungs; i++) epochs /= THIRD;
    for (; done < count && !(is_late(s) && s->done > 0); done++) {
        struct lp_trial *trial = &s->trials[done];
        trial->rung = rung;
        trial->epochs = epochs;
        LP_TRY(train(s, trial, err));
        s->done++;
        if (s->request->on_trial != NULL && s->best_count > 0)
            s->request->on_trial(s->request->context, trial, &s->best[0], s->done, s->in_all);
    }
    *ret_done = done;
    return LP_OK;
}

static enum lp_code search(struct search *s, struct lp_error *err)
{
    uint32_t count = s->request->count, rungs = 1, done = count;
    s->trials = calloc((size_t)count + 1, sizeof *s->trials);
    if (s->trials == NULL) return lp_fail_memory(err, count * sizeof *s->trials);
    LP_TRY(find_tables(s, err));
    for (uint32_t i = 0; i < count; i++) draw(s->learn->seed, i + 1, &s->trials[i]);
    while (rungs < RUNGS_MAX && rung_size(count, rungs - 1) > LP_TRIALS_KEPT) rungs++;
    for (uint32_t r = 0; r < rungs; r++) s->in_all += rung_size(count, r);
    for (uint32_t r = 0; r < rungs && done == rung_size(count, r > 0 ? r - 1 : 0); r++) {
        LP_TRY(run_rung(s, r, rungs, &done, err));
        qsort(s->trials, done, sizeof *s->trials, by_merit);
    }
    if (s->best_count > 0) return LP_OK;
    return lp_fail(err, LP_E_REFUSED, LP_FATAL, "of %u trials none had a finite loss: normalize the features", s->done);
}

enum lp_code lp_trials_run(const struct lp_learn *learn, const struct lp_bundle *parent,
                           const struct lp_trials_request *request, struct lp_trial *ret_best, uint32_t *ret_count,
                           struct lp_error *err)
{
    struct search s = {.learn = learn, .parent = parent, .request = request};
    if (request->time_ms > 0) s.end_ns = lp_clock_ns() + (uint64_t)request->time_ms * 1000000;
    enum lp_code rc = search(&s, err);
    for (uint32_t i = 0; rc != LP_OK && i < s.best_count; i++) lp_bundle_free(s.best[i].bundle);
    if (rc == LP_OK) {
        memcpy(ret_best, s.best, s.best_count * sizeof *ret_best);
        *ret_count = s.best_count;
    }
    free(s.embeddings);
    free(s.trials);
    return rc;
}
