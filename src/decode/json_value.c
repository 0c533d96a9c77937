/* Values that somebody wants: numbers, texts, vectors, times. */
#include "decode/json_number.h"
#include "decode/json_pass.h"
#include "decode/json_time.h"

#include <math.h>

static const unsigned char *read_number(struct lp_json_pass *s, const unsigned char *p, double *ret_value)
{
    struct lp_json_number number;
    const unsigned char *next = lp_json_number_scan(p, s->end, &number, &s->fault);
    if (next == NULL) return NULL;
    double value = lp_json_number_double(&number);
    if (isinf(value)) return lp_json_pass_fail(s, p, "a number beyond the range of a double");
    *ret_value = value;
    return next;
}

/* A number, true or false. `what` is the fault's text for anything else. */
static const unsigned char *read_numeric(struct lp_json_pass *s, const unsigned char *p, double *ret_value,
                                         const char *what)
{
    if (__builtin_expect(*p == '-' || lp_json_is_digit(*p), 1)) return read_number(s, p, ret_value);
    if (*p != 't' && *p != 'f') return lp_json_pass_fail(s, p, what);
    *ret_value = *p == 't';
    return *p == 't' ? lp_json_literal(p, s->end, "true", 4, &s->fault)
                     : lp_json_literal(p, s->end, "false", 5, &s->fault);
}

/* A string whose opening quote is at p, unescaped into scratch where it has to be. */
static const unsigned char *read_string(struct lp_json_pass *s, const unsigned char *p, struct lp_span *ret_text)
{
    bool escaped = false;
    const unsigned char *quote = lp_json_string(p + 1, s->end, &escaped, &s->fault);
    if (quote == NULL) return NULL;
    struct lp_span raw = lp_span_of(p + 1, (size_t)(quote - p) - 1);
    if (escaped) {
        struct lp_record *record = s->record;
        if (raw.size > record->scratch_bytes - record->scratch_used) {
            s->code = LP_E_LIMIT;
            return lp_json_pass_fail(s, p, "strings with escapes that do not fit in the scratch space");
        }
        unsigned char *to = record->scratch + record->scratch_used;
        raw = lp_span_of(to, lp_json_unescape(raw, to));
        record->scratch_used += raw.size;
    }
    *ret_text = raw;
    return quote + 1;
}

static const unsigned char *read_text(struct lp_json_pass *s, const unsigned char *p, struct lp_span *ret_text)
{
    if (*p == '"') return read_string(s, p, ret_text);
    const unsigned char *next;
    struct lp_json_number number;
    if (*p == '-' || lp_json_is_digit(*p)) next = lp_json_number_scan(p, s->end, &number, &s->fault);
    else if (*p == 't') next = lp_json_literal(p, s->end, "true", 4, &s->fault);
    else if (*p == 'f') next = lp_json_literal(p, s->end, "false", 5, &s->fault);
    else return lp_json_pass_fail(s, p, "neither a string nor a number, true or false, which text is wanted from");
    if (next != NULL) *ret_text = lp_span_of(p, (size_t)(next - p));
    return next;
}

static const unsigned char *read_time(struct lp_json_pass *s, const unsigned char *p, double *ret_ms)
{
    if (*p == '-' || lp_json_is_digit(*p)) return read_number(s, p, ret_ms);
    if (*p != '"') return lp_json_pass_fail(s, p, "neither milliseconds nor a string, which a time is wanted from");
    size_t scratch_used = s->record->scratch_used;
    struct lp_span text;
    const unsigned char *next = read_string(s, p, &text);
    s->record->scratch_used = scratch_used;
    if (next != NULL && !lp_json_time_ms(text, ret_ms))
        return lp_json_pass_fail(s, p, "a time that is not RFC 3339 with a zone (2024-02-29T12:34:56Z)");
    return next;
}

static inline const unsigned char *read_item(struct lp_json_pass *s, const unsigned char *p, double *ret_value)
{
    const unsigned char *next = lp_json_number_quick(p, s->end, ret_value);
    if (__builtin_expect(next != NULL, 1)) return next;
    if (*p == 'n') return lp_json_literal(p, s->end, "null", 4, &s->fault); /* NaN is there already */
    return read_numeric(s, p, ret_value, "an array's item that is neither a number nor null");
}

static const unsigned char *read_vector(struct lp_json_pass *s, const unsigned char *p, double *ret_values,
                                        uint32_t width)
{
    if (*p != '[') return lp_json_pass_fail(s, p, "something else than an array, which a vector is wanted from");
    if (s->depth == LP_JSON_DEPTH_MAX) return lp_json_pass_fail(s, p, "nested more than 64 deep");
    uint32_t count = 0;
    p = lp_json_blanks(p + 1);
    if (*p == ']') return lp_json_pass_fail(s, p, "an array with fewer values than wanted");
    for (;; count++) {
        if (count == width) return lp_json_pass_fail(s, p, "an array with more values than wanted");
        p = read_item(s, p, &ret_values[count]);
        if (p == NULL) return NULL;
        p = lp_json_blanks(p);
        if (*p != ',') break;
        p = lp_json_blanks(p + 1);
    }
    if (*p != ']') return lp_json_pass_fail(s, p, "neither a comma nor the end of an array");
    if (count + 1 != width) return lp_json_pass_fail(s, p, "an array with fewer values than wanted");
    return p + 1;
}

static const unsigned char *read_want(struct lp_json_pass *s, const unsigned char *p, const struct lp_json_want *want)
{
    double *numbers = s->record->numbers + want->slot;
    switch (want->type) {
    case LP_WANT_NUMBER:
        return read_numeric(s, p, numbers, "neither a number nor true or false, which a number is wanted from");
    case LP_WANT_TEXT: return read_text(s, p, &s->record->texts[want->slot]);
    case LP_WANT_VECTOR: return read_vector(s, p, numbers, want->width);
    case LP_WANT_TIME_MS: return read_time(s, p, numbers);
    }
    return lp_json_pass_fail(s, p, "a want of an unknown type");
}

const unsigned char *lp_json_read_wants(struct lp_json_pass *s, const unsigned char *p, const struct lp_json_node *node)
{
    const struct lp_json_want *want = s->plan->wants + node->first_want;
    const unsigned char *next = NULL;
    for (uint32_t i = 0; i < node->want_count; i++) {
        s->path = want[i].path;
        next = read_want(s, p, &want[i]);
        if (next == NULL) return NULL;
    }
    s->path = NULL;
    return next;
}
