/* Filling struct lp_error, and the two control-flow macros of the house. */
#ifndef LP_CORE_ERROR_H
#define LP_CORE_ERROR_H

#include "lepton/error.h"

#include <stdarg.h>

/**
 * Fill `err` and return `code`, so that a failure is one line: `return lp_fail(err, ...)`.
 * Clears `err->field`; text past LP_ERROR_TEXT_BYTES is cut. Cold path only.
 */
enum lp_code lp_fail(struct lp_error *err, enum lp_code code, enum lp_action action, const char *format, ...)
    __attribute__((cold, noinline, format(printf, 4, 5)));

/** As lp_fail, and names the record field or key that failed (copied, cut when too long; NULL: none). */
enum lp_code lp_fail_field(struct lp_error *err, enum lp_code code, enum lp_action action, const char *field,
                           const char *format, ...) __attribute__((cold, noinline, format(printf, 5, 6)));

/** Put "prefix: " before the text that `err` already has; returns err->code. */
enum lp_code lp_error_wrap(struct lp_error *err, const char *format, ...)
    __attribute__((cold, noinline, format(printf, 2, 3)));

/** The usual text for a failed allocation of `bytes`. */
enum lp_code lp_fail_memory(struct lp_error *err, unsigned long bytes) __attribute__((cold, noinline));

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
