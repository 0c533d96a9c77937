/*
 * JSON text and UBJSON bytes as one stream of tokens, read forward without a tree, so that a model takes the memory of
 * the arrays that are kept. JSON: RFC 8259, and NaN, Infinity, -Infinity, which XGBoost writes. UBJSON: draft 12,
 * ubjson.org; numbers big-endian; counted and typed containers; types without bytes in typed containers are refused
 * (2^63 of them fit in twenty bytes).
 */
#ifndef LP_IMPORT_DOCUMENT_H
#define LP_IMPORT_DOCUMENT_H

#include "core/buffer.h"
#include "core/error.h"
#include "core/span.h"

#include <stdbool.h>
#include <stdint.h>

enum { LP_DOCUMENT_DEPTH_MAX = 32, LP_DOCUMENT_TEXT_MAX_BYTES = 16 << 20, LP_DOCUMENT_NUMBER_MAX_BYTES = 512 };

enum lp_token_kind {
    LP_TOKEN_OBJECT,
    LP_TOKEN_OBJECT_END,
    LP_TOKEN_ARRAY,
    LP_TOKEN_ARRAY_END,
    LP_TOKEN_KEY,
    LP_TOKEN_TEXT,
    LP_TOKEN_NUMBER,
    LP_TOKEN_TRUE,
    LP_TOKEN_FALSE,
    LP_TOKEN_NULL,
    LP_TOKEN_END, /* of the document, and nothing behind it */
};

struct lp_token {
    enum lp_token_kind kind;
    struct lp_span text; /* KEY, TEXT: unescaped UTF-8 until the next token; NUMBER of JSON: its digits; else absent */
    bool is_whole;       /* NUMBER of UBJSON */
    int64_t whole;       /* is_whole */
    double real;         /* NUMBER of UBJSON that is not whole */
};

/* A container that is open. */
struct lp_document_level {
    bool is_array, is_counted;
    bool has_value; /* JSON: an entry was read, so that a comma comes next; objects: a key waits for its value */
    bool has_key;
    char type;     /* UBJSON: of all entries, or 0 */
    uint64_t left; /* is_counted: entries to come */
};

struct lp_document {
    struct lp_span bytes; /* borrowed */
    size_t at;
    bool is_binary, is_started;
    uint32_t depth;
    struct lp_document_level levels[LP_DOCUMENT_DEPTH_MAX];
    struct lp_buffer scratch;
};

/** @param bytes borrowed until _done */
void lp_document_init(struct lp_document *document, struct lp_span bytes, bool is_binary);
void lp_document_done(struct lp_document *document);

/** The next token; LP_E_INVALID with the byte where it is wrong, LP_E_LIMIT (depth, length of a text). */
LP_MUST_USE enum lp_code lp_document_next(struct lp_document *document, struct lp_token *ret_token,
                                          struct lp_error *err);

/** The next token, which must be of this kind. `what` names it in the error. */
LP_MUST_USE enum lp_code lp_document_expect(struct lp_document *document, enum lp_token_kind kind, const char *what,
                                            struct lp_token *ret_token, struct lp_error *err);

/** Pass over the value that comes next. */
LP_MUST_USE enum lp_code lp_document_skip(struct lp_document *document, struct lp_error *err);

/** A number token as float, rounded once from its digits; infinities and NaN as they are. */
LP_MUST_USE enum lp_code lp_token_float(const struct lp_token *token, const char *what, float *ret_number,
                                        struct lp_error *err);
/** A number token as a whole number of 64 bits. */
LP_MUST_USE enum lp_code lp_token_whole(const struct lp_token *token, const char *what, int64_t *ret_whole,
                                        struct lp_error *err);

#endif
