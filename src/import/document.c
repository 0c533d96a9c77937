#include "import/document_private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void lp_document_init(struct lp_document *document, struct lp_span bytes, bool is_binary)
{
    *document = (struct lp_document){.bytes = bytes, .is_binary = is_binary};
    lp_buffer_init(&document->scratch, LP_DOCUMENT_TEXT_MAX_BYTES);
}

void lp_document_done(struct lp_document *document) { lp_buffer_done(&document->scratch); }

enum lp_code lp_document_push(struct lp_document *document, bool is_array, struct lp_error *err)
{
    if (document->depth == LP_DOCUMENT_DEPTH_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "byte %zu: nested more than %d deep", document->at,
                       LP_DOCUMENT_DEPTH_MAX);
    document->levels[document->depth++] = (struct lp_document_level){.is_array = is_array};
    return LP_OK;
}

enum lp_code lp_document_next(struct lp_document *document, struct lp_token *ret_token, struct lp_error *err)
{
    *ret_token = (struct lp_token){.kind = LP_TOKEN_END};
    return document->is_binary ? lp_ubjson_next(document, ret_token, err) : lp_json_next(document, ret_token, err);
}

enum lp_code lp_document_expect(struct lp_document *document, enum lp_token_kind kind, const char *what,
                                struct lp_token *ret_token, struct lp_error *err)
{
    static const char *const names[] = {
        [LP_TOKEN_OBJECT] = "an object", [LP_TOKEN_ARRAY] = "an array", [LP_TOKEN_TEXT] = "a text",
        [LP_TOKEN_NUMBER] = "a number",  [LP_TOKEN_END] = "the end",
    };
    LP_TRY(lp_document_next(document, ret_token, err));
    if (ret_token->kind == kind) return LP_OK;
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "byte %zu: %s is not %s", document->at, what,
                   names[kind] != NULL ? names[kind] : "what is expected");
}

enum lp_code lp_document_skip(struct lp_document *document, struct lp_error *err)
{
    uint32_t depth = document->depth;
    struct lp_token token;
    do {
        LP_TRY(lp_document_next(document, &token, err));
        if (token.kind == LP_TOKEN_END) return LP_DOCUMENT_BAD(document, err, "ends before its value");
    } while (document->depth > depth);
    return LP_OK;
}

/* The digits as text that strtof and strtod can read. */
static enum lp_code copy_digits(const struct lp_token *token, const char *what, char *text, struct lp_error *err)
{
    if (token->text.size >= LP_DOCUMENT_NUMBER_MAX_BYTES)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: a number of %zu digits, at most %d are read", what,
                       token->text.size, LP_DOCUMENT_NUMBER_MAX_BYTES - 1);
    memcpy(text, token->text.data, token->text.size);
    text[token->text.size] = '\0';
    return LP_OK;
}

enum lp_code lp_token_float(const struct lp_token *token, const char *what, float *ret_number, struct lp_error *err)
{
    if (token->kind != LP_TOKEN_NUMBER) return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: not a number", what);
    if (token->text.data == NULL) {
        *ret_number = token->is_whole ? (float)token->whole : (float)token->real;
        return LP_OK;
    }
    char text[LP_DOCUMENT_NUMBER_MAX_BYTES], *end;
    LP_TRY(copy_digits(token, what, text, err));
    float number = strtof(text, &end);
    if (end == text || *end != '\0' || strpbrk(text, "xXpP") != NULL)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: `%.40s` is not a number", what, text);
    *ret_number = number;
    return LP_OK;
}

enum lp_code lp_token_whole(const struct lp_token *token, const char *what, int64_t *ret_whole, struct lp_error *err)
{
    if (token->kind == LP_TOKEN_NUMBER && token->text.data == NULL && token->is_whole) {
        *ret_whole = token->whole;
        return LP_OK;
    }
    if (token->kind == LP_TOKEN_TRUE || token->kind == LP_TOKEN_FALSE) {
        *ret_whole = token->kind == LP_TOKEN_TRUE;
        return LP_OK;
    }
    if (token->kind == LP_TOKEN_NUMBER && token->text.data != NULL) {
        char text[LP_DOCUMENT_NUMBER_MAX_BYTES], *end;
        LP_TRY(copy_digits(token, what, text, err));
        errno = 0;
        long long whole = strtoll(text, &end, 10);
        if (errno == 0 && end != text && *end == '\0') {
            *ret_whole = whole;
            return LP_OK;
        }
    }
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: not a whole number of 64 bits", what);
}
