/* Features and the objective of a LightGBM file. */
#include "core/utf8.h"
#include "import/document.h"
#include "import/lightgbm.h"

#include <string.h>

#define BAD(err, ...) lp_fail((err), LP_E_INVALID, LP_FATAL, __VA_ARGS__)

/* Objectives with what ConvertOutput does, src/objective/. */
static const struct objective {
    const char *name;
    enum lp_task task;
    enum lp_link link;
    bool takes_sqrt; /* RegressionL2loss and its children: `sqrt` squares the output again */
} objectives[] = {
    {"regression", LP_TASK_REGRESSION, LP_LINK_IDENTITY, true},
    {"regression_l1", LP_TASK_REGRESSION, LP_LINK_IDENTITY, true},
    {"huber", LP_TASK_REGRESSION, LP_LINK_IDENTITY, true},
    {"fair", LP_TASK_REGRESSION, LP_LINK_IDENTITY, true},
    {"quantile", LP_TASK_REGRESSION, LP_LINK_IDENTITY, true},
    {"mape", LP_TASK_REGRESSION, LP_LINK_IDENTITY, true},
    {"poisson", LP_TASK_REGRESSION, LP_LINK_EXP, false},
    {"gamma", LP_TASK_REGRESSION, LP_LINK_EXP, false},
    {"tweedie", LP_TASK_REGRESSION, LP_LINK_EXP, false},
    {"cross_entropy", LP_TASK_REGRESSION, LP_LINK_SIGMOID, false},
    {"cross_entropy_lambda", LP_TASK_REGRESSION, LP_LINK_LOG1P_EXP, false},
    {"binary", LP_TASK_BINARY, LP_LINK_SIGMOID, false},
    {"multiclass", LP_TASK_MULTICLASS, LP_LINK_SOFTMAX, false},
    {"multiclassova", LP_TASK_MULTICLASS, LP_LINK_SIGMOID, false},
    {"lambdarank", LP_TASK_RANKING, LP_LINK_IDENTITY, false},
    {"rank_xendcg", LP_TASK_RANKING, LP_LINK_IDENTITY, false},
};

/* A parameter behind the objective's name; those that training alone knows are passed over. */
static enum lp_code read_parameter(struct lp_draft *draft, const struct objective *objective, struct lp_span word,
                                   struct lp_error *err)
{
    static const char *const training[] = {"num_class:", "alpha:", "tweedie_variance_power:"};
    static const char sigmoid[] = "sigmoid:";
    if (lp_span_is(word, "sqrt") && objective->takes_sqrt) {
        draft->link = LP_LINK_SIGNED_SQUARE;
        return LP_OK;
    }
    if (word.size > sizeof sigmoid - 1 && memcmp(word.data, sigmoid, sizeof sigmoid - 1) == 0) {
        struct lp_span value = lp_span_of(word.data + sizeof sigmoid - 1, word.size - (sizeof sigmoid - 1));
        LP_TRY(lp_word_double(value, "sigmoid", &draft->link_scale, err));
        if (draft->link == LP_LINK_SIGMOID) return LP_OK;
        return BAD(err, "objective %s with a sigmoid", objective->name);
    }
    for (size_t i = 0; i < sizeof training / sizeof *training; i++)
        if (word.size > strlen(training[i]) && memcmp(word.data, training[i], strlen(training[i])) == 0) return LP_OK;
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "objective %s with `%.*s`: what it does to a margin is not known",
                   objective->name, (int)(word.size < 40 ? word.size : 40), (const char *)word.data);
}

enum lp_code lp_lightgbm_objective(struct lp_lightgbm *file, struct lp_error *err)
{
    struct lp_draft *draft = file->draft;
    struct lp_span rest = file->objective, word;
    const struct objective *objective = NULL;
    if (!lp_word_next(&rest, &word))
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "it names no objective, so that what it does to a margin is not known: train with one, or add "
                       "the line objective=regression where the raw sum is the score");
    for (size_t i = 0; i < sizeof objectives / sizeof *objectives; i++)
        if (lp_span_is(word, objectives[i].name)) objective = &objectives[i];
    if (objective == NULL)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "objective %.*s: what it does to a margin is not known here",
                       (int)(word.size < 40 ? word.size : 40), (const char *)word.data);
    draft->task = objective->task;
    draft->link = objective->link;
    while (lp_word_next(&rest, &word)) LP_TRY(read_parameter(draft, objective, word, err));
    bool many = draft->task == LP_TASK_MULTICLASS;
    if (many != (draft->output_count > 1) || (many && file->class_count != draft->output_count))
        return BAD(err, "objective %s with %u trees an iteration for %lld classes", objective->name,
                   draft->output_count, (long long)file->class_count);
    return LP_OK;
}

