/*
 * XGBoost's model file, JSON or UBJSON: one pass, members in any order, what is not needed passed over. Source:
 * dmlc/xgboost doc/model.schema, src/learner.cc, src/gbm/, src/tree/io_utils.h of 1.7, 2.1 and 3.2.
 */
#include "import/xgboost.h"

#include <stdlib.h>
#include <string.h>

#define BAD(err, ...) lp_fail((err), LP_E_INVALID, LP_FATAL, __VA_ARGS__)

enum lp_code lp_xgboost_object(struct lp_xgboost *file, const struct lp_xgboost_member *members, const char *what,
                               struct lp_error *err)
{
    struct lp_token token;
    LP_TRY(lp_document_expect(&file->document, LP_TOKEN_OBJECT, what, &token, err));
    for (;;) {
        LP_TRY(lp_document_next(&file->document, &token, err));
        if (token.kind == LP_TOKEN_OBJECT_END) return LP_OK;
        const struct lp_xgboost_member *member = members;
        while (member->name != NULL && !lp_span_is(token.text, member->name)) member++;
        LP_TRY(member->name != NULL ? member->read(file, err) : lp_document_skip(&file->document, err));
    }
}

static enum lp_code open_array(struct lp_document *document, const char *what, const struct lp_buffer *to,
                               struct lp_error *err)
{
    struct lp_token token;
    if (to->size > 0) return BAD(err, "%s is there twice", what);
    return lp_document_expect(document, LP_TOKEN_ARRAY, what, &token, err);
}

enum lp_code lp_xgboost_wholes(struct lp_document *document, const char *what, struct lp_buffer *to,
                               struct lp_error *err)
{
    struct lp_token token;
    int64_t whole;
    LP_TRY(open_array(document, what, to, err));
    for (;;) {
        LP_TRY(lp_document_next(document, &token, err));
        if (token.kind == LP_TOKEN_ARRAY_END) return lp_buffer_check(to, what, err);
        LP_TRY(lp_token_whole(&token, what, &whole, err));
        lp_buffer_append(to, &whole, sizeof whole);
    }
}

enum lp_code lp_xgboost_floats(struct lp_document *document, const char *what, struct lp_buffer *to,
                               struct lp_error *err)
{
    struct lp_token token;
    float number;
    LP_TRY(open_array(document, what, to, err));
    for (;;) {
        LP_TRY(lp_document_next(document, &token, err));
        if (token.kind == LP_TOKEN_ARRAY_END) return lp_buffer_check(to, what, err);
        LP_TRY(lp_token_float(&token, what, &number, err));
        lp_buffer_append(to, &number, sizeof number);
    }
}

enum lp_code lp_xgboost_whole(struct lp_xgboost *file, const char *what, int64_t low, int64_t high, int64_t *ret_whole,
                              struct lp_error *err)
{
    struct lp_token token;
    int64_t whole;
    LP_TRY(lp_document_next(&file->document, &token, err));
    if (token.kind == LP_TOKEN_TEXT) {
        token.kind = LP_TOKEN_NUMBER; /* parameters are texts of digits */
        token.is_whole = false;
    }
    LP_TRY(lp_token_whole(&token, what, &whole, err));
    if (whole < low || whole > high)
        return BAD(err, "%s is %lld: %lld to %lld is allowed", what, (long long)whole, (long long)low, (long long)high);
    *ret_whole = whole;
    return LP_OK;
}

static enum lp_code read_word(struct lp_xgboost *file, const char *what, char *word, struct lp_error *err)
{
    struct lp_token token;
    LP_TRY(lp_document_expect(&file->document, LP_TOKEN_TEXT, what, &token, err));
    if (token.text.size >= LP_XGBOOST_WORD_BYTES) return BAD(err, "%s has %zu bytes", what, token.text.size);
    memcpy(word, token.text.data, token.text.size);
    word[token.text.size] = '\0';
    return LP_OK;
}

static enum lp_code read_texts(struct lp_xgboost *file, const char *what, struct lp_buffer *to, struct lp_error *err)
{
    struct lp_token token;
    LP_TRY(open_array(&file->document, what, to, err));
    for (;;) {
        LP_TRY(lp_document_next(&file->document, &token, err));
        if (token.kind == LP_TOKEN_ARRAY_END) return lp_buffer_check(to, what, err);
        if (token.kind != LP_TOKEN_TEXT) return BAD(err, "%s: an entry is not a text", what);
        const char *text = lp_storage_text(&file->draft->storage, token.text.data, token.text.size, err);
        if (text == NULL) return lp_failed(err->code);
        lp_buffer_append(to, &text, sizeof text);
    }
}

