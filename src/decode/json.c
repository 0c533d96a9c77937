#include "decode/json.h"

#include "decode/json_number.h"
#include "decode/json_plan.h"
#include "decode/json_scan.h"
#include "decode/json_time.h"
#include "decode/path.h"

#include <math.h>
#include <stdio.h>

enum { ESCAPED_KEY_BYTES_MAX = 6 * LP_PATH_BYTES_MAX }; /* each byte of the longest wanted key as \u00xx */

/* An open container that has wanted things below it. */
struct frame {
    uint32_t node;
    uint32_t guess; /* object: the child whose key is expected next */
    uint32_t index; /* array: of the next element */
    bool is_array;
};

/* One run over one record. */
struct pass {
    const struct lp_json_plan *plan;
    struct lp_record *record;
    const unsigned char *end;
    unsigned depth;     /* of frames */
    struct lp_span key; /* last key, raw, when its value is skipped; else data == NULL */
    const char *path;   /* of the want whose value is being read; NULL: none */
    struct lp_json_fault fault;
    enum lp_code code; /* of the fault */
    struct frame frames[LP_JSON_DEPTH_MAX];
    uint64_t seen[LP_JSON_NODES_MAX / 64]; /* bit n: node n's key has been read */
};

static const unsigned char *fail(struct pass *s, const unsigned char *at, const char *what)
{
    return lp_json_fail(&s->fault, at, what);
}

static const unsigned char *read_number(struct pass *s, const unsigned char *p, double *ret_value)
{
    struct lp_json_number number;
    const unsigned char *next = lp_json_number_scan(p, s->end, &number, &s->fault);
    if (next == NULL) return NULL;
    double value = lp_json_number_double(&number);
    if (__builtin_expect(!(fabs(value) <= 1.7976931348623157e308), 0))
        return fail(s, p, "a number beyond the range of a double");
    *ret_value = value;
    return next;
}

/* A number, true or false. `what` is the fault's text for anything else. */
static const unsigned char *read_numeric(struct pass *s, const unsigned char *p, double *ret_value, const char *what)
{
    if (__builtin_expect(*p == '-' || lp_json_is_digit(*p), 1)) return read_number(s, p, ret_value);
    if (*p != 't' && *p != 'f') return fail(s, p, what);
    *ret_value = *p == 't';
    return *p == 't' ? lp_json_literal(p, s->end, "true", 4, &s->fault)
                     : lp_json_literal(p, s->end, "false", 5, &s->fault);
}

/* A string whose opening quote is at p, unescaped into scratch where it has to be. */
static const unsigned char *read_string(struct pass *s, const unsigned char *p, struct lp_span *ret_text)
{
    bool escaped = false;
    const unsigned char *quote = lp_json_string(p + 1, s->end, &escaped, &s->fault);
    if (quote == NULL) return NULL;
    struct lp_span raw = lp_span_of(p + 1, (size_t)(quote - p) - 1);
    if (escaped) {
        struct lp_record *record = s->record;
        if (raw.size > record->scratch_bytes - record->scratch_used) {
            s->code = LP_E_LIMIT;
            return fail(s, p, "strings with escapes that do not fit in the scratch space");
        }
        unsigned char *to = record->scratch + record->scratch_used;
        raw = lp_span_of(to, lp_json_unescape(raw, to));
        record->scratch_used += raw.size;
    }
    *ret_text = raw;
    return quote + 1;
}

static const unsigned char *read_text(struct pass *s, const unsigned char *p, struct lp_span *ret_text)
{
    if (*p == '"') return read_string(s, p, ret_text);
    const unsigned char *next;
    struct lp_json_number number;
    if (*p == '-' || lp_json_is_digit(*p)) next = lp_json_number_scan(p, s->end, &number, &s->fault);
    else if (*p == 't') next = lp_json_literal(p, s->end, "true", 4, &s->fault);
    else if (*p == 'f') next = lp_json_literal(p, s->end, "false", 5, &s->fault);
    else return fail(s, p, "neither a string nor a number, true or false, which text is wanted from");
    if (next != NULL) *ret_text = lp_span_of(p, (size_t)(next - p));
    return next;
}

