#include "decode/json_plan.h"

#include "decode/path.h"

#include <stdlib.h>

/* Mixing by multiplication with an odd constant (2^64 divided by the golden ratio); the table is ours, so that an
 * adversary's keys can only cost compares. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

static uint64_t hash_key(uint32_t parent, struct lp_span key)
{
    uint64_t hash = mix(parent, key.size), word = 0;
    const unsigned char *p = key.data;
    size_t left = key.size;
    for (; left > 8; left -= 8, p += 8) {
        memcpy(&word, p, 8);
        hash = mix(hash, word);
    }
    /* The last one to eight bytes; overlapping loads spare a call of memcpy for them. */
    if (key.size >= 8) {
        memcpy(&word, key.data + key.size - 8, 8);
    } else {
        word = 0;
        for (size_t i = 0; i < left; i++) word = word << 8 | p[i];
    }
    return mix(hash, word);
}

static uint64_t hash_index(uint32_t parent, uint32_t index) { return mix(mix(parent, ~(uint64_t)0), index); }

uint32_t lp_json_plan_child(const struct lp_json_plan *plan, uint32_t parent, struct lp_span key)
{
    for (uint64_t at = hash_key(parent, key);; at++) {
        uint32_t id = plan->table[at & plan->table_mask];
        if (id == LP_JSON_NONE) return LP_JSON_NONE;
        const struct lp_json_node *node = &plan->nodes[id];
        if (node->parent == parent && !node->is_index && node->key_size == key.size &&
            memcmp(node->key, key.data, key.size) == 0)
            return id;
    }
}

uint32_t lp_json_plan_item(const struct lp_json_plan *plan, uint32_t parent, uint32_t index)
{
    for (uint64_t at = hash_index(parent, index);; at++) {
        uint32_t id = plan->table[at & plan->table_mask];
        if (id == LP_JSON_NONE) return LP_JSON_NONE;
        const struct lp_json_node *node = &plan->nodes[id];
        if (node->parent == parent && node->is_index && node->index == index) return id;
    }
}

/* What building needs beyond the plan. */
struct builder {
    struct lp_json_plan *plan;
    uint32_t *ends;       /* [want_count] node where each want's path ends */
    const char **paths;   /* [want_count] the plan's copies */
    uint32_t *last_child; /* [nodes] last child with a key, to append siblings */
    size_t bytes_used;
    struct lp_path path;
};

static unsigned char *keep_bytes(struct builder *b, const void *data, size_t size)
{
    unsigned char *to = b->plan->bytes + b->bytes_used;
    memcpy(to, data, size);
    b->bytes_used += size;
    return to;
}

/* Keeps a key as `"key":`, and prepares its comparison when JSON text has it in the same bytes. */
static void keep_key(struct builder *b, struct lp_json_node *node, struct lp_span key)
{
    unsigned char *pattern = keep_bytes(b, "\"", 1);
    keep_bytes(b, key.data, key.size);
    keep_bytes(b, "\":", 2);
    size_t size = key.size + 3;
    node->key_size = (uint32_t)key.size;
    node->key = pattern + 1;
    for (size_t i = 0; i < key.size; i++)
        if (key.data[i] == '"' || key.data[i] == '\\' || key.data[i] < 0x20 || key.data[i] >= 0x80) return;
    memset(&node->head_mask, 0xff, size < 8 ? size : 8);
    memcpy(&node->head, pattern, size < 8 ? size : 8);
    if (size > 8) memcpy(&node->tail, pattern + size - 8, 8);
    node->pattern_size = (uint32_t)size;
}

static uint32_t add_node(struct builder *b, uint32_t parent, const struct lp_path_step *step, const char *path)
{
    struct lp_json_plan *plan = b->plan;
    uint32_t id = plan->node_count++;
    struct lp_json_node *node = &plan->nodes[id], *up = &plan->nodes[parent];
    *node = (struct lp_json_node){.parent = parent, .is_index = step->is_index, .index = step->index, .path = path};
    if (step->is_index) {
        up->has_items = true;
        if (step->index > up->last_index) up->last_index = step->index;
    } else {
        keep_key(b, node, step->key);
        if (up->has_keys) plan->nodes[b->last_child[parent]].next = id;
        else up->first_child = id;
        up->has_keys = true;
        b->last_child[parent] = id;
        if (node->key_size > plan->key_size_max) plan->key_size_max = node->key_size;
    }
    uint64_t at = step->is_index ? hash_index(parent, step->index) : hash_key(parent, step->key);
    while (plan->table[at & plan->table_mask] != LP_JSON_NONE) at++;
    plan->table[at & plan->table_mask] = id;
    return id;
}

static enum lp_code add_want(struct builder *b, const struct lp_want *want, uint32_t i, struct lp_error *err)
{
    LP_TRY(lp_path_split(want->path, &b->path, err));
    const char *path = (const char *)keep_bytes(b, want->path, strlen(want->path) + 1);
    uint32_t at = LP_JSON_ROOT;
    for (uint32_t s = 0; s < b->path.step_count; s++) {
        const struct lp_path_step *step = &b->path.steps[s];
        uint32_t child =
            step->is_index ? lp_json_plan_item(b->plan, at, step->index) : lp_json_plan_child(b->plan, at, step->key);
        at = child != LP_JSON_NONE ? child : add_node(b, at, step, path);
    }
    b->ends[i] = at;
    b->paths[i] = path;
    b->plan->nodes[at].want_count++;
    return LP_OK;
}

