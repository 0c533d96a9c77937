/* What must be known before the first epoch: features, labels, the network's shape. */
#include "train/job_private.h"

#include "model/spec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *find_feature(json_t *features, const char *name, size_t *ret_index)
{
    size_t index;
    json_t *feature;
    json_array_foreach(features, index, feature)
    {
        const char *here = json_string_value(json_object_get(feature, "name"));
        if (here == NULL || strcmp(here, name) != 0) continue;
        *ret_index = index;
        return feature;
    }
    return NULL;
}

static enum lp_code no_feature(const char *name, const char *option, struct lp_error *err)
{
    return lp_fail_field(err, LP_E_NOT_FOUND, LP_FATAL, name, "--%s %.64s: no feature has this name", option, name);
}

static enum lp_code parse_count(const struct lp_job_pair *pair, const char *option, long most, json_int_t *ret_count,
                                struct lp_error *err)
{
    char *end;
    long count = strtol(pair->value, &end, 10);
    if (*end != '\0' || count < 1 || count > most)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "--%s %.64s=%.32s: write a number from 1 to %ld", option,
                       pair->name, pair->value, most);
    *ret_count = count;
    return LP_OK;
}

/* A category as a hash of its text: no word of it is in the bundle, not even in the baseline. */
static enum lp_code hash_feature(json_t *features, const struct lp_job_pair *pair, struct lp_error *err)
{
    size_t index;
    json_int_t buckets = 0;
    json_t *feature = find_feature(features, pair->name, &index);
    if (feature == NULL) return no_feature(pair->name, "hash", err);
    LP_TRY(parse_count(pair, "hash", LP_NET_TABLE_ROWS_MAX, &buckets, err));
    json_t *made = json_pack("{s:O, s:O, s:s, s:{s:s}, s:{s:s, s:I}}", "name", json_object_get(feature, "name"), "from",
                             json_object_get(feature, "from"), "kind", "category", "missing", "policy", "indicator",
                             "encode", "method", "hash", "buckets", buckets);
    return made != NULL && json_array_set_new(features, index, made) == 0 ? LP_OK : lp_fail_memory(err, 0);
}

static enum lp_code embed_feature(json_t *features, const struct lp_job_pair *pair, struct lp_error *err)
{
    size_t index;
    json_int_t width = 0;
    json_t *feature = find_feature(features, pair->name, &index);
    if (feature == NULL) return no_feature(pair->name, "embed", err);
    LP_TRY(parse_count(pair, "embed", 1024, &width, err));
    json_t *encode = json_object_get(feature, "encode");
    const char *method = json_string_value(json_object_get(encode, "method"));
    const char *kind = json_string_value(json_object_get(feature, "kind"));
    bool fits = method != NULL && kind != NULL && strcmp(kind, "category") == 0 &&
                (strcmp(method, "onehot") == 0 || strcmp(method, "index") == 0 || strcmp(method, "hash") == 0);
    if (!fits)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, pair->name,
                             "--embed %.64s: it is no category of encoding onehot, index or hash", pair->name);
    if (strcmp(method, "onehot") == 0) json_object_set_new(encode, "method", json_string("index"));
    return LP_OK;
}

/* Said before the first epoch rather than behind the last. */
static enum lp_code check_missing(const struct lp_bundle *features, struct lp_error *err)
{
    for (uint32_t i = 0; i < features->feature_count; i++)
        if (features->features[i].missing == LP_MISSING_KEEP)
            return lp_fail_field(err, LP_E_INVALID, LP_FATAL, features->features[i].name,
                                 "`%.64s`: missing=keep is for trees; a network needs mean, value, indicator or reject",
                                 features->features[i].name);
    return LP_OK;
}

