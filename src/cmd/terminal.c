#include "cmd/terminal.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void lp_text_make_safe(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0'; at++) {
        bool c1 = (unsigned char)at[0] == 0xc2 && (unsigned char)at[1] >= 0x80 && (unsigned char)at[1] <= 0x9f;
        if (c1) at++; /* two bytes of UTF-8 */
        *to++ = c1 || (unsigned char)*at < 0x20 || *at == 0x7f ? '?' : *at;
    }
    *to = '\0';
}

void lp_print_safe(FILE *out, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int bytes = vasprintf(&text, format, args);
    va_end(args);
    if (bytes < 0) return;
    size_t format_bytes = strlen(format);
    bool line = bytes > 0 && format[format_bytes - 1] == '\n';
    if (line) text[bytes - 1] = '\0';
    lp_text_make_safe(text);
    fputs(text, out);
    if (line) putc('\n', out);
    free(text);
}
