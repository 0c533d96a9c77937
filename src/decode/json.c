#include "decode/json.h"

#include "decode/json_number.h"
#include "decode/json_pass.h"
#include "decode/path.h"

#include <math.h>
#include <stdio.h>

enum { ESCAPED_KEY_BYTES_MAX = 6 * LP_PATH_BYTES_MAX }; /* each byte of the longest wanted key as \u00xx */

/* As lp_json_plan_child for a key with escapes. Apart, so that only such keys pay for its stack. */
static __attribute__((noinline)) uint32_t find_escaped_key(const struct lp_json_pass *s, uint32_t parent,
                                                           struct lp_span raw)
{
    unsigned char plain[ESCAPED_KEY_BYTES_MAX];
    if (raw.size > sizeof plain) return LP_JSON_NONE;
    return lp_json_plan_child(s->plan, parent, lp_span_of(plain, lp_json_unescape(raw, plain)));
}

static uint32_t find_key(const struct lp_json_pass *s, uint32_t parent, struct lp_span raw, bool escaped)
{
    if (__builtin_expect(escaped, 0)) return find_escaped_key(s, parent, raw);
    return raw.size <= s->plan->key_size_max ? lp_json_plan_child(s->plan, parent, raw) : LP_JSON_NONE;
}

/* The order of keys is mostly that of the record before: what came after what is remembered in the plan, as a hint that
 * any thread may read or write. */
static void learn(const struct lp_json_plan *plan, const struct lp_json_frame *frame, uint32_t child)
{
    uint32_t *hint =
        frame->last != LP_JSON_NONE ? &plan->nodes[frame->last].next : &plan->nodes[frame->node].first_child;
    if (__atomic_load_n(hint, __ATOMIC_RELAXED) != child) __atomic_store_n(hint, child, __ATOMIC_RELAXED);
}

/* A wanted key comes: false when it has come before. */
static inline bool take_child(struct lp_json_pass *s, struct lp_json_frame *frame, uint32_t child)
{
    uint64_t bit = (uint64_t)1 << (child & 63);
    if (s->seen[child / 64] & bit) return false;
    s->seen[child / 64] |= bit;
    frame->last = child;
    frame->guess = __atomic_load_n(&s->plan->nodes[child].next, __ATOMIC_RELAXED);
    return true;
}

/* True when the bytes at p are the key of `node`, in quotes, and a colon. */
static inline bool is_guessed(const struct lp_json_node *node, const unsigned char *p, const unsigned char *end)
{
    size_t size = node->pattern_size;
    if (size == 0 || (size_t)(end - p) < (size < 8 ? 8 : size)) return false;
    if ((lp_json_load(p) ^ node->head) & node->head_mask) return false;
    if (size <= 8) return true;
    if (lp_json_load(p + size - 8) != node->tail) return false;
    return size <= 16 || memcmp(p + 8, node->key + 7, size - 16) == 0;
}

/* Reads a key and its colon; *ret_child is the node of a wanted key that comes for the first time, else LP_JSON_NONE.
 */
static __attribute__((noinline)) const unsigned char *read_key(struct lp_json_pass *s, const unsigned char *p,
                                                               struct lp_json_frame *frame, uint32_t *ret_child)
{
    bool escaped = false;
    if (*p != '"') return lp_json_pass_fail(s, p, "a key that is not a string");
    p++;
    const unsigned char *quote = lp_json_string(p, s->end, &escaped, &s->fault);
    if (quote == NULL) return NULL;
    s->key = lp_span_of(p, (size_t)(quote - p));
    uint32_t child = find_key(s, frame->node, s->key, escaped);
    if (child != LP_JSON_NONE) {
        struct lp_json_frame before = *frame;
        if (take_child(s, frame, child)) learn(s->plan, &before, child);
        else child = LP_JSON_NONE;
    }
    *ret_child = child;
    p = lp_json_blanks(quote + 1);
    if (*p != ':') return lp_json_pass_fail(s, p, "no colon after a key");
    return p + 1;
}

/* Whether the value at p is a container to go into for the children of its node. */
static bool enters(const struct lp_json_node *node, const unsigned char *p)
{
    return (*p == '{' && node->has_keys) || (*p == '[' && node->has_items);
}

/* Reads a wanted value that is not gone into. */
static inline const unsigned char *read_value(struct lp_json_pass *s, const unsigned char *p,
                                              const struct lp_json_node *node)
{
    if (*p == 'n') return lp_json_literal(p, s->end, "null", 4, &s->fault);
    if (node->has_keys || node->has_items) {
        s->path = node->path;
        return lp_json_pass_fail(s, p, "not the object or array that the path goes on into");
    }
    return lp_json_read_wants(s, p, node);
}

static const unsigned char *push(struct lp_json_pass *s, const unsigned char *p, uint32_t id)
{
    if (s->depth == LP_JSON_DEPTH_MAX) return lp_json_pass_fail(s, p, "nested more than 64 deep");
    s->frames[s->depth++] =
        (struct lp_json_frame){.node = id,
                               .guess = __atomic_load_n(&s->plan->nodes[id].first_child, __ATOMIC_RELAXED),
                               .is_array = *p == '[',
                               .closing = *p == '[' ? ']' : '}'};
    return lp_json_blanks(p + 1);
}