/* The label is no feature of its own model, whatever the feature that reads it is called. */
static void remove_label(json_t *features, const char *label)
{
    for (size_t i = json_array_size(features); i-- > 0;) {
        const json_t *feature = json_array_get(features, i);
        const char *name = json_string_value(json_object_get(feature, "name"));
        const char *from = json_string_value(json_object_get(feature, "from"));
        if ((name != NULL && strcmp(name, label) == 0) || (from != NULL && strcmp(from, label) == 0))
            json_array_remove(features, i);
    }
}

enum lp_code lp_job_set_features(struct lp_job *job, struct lp_error *err)
{
    const struct lp_job_request *r = job->request;
    json_t *features = json_deep_copy(json_object_get(r->spec, "features"));
    size_t index;
    job->result->feature_list = features;
    if (!json_is_array(features)) return lp_fail(err, LP_E_INVALID, LP_FATAL, "the spec has no array `features`");
    for (uint32_t i = 0; i < r->drop_count; i++) {
        if (find_feature(features, r->drop[i], &index) != NULL) json_array_remove(features, index);
        else if (!r->fitted) return no_feature(r->drop[i], "drop", err); /* fitting left it out already */
    }
    remove_label(features, r->label);
    for (uint32_t i = 0; i < r->hash_count; i++) LP_TRY(hash_feature(features, &r->hash[i], err));
    for (uint32_t i = 0; i < r->embed_count; i++) LP_TRY(embed_feature(features, &r->embed[i], err));
    json_t *spec = json_pack("{s:O}", "features", features);
    char *text = spec != NULL ? json_dumps(spec, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    enum lp_code rc =
        text != NULL ? lp_features_parse(lp_span_text(text), &job->result->features, err) : lp_fail_memory(err, 0);
    free(text);
    json_decref(spec);
    return rc == LP_OK ? check_missing(job->result->features, err) : rc;
}

static int compare_numbers(const void *a, const void *b)
{
    double x = strtod(*(char *const *)a, NULL), y = strtod(*(char *const *)b, NULL);
    return (x > y) - (x < y);
}

static int compare_texts(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Few whole numbers are classes; anything else that is a number is measured. */
static enum lp_task guess_task(const struct lp_table *t)
{
    enum { CLASSES_AT_MOST = 20 };
    bool whole = true;
    if (!t->numeric) return t->words.count == 2 ? LP_TASK_BINARY : LP_TASK_MULTICLASS;
    for (uint32_t r = 0; whole && r < t->row_count; r++) whole = t->label[r] == floor(t->label[r]);
    if (t->words.full || !whole || t->words.count > CLASSES_AT_MOST) return LP_TASK_REGRESSION;
    return t->words.count == 2 ? LP_TASK_BINARY : LP_TASK_MULTICLASS;
}

/* Numbers that differ as texts may be one class (1 and 1.0). */
static uint32_t merge_equal(char **sorted, uint32_t count, bool numeric)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || !numeric || strtod(sorted[i], NULL) != strtod(sorted[kept - 1], NULL)) sorted[kept++] = sorted[i];
    return kept;
}

static uint32_t class_index(char *const *sorted, uint32_t count, const char *text, bool numeric)
{
    for (uint32_t i = 0; i < count; i++)
        if (numeric ? strtod(sorted[i], NULL) == strtod(text, NULL) : strcmp(sorted[i], text) == 0) return i;
    return 0;
}

/* true and false were read as 1 and 0: their texts are no numbers. Nor is nan, which equals nothing. */
static bool all_numbers(const struct lp_words *words)
{
    for (uint32_t i = 0; i < words->count; i++)
        if (!isfinite(lp_table_number(lp_span_text(words->texts[i])))) return false;
    return true;
}

