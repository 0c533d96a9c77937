/*
 * Private to publish/: the nested record `copied` of a prediction, the input fields that output.copy names.
 *
 * Every member is a union of null and its type with default null, so that any two lists can read one another as long
 * as a member keeps its type. A string member holds any scalar, as its text (decode/want.h): an id of 64 bits stays
 * what it is.
 */
#ifndef LP_PUBLISH_COPIED_H
#define LP_PUBLISH_COPIED_H

#include "publish/prediction.h"

enum { LP_COPIED_MAX = 64 };

struct lp_copied {
    struct lp_copied_field fields[LP_COPIED_MAX];
    char *names[LP_COPIED_MAX]; /* owned, as the fields' paths */
    uint32_t count;
};

/** One member more. LP_E_INVALID/LP_FATAL: an unknown type, an empty path, a name that another one has; LP_E_LIMIT. */
LP_MUST_USE enum lp_code lp_copied_add(struct lp_copied *copied, const char *text, struct lp_error *err);
void lp_copied_done(struct lp_copied *copied);
/** The prediction's field, as JSON text. */
void lp_copied_schema(const struct lp_copied *copied, struct lp_buffer *out);

#endif
