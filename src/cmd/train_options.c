#include "cmd/train_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double adam_beta1 = 0.9, adam_beta2 = 0.999, adam_epsilon = 1e-8;

static enum lp_code wrong(const char *option, const char *text, const char *what, struct lp_error *err)
{
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "--%s %.64s: %s", option, text, what);
}

/* A number from low to high; NULL text: `number` stays. */
static enum lp_code take_number(const char *option, const char *text, double low, double high, double *number,
                                struct lp_error *err)
{
    char *end;
    if (text == NULL) return LP_OK;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= low && value <= high))
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "--%s %.64s: write a number from %g to %g", option, text, low,
                       high);
    *number = value;
    return LP_OK;
}

static enum lp_code take_word(const char *option, const char *text, const char *const *words, size_t count,
                              size_t *ret_index, struct lp_error *err)
{
    char all[256] = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_index = i;
            return LP_OK;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "--%s %.64s: it is one of %s", option, text, all);
}
#define TAKE_WORD(option, text, words, index, err) \
    take_word((option), (text), (words), sizeof(words) / sizeof *(words), (index), (err))

static enum lp_code take_layer(const char *text, size_t size, struct lp_job_request *request, struct lp_error *err)
{
    char copy[32], *end;
    snprintf(copy, sizeof copy, "%.*s", (int)size, text);
    long width = strtol(copy, &end, 10);
    if (size == 0 || size >= sizeof copy || *end != '\0' || width < 1 || width > LP_NET_WIDTH_MAX)
        return wrong("layers", text, "write widths with commas, as 64,64, or none", err);
    if (request->hidden_count == LP_NET_LAYERS_MAX - 1) return wrong("layers", text, "too many layers", err);
    request->hidden[request->hidden_count++].width = (uint32_t)width;
    return LP_OK;
}

static enum lp_code take_layers(const struct lp_train_texts *t, struct lp_job_request *request, struct lp_error *err)
{
    static const char *const names[] = {"none",    "relu", "leaky_relu", "elu",  "tanh",
                                        "sigmoid", "gelu", "gelu_tanh",  "silu", "softplus"};
    size_t activation = LP_ACTIVATION_RELU;
    double dropout = 0;
    const char *at = t->layers != NULL ? t->layers : "64,64";
    for (bool more = strcmp(at, "none") != 0; more;) {
        size_t size = strcspn(at, ",");
        LP_TRY(take_layer(at, size, request, err));
        more = at[size] == ',';
        at += size + more;
    }
    if (t->activation != NULL) LP_TRY(TAKE_WORD("activation", t->activation, names, &activation, err));
    LP_TRY(take_number("dropout", t->dropout, 0, 0.99, &dropout, err));
    for (uint32_t i = 0; i < request->hidden_count; i++) {
        request->hidden[i].activation = (enum lp_activation)activation;
        request->hidden[i].alpha = activation == LP_ACTIVATION_LEAKY_RELU ? 0.01f : 1.0f;
        request->hidden[i].dropout = (float)dropout;
        request->hidden[i].batch_norm = t->batch_norm;
    }
    return LP_OK;
}

/* constant, cosine, step:EPOCHS:FACTOR, plateau:EPOCHS:FACTOR */
static enum lp_code take_schedule(const char *text, struct lp_train_options *o, struct lp_error *err)
{
    unsigned epochs;
    double factor;
    char tail;
    if (text == NULL || strcmp(text, "constant") == 0) return LP_OK;
    if (strcmp(text, "cosine") == 0) {
        o->schedule = LP_SCHEDULE_COSINE;
        return LP_OK;
    }
    if (sscanf(text, "step:%u:%lf%c", &epochs, &factor, &tail) == 2) o->schedule = LP_SCHEDULE_STEP;
    else if (sscanf(text, "plateau:%u:%lf%c", &epochs, &factor, &tail) == 2) o->schedule = LP_SCHEDULE_PLATEAU;
    else return wrong("schedule", text, "write constant, cosine, step:10:0.5 or plateau:5:0.5 (epochs, factor)", err);
    if (epochs < 1 || !(factor > 0 && factor <= 1))
        return wrong("schedule", text, "1 epoch or more, and a factor above 0 and up to 1", err);
    o->schedule_epochs = epochs;
    o->schedule_factor = factor;
    return LP_OK;
}

static enum lp_code take_optimizer(const struct lp_train_texts *t, struct lp_train_options *o, struct lp_error *err)
{
    static const char *const names[] = {"sgd", "momentum", "adam", "adamw"};
    size_t kind = LP_OPTIMIZER_ADAM;
    if (t->optimizer != NULL) LP_TRY(TAKE_WORD("optimizer", t->optimizer, names, &kind, err));
    bool adam = kind == LP_OPTIMIZER_ADAM || kind == LP_OPTIMIZER_ADAMW;
    o->optimizer = (enum lp_optimizer)kind;
    o->rate = adam ? 0.001 : 0.01;
    o->momentum = 0.9;
    o->decay = kind == LP_OPTIMIZER_ADAMW ? 0.01 : 0;
    o->beta1 = adam_beta1;
    o->beta2 = adam_beta2;
    o->epsilon = adam_epsilon;
    if (t->decay != NULL && kind != LP_OPTIMIZER_ADAMW)
        return wrong("decay", t->decay, "only adamw has it; --l2 is for every optimizer", err);
    LP_TRY(take_number("rate", t->rate, 1e-12, 1000, &o->rate, err));
    LP_TRY(take_number("momentum", t->momentum, 0, 0.9999, &o->momentum, err));
    LP_TRY(take_number("decay", t->decay, 0, 100, &o->decay, err));
    LP_TRY(take_number("l1", t->l1, 0, 1000, &o->l1, err));
    LP_TRY(take_number("l2", t->l2, 0, 1000, &o->l2, err));
    LP_TRY(take_number("clip", t->clip, 0, 1e30, &o->clip, err));
    LP_TRY(take_number("min-improvement", t->improvement, 0, 1e30, &o->min_improvement, err));
    return take_schedule(t->schedule, o, err);
}

