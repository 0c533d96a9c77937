#include "cmd/avro_length.h"

#include "decode/avro.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 256, NAME_MAX_BYTES = 1024 };

enum kind { KIND_FIXED, KIND_VARINT, KIND_BYTES, KIND_RECORD, KIND_UNION, KIND_ARRAY, KIND_MAP, KIND_NAME };

/* A type: what follows in the bytes. Children of a record, union, array or map are nodes `first` to first + count. */
struct node {
    enum kind kind;
    uint32_t first, count;
    uint64_t bytes;   /* KIND_FIXED */
    const char *name; /* full name of a definition, or what KIND_NAME refers to; owned */
};

struct lp_avro_length {
    struct node *nodes; /* [LP_AVRO_NODES_MAX]; 0 is the root */
    uint32_t count;
};

/* A type of the schema that still has to become a node. */
struct job {
    const json_t *json; /* borrowed */
    uint32_t node;
    const char *space; /* enclosing namespace, borrowed from a node's name: its first space_bytes */
    size_t space_bytes;
};

struct builder {
    struct lp_avro_length *length;
    struct job *jobs; /* [LP_AVRO_NODES_MAX]: a node is a job once */
    uint32_t job_count;
};

static const struct {
    const char *name;
    enum kind kind;
    uint64_t bytes;
} primitives[] = {{"null", KIND_FIXED, 0},  {"boolean", KIND_FIXED, 1}, {"int", KIND_VARINT, 0},
                  {"long", KIND_VARINT, 0}, {"float", KIND_FIXED, 4},   {"double", KIND_FIXED, 8},
                  {"bytes", KIND_BYTES, 0}, {"string", KIND_BYTES, 0},  {"enum", KIND_VARINT, 0}};

static enum lp_code bad_schema(struct lp_error *err)
{
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "the schema has a type that is none");
}

static enum lp_code set_name(struct node *node, const char *name, const char *space, size_t space_bytes,
                             struct lp_error *err)
{
    char full[NAME_MAX_BYTES];
    bool qualified = strchr(name, '.') != NULL || space_bytes == 0;
    int length = qualified ? snprintf(full, sizeof full, "%s", name)
                           : snprintf(full, sizeof full, "%.*s.%s", (int)space_bytes, space, name);
    if (length < 0 || (size_t)length >= sizeof full)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "the schema has a name of more than %d bytes", NAME_MAX_BYTES);
    node->name = strdup(full);
    return node->name != NULL ? LP_OK : lp_fail_memory(err, (size_t)length);
}

/* Nodes for `count` children of `parent`. */
static enum lp_code add_children(struct builder *builder, struct node *parent, size_t count, struct lp_error *err)
{
    struct lp_avro_length *length = builder->length;
    if (count > LP_AVRO_NODES_MAX - length->count)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "the schema has more than %d types", LP_AVRO_NODES_MAX);
    parent->first = length->count;
    parent->count = (uint32_t)count;
    length->count += (uint32_t)count;
    return LP_OK;
}

static void add_job(struct builder *builder, const json_t *json, uint32_t node, const struct job *from)
{
    builder->jobs[builder->job_count++] =
        (struct job){.json = json, .node = node, .space = from->space, .space_bytes = from->space_bytes};
}

static enum lp_code build_list(struct builder *builder, const struct job *job, enum kind kind, const json_t *list,
                               const char *member, struct lp_error *err)
{
    struct node *node = &builder->length->nodes[job->node];
    if (!json_is_array(list)) return bad_schema(err);
    node->kind = kind;
    LP_TRY(add_children(builder, node, json_array_size(list), err));
    for (uint32_t i = 0; i < node->count; i++) {
        const json_t *item = json_array_get(list, i);
        add_job(builder, member != NULL ? json_object_get(item, member) : item, node->first + i, job);
    }
    return LP_OK;
}

/* A definition's full name, and the namespace that holds inside it. */
static enum lp_code enter_name(struct builder *builder, struct job *job, struct lp_error *err)
{
    struct node *node = &builder->length->nodes[job->node];
    const char *name = json_string_value(json_object_get(job->json, "name"));
    const char *space = json_string_value(json_object_get(job->json, "namespace"));
    if (name == NULL) return bad_schema(err);
    if (space != NULL) LP_TRY(set_name(node, name, space, strlen(space), err));
    else LP_TRY(set_name(node, name, job->space, job->space_bytes, err));
    const char *dot = strrchr(node->name, '.');
    job->space = node->name;
    job->space_bytes = dot != NULL ? (size_t)(dot - node->name) : 0;
    return LP_OK;
}

static enum lp_code build_word(struct builder *builder, const struct job *job, const char *word, struct lp_error *err)
{
    struct node *node = &builder->length->nodes[job->node];
    for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++) {
        if (strcmp(primitives[i].name, word) != 0) continue;
        node->kind = primitives[i].kind;
        node->bytes = primitives[i].bytes;
        return LP_OK;
    }
    node->kind = KIND_NAME;
    return set_name(node, word, job->space, job->space_bytes, err);
}