static enum lp_code set_classes(struct lp_job *job, struct lp_error *err)
{
    const struct lp_words *words = &job->result->table.words;
    uint32_t rows = job->result->table.row_count;
    if (words->full)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL,
                       "the label has more than %d values: is it a number (--task regression)?", LP_TABLE_CLASSES_MAX);
    char **sorted = malloc((words->count + 1) * sizeof *sorted);
    uint32_t *index = calloc((size_t)words->count + 1, sizeof *index);
    job->class_of = calloc((size_t)rows + 1, sizeof *job->class_of);
    job->result->labels = json_array();
    bool good = sorted != NULL && index != NULL && job->class_of != NULL, numeric = all_numbers(words);
    if (good) {
        memcpy(sorted, words->texts, words->count * sizeof *sorted);
        qsort(sorted, words->count, sizeof *sorted, numeric ? compare_numbers : compare_texts);
        job->class_count = merge_equal(sorted, words->count, numeric);
        for (uint32_t i = 0; i < words->count; i++)
            index[i] = class_index(sorted, job->class_count, words->texts[i], numeric);
        for (uint32_t i = 0; i < job->class_count; i++)
            json_array_append_new(job->result->labels, json_string(sorted[i]));
        for (uint32_t r = 0; r < rows; r++) {
            job->class_of[r] = index[job->result->table.word[r]];
            job->y[r] = (float)job->class_of[r];
        }
    }
    free(sorted);
    free(index);
    return good ? LP_OK : lp_fail_memory(err, rows * sizeof(uint32_t));
}

static enum lp_code set_class_weights(struct lp_job *job, struct lp_error *err)
{
    const struct lp_job_request *r = job->request;
    uint32_t rows = job->result->table.row_count;
    if (!r->balanced && r->class_weight_count == 0) return LP_OK;
    if (job->class_of == NULL) return lp_fail(err, LP_E_INVALID, LP_FATAL, "class weights need classes");
    job->class_weight = calloc((size_t)job->class_count + 1, sizeof *job->class_weight);
    uint32_t *count = calloc((size_t)job->class_count + 1, sizeof *count);
    if (job->class_weight == NULL || count == NULL) {
        free(count);
        return lp_fail_memory(err, job->class_count * sizeof *count);
    }
    for (uint32_t i = 0; i < rows; i++) count[job->class_of[i]]++;
    for (uint32_t c = 0; c < job->class_count; c++)
        job->class_weight[c] = r->balanced ? (float)rows / ((float)job->class_count * (float)count[c]) : 1.0f;
    free(count);
    for (uint32_t i = 0; i < r->class_weight_count; i++) {
        uint32_t c = 0;
        char *end;
        double weight = strtod(r->class_weight[i].value, &end);
        while (c < job->class_count &&
               strcmp(json_string_value(json_array_get(job->result->labels, c)), r->class_weight[i].name) != 0)
            c++;
        if (c == job->class_count)
            return lp_fail(err, LP_E_NOT_FOUND, LP_FATAL, "--class-weight %.64s: no row has this label",
                           r->class_weight[i].name);
        if (*end != '\0' || !(weight >= 0) || !isfinite((float)weight))
            return lp_fail(err, LP_E_INVALID, LP_FATAL, "--class-weight %.64s=%.32s: write a number",
                           r->class_weight[i].name, r->class_weight[i].value);
        job->class_weight[c] = (float)weight;
    }
    return LP_OK;
}

/* The network learns a label of mean 0 and deviation 1; the output layer gives it back in its units. */
static void scale_label(struct lp_job *job)
{
    const struct lp_table *t = &job->result->table;
    double mean = 0, square = 0;
    for (uint32_t r = 0; r < t->row_count; r++) mean += (t->label[r] - mean) / (r + 1);
    for (uint32_t r = 0; r < t->row_count; r++) square += (t->label[r] - mean) * (t->label[r] - mean);
    job->label_mean = mean;
    job->label_scale = sqrt(square / t->row_count);
}