static enum lp_code take_task(const struct lp_train_texts *t, struct lp_job_request *request, struct lp_error *err)
{
    static const char *const tasks[] = {"auto", "binary", "multiclass", "regression", "ranking"};
    static const char *const losses[] = {"auto", "squared", "cross-entropy", "huber", "poisson", "bpr"};
    static const char *const calibrations[] = {"none", "platt", "isotonic"};
    size_t task = LP_JOB_AUTO, loss = LP_JOB_LOSS_AUTO, calibration = 0;
    if (t->task != NULL) LP_TRY(TAKE_WORD("task", t->task, tasks, &task, err));
    if (t->loss != NULL) LP_TRY(TAKE_WORD("loss", t->loss, losses, &loss, err));
    if (t->calibrate != NULL) LP_TRY(TAKE_WORD("calibrate", t->calibrate, calibrations, &calibration, err));
    request->task = (enum lp_job_task)task;
    request->loss = (enum lp_job_loss)loss;
    request->platt = calibration == 1;
    request->isotonic = calibration == 2;
    request->huber_delta = 1;
    request->threshold = 0.5;
    request->best_threshold = t->threshold != NULL && strcmp(t->threshold, "best-f1") == 0;
    LP_TRY(take_number("delta", t->delta, 1e-9, 1e9, &request->huber_delta, err));
    return request->best_threshold ? LP_OK : take_number("threshold", t->threshold, 0, 1, &request->threshold, err);
}

static enum lp_code split_drop(const char *text, struct lp_job_request *request, struct lp_error *err)
{
    uint32_t most = 1;
    if (text == NULL) return LP_OK;
    for (const char *at = text; *at != '\0'; at++) most += *at == ',';
    char **names = calloc(most, sizeof *names);
    request->drop = (const char *const *)names;
    for (const char *at = text; names != NULL;) {
        size_t size = strcspn(at, ",");
        names[request->drop_count] = strndup(at, size);
        if (names[request->drop_count] == NULL) break;
        request->drop_count++;
        if (at[size] == '\0') return LP_OK;
        at += size + 1;
    }
    return lp_fail_memory(err, strlen(text));
}

static enum lp_code copy_pairs(const struct lp_pairs *pairs, const struct lp_job_pair **ret_list, uint32_t *ret_count,
                               struct lp_error *err)
{
    struct lp_job_pair *list = calloc((size_t)pairs->count + 1, sizeof *list);
    if (list == NULL) return lp_fail_memory(err, pairs->count * sizeof *list);
    for (uint32_t i = 0; i < pairs->count; i++)
        list[i] = (struct lp_job_pair){pairs->items[i].name, pairs->items[i].value};
    *ret_list = list;
    *ret_count = pairs->count;
    return LP_OK;
}

static enum lp_code take_pairs(const struct lp_train_texts *t, struct lp_job_request *request, struct lp_error *err)
{
    LP_TRY(split_drop(t->drop, request, err));
    LP_TRY(copy_pairs(&t->hash, &request->hash, &request->hash_count, err));
    LP_TRY(copy_pairs(&t->embed, &request->embed, &request->embed_count, err));
    return copy_pairs(&t->class_weight, &request->class_weight, &request->class_weight_count, err);
}

enum lp_code lp_train_options_read(const struct lp_train_texts *t, struct lp_job_request *request, struct lp_error *err)
{
    struct lp_train_options *o = &request->train;
    LP_TRY(take_layers(t, request, err));
    LP_TRY(take_optimizer(t, o, err));
    LP_TRY(take_task(t, request, err));
    LP_TRY(lp_split_parse(t->validate != NULL ? t->validate : "0.1", &request->split, err));
    LP_TRY(take_pairs(t, request, err));
    o->warmup_steps = (uint32_t)t->warmup;
    o->epochs = (uint32_t)t->epochs;
    o->batch_rows = (uint32_t)t->batch;
    o->patience = (uint32_t)t->patience;
    o->seed = (uint64_t)t->seed;
    o->threads = (uint32_t)t->threads;
    o->in_order = t->in_order;
    request->folds = (uint32_t)t->folds;
    return LP_OK;
}

void lp_train_options_done(struct lp_job_request *request)
{
    for (uint32_t i = 0; i < request->drop_count; i++) free((void *)(uintptr_t)request->drop[i]);
    free((void *)(uintptr_t)request->drop);
    free((void *)(uintptr_t)request->hash);
    free((void *)(uintptr_t)request->embed);
    free((void *)(uintptr_t)request->class_weight);
}
