#include "model/node.h"

#include "model/bundle.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Values, containers and depth of a JSON text, counted without building it: a tree takes a hundred times its text. */
struct census {
    size_t values, containers, depth, deepest;
};

static struct census count_json(struct lp_span text)
{
    struct census seen = {0};
    bool in_string = false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = text.data[i];
        if (in_string) {
            if (c == '\\') i++;
            else if (c == '"') in_string = false;
            continue;
        }
        switch (c) {
        case '"': in_string = true; break;
        case ',':
        case ':': seen.values++; break;
        case '{':
        case '[':
            seen.values++;
            seen.containers++;
            if (++seen.depth > seen.deepest) seen.deepest = seen.depth;
            break;
        case '}':
        case ']': seen.depth -= seen.depth > 0; break;
        default: break;
        }
    }
    return seen;
}

enum lp_code lp_node_parse(struct lp_span text, const char *what, json_t **ret_root, struct lp_error *err)
{
    struct census seen = count_json(text);
    if (seen.values > LP_BUNDLE_JSON_VALUES_MAX || seen.containers > LP_BUNDLE_JSON_CONTAINERS_MAX)
        return lp_fail(
            err, LP_E_LIMIT, LP_FATAL,
            "%s: %zu values in %zu objects and arrays, at most %d in %d are read: put long arrays in tensors", what,
            seen.values, seen.containers, LP_BUNDLE_JSON_VALUES_MAX, LP_BUNDLE_JSON_CONTAINERS_MAX);
    if (seen.deepest > LP_BUNDLE_JSON_DEPTH_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: nested %zu deep, at most %d is read", what, seen.deepest,
                       LP_BUNDLE_JSON_DEPTH_MAX);
    json_error_t at;
    json_t *root = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &at);
    if (root == NULL) {
        enum json_error_code code = json_error_code(&at);
        if (code == json_error_out_of_memory || at.text[0] == '\0') return lp_fail_memory(err, text.size);
        return LP_BAD(err, "%s: not JSON at byte %d: %s", what, at.position, at.text);
    }
    *ret_root = root;
    return LP_OK;
}

static bool is_listed(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0) return true;
    return false;
}

static enum lp_code check_members(const struct lp_node *node, const char *const *members, struct lp_error *err)
{
    if (!json_is_object(node->json)) return LP_BAD(err, "%s: is not an object", node->where);
    /* jansson's iterators take a mutable object and leave it as it is. */
    json_t *object = (json_t *)(uintptr_t)node->json;
    for (void *at = json_object_iter(object); members != NULL && at != NULL; at = json_object_iter_next(object, at)) {
        const char *key = json_object_iter_key(at);
        if (!is_listed(key, members)) return LP_BAD(err, "%s: unknown member `%.64s`", node->where, key);
    }
    return LP_OK;
}

enum lp_code lp_node_init(struct lp_node *node, const json_t *json, const char *const *members, struct lp_error *err,
                          const char *where_format, ...)
{
    va_list args;
    va_start(args, where_format);
    vsnprintf(node->where, sizeof node->where, where_format, args);
    va_end(args);
    node->json = json;
    return json != NULL ? check_members(node, members, err) : LP_OK;
}

enum lp_code lp_node_object(const struct lp_node *node, const char *key, const char *const *members,
                            struct lp_node *ret_node, struct lp_error *err)
{
    return lp_node_init(ret_node, json_object_get(node->json, key), members, err, "%.100s: %s", node->where, key);
}

static enum lp_code fail_member(const struct lp_node *node, const char *key, const char *wanted, struct lp_error *err)
{
    if (!lp_node_has(node, key)) return LP_BAD(err, "%s: `%s` is missing: %s", node->where, key, wanted);
    return LP_BAD(err, "%s: `%s` is not %s", node->where, key, wanted);
}

bool lp_name_valid(const char *text, size_t size, size_t max_bytes)
{
    if (size == 0 || size > max_bytes) return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) return false;
    return true;
}

