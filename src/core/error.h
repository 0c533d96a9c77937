/* Filling struct lp_error, and the two control-flow macros of the house. */
#ifndef LP_CORE_ERROR_H
#define LP_CORE_ERROR_H

#include "lepton/error.h"

#include <stddef.h>

enum lp_code lp_error_fill(struct lp_error *err, enum lp_code code, enum lp_action action, const char *field,
                           const char *format, ...) __attribute__((cold, noinline, format(printf, 5, 6)));
enum lp_code lp_error_fill_memory(struct lp_error *err, unsigned long bytes) __attribute__((cold, noinline));
enum lp_code lp_error_prefix(struct lp_error *err, const char *format, ...)
    __attribute__((cold, noinline, format(printf, 2, 3)));

/* Tells the compiler what it cannot see: a failure is never LP_OK, so that what success would have written is not read.
 */
static inline enum lp_code lp_failed(enum lp_code code)
{
    if (code == LP_OK) __builtin_unreachable();
    return code;
}

/**
 * Fill `err` and return `code` (not LP_OK), so that a failure is one line: `return lp_fail(err, ...)`.
 * Arguments: err, code, action, printf format and its values. Clears `err->field`; text past LP_ERROR_TEXT_BYTES is
 * cut.
 */
#define lp_fail(err, code, action, ...) lp_failed(lp_error_fill(err, code, action, NULL, __VA_ARGS__))

/** As lp_fail, and names the record field or key that failed (copied, cut when too long; NULL: none) before the format.
 */
#define lp_fail_field(err, code, action, field, ...) lp_failed(lp_error_fill(err, code, action, field, __VA_ARGS__))

/** Put "prefix: " before the text that `err` already has; returns err->code. */
#define lp_error_wrap(err, ...) lp_failed(lp_error_prefix(err, __VA_ARGS__))

/** The usual text for a failed allocation of `bytes`. */
#define lp_fail_memory(err, bytes) lp_failed(lp_error_fill_memory(err, bytes))

/** Short stable name of a code, for headers, metrics and logs ("invalid", "limit", ...). */
const char *lp_code_name(enum lp_code code);

/** Return the code of a failed call at once. */
#define LP_TRY(call)                                                       \
    do {                                                                   \
        enum lp_code lp_try_code = (call);                                 \
        if (__builtin_expect(lp_try_code != LP_OK, 0)) return lp_try_code; \
    } while (0)

/** Leave through `out:` with `rc` set; for functions that clean up. */
#define LP_GUARD(call)                                  \
    do {                                                \
        rc = (call);                                    \
        if (__builtin_expect(rc != LP_OK, 0)) goto out; \
    } while (0)

#endif