static void mark_numbers(struct lp_json_plan *plan)
{
    for (uint32_t id = 0; id < plan->node_count; id++) {
        struct lp_json_node *node = &plan->nodes[id];
        const struct lp_json_want *want = &plan->wants[node->first_want];
        if (node->want_count != 1 || want->type != LP_WANT_NUMBER || node->has_keys || node->has_items) continue;
        node->is_number = true;
        node->slot = want->slot;
    }
}

/* Counting sort of the wants by node; slots to clear. */
static void group_wants(struct builder *b, const struct lp_want *wants)
{
    struct lp_json_plan *plan = b->plan;
    uint32_t first = 0;
    for (uint32_t id = 0; id < plan->node_count; id++) {
        plan->nodes[id].first_want = first;
        first += plan->nodes[id].want_count;
        plan->nodes[id].want_count = 0;
    }
    for (uint32_t i = 0; i < plan->want_count; i++) {
        struct lp_json_node *node = &plan->nodes[b->ends[i]];
        uint32_t width = wants[i].type == LP_WANT_VECTOR ? wants[i].width : 1;
        plan->wants[node->first_want + node->want_count++] =
            (struct lp_json_want){.type = wants[i].type, .width = width, .slot = wants[i].slot, .path = b->paths[i]};
        uint32_t *count = wants[i].type == LP_WANT_TEXT ? &plan->text_count : &plan->number_count;
        if (wants[i].slot + width > *count) *count = wants[i].slot + width;
    }
}

/* Bounds on what the paths can need: nodes, and bytes for keys and paths. */
static enum lp_code measure(const struct lp_want *wants, uint32_t want_count, size_t *ret_nodes, size_t *ret_bytes,
                            struct lp_error *err)
{
    size_t nodes = 1, bytes = 1;
    if (want_count > LP_JSON_WANTS_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%u fields wanted, at most %d: use vectors", want_count,
                       LP_JSON_WANTS_MAX);
    for (uint32_t i = 0; i < want_count; i++) {
        const struct lp_want *want = &wants[i];
        size_t width = want->type == LP_WANT_VECTOR ? want->width : 1, size = strlen(want->path);
        if (want->type > LP_WANT_TIME_MS || width < 1 || width > LP_JSON_SLOTS_MAX ||
            want->slot > LP_JSON_SLOTS_MAX - width)
            return lp_fail_field(err, LP_E_INVALID, LP_FATAL, want->path,
                                 "%.100s: wanted with type %d, width %u, slot %u: slots go up to %d", want->path,
                                 (int)want->type, want->width, want->slot, LP_JSON_SLOTS_MAX);
        for (const char *p = want->path; *p != '\0'; p++) nodes += *p == '.' || *p == '[';
        nodes++;
        bytes += 4 * (size + 1); /* the path, and its keys with three bytes around each */
    }
    if (nodes > LP_JSON_NODES_MAX)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "the wanted paths have about %zu steps, at most %d: shorten them",
                       nodes, LP_JSON_NODES_MAX);
    *ret_nodes = nodes;
    *ret_bytes = bytes;
    return LP_OK;
}

static bool allocate(struct builder *b, size_t nodes, size_t bytes)
{
    struct lp_json_plan *plan = b->plan;
    uint32_t slots = 4;
    while (slots < 2 * nodes) slots *= 2;
    plan->table_mask = slots - 1;
    plan->nodes = calloc(nodes, sizeof *plan->nodes);
    plan->wants = calloc(plan->want_count + 1u, sizeof *plan->wants);
    plan->table = calloc(slots, sizeof *plan->table);
    plan->bytes = malloc(bytes);
    b->ends = calloc(plan->want_count + 1u, sizeof *b->ends);
    b->paths = calloc(plan->want_count + 1u, sizeof *b->paths);
    b->last_child = calloc(nodes, sizeof *b->last_child);
    return plan->nodes != NULL && plan->wants != NULL && plan->table != NULL && plan->bytes != NULL &&
           b->ends != NULL && b->paths != NULL && b->last_child != NULL;
}

enum lp_code lp_json_plan_new(const struct lp_want *wants, uint32_t want_count, struct lp_json_plan **ret_plan,
                              struct lp_error *err)
{
    size_t nodes = 0, bytes = 0;
    LP_TRY(measure(wants, want_count, &nodes, &bytes, err));
    enum lp_code rc = LP_OK;
    struct builder *b = calloc(1, sizeof *b);
    struct lp_json_plan *plan = calloc(1, sizeof *plan);
    if (b == NULL || plan == NULL) {
        rc = lp_fail_memory(err, sizeof *b + sizeof *plan);
        goto out;
    }
    b->plan = plan;
    plan->want_count = want_count;
    if (!allocate(b, nodes, bytes)) {
        rc = lp_fail_memory(err, nodes * sizeof *plan->nodes + bytes);
        goto out;
    }
    plan->node_count = 1;
    for (uint32_t i = 0; i < want_count; i++) LP_GUARD(add_want(b, &wants[i], i, err));
    group_wants(b, wants);
    mark_numbers(plan);
    *ret_plan = plan;
    plan = NULL;
out:
    if (b != NULL) {
        free(b->ends);
        free(b->paths);
        free(b->last_child);
    }
    free(b);
    lp_json_plan_free(plan);
    return rc;
}

void lp_json_plan_free(struct lp_json_plan *plan)
{
    if (plan == NULL) return;
    free(plan->nodes);
    free(plan->wants);
    free(plan->table);
    free(plan->bytes);
    free(plan);
}