enum lp_code lp_node_text(const struct lp_node *node, const char *key, size_t max_bytes,
                          struct lp_bundle_storage *storage, const char **ret_text, struct lp_error *err)
{
    const json_t *json = json_object_get(node->json, key);
    if (!json_is_string(json)) return lp_failed(fail_member(node, key, "a text", err));
    size_t size = json_string_length(json);
    if (!lp_name_valid(json_string_value(json), size, max_bytes))
        return LP_BAD(err, "%s: `%s` has %zu bytes: 1 to %zu without control characters are allowed", node->where, key,
                      size, max_bytes);
    const char *text = lp_storage_text(storage, json_string_value(json), size, err);
    if (text == NULL) return lp_failed(err->code);
    *ret_text = text;
    return LP_OK;
}

enum lp_code lp_node_word(const struct lp_node *node, const char *key, const char **ret_word, struct lp_error *err)
{
    const json_t *json = json_object_get(node->json, key);
    if (!json_is_string(json)) return lp_failed(fail_member(node, key, "a text", err));
    *ret_word = json_string_value(json);
    return LP_OK;
}

static bool find_word(const char *word, struct lp_choice choice, size_t *ret_index)
{
    for (size_t i = 0; i < choice.count; i++) {
        if (strcmp(word, choice.names[i]) != 0) continue;
        *ret_index = i;
        return true;
    }
    return false;
}

enum lp_code lp_node_choice(const struct lp_node *node, const char *key, struct lp_choice choice,
                            const struct lp_choice *later, size_t *ret_index, struct lp_error *err)
{
    const char *word = NULL;
    size_t index;
    LP_TRY(lp_node_word(node, key, &word, err));
    if (find_word(word, choice, ret_index)) return LP_OK;
    if (later != NULL && find_word(word, *later, &index))
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "%s: `%s` %s is not in this release", node->where, key, word);
    char words[256];
    size_t used = 0;
    for (size_t i = 0; i < choice.count && used < sizeof words; i++)
        used += (size_t)snprintf(words + used, sizeof words - used, "%s%s", i > 0 ? ", " : "", choice.names[i]);
    return LP_BAD(err, "%s: `%s` is `%.64s`: allowed are %s", node->where, key, word, words);
}

enum lp_code lp_node_number(const struct lp_node *node, const char *key, double *ret_number, struct lp_error *err)
{
    const json_t *json = json_object_get(node->json, key);
    if (!json_is_number(json)) return lp_failed(fail_member(node, key, "a number", err));
    *ret_number = json_number_value(json);
    return LP_OK;
}

enum lp_code lp_node_number_or(const struct lp_node *node, const char *key, double *ret_number, struct lp_error *err)
{
    return lp_node_has(node, key) ? lp_node_number(node, key, ret_number, err) : LP_OK;
}

enum lp_code lp_node_whole(const struct lp_node *node, const char *key, json_int_t low, json_int_t high,
                           json_int_t *ret_whole, struct lp_error *err)
{
    const json_t *json = json_object_get(node->json, key);
    if (!json_is_integer(json)) return lp_failed(fail_member(node, key, "a whole number", err));
    json_int_t whole = json_integer_value(json);
    if (whole < low || whole > high)
        return LP_BAD(err, "%s: `%s` is %lld: allowed is %lld to %lld", node->where, key, (long long)whole,
                      (long long)low, (long long)high);
    *ret_whole = whole;
    return LP_OK;
}

enum lp_code lp_node_flag_or(const struct lp_node *node, const char *key, bool *ret_flag, struct lp_error *err)
{
    const json_t *json = json_object_get(node->json, key);
    if (json == NULL) return LP_OK;
    if (!json_is_boolean(json)) return lp_failed(fail_member(node, key, "true or false", err));
    *ret_flag = json_is_true(json);
    return LP_OK;
}

enum lp_code lp_node_array(const struct lp_node *node, const char *key, const json_t **ret_array, struct lp_error *err)
{
    const json_t *json = json_object_get(node->json, key);
    if (!json_is_array(json)) return lp_failed(fail_member(node, key, "an array", err));
    *ret_array = json;
    return LP_OK;
}
