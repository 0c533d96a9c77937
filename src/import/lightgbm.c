/*
 * LightGBM's text: a head of `key=value` lines, trees, `end of trees`, importances and parameters that prediction does
 * not need, and what the Python package adds about pandas. Source: microsoft/LightGBM src/boosting/gbdt_model_text.cpp,
 * src/io/tree.cpp of 3.3 and 4.x.
 */
#include "import/lightgbm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BAD(err, ...) lp_fail((err), LP_E_INVALID, LP_FATAL, __VA_ARGS__)

static uint32_t count_words(struct lp_span text)
{
    struct lp_span word;
    uint32_t count = 0;
    while (lp_word_next(&text, &word)) count++;
    return count;
}

static enum lp_code read_head_line(struct lp_lightgbm *file, const struct lp_line *line, struct lp_error *err)
{
    struct lp_span value = line->value;
    if (!line->has_value) {
        if (lp_span_is(line->key, "average_output")) file->averages = true;
        return LP_OK;
    }
    if (lp_span_is(line->key, "version")) file->version = value;
    else if (lp_span_is(line->key, "objective")) file->objective = value;
    else if (lp_span_is(line->key, "feature_names")) file->names = value;
    else if (lp_span_is(line->key, "feature_infos")) file->infos = value;
    else if (lp_span_is(line->key, "tree_sizes")) file->size_count = count_words(value);
    else if (lp_span_is(line->key, "num_class"))
        return lp_word_whole(value, "num_class", 1, LP_BUNDLE_OUTPUTS_MAX, &file->class_count, err);
    else if (lp_span_is(line->key, "num_tree_per_iteration"))
        return lp_word_whole(value, "num_tree_per_iteration", 1, LP_BUNDLE_OUTPUTS_MAX, &file->trees_per_iteration,
                             err);
    else if (lp_span_is(line->key, "max_feature_idx"))
        return lp_word_whole(value, "max_feature_idx", 0, LP_BUNDLE_FEATURES_MAX - 1, &file->feature_max, err);
    return LP_OK;
}

static enum lp_code read_tree(struct lp_lightgbm *file, struct lp_span index, struct lp_error *err)
{
    uint32_t number = lp_forest_tree_count(&file->draft->forest);
    int64_t stated;
    LP_TRY(lp_word_whole(index, "Tree", 0, INT32_MAX, &stated, err));
    if (stated != number) return BAD(err, "Tree=%lld where tree %u comes next", (long long)stated, number);
    enum lp_code rc = lp_lightgbm_tree_read(file, err);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "tree %u", number);
}

/* Behind the trees only the last line says something about prediction. */
static void read_tail(struct lp_lightgbm *file)
{
    static const char key[] = "pandas_categorical:";
    struct lp_line line;
    while (lp_lines_next(&file->lines, &line)) {
        size_t size = line.has_value ? line.key.size + 1 + line.value.size : line.key.size;
        if (size < sizeof key - 1 || memcmp(line.key.data, key, sizeof key - 1) != 0) continue;
        file->pandas = lp_span_of(line.key.data + (sizeof key - 1), size - (sizeof key - 1));
    }
}

static enum lp_code read_lines(struct lp_lightgbm *file, struct lp_error *err)
{
    struct lp_line line;
    if (!lp_lines_next(&file->lines, &line) || line.has_value || !lp_span_is(line.key, "tree"))
        return BAD(err, "it does not begin with the line `tree`");
    while (!file->has_end && lp_lines_next(&file->lines, &line)) {
        if (line.has_value && lp_span_is(line.key, "Tree")) LP_TRY(read_tree(file, line.value, err));
        else if (!line.has_value && lp_span_is(line.key, "end of trees")) file->has_end = true;
        else if (lp_forest_tree_count(&file->draft->forest) == 0) LP_TRY(read_head_line(file, &line, err));
        else if (line.key.size > 0) return BAD(err, "a line between trees that belongs to none");
    }
    if (!file->has_end) return BAD(err, "it has no line `end of trees`: it is cut short");
    read_tail(file);
    return LP_OK;
}

static enum lp_code check_version(const struct lp_lightgbm *file, struct lp_error *err)
{
    if (lp_span_is(file->version, "v3") || lp_span_is(file->version, "v4")) return LP_OK;
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "version %.*s: v3 and v4, of LightGBM 3.x and 4.x, can be imported",
                   (int)(file->version.size < 40 ? file->version.size : 40), (const char *)file->version.data);
}

static enum lp_code check_nodes(const struct lp_draft *draft, struct lp_error *err)
{
    const int32_t *column = (const void *)draft->forest.column.data;
    size_t count = draft->forest.column.size / sizeof *column;
    for (size_t i = 0; i < count; i++)
        if (column[i] >= 0 && (uint32_t)column[i] >= draft->column_count)
            return BAD(err, "a node splits feature %d of %u", column[i], draft->column_count);
    const uint32_t *term = (const void *)draft->forest.linear_column.data;
    count = draft->forest.linear_column.size / sizeof *term;
    for (size_t i = 0; i < count; i++)
        if (term[i] >= draft->column_count)
            return BAD(err, "a linear leaf has feature %u of %u", term[i], draft->column_count);
    return LP_OK;
}

static enum lp_code finish(struct lp_lightgbm *file, struct lp_error *err)
{
    struct lp_draft *draft = file->draft;
    uint32_t count = lp_forest_tree_count(&draft->forest), each = (uint32_t)file->trees_per_iteration;
    if (file->feature_max < 0) return BAD(err, "max_feature_idx is missing");
    if (each == 0) return BAD(err, "num_tree_per_iteration is missing");
    if (count != file->size_count) return BAD(err, "%u trees, but tree_sizes has %u entries", count, file->size_count);
    if (count % each != 0) return BAD(err, "%u trees are no whole iterations of %u", count, each);
    LP_TRY(check_version(file, err));
    snprintf(draft->source, sizeof draft->source, "lightgbm %.*s", (int)file->version.size,
             (const char *)file->version.data);
    draft->compare = LP_TREES_LIGHTGBM;
    draft->column_count = draft->feature_count = (uint32_t)file->feature_max + 1;
    draft->output_count = each;
    if (file->averages && count > 0) draft->divisor = (double)(count / each);
    uint32_t *output = (void *)draft->forest.output.data;
    for (uint32_t i = 0; i < count; i++) output[i] = i % each;
    LP_TRY(lp_lightgbm_objective(file, err));
    LP_TRY(lp_lightgbm_features(file, err));
    LP_TRY(lp_forest_finish(&draft->forest, err));
    return check_nodes(draft, err);
}

enum lp_code lp_import_lightgbm(struct lp_span bytes, struct lp_draft *draft, struct lp_error *err)
{
    enum { SMALL_BYTES = 32 << 20, FILE_FACTOR = 32 };
    struct lp_lightgbm *file = calloc(1, sizeof *file);
    if (file == NULL) return lp_fail_memory(err, sizeof *file);
    file->lines.bytes = bytes;
    file->draft = draft;
    file->feature_max = -1;
    draft->forest.allows_infinity = true;
    lp_lightgbm_tree_init(&file->tree, SMALL_BYTES + bytes.size * FILE_FACTOR);
    enum lp_code rc = read_lines(file, err);
    if (rc != LP_OK) rc = lp_error_wrap(err, "line %u", file->lines.number);
    if (rc == LP_OK) rc = finish(file, err);
    lp_lightgbm_tree_done(&file->tree);
    free(file);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "LightGBM model");
}