static enum lp_code check_loss(const struct lp_job *job, enum lp_task task, struct lp_error *err)
{
    enum lp_job_loss loss = job->request->loss;
    bool classes = task == LP_TASK_BINARY || task == LP_TASK_MULTICLASS;
    bool fits = loss == LP_JOB_LOSS_AUTO || (classes && loss == LP_JOB_LOSS_CROSS_ENTROPY) ||
                (task == LP_TASK_RANKING && loss == LP_JOB_LOSS_BPR) ||
                (task == LP_TASK_REGRESSION &&
                 (loss == LP_JOB_LOSS_SQUARED || loss == LP_JOB_LOSS_HUBER || loss == LP_JOB_LOSS_POISSON));
    if (fits) return LP_OK;
    return lp_fail(err, LP_E_INVALID, LP_FATAL,
                   "this loss does not fit the task: cross-entropy is for classes, squared, huber and poisson for "
                   "--task regression, bpr for --task ranking");
}

static void set_loss(struct lp_job *job, enum lp_task task)
{
    struct lp_train_loss *loss = &job->result->loss;
    *loss = (struct lp_train_loss){.outputs = 1, .delta = (float)job->request->huber_delta};
    switch (task) {
    case LP_TASK_BINARY: loss->kind = LP_LOSS_BINARY; break;
    case LP_TASK_MULTICLASS:
        loss->kind = LP_LOSS_CATEGORICAL;
        loss->outputs = job->class_count;
        break;
    case LP_TASK_RANKING: loss->kind = LP_LOSS_BPR; break;
    case LP_TASK_REGRESSION:
        loss->kind = job->request->loss == LP_JOB_LOSS_HUBER     ? LP_LOSS_HUBER
                     : job->request->loss == LP_JOB_LOSS_POISSON ? LP_LOSS_POISSON
                                                                 : LP_LOSS_SQUARED;
        break;
    }
}

static enum lp_code check_numbers(const struct lp_job *job, enum lp_task task, struct lp_error *err)
{
    const struct lp_table *t = &job->result->table;
    if (!t->numeric)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, job->request->label,
                             "the label `%.64s` is not a number in every record", job->request->label);
    double low = INFINITY, high = -INFINITY;
    for (uint32_t r = 0; r < t->row_count; r++) {
        low = fmin(low, t->label[r]);
        high = fmax(high, t->label[r]);
        job->y[r] = task == LP_TASK_RANKING ? (float)(t->label[r] > 0.5) : (float)t->label[r];
    }
    if (low == high)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, job->request->label,
                             "the label `%.64s` is %g in every record: there is nothing to learn", job->request->label,
                             low);
    if (job->result->loss.kind == LP_LOSS_POISSON && low < 0)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "poisson is for counts: a label is %g", low);
    return LP_OK;
}

/* Means of the label are of its numbers, or of how often the second of two classes is there: as in `fit`. */
static enum lp_code check_targets(struct lp_job *job, struct lp_error *err)
{
    struct lp_table *t = &job->result->table;
    const struct lp_feature *feature = job->result->features->features;
    if (t->target_count == 0 || t->numeric) return LP_OK;
    while (!lp_table_is_target(feature)) feature++;
    if (job->class_count != 2)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, feature->name,
                             "`%.64s` has target means: they need a label that is a number or has two classes",
                             feature->name);
    for (uint32_t r = 0; r < t->row_count; r++) t->label[r] = job->class_of[r];
    return LP_OK;
}

