/* What JSON and UBJSON share. Private to import/. */
#ifndef LP_IMPORT_DOCUMENT_PRIVATE_H
#define LP_IMPORT_DOCUMENT_PRIVATE_H

#include "import/document.h"

#define LP_DOCUMENT_BAD(document, err, what) \
    lp_fail((err), LP_E_INVALID, LP_FATAL, "byte %zu: %s", (document)->at, (what))

LP_MUST_USE enum lp_code lp_json_next(struct lp_document *document, struct lp_token *token, struct lp_error *err);
LP_MUST_USE enum lp_code lp_ubjson_next(struct lp_document *document, struct lp_token *token, struct lp_error *err);

/** Open a level; LP_E_LIMIT when too deep. */
LP_MUST_USE enum lp_code lp_document_push(struct lp_document *document, bool is_array, struct lp_error *err);

static inline struct lp_document_level *lp_document_level(struct lp_document *document)
{
    return document->depth > 0 ? &document->levels[document->depth - 1] : NULL;
}

#endif
