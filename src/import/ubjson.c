#include "core/utf8.h"
#include "import/document_private.h"

#include <string.h>

static bool take_bytes(struct lp_document *d, size_t count, uint64_t *ret_bits)
{
    uint64_t bits = 0;
    if (d->bytes.size - d->at < count) return false;
    for (size_t i = 0; i < count; i++) bits = bits << 8 | d->bytes.data[d->at + i];
    d->at += count;
    *ret_bits = bits;
    return true;
}

/* The next marker; N, which says nothing, is passed over. */
static bool take_marker(struct lp_document *d, char *ret_marker)
{
    while (d->at < d->bytes.size && d->bytes.data[d->at] == 'N') d->at++;
    if (d->at == d->bytes.size) return false;
    *ret_marker = (char)d->bytes.data[d->at++];
    return true;
}

static enum lp_code take_whole(struct lp_document *d, char type, int64_t *ret_whole, struct lp_error *err)
{
    uint64_t bits = 0;
    size_t size = type == 'i' || type == 'U' ? 1 : type == 'I' ? 2 : type == 'l' ? 4 : type == 'L' ? 8 : 0;
    if (size == 0) return LP_DOCUMENT_BAD(d, err, "a type that is no whole number where one must be");
    if (!take_bytes(d, size, &bits)) return LP_DOCUMENT_BAD(d, err, "ends in a number");
    switch (type) {
    case 'i': *ret_whole = (int8_t)bits; break;
    case 'U': *ret_whole = (uint8_t)bits; break;
    case 'I': *ret_whole = (int16_t)bits; break;
    case 'l': *ret_whole = (int32_t)bits; break;
    default: *ret_whole = (int64_t)bits; break;
    }
    return LP_OK;
}

static enum lp_code take_length(struct lp_document *d, uint64_t *ret_length, struct lp_error *err)
{
    char type;
    int64_t length;
    if (!take_marker(d, &type)) return LP_DOCUMENT_BAD(d, err, "ends before a length");
    LP_TRY(take_whole(d, type, &length, err));
    if (length < 0) return LP_DOCUMENT_BAD(d, err, "a length below 0");
    *ret_length = (uint64_t)length;
    return LP_OK;
}

static enum lp_code take_text(struct lp_document *d, struct lp_span *ret_text, struct lp_error *err)
{
    uint64_t length;
    LP_TRY(take_length(d, &length, err));
    if (length > d->bytes.size - d->at) return LP_DOCUMENT_BAD(d, err, "a text longer than the file");
    if (length > LP_DOCUMENT_TEXT_MAX_BYTES)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "byte %zu: a text of %llu bytes, at most %d are read", d->at,
                       (unsigned long long)length, LP_DOCUMENT_TEXT_MAX_BYTES);
    *ret_text = lp_span_of(d->bytes.data + d->at, (size_t)length);
    if (!lp_utf8_valid(ret_text->data, ret_text->size)) return LP_DOCUMENT_BAD(d, err, "a text that is not UTF-8");
    d->at += (size_t)length;
    return LP_OK;
}

/* Behind [ or {: $type, #count. */
static enum lp_code open_container(struct lp_document *d, bool is_array, struct lp_error *err)
{
    LP_TRY(lp_document_push(d, is_array, err));
    struct lp_document_level *level = lp_document_level(d);
    if (d->at < d->bytes.size && d->bytes.data[d->at] == '$') {
        d->at++;
        if (!take_marker(d, &level->type)) return LP_DOCUMENT_BAD(d, err, "ends before a type");
        if (strchr("iUIlLdDSC", level->type) == NULL || level->type == '\0')
            return LP_DOCUMENT_BAD(d, err, "a typed container of what is no number and no text");
        if (d->at == d->bytes.size || d->bytes.data[d->at] != '#')
            return LP_DOCUMENT_BAD(d, err, "a typed container without a count");
    }
    if (d->at < d->bytes.size && d->bytes.data[d->at] == '#') {
        d->at++;
        level->is_counted = true;
        return take_length(d, &level->left, err);
    }
    return LP_OK;
}

