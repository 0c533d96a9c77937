#include "core/log.h"

#include "core/buffer.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192 };

static enum lp_log_level threshold = LP_LOG_INFO;
static enum lp_log_format line_format = LP_LOG_LOGFMT;

void lp_log_setup(enum lp_log_level level, enum lp_log_format format)
{
    threshold = level;
    line_format = format;
}

bool lp_log_enabled(enum lp_log_level level) { return level >= threshold; }

static void append_value(struct lp_buffer *line, const struct lp_log_field *field)
{
    switch (field->type) {
    case LP_KV_INT: lp_buffer_format(line, "%lld", (long long)field->integer); return;
    case LP_KV_DOUBLE:
        /* JSON has no word for infinity or NaN: those go as text. */
        if (line_format == LP_LOG_JSON && field->real - field->real != 0) lp_buffer_text(line, "null");
        else lp_buffer_format(line, "%.6g", field->real);
        return;
    case LP_KV_TEXT: break;
    }
    bool plain = line_format == LP_LOG_LOGFMT && field->text[0] != '\0';
    for (const char *c = field->text; plain && *c != '\0'; c++)
        plain = *c > ' ' && *c != '"' && *c != '=' && *c != '\\' && *c != 0x7f;
    if (plain) lp_buffer_text(line, field->text);
    else lp_buffer_json_string(line, lp_span_text(field->text));
}

static void append_time(char *text, size_t bytes)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t used = strftime(text, bytes, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + used, bytes - used, ".%03ldZ", now.tv_nsec / 1000000);
}

void lp_log_write(enum lp_log_level level, const char *event, const struct lp_log_field *fields)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    struct lp_buffer line;
    lp_buffer_init(&line, LINE_MAX_BYTES);
    char time_text[40];
    append_time(time_text, sizeof time_text);
    bool json = line_format == LP_LOG_JSON;
    lp_buffer_format(&line, json ? "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "time=%s level=%s event=%s",
                     time_text, names[level], event);
    for (const struct lp_log_field *field = fields; field->key != NULL; field++) {
        lp_buffer_format(&line, json ? ",\"%s\":" : " %s=", field->key);
        append_value(&line, field);
    }
    lp_buffer_text(&line, json ? "}\n" : "\n");
    /* A log line that cannot be written has nowhere to be reported. */
    if (line.data != NULL && write(STDERR_FILENO, line.data, line.size) < 0) { /* nothing to do */
    }
    lp_buffer_done(&line);
}