/* The usual members: a guessed key and a plain number that one want takes. Reads as many as come in a row. Where
 * *ret_more, p is at the key of a member that is different, else after the last value; faults are left to the careful
 * way. */
static inline const unsigned char *read_plain_members(struct lp_json_pass *s, const unsigned char *p, bool *ret_more)
{
    struct lp_json_frame *frame = &s->frames[s->depth - 1];
    const struct lp_json_node *nodes = s->plan->nodes;
    const unsigned char *end = s->end;
    for (;;) {
        uint32_t child = frame->guess;
        const struct lp_json_node *node = &nodes[child];
        double value;
        *ret_more = true;
        if (!node->is_number || !is_guessed(node, p, end)) return p;
        const unsigned char *next = lp_json_number_quick(lp_json_blanks(p + node->pattern_size), end, &value);
        if (next == NULL || !take_child(s, frame, child)) return p;
        s->record->numbers[node->slot] = value;
        p = lp_json_blanks(next);
        if (*p != ',') break;
        p = lp_json_blanks(p + 1);
    }
    *ret_more = false;
    return p;
}

/* From a member or an element on: past its value, or into its container (*ret_entered). */
static const unsigned char *read_entry(struct lp_json_pass *s, const unsigned char *p, bool *ret_entered)
{
    struct lp_json_frame *frame = &s->frames[s->depth - 1];
    const struct lp_json_node *nodes = s->plan->nodes;
    uint32_t child = frame->guess;
    s->key.data = NULL;
    if (frame->is_array) {
        bool may_be = frame->index <= nodes[frame->node].last_index;
        child = may_be ? lp_json_plan_item(s->plan, frame->node, frame->index++) : LP_JSON_NONE;
    } else if (is_guessed(&nodes[child], p, s->end) && take_child(s, frame, child)) {
        p = lp_json_blanks(p + nodes[child].pattern_size);
    } else {
        p = read_key(s, p, frame, &child);
        if (p == NULL) return NULL;
        p = lp_json_blanks(p);
    }
    if (child == LP_JSON_NONE) return lp_json_skip(p, s->end, s->depth, &s->fault);
    s->key.data = NULL;
    const struct lp_json_node *node = &nodes[child];
    if (!enters(node, p)) return read_value(s, p, node);
    if (node->want_count > 0 && lp_json_read_wants(s, p, node) == NULL) return NULL;
    *ret_entered = true;
    return push(s, p, child);
}

/* The whole text; past its last closing brace. */
static const unsigned char *read_record(struct lp_json_pass *s, const unsigned char *p)
{
    if (*p != '{') return lp_json_pass_fail(s, p, "a record that is not an object");
    p = push(s, p, LP_JSON_ROOT);
    bool is_first = true;
    while (p != NULL && s->depth > 0) {
        unsigned char closing = s->frames[s->depth - 1].closing;
        if (is_first ? *p != closing : *p == ',') {
            if (!is_first) p = lp_json_blanks(p + 1);
            is_first = false;
            bool more = true;
            if (closing == '}') p = read_plain_members(s, p, &more);
            if (!more) continue;
            p = read_entry(s, p, &is_first);
            if (p == NULL) return NULL;
            if (p == s->end) return lp_json_pass_fail(s, p, "more containers opened than closed");
            p = lp_json_blanks(p);
            continue;
        }
        if (*p != closing) return lp_json_pass_fail(s, p, "neither a comma nor the matching bracket");
        p++;
        is_first = false;
        s->depth--;
        if (s->depth == 0) return p;
        if (p == s->end) return lp_json_pass_fail(s, p, "more containers opened than closed");
        p = lp_json_blanks(p);
    }
    return p;
}

/* The path of the value that the fault is in, as far as it is known. */
static void describe_place(const struct lp_json_pass *s, char *ret_field, size_t field_bytes)
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
        snprintf(ret_field + used, field_bytes - used, "%s%.*s", s->depth > 1 ? "." : "",
                 (int)(s->key.size < field_bytes ? s->key.size : field_bytes), (const char *)s->key.data);
}

static enum lp_code report(const struct lp_json_pass *s, const unsigned char *begin, struct lp_error *err)
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

static bool is_blank(unsigned char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

enum lp_code lp_json_plan_run(const struct lp_json_plan *plan, struct lp_span body, struct lp_record *record,
                              struct lp_error *err)
{
    struct lp_json_pass s;
    s.plan = plan;
    s.record = record;
    s.depth = 0;
    s.key = (struct lp_span){0};
    s.path = NULL;
    s.code = LP_E_INVALID;
    for (uint32_t i = 0; i < (plan->node_count + 63) / 64; i++) s.seen[i] = 0;
    clear_record(plan, record);

    /* What json_scan.h asks for: the text ends with a brace. */
    size_t size = body.size;
    while (size > 0 && is_blank(body.data[size - 1])) size--;
    s.end = size > 0 ? body.data + size : body.data;
    const unsigned char *p;
    if (size == 0) p = lp_json_pass_fail(&s, body.data, "nothing but blanks");
    else if (s.end[-1] != '}') p = lp_json_pass_fail(&s, s.end - 1, "a text that does not end with a closing brace");
    else p = read_record(&s, lp_json_blanks(body.data));
    if (p != NULL && p != s.end) p = lp_json_pass_fail(&s, p, "more text after the record");
    return p != NULL ? LP_OK : report(&s, body.data, err);
}
