#include "import/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX_BYTES = 400 }; /* the longest double in plain digits has some 330 */

bool lp_lines_next(struct lp_lines *lines, struct lp_line *ret_line)
{
    if (lines->at >= lines->bytes.size) return false;
    const unsigned char *begin = lines->bytes.data + lines->at;
    size_t left = lines->bytes.size - lines->at;
    const unsigned char *end = memchr(begin, '\n', left);
    size_t size = end != NULL ? (size_t)(end - begin) : left;
    lines->at += size + (end != NULL);
    lines->number++;
    if (size > 0 && begin[size - 1] == '\r') size--;
    const unsigned char *equals = size > 0 ? memchr(begin, '=', size) : NULL;
    *ret_line = (struct lp_line){.key = lp_span_of(begin, size), .has_value = equals != NULL};
    if (equals == NULL) return true;
    ret_line->key.size = (size_t)(equals - begin);
    ret_line->value = lp_span_of(equals + 1, size - ret_line->key.size - 1);
    return true;
}

bool lp_word_next(struct lp_span *text, struct lp_span *ret_word)
{
    size_t at = 0;
    if (text->size == 0) return false; /* no text at all, perhaps */
    while (at < text->size && text->data[at] == ' ') at++;
    size_t begin = at;
    while (at < text->size && text->data[at] != ' ') at++;
    *ret_word = lp_span_of(text->data + begin, at - begin);
    *text = lp_span_of(text->data + at, text->size - at);
    return ret_word->size > 0;
}

static enum lp_code fail_word(struct lp_span word, const char *what, const char *wanted, struct lp_error *err)
{
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: `%.*s` is not %s", what, (int)(word.size < 40 ? word.size : 40),
                   (const char *)word.data, wanted);
}

static bool copy_word(struct lp_span word, char *text)
{
    if (word.size == 0 || word.size >= WORD_MAX_BYTES) return false;
    memcpy(text, word.data, word.size);
    text[word.size] = '\0';
    return strchr("+-.0123456789in", text[0]) != NULL && strpbrk(text, "xX") == NULL;
}

enum lp_code lp_word_double(struct lp_span word, const char *what, double *ret_number, struct lp_error *err)
{
    char text[WORD_MAX_BYTES], *end;
    if (!copy_word(word, text)) return fail_word(word, what, "a number", err);
    double number = strtod(text, &end);
    if (end == text || *end != '\0') return fail_word(word, what, "a number", err);
    *ret_number = number;
    return LP_OK;
}

enum lp_code lp_word_whole(struct lp_span word, const char *what, int64_t low, int64_t high, int64_t *ret_whole,
                           struct lp_error *err)
{
    char text[WORD_MAX_BYTES], *end;
    if (!copy_word(word, text)) return fail_word(word, what, "a whole number", err);
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') return fail_word(word, what, "a whole number", err);
    if (whole < low || whole > high) return fail_word(word, what, "in the range that is allowed", err);
    *ret_whole = whole;
    return LP_OK;
}

enum lp_code lp_words_doubles(struct lp_span text, const char *what, struct lp_buffer *to, struct lp_error *err)
{
    struct lp_span word;
    double number;
    while (lp_word_next(&text, &word)) {
        LP_TRY(lp_word_double(word, what, &number, err));
        lp_buffer_append(to, &number, sizeof number);
    }
    return lp_buffer_check(to, what, err);
}

enum lp_code lp_words_wholes(struct lp_span text, const char *what, int64_t low, int64_t high, struct lp_buffer *to,
                             struct lp_error *err)
{
    struct lp_span word;
    int64_t whole;
    while (lp_word_next(&text, &word)) {
        LP_TRY(lp_word_whole(word, what, low, high, &whole, err));
        lp_buffer_append(to, &whole, sizeof whole);
    }
    return lp_buffer_check(to, what, err);
}