static enum lp_code take_real(struct lp_document *d, char type, struct lp_token *token, struct lp_error *err)
{
    uint64_t bits = 0;
    if (!take_bytes(d, type == 'd' ? 4 : 8, &bits)) return LP_DOCUMENT_BAD(d, err, "ends in a number");
    token->kind = LP_TOKEN_NUMBER;
    if (type == 'd') {
        uint32_t low = (uint32_t)bits;
        float single;
        memcpy(&single, &low, sizeof single);
        token->real = (double)single;
    } else {
        memcpy(&token->real, &bits, sizeof bits);
    }
    return LP_OK;
}

static enum lp_code take_value(struct lp_document *d, char type, struct lp_token *token, struct lp_error *err)
{
    switch (type) {
    case '{':
    case '[': token->kind = type == '{' ? LP_TOKEN_OBJECT : LP_TOKEN_ARRAY; return open_container(d, type == '[', err);
    case 'S': token->kind = LP_TOKEN_TEXT; return take_text(d, &token->text, err);
    case 'C':
        if (d->at == d->bytes.size || d->bytes.data[d->at] > 127) return LP_DOCUMENT_BAD(d, err, "no character");
        token->kind = LP_TOKEN_TEXT;
        token->text = lp_span_of(d->bytes.data + d->at++, 1);
        return LP_OK;
    case 'T': token->kind = LP_TOKEN_TRUE; return LP_OK;
    case 'F': token->kind = LP_TOKEN_FALSE; return LP_OK;
    case 'Z': token->kind = LP_TOKEN_NULL; return LP_OK;
    case 'd':
    case 'D': return take_real(d, type, token, err);
    case 'i':
    case 'U':
    case 'I':
    case 'l':
    case 'L':
        token->kind = LP_TOKEN_NUMBER;
        token->is_whole = true;
        return take_whole(d, type, &token->whole, err);
    case 'H': return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "byte %zu: a number of high precision", d->at);
    default: return LP_DOCUMENT_BAD(d, err, "a type that UBJSON does not have");
    }
}

static enum lp_code close_container(struct lp_document *d, struct lp_token *token)
{
    token->kind = lp_document_level(d)->is_array ? LP_TOKEN_ARRAY_END : LP_TOKEN_OBJECT_END;
    d->depth--;
    return LP_OK;
}

/* Inside a container: its end, a key, or a value. */
static enum lp_code next_inside(struct lp_document *d, struct lp_document_level *level, struct lp_token *token,
                                struct lp_error *err)
{
    char marker = level->type;
    if (level->has_key) {
        level->has_key = false;
    } else {
        if (level->is_counted && level->left-- == 0) return close_container(d, token);
        if (!level->is_counted && d->at < d->bytes.size) {
            while (d->at < d->bytes.size && d->bytes.data[d->at] == 'N') d->at++;
            if (d->at < d->bytes.size && d->bytes.data[d->at] == (level->is_array ? ']' : '}')) {
                d->at++;
                return close_container(d, token);
            }
        }
        if (!level->is_array) {
            level->has_key = true;
            token->kind = LP_TOKEN_KEY;
            return take_text(d, &token->text, err);
        }
    }
    if (marker == 0 && !take_marker(d, &marker)) return LP_DOCUMENT_BAD(d, err, "ends in an object or array");
    return take_value(d, marker, token, err);
}

enum lp_code lp_ubjson_next(struct lp_document *d, struct lp_token *token, struct lp_error *err)
{
    struct lp_document_level *level = lp_document_level(d);
    char marker;
    if (level != NULL) return next_inside(d, level, token, err);
    if (!take_marker(d, &marker)) return LP_OK;
    if (d->is_started) return LP_DOCUMENT_BAD(d, err, "something behind the document's end");
    d->is_started = true;
    return take_value(d, marker, token, err);
}
