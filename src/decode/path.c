#include "decode/path.h"

struct splitter {
    const char *text;
    const char *p;
    size_t used; /* of path->bytes */
    struct lp_path *path;
};

static enum lp_code bad(const struct splitter *s, struct lp_error *err, const char *what)
{
    return lp_fail_field(err, LP_E_INVALID, LP_FATAL, s->text,
                         "path \"%.100s\": %s at character %zu: write it as a.b, a[2] or a\\.b", s->text, what,
                         (size_t)(s->p - s->text) + 1);
}

static enum lp_code add_step(struct splitter *s, struct lp_path_step step, struct lp_error *err)
{
    if (s->path->step_count == LP_PATH_STEPS_MAX)
        return lp_fail_field(err, LP_E_LIMIT, LP_FATAL, s->text,
                             "path \"%.100s\": more than %d steps: flatten the record", s->text, LP_PATH_STEPS_MAX);
    s->path->steps[s->path->step_count++] = step;
    return LP_OK;
}

static enum lp_code split_index(struct splitter *s, struct lp_error *err)
{
    s->p++;
    if (*s->p == ']')
        return lp_fail_field(err, LP_E_UNSUPPORTED, LP_FATAL, s->text,
                             "path \"%.100s\": candidate lists ([]) are not in this release: name one element as a[0]",
                             s->text);
    uint32_t index = 0;
    const char *first = s->p;
    for (; *s->p >= '0' && *s->p <= '9'; s->p++) {
        index = index * 10 + (uint32_t)(*s->p - '0');
        if (index > LP_PATH_INDEX_MAX) return bad(s, err, "an index above 16777215");
    }
    if (s->p == first || *s->p != ']') return bad(s, err, "an index that is not a number in brackets");
    s->p++;
    return add_step(s, (struct lp_path_step){.is_index = true, .index = index}, err);
}

static enum lp_code split_key(struct splitter *s, struct lp_error *err)
{
    unsigned char *key = s->path->bytes + s->used;
    size_t size = 0;
    for (; *s->p != '\0' && *s->p != '.' && *s->p != '['; s->p++) {
        if (*s->p == ']') return bad(s, err, "a bracket that nothing opened");
        if (*s->p == '\\') {
            s->p++;
            if (*s->p == '\0' || strchr(".[]\\", *s->p) == NULL)
                return bad(s, err, "a backslash before an ordinary character");
        }
        key[size++] = (unsigned char)*s->p;
    }
    if (size == 0) return bad(s, err, "an empty name");
    s->used += size;
    return add_step(s, (struct lp_path_step){.key = lp_span_of(key, size)}, err);
}

enum lp_code lp_path_split(const char *text, struct lp_path *ret_path, struct lp_error *err)
{
    struct splitter s = {.text = text, .p = text, .path = ret_path};
    ret_path->step_count = 0;
    /* Unescaping only shortens, so that keys always fit once the text does. */
    if (strnlen(text, LP_PATH_BYTES_MAX + 1) > LP_PATH_BYTES_MAX)
        return lp_fail_field(err, LP_E_LIMIT, LP_FATAL, text, "path \"%.100s...\": longer than %d bytes: shorten it",
                             text, LP_PATH_BYTES_MAX);
    if (*s.p == '\0') return bad(&s, err, "nothing");
    if (*s.p != '[') LP_TRY(split_key(&s, err));
    while (*s.p != '\0') {
        if (*s.p == '[') {
            LP_TRY(split_index(&s, err));
        } else if (*s.p == '.') {
            s.p++;
            LP_TRY(split_key(&s, err));
        } else {
            return bad(&s, err, "a name straight after an index (a dot is missing)");
        }
    }
    return LP_OK;
}