enum lp_code lp_job_set_labels(struct lp_job *job, struct lp_error *err)
{
    static const enum lp_task tasks[] = {[LP_JOB_BINARY] = LP_TASK_BINARY,
                                         [LP_JOB_MULTICLASS] = LP_TASK_MULTICLASS,
                                         [LP_JOB_REGRESSION] = LP_TASK_REGRESSION,
                                         [LP_JOB_RANKING] = LP_TASK_RANKING};
    const struct lp_job_request *r = job->request;
    struct lp_table *t = &job->result->table;
    enum lp_task task = r->task != LP_JOB_AUTO ? tasks[r->task] : guess_task(t);
    if (r->task == LP_JOB_AUTO && r->loss >= LP_JOB_LOSS_SQUARED && r->loss != LP_JOB_LOSS_CROSS_ENTROPY)
        task = r->loss == LP_JOB_LOSS_BPR ? LP_TASK_RANKING : LP_TASK_REGRESSION;
    bool classes = task == LP_TASK_BINARY || task == LP_TASK_MULTICLASS;
    job->result->task = task;
    job->label_scale = 1;
    job->y = lp_train_floats(t->row_count);
    if (job->y == NULL) return lp_fail_memory(err, t->row_count * sizeof(float));
    LP_TRY(check_loss(job, task, err));
    if (classes) LP_TRY(set_classes(job, err));
    if (classes && job->class_count < 2)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, r->label,
                             "the label `%.64s` is `%.64s` in every record: there is nothing to learn", r->label,
                             t->words.texts[0]);
    if (task == LP_TASK_BINARY && job->class_count != 2)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, r->label,
                             "the label `%.64s` has %u values: binary has two (--task multiclass?)", r->label,
                             job->class_count);
    set_loss(job, task);
    if (task == LP_TASK_MULTICLASS && job->class_count == 2)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "the label has two values: use --task binary");
    if (!classes) LP_TRY(check_numbers(job, task, err));
    bool scaled = job->result->loss.kind == LP_LOSS_SQUARED || job->result->loss.kind == LP_LOSS_HUBER;
    if (scaled && !r->raw_label) scale_label(job);
    LP_TRY(check_targets(job, err));
    return set_class_weights(job, err);
}

static uint32_t table_width(const struct lp_job *job, const struct lp_feature *feature, uint32_t rows)
{
    enum { WIDEST = 64 };
    for (uint32_t i = 0; i < job->request->embed_count; i++)
        if (strcmp(job->request->embed[i].name, feature->name) == 0)
            return (uint32_t)strtoul(job->request->embed[i].value, NULL, 10);
    double width = ceil(1.6 * pow(rows, 0.56)); /* a rule of thumb (Howard and Gugger, fastai, 2020) */
    return width > WIDEST ? WIDEST : (uint32_t)width;
}

static enum lp_code set_tables(struct lp_job *job, struct lp_error *err)
{
    const struct lp_bundle *features = job->result->features;
    struct lp_net_spec *spec = &job->result->spec;
    job->result->embeddings = calloc((size_t)features->feature_count + 1, sizeof *job->result->embeddings);
    if (job->result->embeddings == NULL) return lp_fail_memory(err, features->feature_count);
    for (uint32_t i = 0; i < features->feature_count; i++) {
        const struct lp_feature *f = &features->features[i];
        bool is_index = f->encoding == LP_ENCODING_INDEX || f->encoding == LP_ENCODING_HASH;
        if (f->kind != LP_FEATURE_CATEGORY || !is_index) continue;
        uint32_t rows = f->vocabulary_count + (f->encoding == LP_ENCODING_INDEX && f->unknown_bucket);
        if (rows > LP_NET_TABLE_ROWS_MAX || spec->embedding_count == LP_NET_EMBEDDINGS_MAX)
            return lp_fail_field(err, LP_E_LIMIT, LP_FATAL, f->name, "`%.64s` has %u values, at most %d are learned",
                                 f->name, rows, LP_NET_TABLE_ROWS_MAX);
        job->result->embeddings[spec->embedding_count++] =
            (struct lp_net_embedding){.column = f->column, .rows = rows, .width = table_width(job, f, rows)};
    }
    spec->embeddings = job->result->embeddings;
    return LP_OK;
}

enum lp_code lp_job_set_shape(struct lp_job *job, struct lp_error *err)
{
    struct lp_net_spec *spec = &job->result->spec;
    spec->column_count = job->result->features->column_count;
    spec->layer_count = job->request->hidden_count + 1;
    memcpy(spec->layers, job->request->hidden, job->request->hidden_count * sizeof *spec->layers);
    spec->layers[job->request->hidden_count] = (struct lp_net_layer){.width = job->result->loss.outputs};
    return set_tables(job, err);
}
