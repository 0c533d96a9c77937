#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum lp_code lp_error_fill(struct lp_error *err, enum lp_code code, enum lp_action action, const char *field,
                           const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->code = code;
    err->action = action;
    snprintf(err->field, sizeof err->field, "%s", field != NULL ? field : "");
    return code;
}

enum lp_code lp_error_prefix(struct lp_error *err, const char *format, ...)
{
    char old[LP_ERROR_TEXT_BYTES];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, ": %s", old);
    return err->code;
}

enum lp_code lp_error_fill_memory(struct lp_error *err, unsigned long bytes)
{
    return lp_error_fill(err, LP_E_MEMORY, LP_FATAL, NULL,
                         "out of memory: %lu bytes: raise the memory limit or lower the maxima", bytes);
}

const char *lp_code_name(enum lp_code code)
{
    switch (code) {
    case LP_OK: return "ok";
    case LP_E_INVALID: return "invalid";
    case LP_E_LIMIT: return "limit";
    case LP_E_MEMORY: return "memory";
    case LP_E_IO: return "io";
    case LP_E_NOT_FOUND: return "not_found";
    case LP_E_MISMATCH: return "mismatch";
    case LP_E_UNSUPPORTED: return "unsupported";
    case LP_E_PENDING: return "pending";
    case LP_E_TIMEOUT: return "timeout";
    case LP_E_REFUSED: return "refused";
    }
    return "unknown";
}
