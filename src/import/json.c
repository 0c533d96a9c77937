#include "core/utf8.h"
#include "import/document_private.h"

#include <string.h>

static int peek(struct lp_document *d)
{
    while (d->at < d->bytes.size) {
        unsigned char c = d->bytes.data[d->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return c;
        d->at++;
    }
    return -1;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Four digits behind \u. */
static bool take_unit(struct lp_document *d, uint32_t *ret_unit)
{
    uint32_t unit = 0;
    if (d->bytes.size - d->at < 4) return false;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(d->bytes.data[d->at + (size_t)i]);
        if (digit < 0) return false;
        unit = unit << 4 | (uint32_t)digit;
    }
    d->at += 4;
    *ret_unit = unit;
    return true;
}

static void put_utf8(struct lp_buffer *out, uint32_t code)
{
    unsigned char text[4];
    size_t size = 0;
    if (code < 0x80) {
        text[size++] = (unsigned char)code;
    } else if (code < 0x800) {
        text[size++] = (unsigned char)(0xc0 | code >> 6);
    } else if (code < 0x10000) {
        text[size++] = (unsigned char)(0xe0 | code >> 12);
        text[size++] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
    } else {
        text[size++] = (unsigned char)(0xf0 | code >> 18);
        text[size++] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
        text[size++] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
    }
    if (code >= 0x80) text[size++] = (unsigned char)(0x80 | (code & 0x3f));
    lp_buffer_append(out, text, size);
}

static enum lp_code take_escape(struct lp_document *d, struct lp_error *err)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (d->at == d->bytes.size) return LP_DOCUMENT_BAD(d, err, "ends in a text");
    unsigned char c = d->bytes.data[d->at++];
    const char *known = c != '\0' ? strchr(from, c) : NULL;
    if (known != NULL) {
        lp_buffer_append(&d->scratch, &to[known - from], 1);
        return LP_OK;
    }
    uint32_t code, low;
    if (c != 'u' || !take_unit(d, &code)) return LP_DOCUMENT_BAD(d, err, "an escape that JSON does not have");
    if (code >= 0xd800 && code < 0xdc00) {
        bool pair = d->bytes.size - d->at >= 2 && memcmp(d->bytes.data + d->at, "\\u", 2) == 0;
        if (pair) d->at += 2;
        if (!pair || !take_unit(d, &low) || low < 0xdc00 || low > 0xdfff)
            return LP_DOCUMENT_BAD(d, err, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff) {
        return LP_DOCUMENT_BAD(d, err, "half of a surrogate pair");
    }
    put_utf8(&d->scratch, code);
    return LP_OK;
}

/* Behind the opening quote. */
static enum lp_code take_text(struct lp_document *d, struct lp_span *ret_text, struct lp_error *err)
{
    lp_buffer_clear(&d->scratch);
    for (;;) {
        size_t begin = d->at;
        while (d->at < d->bytes.size && d->bytes.data[d->at] != '"' && d->bytes.data[d->at] != '\\' &&
               d->bytes.data[d->at] >= 0x20)
            d->at++;
        lp_buffer_append(&d->scratch, d->bytes.data + begin, d->at - begin);
        if (d->at == d->bytes.size) return LP_DOCUMENT_BAD(d, err, "ends in a text");
        unsigned char c = d->bytes.data[d->at++];
        if (c == '"') break;
        if (c != '\\') return LP_DOCUMENT_BAD(d, err, "a control character in a text");
        LP_TRY(take_escape(d, err));
    }
    LP_TRY(lp_buffer_check(&d->scratch, "a text", err));
    if (!lp_utf8_valid(d->scratch.data, d->scratch.size)) return LP_DOCUMENT_BAD(d, err, "a text that is not UTF-8");
    *ret_text = lp_span_of(d->scratch.data != NULL ? d->scratch.data : (const unsigned char *)"", d->scratch.size);
    return LP_OK;
}

static enum lp_code take_word(struct lp_document *d, struct lp_token *token, struct lp_error *err)
{
    size_t begin = d->at;
    while (d->at < d->bytes.size) {
        unsigned char c = d->bytes.data[d->at];
        bool part = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                    c == '+' || c == '.';
        if (!part) break;
        d->at++;
    }
    struct lp_span word = lp_span_of(d->bytes.data + begin, d->at - begin);
    if (word.size == 0) return LP_DOCUMENT_BAD(d, err, "not JSON");
    unsigned char c = word.data[0];
    token->text = word;
    if (c == '-' || (c >= '0' && c <= '9') || lp_span_is(word, "NaN") || lp_span_is(word, "Infinity")) {
        token->kind = LP_TOKEN_NUMBER;
        return LP_OK;
    }
    if (lp_span_is(word, "true")) token->kind = LP_TOKEN_TRUE;
    else if (lp_span_is(word, "false")) token->kind = LP_TOKEN_FALSE;
    else if (lp_span_is(word, "null")) token->kind = LP_TOKEN_NULL;
    else return LP_DOCUMENT_BAD(d, err, "a word that JSON does not have");
    return LP_OK;
}

static enum lp_code take_value(struct lp_document *d, int c, struct lp_token *token, struct lp_error *err)
{
    if (c == '{' || c == '[') {
        d->at++;
        token->kind = c == '{' ? LP_TOKEN_OBJECT : LP_TOKEN_ARRAY;
        return lp_document_push(d, c == '[', err);
    }
    if (c == '"') {
        d->at++;
        token->kind = LP_TOKEN_TEXT;
        return take_text(d, &token->text, err);
    }
    return take_word(d, token, err);
}

static enum lp_code take_key(struct lp_document *d, struct lp_token *token, struct lp_error *err)
{
    if (peek(d) != '"') return LP_DOCUMENT_BAD(d, err, "a key is missing");
    d->at++;
    token->kind = LP_TOKEN_KEY;
    LP_TRY(take_text(d, &token->text, err));
    if (peek(d) != ':') return LP_DOCUMENT_BAD(d, err, "a colon is missing");
    d->at++;
    return LP_OK;
}

enum lp_code lp_json_next(struct lp_document *d, struct lp_token *token, struct lp_error *err)
{
    struct lp_document_level *level = lp_document_level(d);
    int c = peek(d);
    if (level == NULL) {
        if (!d->is_started && c >= 0) {
            d->is_started = true;
            return take_value(d, c, token, err);
        }
        if (c >= 0) return LP_DOCUMENT_BAD(d, err, "something behind the document's end");
        return LP_OK;
    }
    if (c < 0) return LP_DOCUMENT_BAD(d, err, "ends in an object or array");
    if (level->has_key) {
        level->has_key = false;
        return take_value(d, c, token, err);
    }
    if (c == (level->is_array ? ']' : '}')) {
        d->at++;
        d->depth--;
        token->kind = level->is_array ? LP_TOKEN_ARRAY_END : LP_TOKEN_OBJECT_END;
        return LP_OK;
    }
    if (level->has_value) {
        if (c != ',') return LP_DOCUMENT_BAD(d, err, "a comma is missing");
        d->at++;
        c = peek(d);
    }
    level->has_value = true;
    if (level->is_array) return take_value(d, c, token, err);
    level->has_key = true;
    return take_key(d, token, err);
}