/* --- pandas --- */

/* A category's name: text as it is, numbers by their digits, as records spell them. */
static enum lp_code take_category(struct lp_draft *draft, const struct lp_token *token, struct lp_buffer *texts,
                                  struct lp_error *err)
{
    struct lp_span text = token->text;
    if (token->kind == LP_TOKEN_TRUE || token->kind == LP_TOKEN_FALSE)
        text = lp_span_text(token->kind == LP_TOKEN_TRUE ? "true" : "false");
    else if (token->kind != LP_TOKEN_TEXT && token->kind != LP_TOKEN_NUMBER)
        return BAD(err, "pandas_categorical: a category that is neither text nor number");
    const char *copy = lp_storage_text(&draft->storage, text.data, text.size, err);
    if (copy == NULL) return lp_failed(err->code);
    lp_buffer_append(texts, &copy, sizeof copy);
    return lp_buffer_check(texts, "pandas_categorical", err);
}

static enum lp_code take_vocabulary(struct lp_draft *draft, struct lp_document *document, struct lp_buffer *texts,
                                    struct lp_draft_feature *feature, struct lp_error *err)
{
    struct lp_token token;
    lp_buffer_clear(texts);
    for (;;) {
        LP_TRY(lp_document_next(document, &token, err));
        if (token.kind == LP_TOKEN_ARRAY_END) break;
        LP_TRY(take_category(draft, &token, texts, err));
    }
    size_t count = texts->size / sizeof(char *);
    if (count > LP_BUNDLE_COLUMNS_MAX) return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%zu categories", count);
    const char **vocabulary = lp_storage_take(&draft->storage, count, sizeof *vocabulary, err);
    if (vocabulary == NULL) return lp_failed(err->code);
    if (count > 0) memcpy(vocabulary, texts->data, texts->size);
    feature->vocabulary_count = (uint32_t)count;
    feature->vocabulary = vocabulary;
    return LP_OK;
}

/* pandas_categorical lists the columns of type category in their order: those whose info is a list of categories. */
static enum lp_code take_pandas(struct lp_lightgbm *file, const uint32_t *categorical, uint32_t count,
                                struct lp_document *document, struct lp_buffer *texts, uint32_t *ret_lists,
                                struct lp_error *err)
{
    struct lp_draft_feature spare = {0};
    struct lp_token token;
    uint32_t lists = 0;
    LP_TRY(lp_document_next(document, &token, err));
    if (token.kind != LP_TOKEN_NULL && token.kind != LP_TOKEN_ARRAY)
        return BAD(err, "pandas_categorical is neither null nor an array");
    while (token.kind != LP_TOKEN_NULL) {
        LP_TRY(lp_document_next(document, &token, err));
        if (token.kind == LP_TOKEN_ARRAY_END) break;
        if (token.kind != LP_TOKEN_ARRAY) return BAD(err, "pandas_categorical: an entry is no array");
        struct lp_draft_feature *feature = lists < count ? &file->draft->features[categorical[lists]] : &spare;
        LP_TRY(take_vocabulary(file->draft, document, texts, feature, err));
        lists++;
    }
    LP_TRY(lp_document_expect(document, LP_TOKEN_END, "what follows pandas_categorical", &token, err));
    *ret_lists = lists;
    return LP_OK;
}

static bool is_categorical(struct lp_span info) { return info.data[0] != '[' && !lp_span_is(info, "none"); }

