/*
 * The `cats` of XGBoost 3.1 on: one entry a feature. Names of categories are UTF-8 bytes, as signed numbers, cut by
 * offsets; categories that were numbers are `values` with a `type`. Category i is what the trees call i.
 */
#include "import/xgboost.h"

#define BAD(err, ...) lp_fail((err), LP_E_INVALID, LP_FATAL, __VA_ARGS__)

static enum lp_code read_offsets(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_wholes(&file->document, "cats: offsets", &file->enc_offsets, err);
}

/* Whole numbers of 64 bits, never through a double: names of categories beyond 2^53 must stay what they are. XGBoost
 * itself refuses categories that are not whole. */
static enum lp_code read_values(struct lp_xgboost *file, struct lp_error *err)
{
    return lp_xgboost_wholes(&file->document, "cats: values", &file->enc_values, err);
}

/* Made from pandas, a name's length is counted in characters, and so names behind one that is not ASCII are cut wrong.
 */
static bool is_plain(const struct lp_xgboost *file)
{
    const int64_t *values = lp_wholes(&file->enc_values);
    for (size_t i = 0; i < lp_wholes_count(&file->enc_values); i++)
        if (values[i] < 0x20 || values[i] >= 0x7f) return false;
    return true;
}

static enum lp_code take_name(struct lp_xgboost *file, size_t i, const char **ret_text, struct lp_error *err)
{
    int64_t count = (int64_t)lp_wholes_count(&file->enc_values);
    int64_t begin = lp_wholes(&file->enc_offsets)[i], end = lp_wholes(&file->enc_offsets)[i + 1];
    if (begin < 0 || end < begin || end > count)
        return BAD(err, "cats: name %zu is %lld to %lld of %lld bytes", i, (long long)begin, (long long)end,
                   (long long)count);
    size_t size = (size_t)(end - begin);
    unsigned char *text = lp_storage_take(&file->draft->storage, size + 1, 1, err);
    if (text == NULL) return lp_failed(err->code);
    for (size_t k = 0; k < size; k++)
        text[k] = (unsigned char)lp_wholes(&file->enc_values)[(size_t)begin + k]; /* ASCII */
    *ret_text = (const char *)text;
    return LP_OK;
}

static enum lp_code take_number(struct lp_xgboost *file, size_t i, const char **ret_text, struct lp_error *err)
{
    struct lp_buffer text;
    lp_buffer_init(&text, 64);
    lp_buffer_format(&text, "%lld", (long long)lp_wholes(&file->enc_values)[i]);
    *ret_text = lp_storage_text(&file->draft->storage, text.data, text.size, err);
    lp_buffer_done(&text);
    return *ret_text != NULL ? LP_OK : err->code;
}

static enum lp_code read_entry(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {
        {"offsets", read_offsets}, {"values", read_values}, {NULL, NULL}};
    lp_buffer_clear(&file->enc_offsets);
    lp_buffer_clear(&file->enc_values);
    LP_TRY(lp_xgboost_object(file, members, "cats: an entry", err));
    bool named = file->enc_offsets.size > 0;
    size_t count = named ? lp_wholes_count(&file->enc_offsets) - 1 : lp_wholes_count(&file->enc_values);
    if (count > LP_BUNDLE_COLUMNS_MAX) return lp_fail(err, LP_E_LIMIT, LP_FATAL, "cats: %zu categories", count);
    struct lp_draft_feature feature = {.vocabulary_count = (uint32_t)count};
    if (named && !is_plain(file)) {
        lp_buffer_format(&file->draft->notes,
                         "feature %zu: its categories have names beyond ASCII, which XGBoost cuts wrongly when they "
                         "come from pandas: records must carry the codes, or a spec the vocabulary (--print-spec)\n",
                         file->vocabularies.size / sizeof feature);
        feature.vocabulary_count = 0;
        count = 0;
    }
    const char **texts = lp_storage_take(&file->draft->storage, count, sizeof *texts, err);
    if (texts == NULL) return lp_failed(err->code);
    for (size_t i = 0; i < count; i++)
        LP_TRY(named ? take_name(file, i, &texts[i], err) : take_number(file, i, &texts[i], err));
    feature.vocabulary = texts;
    lp_buffer_append(&file->vocabularies, &feature, sizeof feature);
    return lp_buffer_check(&file->vocabularies, "cats", err);
}

static enum lp_code read_encodings(struct lp_xgboost *file, struct lp_error *err)
{
    struct lp_token token;
    if (file->vocabularies.size > 0) return BAD(err, "cats is there twice");
    LP_TRY(lp_document_expect(&file->document, LP_TOKEN_ARRAY, "cats: enc", &token, err));
    for (;;) {
        struct lp_document before = file->document;
        LP_TRY(lp_document_next(&file->document, &token, err));
        if (token.kind == LP_TOKEN_ARRAY_END) return LP_OK;
        before.scratch = file->document.scratch;
        file->document = before;
        LP_TRY(read_entry(file, err));
    }
}

enum lp_code lp_xgboost_categories_read(struct lp_xgboost *file, struct lp_error *err)
{
    static const struct lp_xgboost_member members[] = {{"enc", read_encodings}, {NULL, NULL}};
    return lp_xgboost_object(file, members, "cats", err);
}
