#include "decode/avro_path.h"

#include "decode/path.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHECK_STEPS_MAX = 1 << 20 };

static enum lp_code bad_path(const struct lp_want *want, const char *what, struct lp_error *err)
{
    return lp_fail_field(err, LP_E_INVALID, LP_FATAL, want->path, "path '%s': %s", want->path, what);
}

/* "a", "a.b", "a[2]": for errors at fields on the way to a want. */
static struct lp_span joined_path(struct lp_avro_pool *pool, struct lp_span parent, const struct lp_path_step *step)
{
    size_t room = parent.size + step->key.size + 16;
    char *text = lp_avro_pool_take(pool, room, 1);
    if (text == NULL) return lp_span_of(NULL, 0);
    int parent_bytes = (int)parent.size, bytes = 0;
    const char *before = parent.data != NULL ? (const char *)parent.data : "";
    if (step->is_index) bytes = snprintf(text, room, "%.*s[%u]", parent_bytes, before, (unsigned)step->index);
    else
        bytes = snprintf(text, room, "%.*s%s%.*s", parent_bytes, before, parent.size > 0 ? "." : "",
                         (int)step->key.size, (const char *)step->key.data);
    return lp_span_of(text, (size_t)bytes);
}

/* A path's bytes for sorting: what ends a part goes before everything else, so that paths with a first part in common
 * are neighbours. */
static int rank(char c) { return c == '\0' ? 0 : c == '.' ? 1 : c == '[' ? 2 : 3 + (unsigned char)c; }

static int by_path(const void *a, const void *b)
{
    const char *x = (*(const struct lp_want *const *)a)->path, *y = (*(const struct lp_want *const *)b)->path;
    while (*x != '\0' && *x == *y) {
        x++;
        y++;
    }
    return rank(*x) - rank(*y);
}

/* With the paths in order a name is new or it is the child added last; an index may be written in two ways ([02]). */
static struct lp_avro_node *child_find(const struct lp_avro_node *node, const struct lp_path_step *step)
{
    struct lp_avro_node *last = node->last_child;
    if (!step->is_index) return last != NULL && lp_span_equal(last->name, step->key) ? last : NULL;
    for (struct lp_avro_node *child = node->child; child != NULL; child = child->next)
        if (child->name.data == NULL && child->index == step->index) return child;
    return NULL;
}

static struct lp_avro_node *child_add(struct lp_avro_pool *pool, struct lp_avro_node *node,
                                      const struct lp_path_step *step)
{
    struct lp_avro_node *child = lp_avro_pool_take(pool, 1, sizeof *child);
    unsigned char *name = lp_avro_pool_take(pool, step->is_index ? 0 : step->key.size + 1, 1);
    if (child == NULL || name == NULL) return NULL;
    *child = (struct lp_avro_node){.first_want = LP_AVRO_NO_WANT, .path = joined_path(pool, node->path, step)};
    if (child->path.data == NULL) return NULL;
    if (step->is_index) {
        child->index = step->index;
    } else {
        memcpy(name, step->key.data, step->key.size);
        child->name = lp_span_of(name, step->key.size);
    }
    if (node->last_child != NULL) node->last_child->next = child;
    else node->child = child;
    node->last_child = child;
    return child;
}

static enum lp_code tree_add(struct lp_avro_tree *tree, struct lp_avro_pool *pool, uint32_t want_index,
                             struct lp_path *path, struct lp_error *err)
{
    const struct lp_want *want = &tree->wants[want_index];
    struct lp_avro_node *node = tree->root;
    path->step_count = 0; /* the empty path is the whole datum */
    if (want->path[0] != '\0') LP_TRY(lp_path_split(want->path, path, err));
    for (uint32_t i = 0; i < path->step_count; i++) {
        struct lp_avro_node *child = child_find(node, &path->steps[i]);
        if (child == NULL) child = child_add(pool, node, &path->steps[i]);
        if (child == NULL) return lp_avro_pool_fail(pool, err);
        node = child;
    }
    if (want->type == LP_WANT_VECTOR && want->width == 0) return bad_path(want, "a vector of width 0", err);
    node->path = lp_span_text(want->path);
    tree->next_want[want_index] = node->first_want;
    node->first_want = want_index;
    return LP_OK;
}

enum lp_code lp_avro_tree_build(struct lp_avro_pool *pool, const struct lp_want *wants, uint32_t want_count,
                                struct lp_avro_tree *ret_tree, struct lp_error *err)
{
    struct lp_avro_tree tree = {.wants = wants, .want_count = want_count};
    tree.root = lp_avro_pool_take(pool, 1, sizeof *tree.root);
    tree.next_want = lp_avro_pool_take(pool, (size_t)want_count + 1, sizeof *tree.next_want);
    if (tree.root == NULL || tree.next_want == NULL) return lp_avro_pool_fail(pool, err);
    tree.root->first_want = LP_AVRO_NO_WANT;
    const struct lp_want **sorted = lp_avro_pool_take(pool, (size_t)want_count + 1, sizeof *sorted);
    if (sorted == NULL) return lp_avro_pool_fail(pool, err);
    for (uint32_t i = 0; i < want_count; i++) sorted[i] = &wants[i];
    qsort(sorted, want_count, sizeof *sorted, by_path);
    struct lp_path path;
    for (uint32_t i = 0; i < want_count; i++) LP_TRY(tree_add(&tree, pool, (uint32_t)(sorted[i] - wants), &path, err));
    *ret_tree = tree;
    return LP_OK;
}

const char *lp_avro_want_name(enum lp_want_type type)
{
    static const char *const names[] = {[LP_WANT_NUMBER] = "a number",
                                        [LP_WANT_TEXT] = "text",
                                        [LP_WANT_VECTOR] = "a vector",
                                        [LP_WANT_TIME_MS] = "a time"};
    return names[type];
}