static enum lp_code build_object(struct builder *builder, struct job *job, struct lp_error *err)
{
    struct node *node = &builder->length->nodes[job->node];
    const json_t *type = json_object_get(job->json, "type");
    const char *word = json_string_value(type);
    if (word == NULL) { /* {"type": {...}} */
        if (type == NULL) return bad_schema(err);
        add_job(builder, type, job->node, job);
        return LP_OK;
    }
    bool record = strcmp(word, "record") == 0 || strcmp(word, "error") == 0, fixed = strcmp(word, "fixed") == 0;
    if (record || fixed || strcmp(word, "enum") == 0) LP_TRY(enter_name(builder, job, err));
    if (record) return build_list(builder, job, KIND_RECORD, json_object_get(job->json, "fields"), "type", err);
    if (fixed) {
        json_int_t size = json_integer_value(json_object_get(job->json, "size"));
        node->kind = KIND_FIXED;
        node->bytes = size > 0 ? (uint64_t)size : 0;
        return LP_OK;
    }
    bool array = strcmp(word, "array") == 0;
    if (array || strcmp(word, "map") == 0) {
        node->kind = array ? KIND_ARRAY : KIND_MAP;
        LP_TRY(add_children(builder, node, 1, err));
        add_job(builder, json_object_get(job->json, array ? "items" : "values"), node->first, job);
        return LP_OK;
    }
    return build_word(builder, job, word, err);
}

static enum lp_code build(struct builder *builder, const json_t *schema, struct lp_error *err)
{
    struct lp_avro_length *length = builder->length;
    length->count = 1;
    add_job(builder, schema, 0, &(struct job){.space = ""});
    while (builder->job_count > 0) {
        struct job job = builder->jobs[--builder->job_count];
        if (json_is_string(job.json)) LP_TRY(build_word(builder, &job, json_string_value(job.json), err));
        else if (json_is_array(job.json)) LP_TRY(build_list(builder, &job, KIND_UNION, job.json, NULL, err));
        else if (json_is_object(job.json)) LP_TRY(build_object(builder, &job, err));
        else return bad_schema(err);
    }
    return LP_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct node *const *)a)->name, (*(const struct node *const *)b)->name);
}

static const struct node *find_definition(const struct node **definitions, size_t count, const char *name)
{
    const struct node wanted = {.name = name}, *key = &wanted;
    const struct node **found = bsearch(&key, definitions, count, sizeof *definitions, by_name);
    return found != NULL ? *found : NULL;
}

/* Every reference becomes what it names: in its namespace, else (Avro before 1.9 wrote such) without one. */
static enum lp_code resolve(struct lp_avro_length *length, struct lp_error *err)
{
    const struct node **definitions = calloc(length->count, sizeof *definitions);
    if (definitions == NULL) return lp_fail_memory(err, length->count * sizeof *definitions);
    size_t count = 0;
    for (uint32_t i = 0; i < length->count; i++)
        if (length->nodes[i].kind != KIND_NAME && length->nodes[i].name != NULL)
            definitions[count++] = &length->nodes[i];
    qsort(definitions, count, sizeof *definitions, by_name);
    enum lp_code rc = LP_OK;
    for (uint32_t i = 0; i < length->count && rc == LP_OK; i++) {
        struct node *node = &length->nodes[i];
        if (node->kind != KIND_NAME) continue;
        const char *bare = strrchr(node->name, '.');
        const struct node *found = find_definition(definitions, count, node->name);
        if (found == NULL && bare != NULL) found = find_definition(definitions, count, bare + 1);
        if (found != NULL) node->first = (uint32_t)(found - length->nodes);
        else rc = lp_fail(err, LP_E_INVALID, LP_FATAL, "the schema names %.200s, which it does not define", node->name);
    }
    free(definitions);
    return rc;
}

enum lp_code lp_avro_length_new(struct lp_span schema, struct lp_avro_length **ret_length, struct lp_error *err)
{
    struct builder builder = {.length = calloc(1, sizeof *builder.length)};
    json_t *json = NULL;
    enum lp_code rc = LP_OK;
    builder.jobs = calloc(LP_AVRO_NODES_MAX, sizeof *builder.jobs);
    if (builder.length != NULL) builder.length->nodes = calloc(LP_AVRO_NODES_MAX, sizeof *builder.length->nodes);
    if (builder.jobs == NULL || builder.length == NULL || builder.length->nodes == NULL) {
        rc = lp_fail_memory(err, LP_AVRO_NODES_MAX * sizeof *builder.jobs);
        goto out;
    }
    json = json_loadb((const char *)schema.data, schema.size, JSON_DECODE_ANY, NULL);
    if (json == NULL) {
        rc = lp_fail(err, LP_E_INVALID, LP_FATAL, "the schema is not JSON");
        goto out;
    }
    LP_GUARD(build(&builder, json, err));
    LP_GUARD(resolve(builder.length, err));
    *ret_length = builder.length;
    builder.length = NULL;
out:
    json_decref(json);
    free(builder.jobs);
    lp_avro_length_free(builder.length);
    return rc;
}

