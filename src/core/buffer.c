#include "core/buffer.h"

#include "core/shortest.h"
#include "core/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void lp_buffer_init(struct lp_buffer *buffer, size_t max_bytes) { *buffer = (struct lp_buffer){.max = max_bytes}; }

void lp_buffer_done(struct lp_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct lp_buffer){0};
}

unsigned char *lp_buffer_reserve(struct lp_buffer *buffer, size_t bytes)
{
    if (buffer->failed) return NULL;
    if (buffer->capacity - buffer->size >= bytes && buffer->data != NULL) return buffer->data + buffer->size;
    if (bytes > buffer->max || buffer->size > buffer->max - bytes) {
        buffer->failed = true;
        return NULL;
    }
    size_t wanted = buffer->capacity < 256 ? 256 : buffer->capacity * 2;
    if (wanted < buffer->size + bytes) wanted = buffer->size + bytes;
    if (wanted > buffer->max) wanted = buffer->max;
    if (wanted == 0) wanted = 1;
    unsigned char *grown = realloc(buffer->data, wanted);
    if (grown == NULL) {
        buffer->failed = true;
        return NULL;
    }
    buffer->data = grown;
    buffer->capacity = wanted;
    return buffer->data + buffer->size;
}

void lp_buffer_append(struct lp_buffer *buffer, const void *data, size_t bytes)
{
    if (bytes == 0) return;
    unsigned char *to = lp_buffer_reserve(buffer, bytes);
    if (to == NULL) return;
    memcpy(to, data, bytes);
    buffer->size += bytes;
}

void lp_buffer_text(struct lp_buffer *buffer, const char *text) { lp_buffer_append(buffer, text, strlen(text)); }

void lp_buffer_format(struct lp_buffer *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length >= 0) {
        unsigned char *to = lp_buffer_reserve(buffer, (size_t)length + 1);
        if (to != NULL) {
            vsnprintf((char *)to, (size_t)length + 1, format, again);
            buffer->size += (size_t)length;
        }
    }
    va_end(again);
}

void lp_buffer_json_string(struct lp_buffer *buffer, struct lp_span text)
{
    lp_buffer_append(buffer, "\"", 1);
    for (size_t i = 0; i < text.size;) {
        unsigned char c = text.data[i];
        size_t length = lp_utf8_sequence(text.data + i, text.size - i);
        if (length == 0) {
            lp_buffer_text(buffer, "\xef\xbf\xbd");
            length = 1;
        } else if (c == '"' || c == '\\') {
            lp_buffer_append(buffer, (const unsigned char[]){'\\', c}, 2);
        } else if (c < 0x20) {
            lp_buffer_format(buffer, "\\u%04x", c);
        } else {
            lp_buffer_append(buffer, text.data + i, length);
        }
        i += length;
    }
    lp_buffer_append(buffer, "\"", 1);
}

void lp_buffer_float(struct lp_buffer *buffer, float value)
{
    char text[LP_SHORTEST_FLOAT_BYTES];
    lp_buffer_append(buffer, text, lp_shortest_float(text, value));
}

void lp_buffer_double(struct lp_buffer *buffer, double value)
{
    char text[LP_SHORTEST_DOUBLE_BYTES];
    lp_buffer_append(buffer, text, lp_shortest_double(text, value));
}

enum lp_code lp_buffer_check(const struct lp_buffer *buffer, const char *what, struct lp_error *err)
{
    if (!buffer->failed) return LP_OK;
    return lp_fail(err, LP_E_LIMIT, LP_SKIP_RECORD, "%s: does not fit in %zu bytes: raise the limit", what,
                   buffer->max);
}