static const unsigned char *read_time(struct pass *s, const unsigned char *p, double *ret_ms)
{
    if (*p == '-' || lp_json_is_digit(*p)) return read_number(s, p, ret_ms);
    if (*p != '"') return fail(s, p, "neither milliseconds nor a string, which a time is wanted from");
    size_t scratch_used = s->record->scratch_used;
    struct lp_span text;
    const unsigned char *next = read_string(s, p, &text);
    s->record->scratch_used = scratch_used;
    if (next != NULL && !lp_json_time_ms(text, ret_ms))
        return fail(s, p, "a time that is not RFC 3339 with a zone (2024-02-29T12:34:56Z)");
    return next;
}

static const unsigned char *read_vector(struct pass *s, const unsigned char *p, double *ret_values, uint32_t width)
{
    if (*p != '[') return fail(s, p, "something else than an array, which a vector is wanted from");
    if (s->depth == LP_JSON_DEPTH_MAX) return fail(s, p, "nested more than 64 deep");
    uint32_t count = 0;
    p = lp_json_blanks(p + 1);
    if (*p == ']') return fail(s, p, "an array with fewer values than wanted");
    for (;; count++) {
        if (count == width) return fail(s, p, "an array with more values than wanted");
        if (*p == 'n') {
            p = lp_json_literal(p, s->end, "null", 4, &s->fault); /* NaN is there already */
        } else {
            p = read_numeric(s, p, &ret_values[count], "an array's item that is neither a number nor null");
        }
        if (p == NULL) return NULL;
        p = lp_json_blanks(p);
        if (*p != ',') break;
        p = lp_json_blanks(p + 1);
    }
    if (*p != ']') return fail(s, p, "neither a comma nor the end of an array");
    if (count + 1 != width) return fail(s, p, "an array with fewer values than wanted");
    return p + 1;
}

static const unsigned char *read_want(struct pass *s, const unsigned char *p, const struct lp_json_want *want)
{
    double *numbers = s->record->numbers + want->slot;
    switch (want->type) {
    case LP_WANT_NUMBER:
        return read_numeric(s, p, numbers, "neither a number nor true or false, which a number is wanted from");
    case LP_WANT_TEXT: return read_text(s, p, &s->record->texts[want->slot]);
    case LP_WANT_VECTOR: return read_vector(s, p, numbers, want->width);
    case LP_WANT_TIME_MS: return read_time(s, p, numbers);
    }
    return fail(s, p, "a want of an unknown type");
}

/* Hands the value at p to each want of its node; past the value. */
static const unsigned char *read_wants(struct pass *s, const unsigned char *p, const struct lp_json_node *node)
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

/* As lp_json_plan_child for a key with escapes. Apart, so that only such keys pay for its stack. */
static __attribute__((noinline)) uint32_t find_escaped_key(const struct pass *s, uint32_t parent, struct lp_span raw)
{
    unsigned char plain[ESCAPED_KEY_BYTES_MAX];
    if (raw.size > sizeof plain) return LP_JSON_NONE;
    return lp_json_plan_child(s->plan, parent, lp_span_of(plain, lp_json_unescape(raw, plain)));
}

static uint32_t find_key(const struct pass *s, uint32_t parent, struct lp_span raw, bool escaped)
{
    if (__builtin_expect(escaped, 0)) return find_escaped_key(s, parent, raw);
    return raw.size <= s->plan->key_size_max ? lp_json_plan_child(s->plan, parent, raw) : LP_JSON_NONE;
}

/* True when the bytes at p are the key of `node` and its closing quote. */
static inline bool is_guessed(const struct lp_json_node *node, const unsigned char *p, const unsigned char *end)
{
    size_t size = node->key_size + 1u;
    if (!node->guess || (size_t)(end - p) < size || end - p < 8) return false;
    if ((lp_json_load(p) ^ node->head) & node->head_mask) return false;
    if (size <= 8) return true;
    return lp_json_load(p + size - 8) == node->tail && (size <= 16 || memcmp(p + 8, node->key + 8, size - 16) == 0);
}