/* --- the booster --- */

static enum lp_code read_parallel(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_whole(file, "num_parallel_tree", 0, INT32_MAX, &file->parallel_count, err);
}
static enum lp_code read_tree_count(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_whole(file, "num_trees", 0, INT32_MAX, &file->tree_count, err);
}
static enum lp_code read_tree_param(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {
        {"num_parallel_tree", read_parallel}, {"num_trees", read_tree_count}, {NULL, NULL}};
    return lp_xgboost_object(file, members, "gbtree_model_param", err);
}
static enum lp_code read_tree_info(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_wholes(&file->document, "tree_info", &file->tree_info, err);
}
static enum lp_code read_indptr(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_wholes(&file->document, "iteration_indptr", &file->iteration_indptr, err);
}
static enum lp_code read_weights(struct lp_xgboost *file, struct lp_error *err)
{
    file->has_weights = true;
    return lp_xgboost_floats(&file->document, "weights", &file->weights, err);
}

static enum lp_code read_trees(struct lp_xgboost *file, struct lp_error *err)
{
    struct lp_token token;
    if (file->has_trees) return BAD(err, "trees is there twice");
    file->has_trees = true;
    LP_TRY(lp_document_expect(&file->document, LP_TOKEN_ARRAY, "trees", &token, err));
    for (;;) {
        /* An end, or the object that lp_xgboost_tree_read has the document at: one token is looked at ahead. */
        struct lp_document before = file->document;
        LP_TRY(lp_document_next(&file->document, &token, err));
        if (token.kind == LP_TOKEN_ARRAY_END) return LP_OK;
        before.scratch = file->document.scratch;
        file->document = before;
        uint32_t number = lp_forest_tree_count(&file->draft->forest);
        enum lp_code rc = lp_xgboost_tree_read(file, err);
        if (rc != LP_OK) return lp_error_wrap(err, "tree %u", number);
    }
}

static enum lp_code read_model(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {{"gbtree_model_param", read_tree_param},
                                                       {"tree_info", read_tree_info},
                                                       {"iteration_indptr", read_indptr},
                                                       {"trees", read_trees},
                                                       {"cats", lp_xgboost_categories_read},
                                                       {"weights", read_weights},
                                                       {NULL, NULL}};
    return lp_xgboost_object(file, members, "model", err);
}

static enum lp_code read_booster_name(struct lp_xgboost *file, struct lp_error *err)
{
    return read_word(file, "gradient_booster.name", file->booster, err);
}
static enum lp_code read_weight_drop(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_floats(&file->document, "weight_drop", &file->weight_drop, err);
}
/* dart keeps its trees one level deeper. */
static enum lp_code read_inner(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {{"model", read_model}, {NULL, NULL}};
    return lp_xgboost_object(file, members, "gbtree", err);
}
static enum lp_code read_booster(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {{"name", read_booster_name},
                                                       {"model", read_model},
                                                       {"gbtree", read_inner},
                                                       {"weight_drop", read_weight_drop},
                                                       {NULL, NULL}};
    return lp_xgboost_object(file, members, "gradient_booster", err);
}

/* --- the learner --- */

static enum lp_code read_best(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_whole(file, "best_iteration", 0, INT32_MAX, &file->best_iteration, err);
}
static enum lp_code read_attributes(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {{"best_iteration", read_best}, {NULL, NULL}};
    return lp_xgboost_object(file, members, "attributes", err);
}
static enum lp_code read_names(struct lp_xgboost *file, struct lp_error *err)
{
    return read_texts(file, "feature_names", &file->names, err);
}
static enum lp_code read_types(struct lp_xgboost *file, struct lp_error *err)
{
    return read_texts(file, "feature_types", &file->types, err);
}