void lp_avro_length_free(struct lp_avro_length *length)
{
    if (length == NULL) return;
    for (uint32_t i = 0; length->nodes != NULL && i < length->count; i++)
        free((void *)(uintptr_t)length->nodes[i].name);
    free(length->nodes);
    free(length);
}

/* --- measuring --- */

struct frame {
    const struct node *node;
    uint64_t left; /* record: fields to come; array, map: items of the block to come */
    bool open;     /* array, map: a block was begun */
};

struct walk {
    const unsigned char *at, *end;
    uint64_t items_left;
    uint32_t depth;
    struct frame frames[DEPTH_MAX];
};

static bool take_long(struct walk *walk, int64_t *ret_number)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 70 && walk->at < walk->end; shift += 7) {
        unsigned char byte = *walk->at++;
        if (shift == 63 && byte > 1) return false;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_number = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return true;
        }
    }
    return false;
}

static bool take_bytes(struct walk *walk, uint64_t count)
{
    if (count > (uint64_t)(walk->end - walk->at)) return false;
    walk->at += count;
    return true;
}

static bool take_counted(struct walk *walk)
{
    int64_t count;
    return take_long(walk, &count) && count >= 0 && take_bytes(walk, (uint64_t)count);
}

static bool push(struct walk *walk, const struct node *nodes, const struct node *node)
{
    if (walk->depth == DEPTH_MAX) return false;
    for (int hops = 0; node->kind == KIND_NAME && hops < DEPTH_MAX; hops++) node = &nodes[node->first];
    walk->frames[walk->depth++] = (struct frame){.node = node, .left = node->kind == KIND_RECORD ? node->count : 0};
    return true;
}

/* The next block of an array or map; a negative count comes with the block's size, which skips it at once. */
static bool take_block(struct walk *walk, struct frame *frame)
{
    int64_t count, size;
    do {
        if (!take_long(walk, &count)) return false;
        if (count < 0 && (!take_long(walk, &size) || size < 0 || !take_bytes(walk, (uint64_t)size))) return false;
    } while (count < 0);
    frame->left = (uint64_t)count;
    frame->open = count > 0;
    if ((uint64_t)count > walk->items_left) return false;
    walk->items_left -= (uint64_t)count;
    return true;
}

static bool step_items(struct walk *walk, const struct node *nodes, struct frame *frame)
{
    if (frame->left == 0) {
        if (!take_block(walk, frame)) return false;
        if (!frame->open) walk->depth--;
        return true;
    }
    frame->left--;
    if (frame->node->kind == KIND_MAP && !take_counted(walk)) return false;
    return push(walk, nodes, &nodes[frame->node->first]);
}

static bool step(struct walk *walk, const struct node *nodes)
{
    struct frame *frame = &walk->frames[walk->depth - 1];
    const struct node *node = frame->node;
    int64_t number;
    switch (node->kind) {
    case KIND_FIXED: walk->depth--; return take_bytes(walk, node->bytes);
    case KIND_VARINT: walk->depth--; return take_long(walk, &number);
    case KIND_BYTES: walk->depth--; return take_counted(walk);
    case KIND_RECORD:
        if (frame->left == 0) {
            walk->depth--;
            return true;
        }
        return push(walk, nodes, &nodes[node->first + node->count - frame->left--]);
    case KIND_UNION:
        walk->depth--;
        if (!take_long(walk, &number) || number < 0 || number >= node->count) return false;
        return push(walk, nodes, &nodes[node->first + (uint64_t)number]);
    case KIND_ARRAY:
    case KIND_MAP: return step_items(walk, nodes, frame);
    case KIND_NAME: break;
    }
    return false;
}

enum lp_code lp_avro_length_run(const struct lp_avro_length *length, struct lp_span bytes, size_t *ret_bytes,
                                struct lp_error *err)
{
    struct walk walk; /* frames are set as they are used */
    walk.at = bytes.data;
    walk.end = bytes.data + bytes.size;
    walk.items_left = LP_AVRO_ITEMS_MAX;
    walk.depth = 0;
    bool good = push(&walk, length->nodes, &length->nodes[0]);
    while (good && walk.depth > 0) good = step(&walk, length->nodes);
    if (!good)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "the datum does not follow the schema near byte %zu",
                       (size_t)(walk.at - bytes.data));
    *ret_bytes = (size_t)(walk.at - bytes.data);
    return LP_OK;
}