/* Reads a key and its colon; *ret_child is the node of a wanted key that comes for the first time, else LP_JSON_NONE.
 */
static inline const unsigned char *read_key(struct pass *s, const unsigned char *p, struct frame *frame,
                                            uint32_t *ret_child)
{
    if (*p != '"') return fail(s, p, "a key that is not a string");
    p++;
    const struct lp_json_node *nodes = s->plan->nodes;
    uint32_t child = frame->guess;
    if (child != LP_JSON_NONE && is_guessed(&nodes[child], p, s->end)) {
        s->key = lp_span_of(p, nodes[child].key_size);
        p += nodes[child].key_size;
    } else {
        bool escaped = false;
        const unsigned char *quote = lp_json_string(p, s->end, &escaped, &s->fault);
        if (quote == NULL) return NULL;
        s->key = lp_span_of(p, (size_t)(quote - p));
        child = find_key(s, frame->node, s->key, escaped);
        p = quote;
    }
    if (child != LP_JSON_NONE) {
        frame->guess = nodes[child].next;
        uint64_t bit = (uint64_t)1 << (child & 63);
        if (s->seen[child / 64] & bit) child = LP_JSON_NONE;
        else s->seen[child / 64] |= bit;
    }
    *ret_child = child;
    p = lp_json_blanks(p + 1);
    if (*p != ':') return fail(s, p, "no colon after a key");
    return lp_json_blanks(p + 1);
}

/* Whether the value at p is a container to go into for the children of its node. */
static bool enters(const struct lp_json_node *node, const unsigned char *p)
{
    return (*p == '{' && node->has_keys) || (*p == '[' && node->has_items);
}

/* Reads a wanted value that is not gone into. */
static inline const unsigned char *read_value(struct pass *s, const unsigned char *p, const struct lp_json_node *node)
{
    if (*p == 'n') return lp_json_literal(p, s->end, "null", 4, &s->fault);
    if (node->has_keys || node->has_items) {
        s->path = node->path;
        return fail(s, p, "not the object or array that the path goes on into");
    }
    return read_wants(s, p, node);
}

static const unsigned char *push(struct pass *s, const unsigned char *p, uint32_t id)
{
    if (s->depth == LP_JSON_DEPTH_MAX) return fail(s, p, "nested more than 64 deep");
    s->frames[s->depth++] = (struct frame){.node = id, .guess = s->plan->nodes[id].first_child, .is_array = *p == '['};
    return lp_json_blanks(p + 1);
}

/* From a member or an element on: past its value, or into its container (*ret_entered). */
static inline const unsigned char *read_entry(struct pass *s, const unsigned char *p, bool *ret_entered)
{
    struct frame *frame = &s->frames[s->depth - 1];
    uint32_t child = LP_JSON_NONE;
    s->key.data = NULL;
    if (!frame->is_array) {
        p = read_key(s, p, frame, &child);
        if (p == NULL) return NULL;
    } else if (frame->index <= s->plan->nodes[frame->node].last_index) {
        child = lp_json_plan_item(s->plan, frame->node, frame->index++);
    }
    if (child == LP_JSON_NONE) return lp_json_skip(p, s->end, s->depth, &s->fault);
    s->key.data = NULL;
    const struct lp_json_node *node = &s->plan->nodes[child];
    if (!enters(node, p)) return read_value(s, p, node);
    if (node->want_count > 0 && read_wants(s, p, node) == NULL) return NULL;
    *ret_entered = true;
    return push(s, p, child);
}

