/* Text in the syntax of java.util.Properties -> keys and values: private to config/. */
#ifndef LP_CONFIG_PROPERTIES_H
#define LP_CONFIG_PROPERTIES_H

#include "core/error.h"
#include "core/span.h"

#include <stdint.h>

enum {
    LP_PROPERTIES_MAX_BYTES = 1 << 20,      /* a file */
    LP_PROPERTIES_LINE_MAX_BYTES = 1 << 16, /* a logical line, continuations joined */
    LP_PROPERTIES_ENTRIES_MAX = 4096,
};

/** Called for each entry; key and value are terminated, valid UTF-8 without NUL, and valid only during the call. */
typedef enum lp_code lp_properties_entry(void *context, const char *key, const char *value, uint32_t line,
                                         struct lp_error *err);

/**
 * Read java.util.Properties syntax, in UTF-8: comments (# and !), separators = : and white space, continuation lines,
 * \t \n \r \f \uXXXX. White space at the end of a value is kept, as Java does.
 *
 * @param name for error texts: "worker.properties"
 * @return LP_E_INVALID (escape, UTF-8, NUL, empty key; the text names the line), LP_E_LIMIT, or what `entry` returned
 */
LP_MUST_USE enum lp_code lp_properties_read(struct lp_span text, const char *name, lp_properties_entry *entry,
                                            void *context, struct lp_error *err);

#endif
