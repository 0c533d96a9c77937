/* Structured log lines on stderr: one event a line, logfmt or JSON. Never a record's contents. */
#ifndef LP_CORE_LOG_H
#define LP_CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum lp_log_level { LP_LOG_DEBUG, LP_LOG_INFO, LP_LOG_WARN, LP_LOG_ERROR };
enum lp_log_format { LP_LOG_LOGFMT, LP_LOG_JSON };

/** Set once at start, before other threads exist. Default: info, logfmt. */
void lp_log_setup(enum lp_log_level level, enum lp_log_format format);
bool lp_log_enabled(enum lp_log_level level);

/** One key and its value; build with the lp_kv_* helpers inside an LP_LOG call. */
struct lp_log_field {
    const char *key;
    enum { LP_KV_TEXT, LP_KV_INT, LP_KV_DOUBLE } type;
    const char *text;
    int64_t integer;
    double real;
};

static inline struct lp_log_field lp_kv(const char *key, const char *text)
{
    return (struct lp_log_field){.key = key, .type = LP_KV_TEXT, .text = text != 0 ? text : ""};
}
static inline struct lp_log_field lp_kv_int(const char *key, int64_t value)
{
    return (struct lp_log_field){.key = key, .type = LP_KV_INT, .integer = value};
}
static inline struct lp_log_field lp_kv_double(const char *key, double value)
{
    return (struct lp_log_field){.key = key, .type = LP_KV_DOUBLE, .real = value};
}

/** `event` is a fixed lower_snake_case name; fields end with a zero key. Any thread; one write(2) a line. */
void lp_log_write(enum lp_log_level level, const char *event, const struct lp_log_field *fields);

/* The array always holds the zero terminator, so a call without fields is legal. */
#define LP_LOG(level, event, ...)                                                                            \
    do {                                                                                                     \
        if (lp_log_enabled(level))                                                                           \
            lp_log_write(level, event, (const struct lp_log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = 0}}); \
    } while (0)

#endif