static enum lp_code read_base_score(struct lp_xgboost *file, struct lp_error *err)
{
    struct lp_token token;
    LP_TRY(lp_document_expect(&file->document, LP_TOKEN_TEXT, "base_score", &token, err));
    lp_buffer_clear(&file->base_score);
    lp_buffer_append(&file->base_score, token.text.data, token.text.size);
    lp_buffer_append(&file->base_score, "", 1);
    return lp_buffer_check(&file->base_score, "base_score", err);
}
static enum lp_code read_classes(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_whole(file, "num_class", 0, LP_BUNDLE_OUTPUTS_MAX, &file->class_count, err);
}
static enum lp_code read_targets(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_whole(file, "num_target", 0, LP_BUNDLE_OUTPUTS_MAX, &file->target_count, err);
}
static enum lp_code read_features(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_whole(file, "num_feature", 1, LP_BUNDLE_FEATURES_MAX, &file->feature_count, err);
}
static enum lp_code read_learner_param(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {{"base_score", read_base_score},
                                                       {"num_class", read_classes},
                                                       {"num_target", read_targets},
                                                       {"num_feature", read_features},
                                                       {NULL, NULL}};
    return lp_xgboost_object(file, members, "learner_model_param", err);
}

static enum lp_code read_objective_name(struct lp_xgboost *file, struct lp_error *err)
{
    return read_word(file, "objective.name", file->objective, err);
}
static enum lp_code read_objective(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {{"name", read_objective_name}, {NULL, NULL}};
    return lp_xgboost_object(file, members, "objective", err);
}

static enum lp_code read_learner(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {{"attributes", read_attributes},
                                                       {"feature_names", read_names},
                                                       {"feature_types", read_types},
                                                       {"gradient_booster", read_booster},
                                                       {"learner_model_param", read_learner_param},
                                                       {"objective", read_objective},
                                                       {NULL, NULL}};
    file->has_learner = true;
    return lp_xgboost_object(file, members, "learner", err);
}

static enum lp_code read_version(struct lp_xgboost *file, struct lp_error *err)
{
    struct lp_buffer numbers;
    lp_buffer_init(&numbers, sizeof file->version);
    enum lp_code rc = lp_xgboost_wholes(&file->document, "version", &numbers, err);
    file->version_count = (uint32_t)lp_wholes_count(&numbers);
    if (rc == LP_OK && numbers.size > 0) memcpy(file->version, numbers.data, numbers.size);
    lp_buffer_done(&numbers);
    return rc;
}

static enum lp_code read_all(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {
        {"learner", read_learner}, {"version", read_version}, {NULL, NULL}};
    struct lp_token token;
    LP_TRY(lp_xgboost_object(file, members, "the model", err));
    LP_TRY(lp_document_expect(&file->document, LP_TOKEN_END, "what follows the model", &token, err));
    return lp_xgboost_finish(file, err);
}

/* --- buffers --- */

static void each_buffer(struct lp_xgboost *file, size_t max_bytes, bool init)
{
    struct lp_xgboost_tree *tree = &file->tree;
    struct lp_buffer *const all[] = {
        &file->base_score,     &file->names,          &file->types,
        &file->vocabularies,   &file->tree_info,      &file->iteration_indptr,
        &file->weight_drop,    &file->weights,        &file->enc_offsets,
        &file->enc_values,     &tree->left,           &tree->right,
        &tree->default_left,   &tree->split_index,    &tree->split_type,
        &tree->categories,     &tree->category_nodes, &tree->category_segments,
        &tree->category_sizes, &tree->condition,      &tree->leaf_weights,
        &tree->base_weights,   &tree->nodes,          &tree->set_begin,
        &tree->set_words,      &tree->leaf_values,
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (init) lp_buffer_init(all[i], max_bytes);
        else lp_buffer_done(all[i]);
    }
}

enum lp_code lp_import_xgboost(struct lp_span bytes, bool is_binary, const struct lp_import_options *options,
                               struct lp_draft *draft, struct lp_error *err)
{
    enum { SMALL_BYTES = 32 << 20, FILE_FACTOR = 32 };
    struct lp_xgboost *file = calloc(1, sizeof *file);
    if (file == NULL) return lp_fail_memory(err, sizeof *file);
    file->draft = draft;
    file->options = options;
    file->best_iteration = -1;
    lp_document_init(&file->document, bytes, is_binary);
    each_buffer(file, SMALL_BYTES + bytes.size * FILE_FACTOR, true);
    enum lp_code rc = read_all(file, err);
    each_buffer(file, 0, false);
    lp_document_done(&file->document);
    free(file);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "XGBoost model");
}