static bool number_fits(const struct lp_avro_type *type)
{
    bool bytes = type->kind == LP_AVRO_BYTES || type->kind == LP_AVRO_FIXED;
    return type->kind <= LP_AVRO_DOUBLE || (bytes && type->logical == LP_AVRO_DECIMAL);
}

/* An instant: a time of day has no date, and a plain int or a real says no unit. */
static bool time_fits(const struct lp_avro_type *type)
{
    if (type->kind == LP_AVRO_INT) return type->logical == LP_AVRO_DATE;
    return type->kind == LP_AVRO_LONG && type->logical != LP_AVRO_TIME;
}

static bool vector_fits(const struct lp_avro_type *type)
{
    if (type->kind != LP_AVRO_ARRAY) return false;
    const struct lp_avro_type *items = type->branches[0];
    if (items->kind != LP_AVRO_UNION) return number_fits(items);
    for (uint32_t i = 0; i < items->count; i++)
        if (number_fits(items->branches[i])) return true;
    return false;
}

bool lp_avro_fits(enum lp_want_type type, const struct lp_avro_type *reader)
{
    if (reader->kind == LP_AVRO_NULL) return true;
    switch (type) {
    case LP_WANT_NUMBER: return number_fits(reader);
    case LP_WANT_TEXT:
        return (reader->kind < LP_AVRO_PRIMITIVES || reader->kind == LP_AVRO_ENUM || reader->kind == LP_AVRO_FIXED) &&
               reader->logical != LP_AVRO_DECIMAL;
    case LP_WANT_VECTOR: return vector_fits(reader);
    case LP_WANT_TIME_MS: return time_fits(reader);
    }
    return false;
}

/* ---- do the paths exist? ---- */

struct check {
    const struct lp_avro_tree *tree;
    const struct lp_avro_type **found;   /* [want_count] a type at its path, or NULL */
    const struct lp_avro_type **fitting; /* [want_count] a type that fits, or NULL */
    uint32_t steps;
};

static void note_wants(struct check *check, const struct lp_avro_node *node, const struct lp_avro_type *type,
                       bool in_union)
{
    for (uint32_t want = node->first_want; want != LP_AVRO_NO_WANT; want = check->tree->next_want[want]) {
        bool fits = lp_avro_fits(check->tree->wants[want].type, type);
        if (check->found[want] == NULL || type->kind != LP_AVRO_NULL) check->found[want] = type;
        if (fits && (type->kind != LP_AVRO_NULL || !in_union)) check->fitting[want] = type;
    }
}

static const struct lp_avro_type *step_into(const struct lp_avro_type *type, const struct lp_avro_node *child)
{
    bool named = child->name.data != NULL;
    if (type->kind == LP_AVRO_RECORD && named) {
        int64_t at = lp_avro_index_of(type->index, child->name);
        return at >= 0 ? type->fields[at].type : NULL;
    }
    if ((type->kind == LP_AVRO_MAP && named) || (type->kind == LP_AVRO_ARRAY && !named)) return type->branches[0];
    return NULL;
}

/* Recursion follows the paths, which LP_AVRO_DEPTH_MAX bounds; a union adds one level to each. */
static bool check_node(struct check *check, const struct lp_avro_node *node, const struct lp_avro_type *type,
                       bool in_union)
{
    if (++check->steps > CHECK_STEPS_MAX) return false;
    if (type->kind == LP_AVRO_UNION) {
        for (uint32_t i = 0; i < type->count; i++)
            if (!check_node(check, node, type->branches[i], true)) return false;
        return true;
    }
    note_wants(check, node, type, in_union);
    for (const struct lp_avro_node *child = node->child; child != NULL; child = child->next) {
        const struct lp_avro_type *inner = step_into(type, child);
        if (inner != NULL && !check_node(check, child, inner, false)) return false;
    }
    return true;
}

static enum lp_code check_result(const struct check *check, uint32_t want, struct lp_error *err)
{
    const char *path = check->tree->wants[want].path;
    if (check->found[want] == NULL)
        return lp_fail_field(err, LP_E_NOT_FOUND, LP_FATAL, path,
                             "avro: the schema has no field '%s': correct the path", path);
    if (check->fitting[want] == NULL)
        return lp_fail_field(err, LP_E_MISMATCH, LP_FATAL, path, "avro: field '%s' is %s%s in the schema, wanted as %s",
                             path, lp_avro_kind_name(check->found[want]->kind),
                             check->found[want]->logical == LP_AVRO_DECIMAL ? " (decimal)" : "",
                             lp_avro_want_name(check->tree->wants[want].type));
    return LP_OK;
}

enum lp_code lp_avro_tree_check(const struct lp_avro_tree *tree, const struct lp_avro_type *reader,
                                struct lp_error *err)
{
    const uint32_t want_count = tree->want_count;
    struct lp_avro_pool pool = {0};
    enum lp_code rc = LP_OK;
    struct check check = {.tree = tree};
    check.found = lp_avro_pool_take(&pool, (size_t)want_count + 1, sizeof *check.found);
    check.fitting = lp_avro_pool_take(&pool, (size_t)want_count + 1, sizeof *check.fitting);
    if (check.found == NULL || check.fitting == NULL) LP_GUARD(lp_avro_pool_fail(&pool, err));
    if (!check_node(&check, tree->root, reader, false))
        LP_GUARD(lp_fail(err, LP_E_LIMIT, LP_FATAL, "avro: the wanted paths meet too many unions"));
    for (uint32_t i = 0; i < want_count; i++) LP_GUARD(check_result(&check, i, err));
out:
    lp_avro_pool_done(&pool);
    return rc;
}