/* The whole text; past its last closing brace. */
static const unsigned char *read_record(struct pass *s, const unsigned char *p)
{
    if (*p != '{') return fail(s, p, "a record that is not an object");
    p = push(s, p, LP_JSON_ROOT);
    bool is_first = true;
    while (p != NULL && s->depth > 0) {
        unsigned char closing = s->frames[s->depth - 1].is_array ? ']' : '}';
        if (is_first ? *p != closing : *p == ',') {
            if (!is_first) p = lp_json_blanks(p + 1);
            is_first = false;
            p = read_entry(s, p, &is_first);
            if (p == NULL) return NULL;
            if (p == s->end) return fail(s, p, "more containers opened than closed");
            p = lp_json_blanks(p);
            continue;
        }
        if (*p != closing) return fail(s, p, "neither a comma nor the matching bracket");
        p++;
        is_first = false;
        s->depth--;
        if (s->depth == 0) return p;
        if (p == s->end) return fail(s, p, "more containers opened than closed");
        p = lp_json_blanks(p);
    }
    return p;
}

/* The path of the value that the fault is in, as far as it is known. */
static void describe_place(const struct pass *s, char *ret_field, size_t field_bytes)
{
    size_t used = 0;
    ret_field[0] = '\0';
    if (s->path != NULL) {
        snprintf(ret_field, field_bytes, "%s", s->path);
        return;
    }
    for (unsigned i = 1; i < s->depth && used < field_bytes; i++) {
        const struct lp_json_node *node = &s->plan->nodes[s->frames[i].node];
        const char *dot = i > 1 ? "." : "";
        int length = node->is_index ? snprintf(ret_field + used, field_bytes - used, "[%u]", node->index)
                                    : snprintf(ret_field + used, field_bytes - used, "%s%.*s", dot, (int)node->key_size,
                                               (const char *)node->key);
        used += length > 0 ? (size_t)length : 0;
    }
    if (s->key.data != NULL && used < field_bytes)
        snprintf(ret_field + used, field_bytes - used, "%s%.*s", s->depth > 1 ? "." : "", (int)(s->key.size & 0xffff),
                 (const char *)s->key.data);
}

static enum lp_code report(const struct pass *s, const unsigned char *begin, struct lp_error *err)
{
    char field[LP_ERROR_FIELD_BYTES];
    describe_place(s, field, sizeof field);
    const char *what = s->fault.what;
    size_t offset = (size_t)(s->fault.at - begin);
    if (s->code == LP_E_LIMIT)
        return lp_fail_field(err, LP_E_LIMIT, LP_SKIP_RECORD, field, "JSON, byte %zu: %s (%zu bytes): raise its limit",
                             offset, what, s->record->scratch_bytes);
    return lp_fail_field(err, LP_E_INVALID, LP_SKIP_RECORD, field, "JSON, byte %zu: %s: correct the producer", offset,
                         what);
}

static void clear_record(const struct lp_json_plan *plan, struct lp_record *record)
{
    for (uint32_t i = 0; i < plan->number_count; i++) record->numbers[i] = NAN;
    for (uint32_t i = 0; i < plan->text_count; i++) record->texts[i] = (struct lp_span){0};
    record->scratch_used = 0;
}

enum lp_code lp_json_plan_run(const struct lp_json_plan *plan, struct lp_span body, struct lp_record *record,
                              struct lp_error *err)
{
    struct pass s; /* not cleared as a whole: frames and most of `seen` are never read */
    s.plan = plan;
    s.record = record;
    s.depth = 0;
    s.key = (struct lp_span){0};
    s.path = NULL;
    s.code = LP_E_INVALID;
    memset(s.seen, 0, (plan->node_count + 63) / 64 * sizeof s.seen[0]);
    clear_record(plan, record);

    /* What json_scan.h asks for: the text ends with a brace. */
    size_t size = body.size;
    while (size > 0 && memchr(" \n\r\t", body.data[size - 1], 4) != NULL) size--;
    s.end = size > 0 ? body.data + size : body.data;
    const unsigned char *p;
    if (size == 0) p = fail(&s, body.data, "nothing but blanks");
    else if (s.end[-1] != '}') p = fail(&s, s.end - 1, "a text that does not end with a closing brace");
    else p = read_record(&s, lp_json_blanks(body.data));
    if (p != NULL && p != s.end) p = fail(&s, p, "more text after the record");
    return p != NULL ? LP_OK : report(&s, body.data, err);
}