/* Of `a:b:c`, all are below `count`; -1 stands for missing. */
static bool are_below(struct lp_span info, int64_t count)
{
    while (info.size > 0) {
        const unsigned char *colon = memchr(info.data, ':', info.size);
        size_t size = colon != NULL ? (size_t)(colon - info.data) : info.size, used = size + (colon != NULL);
        int64_t whole;
        struct lp_error none;
        if (lp_word_whole(lp_span_of(info.data, size), "", -1, count - 1, &whole, &none) != LP_OK) return false;
        info = lp_span_of(info.data + used, info.size - used);
    }
    return true;
}

/* `[low:high]` of a column that holds codes below `count`, or `none`, which says nothing. */
static bool may_be_codes(struct lp_span info, int64_t count)
{
    return info.data[0] != '[' || (info.size > 2 && info.data[info.size - 1] == ']' &&
                                   are_below(lp_span_of(info.data + 1, info.size - 2), count));
}

/*
 * The lists are of pandas' columns of type category; what the trees use as categories may be others
 * (categorical_feature), and the file does not say. Sure is it only where every code has a name and no other column
 * could be the one that a list is of.
 */
static bool is_sure(const struct lp_lightgbm *file, const uint32_t *categorical, uint32_t count)
{
    struct lp_span infos = file->infos, info;
    int64_t longest = 0;
    const struct lp_draft_feature *features = file->draft->features;
    for (uint32_t i = 0; i < count; i++)
        if (features[categorical[i]].vocabulary_count > longest) longest = features[categorical[i]].vocabulary_count;
    for (uint32_t i = 0; lp_word_next(&infos, &info); i++) {
        if (is_categorical(info) ? !are_below(info, features[i].vocabulary_count) : may_be_codes(info, longest))
            return false;
    }
    return true;
}

static enum lp_code read_pandas(struct lp_lightgbm *file, const uint32_t *categorical, uint32_t count,
                                struct lp_error *err)
{
    struct lp_document document;
    struct lp_buffer texts;
    uint32_t lists = 0;
    if (file->pandas.data == NULL) return LP_OK;
    lp_document_init(&document, file->pandas, false);
    lp_buffer_init(&texts, sizeof(char *) * LP_BUNDLE_COLUMNS_MAX);
    enum lp_code rc = take_pandas(file, categorical, count, &document, &texts, &lists, err);
    lp_buffer_done(&texts);
    lp_document_done(&document);
    if (rc != LP_OK || lists == 0 || (lists == count && is_sure(file, categorical, count))) return rc;
    /* A constant column has no info, a column of whole numbers may be categorical too: whose names these are is lost.
     */
    for (uint32_t i = 0; i < count; i++) file->draft->features[categorical[i]].vocabulary_count = 0;
    lp_buffer_format(&file->draft->notes,
                     "the model has names of categories for %u features and uses %u as categories, and which are whose "
                     "is not sure: records must carry the codes, or a spec the vocabularies (--features)\n",
                     lists, count);
    return LP_OK;
}

enum lp_code lp_lightgbm_features(struct lp_lightgbm *file, struct lp_error *err)
{
    struct lp_draft *draft = file->draft;
    struct lp_span names = file->names, infos = file->infos, name, info;
    uint32_t count = draft->column_count, categories = 0;
    draft->features = lp_storage_take(&draft->storage, count, sizeof *draft->features, err);
    uint32_t *categorical = lp_storage_take(&draft->storage, count, sizeof *categorical, err);
    if (draft->features == NULL || categorical == NULL) return lp_failed(err->code);
    for (uint32_t i = 0; i < count; i++) {
        if (!lp_word_next(&names, &name)) return BAD(err, "feature_names has %u entries, not %u", i, count);
        if (!lp_word_next(&infos, &info)) return BAD(err, "feature_infos has %u entries, not %u", i, count);
        if (!lp_utf8_valid(name.data, name.size)) return BAD(err, "the name of feature %u is not UTF-8", i);
        draft->features[i].name = lp_storage_text(&draft->storage, name.data, name.size, err);
        if (draft->features[i].name == NULL) return lp_failed(err->code);
        if (is_categorical(info)) categorical[categories++] = i;
    }
    if (lp_word_next(&names, &name)) return BAD(err, "feature_names has more than %u entries", count);
    return read_pandas(file, categorical, categories, err);
}
