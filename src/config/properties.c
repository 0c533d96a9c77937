#include "config/properties.h"

#include "core/hex.h"
#include "core/utf8.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *name;
    const unsigned char *at, *end;
    uint32_t line;       /* of the natural line at `at`, from 1 */
    uint32_t first_line; /* where the logical line began */
    char *raw;           /* the logical line, escapes kept */
    size_t raw_bytes;
    char *text; /* key and value, unescaped */
    uint32_t entries;
};

static bool is_blank(int c) { return c == ' ' || c == '\t' || c == '\f'; }

static enum lp_code bad_line(const struct reader *reader, enum lp_code code, const char *what, struct lp_error *err)
{
    return lp_fail(err, code, LP_FATAL, "%s:%u: %s", reader->name, reader->first_line, what);
}

/* Past the line's end, \r\n being one; false at the end of the text. */
static bool next_natural_line(struct reader *reader)
{
    while (reader->at < reader->end && *reader->at != '\n' && *reader->at != '\r') reader->at++;
    if (reader->at == reader->end) return false;
    bool pair = *reader->at == '\r' && reader->at + 1 < reader->end && reader->at[1] == '\n';
    reader->at += pair ? 2 : 1;
    reader->line++;
    return true;
}

/* Skip blank lines and comments; false when nothing is left. */
static bool find_logical_line(struct reader *reader)
{
    for (;;) {
        while (reader->at < reader->end && is_blank(*reader->at)) reader->at++;
        if (reader->at == reader->end) return false;
        bool skip = *reader->at == '#' || *reader->at == '!' || *reader->at == '\n' || *reader->at == '\r';
        if (!skip) return true;
        if (!next_natural_line(reader)) return false;
    }
}

/* Join natural lines that end in an odd number of backslashes; what follows one loses its leading white space. */
static enum lp_code read_logical_line(struct reader *reader, struct lp_error *err)
{
    reader->first_line = reader->line;
    reader->raw_bytes = 0;
    for (;;) {
        bool backslash = false;
        for (; reader->at < reader->end && *reader->at != '\n' && *reader->at != '\r'; reader->at++) {
            if (*reader->at == '\0') return bad_line(reader, LP_E_INVALID, "holds a NUL byte: remove it", err);
            if (reader->raw_bytes == LP_PROPERTIES_LINE_MAX_BYTES)
                return bad_line(reader, LP_E_LIMIT, "the line is longer than 65536 bytes: use KEY.file", err);
            backslash = *reader->at == '\\' && !backslash;
            reader->raw[reader->raw_bytes++] = (char)*reader->at;
        }
        if (backslash) reader->raw_bytes--;
        if (!next_natural_line(reader) || !backslash || reader->raw_bytes == 0) return LP_OK;
        while (reader->at < reader->end && is_blank(*reader->at)) reader->at++;
    }
}

/* One escape behind the backslash at raw[*at - 1]; \uXXXX is a UTF-16 unit, so a pair makes one character. */
static enum lp_code unescape(struct reader *reader, size_t *at, size_t *used, struct lp_error *err)
{
    char c = reader->raw[(*at)++];
    if (c != 'u') {
        reader->text[(*used)++] = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c;
        return LP_OK;
    }
    int unit = reader->raw_bytes - *at >= 4 ? lp_hex_unit(reader->raw + *at) : -1;
    if (unit <= 0) return bad_line(reader, LP_E_INVALID, "\\u wants four hexadecimal digits, not 0000", err);
    *at += 4;
    uint32_t code = (uint32_t)unit;
    if (code >= 0xd800 && code < 0xe000) {
        const char *low = reader->raw + *at;
        size_t left = reader->raw_bytes - *at;
        int second = left >= 6 && low[0] == '\\' && low[1] == 'u' ? lp_hex_unit(low + 2) : -1;
        if (code >= 0xdc00 || second < 0xdc00 || second > 0xdfff)
            return bad_line(reader, LP_E_INVALID, "\\u names half a surrogate pair: write both halves", err);
        *at += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)second - 0xdc00);
    }
    *used += lp_utf8_put(code, (unsigned char *)reader->text + *used);
    return LP_OK;
}

/* Unescape from *at until an unescaped separator (for a key) or the line's end. */
static enum lp_code take_part(struct reader *reader, bool key, size_t *at, size_t *used, struct lp_error *err)
{
    while (*at < reader->raw_bytes) {
        char c = reader->raw[*at];
        if (key && (is_blank(c) || c == '=' || c == ':')) break;
        (*at)++;
        if (c != '\\') reader->text[(*used)++] = c;
        else if (*at < reader->raw_bytes) LP_TRY(unescape(reader, at, used, err));
    }
    reader->text[(*used)++] = '\0';
    return LP_OK;
}

static enum lp_code split_entry(struct reader *reader, lp_properties_entry *entry, void *context, struct lp_error *err)
{
    if (!lp_utf8_valid(reader->raw, reader->raw_bytes))
        return bad_line(reader, LP_E_INVALID, "is not UTF-8: save the file as UTF-8", err);
    size_t at = 0, used = 0;
    LP_TRY(take_part(reader, true, &at, &used, err));
    if (used == 1) return bad_line(reader, LP_E_INVALID, "has no key before the separator", err);
    while (at < reader->raw_bytes && is_blank(reader->raw[at])) at++;
    if (at < reader->raw_bytes && (reader->raw[at] == '=' || reader->raw[at] == ':')) at++;
    while (at < reader->raw_bytes && is_blank(reader->raw[at])) at++;
    size_t value = used;
    LP_TRY(take_part(reader, false, &at, &used, err));
    if (++reader->entries > LP_PROPERTIES_ENTRIES_MAX)
        return bad_line(reader, LP_E_LIMIT, "the file has more than 4096 entries", err);
    return entry(context, reader->text, reader->text + value, reader->first_line, err);
}

enum lp_code lp_properties_read(struct lp_span text, const char *name, lp_properties_entry *entry, void *context,
                                struct lp_error *err)
{
    if (text.size > LP_PROPERTIES_MAX_BYTES)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: larger than %d bytes: is it a properties file?", name,
                       LP_PROPERTIES_MAX_BYTES);
    if (text.size == 0) return LP_OK;
    /* Unescaping never lengthens a line; two terminators come on top. */
    struct reader reader = {.name = name, .at = text.data, .end = text.data + text.size, .line = 1};
    reader.raw = malloc(LP_PROPERTIES_LINE_MAX_BYTES);
    reader.text = malloc(LP_PROPERTIES_LINE_MAX_BYTES + 2);
    enum lp_code rc = LP_OK;
    if (reader.raw == NULL || reader.text == NULL) {
        rc = lp_fail_memory(err, LP_PROPERTIES_LINE_MAX_BYTES);
        goto out;
    }
    /* A byte-order mark is what some editors put before UTF-8. */
    if (text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) reader.at += 3;
    while (find_logical_line(&reader)) {
        LP_GUARD(read_logical_line(&reader, err));
        /* A backslash alone on its line leaves nothing: what follows it is read as a line of its own, as Java does. */
        if (reader.raw_bytes > 0) LP_GUARD(split_entry(&reader, entry, context, err));
    }
out:
    free(reader.raw);
    free(reader.text);
    return rc;
}
