/*
 * Schemas that refer to types of other subjects. Each named type of the referenced schemas is written out where the
 * schema first uses it, and by name from then on, so that one text says it all. The walk is in document order, the
 * order in which Avro defines names; it keeps its own stack.
 */
#include "decode/registry_client.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { PENDING_MAX = LP_AVRO_NODES_MAX, NAME_BYTES_MAX = 1024 };

/* A place in the tree where a type stands. */
struct place {
    json_t *parent;  /* borrowed; array or object */
    size_t index;    /* array */
    const char *key; /* object: static text */
    json_t *space;   /* enclosing namespace, a string; owned */
};

struct walk {
    json_t *types;   /* full name -> definition in a referenced schema */
    json_t *defined; /* full names that the output has defined; NULL while types are collected */
    struct place *places;
    size_t place_count;
    bool overflow;
};

static bool is_primitive(const char *name)
{
    static const char *const names[] = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

static json_t *value_at(const struct place *place)
{
    return place->key != NULL ? json_object_get(place->parent, place->key)
                              : json_array_get(place->parent, place->index);
}

/* Steals `value`. */
static void replace_at(const struct place *place, json_t *value)
{
    if (place->key != NULL) json_object_set_new(place->parent, place->key, value);
    else json_array_set_new(place->parent, place->index, value);
}

static void push(struct walk *walk, json_t *parent, size_t index, const char *key, json_t *space)
{
    if (walk->place_count == PENDING_MAX) {
        walk->overflow = true;
        return;
    }
    walk->places[walk->place_count++] =
        (struct place){.parent = parent, .index = index, .key = key, .space = json_incref(space)};
}

/* The full name of `name` within `space`; false when it is too long. */
static bool full_name(const char *name, const char *space, char ret[NAME_BYTES_MAX])
{
    bool is_full = strchr(name, '.') != NULL || space[0] == '\0';
    int length = snprintf(ret, NAME_BYTES_MAX, "%s%s%s", is_full ? "" : space, is_full ? "" : ".", name);
    return length > 0 && length < NAME_BYTES_MAX;
}

/* A named type: its full name, and the namespace for what is inside (new reference). */
static bool name_definition(const json_t *type, const char *space, char ret_name[NAME_BYTES_MAX], json_t **ret_space)
{
    const char *name = json_string_value(json_object_get(type, "name"));
    const json_t *own = json_object_get(type, "namespace");
    if (name == NULL || !full_name(name, json_is_string(own) ? json_string_value(own) : space, ret_name)) return false;
    const char *dot = strrchr(ret_name, '.');
    *ret_space = json_stringn(ret_name, dot != NULL ? (size_t)(dot - ret_name) : 0);
    return *ret_space != NULL;
}

static bool is_named(const json_t *type)
{
    const char *kind = json_string_value(json_object_get(type, "type"));
    return kind != NULL && (strcmp(kind, "record") == 0 || strcmp(kind, "error") == 0 || strcmp(kind, "enum") == 0 ||
                            strcmp(kind, "fixed") == 0);
}

/* The places inside a type, last first, so that the stack gives them in order. */
static void push_inside(struct walk *walk, json_t *type, json_t *space)
{
    if (json_is_array(type)) {
        for (size_t i = json_array_size(type); i-- > 0;) push(walk, type, i, NULL, space);
        return;
    }
    json_t *fields = json_object_get(type, "fields");
    if (is_named(type)) {
        for (size_t i = json_array_size(fields); i-- > 0;) {
            json_t *field = json_array_get(fields, i);
            if (json_object_get(field, "type") != NULL) push(walk, field, 0, "type", space);
        }
        return;
    }
    static const char *const keys[] = {"values", "items", "type"};
    for (size_t i = 0; i < 3; i++)
        if (json_object_get(type, keys[i]) != NULL) push(walk, type, 0, keys[i], space);
}

/* A copy of a definition whose name does not depend on where it stands. */
static json_t *copy_definition(json_t *type, const char *name)
{
    json_t *copy = json_deep_copy(type);
    const char *dot = strrchr(name, '.');
    if (copy == NULL) return NULL;
    json_object_set_new(copy, "name", json_string(dot != NULL ? dot + 1 : name));
    json_object_set_new(copy, "namespace", json_stringn(name, dot != NULL ? (size_t)(dot - name) : 0));
    return copy;
}

/* A name in the output: written out when a reference has it and nothing has defined it yet. */
static void visit_name(struct walk *walk, const struct place *place, const char *name)
{
    char full[NAME_BYTES_MAX];
    if (walk->defined == NULL || is_primitive(name) || !full_name(name, json_string_value(place->space), full)) return;
    json_t *type = json_object_get(walk->types, full);
    if (type == NULL && json_object_get(walk->defined, full) == NULL && strchr(name, '.') == NULL) {
        type = json_object_get(walk->types, name); /* a type without a namespace */
        snprintf(full, sizeof full, "%s", name);
    }
    if (type == NULL || json_object_get(walk->defined, full) != NULL) return;
    json_t *copy = copy_definition(type, full);
    if (copy == NULL) return;
    replace_at(place, copy);
    push(walk, place->parent, place->index, place->key, place->space);
}

static void visit_definition(struct walk *walk, const struct place *place, json_t *type)
{
    char name[NAME_BYTES_MAX];
    json_t *space = NULL;
    if (!name_definition(type, json_string_value(place->space), name, &space)) return; /* the parser will say so */
    if (walk->defined == NULL) {
        if (json_object_get(walk->types, name) == NULL)
            json_object_set_new(walk->types, name, copy_definition(type, name));
    } else if (json_object_get(walk->types, name) != NULL && json_object_get(walk->defined, name) != NULL) {
        replace_at(place, json_string(name)); /* written out before, when something in it was used */
        json_decref(space);
        return;
    } else {
        json_object_set_new(walk->defined, name, json_true());
    }
    push_inside(walk, type, space);
    json_decref(space);
}

/* Visits every type below the only element of `root`, an array. */
static bool run_walk(struct walk *walk, json_t *root)
{
    json_t *none = json_string("");
    if (none == NULL) return false;
    push(walk, root, 0, NULL, none);
    json_decref(none);
    size_t visited = 0;
    while (walk->place_count > 0) {
        struct place place = walk->places[--walk->place_count];
        json_t *type = value_at(&place);
        if (++visited > LP_AVRO_NODES_MAX) walk->overflow = true;
        if (walk->overflow) type = NULL;
        if (json_is_string(type)) visit_name(walk, &place, json_string_value(type));
        else if (json_is_object(type) && is_named(type)) visit_definition(walk, &place, type);
        else if (type != NULL) push_inside(walk, type, place.space);
        json_decref(place.space);
    }
    return !walk->overflow;
}

/* An array with the schema as its only element, or NULL. */
static json_t *load(const char *schema)
{
    json_error_t where;
    json_t *value = json_loads(schema, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &where);
    return value != NULL ? json_pack("[o]", value) : NULL;
}

static enum lp_code inline_types(struct walk *walk, json_t *root, const struct lp_registry_reference *references,
                                 uint32_t reference_count, struct lp_error *err)
{
    for (uint32_t i = 0; i < reference_count; i++) {
        json_t *other = load(references[i].schema);
        bool ok = other != NULL && run_walk(walk, other);
        json_decref(other);
        if (!ok)
            return lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD,
                           "the referenced schema %.100s version %lld is not JSON or too large: register it again",
                           references[i].subject, (long long)references[i].version);
    }
    walk->defined = json_object();
    if (walk->defined == NULL || !run_walk(walk, root))
        return lp_fail(err, LP_E_LIMIT, LP_SKIP_RECORD,
                       "the schema and its references have more than %d types: simplify", LP_AVRO_NODES_MAX);
    return LP_OK;
}

enum lp_code lp_registry_inline(const char *schema, const struct lp_registry_reference *references,
                                uint32_t reference_count, char **ret_schema, struct lp_error *err)
{
    if (reference_count == 0) {
        *ret_schema = strdup(schema);
        return *ret_schema != NULL ? LP_OK : lp_fail_memory(err, strlen(schema));
    }
    enum lp_code rc = LP_OK;
    struct walk walk = {.types = json_object(), .places = malloc(PENDING_MAX * sizeof(struct place))};
    json_t *root = load(schema);
    if (walk.types == NULL || walk.places == NULL) {
        rc = lp_fail_memory(err, PENDING_MAX * sizeof(struct place));
        goto out;
    }
    if (root == NULL) {
        rc = lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD, "the schema is not JSON: register it again");
        goto out;
    }
    LP_GUARD(inline_types(&walk, root, references, reference_count, err));
    *ret_schema = json_dumps(json_array_get(root, 0), JSON_ENCODE_ANY | JSON_COMPACT);
    if (*ret_schema == NULL) rc = lp_fail_memory(err, strlen(schema));
out:
    json_decref(root);
    json_decref(walk.types);
    json_decref(walk.defined);
    free(walk.places);
    return rc;
}
