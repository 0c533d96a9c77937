/* Strict access to JSON objects of a bundle: no member is unknown, none is of the wrong type, each error says where. */
#ifndef LP_MODEL_NODE_H
#define LP_MODEL_NODE_H

#include "core/error.h"
#include "core/span.h"
#include "model/storage.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { LP_NODE_WHERE_BYTES = 128 };

/** One JSON object and the words that name it in an error. */
struct lp_node {
    const json_t *json; /* borrowed; NULL: absent, every member too */
    char where[LP_NODE_WHERE_BYTES];
};

/** Words of one enumeration, in the order of its values. */
struct lp_choice {
    const char *const *names;
    size_t count;
};
#define LP_CHOICE(array) ((struct lp_choice){(array), sizeof(array) / sizeof *(array)})

/** The usual failure of this folder. */
#define LP_BAD(err, ...) lp_fail((err), LP_E_INVALID, LP_FATAL, __VA_ARGS__)

/**
 * Parse JSON text into a tree (owned by the caller: json_decref). Duplicate keys are refused;
 * LP_BUNDLE_JSON_VALUES_MAX, LP_BUNDLE_JSON_CONTAINERS_MAX and LP_BUNDLE_JSON_DEPTH_MAX are checked before a tree is
 * built.
 */
LP_MUST_USE enum lp_code lp_node_parse(struct lp_span text, const char *what, json_t **ret_root, struct lp_error *err);

/**
 * Look at an object.
 * @param json    borrowed; NULL: absent
 * @param members NULL-terminated names that it may have; NULL: not checked
 */
LP_MUST_USE enum lp_code lp_node_init(struct lp_node *node, const json_t *json, const char *const *members,
                                      struct lp_error *err, const char *where_format, ...)
    __attribute__((format(printf, 5, 6)));

/** The member's object as a node named "where: key"; absent when it is not there. */
LP_MUST_USE enum lp_code lp_node_object(const struct lp_node *node, const char *key, const char *const *members,
                                        struct lp_node *ret_node, struct lp_error *err);

static inline bool lp_node_has(const struct lp_node *node, const char *key)
{
    return json_object_get(node->json, key) != NULL;
}

/** Required text of 1 to max_bytes bytes without control characters, copied to storage. */
LP_MUST_USE enum lp_code lp_node_text(const struct lp_node *node, const char *key, size_t max_bytes,
                                      struct lp_bundle_storage *storage, const char **ret_text, struct lp_error *err);

/** Required text, borrowed from the tree. */
LP_MUST_USE enum lp_code lp_node_word(const struct lp_node *node, const char *key, const char **ret_word,
                                      struct lp_error *err);

/** Required word of an enumeration; a word of `later` (may be NULL) is LP_E_UNSUPPORTED. */
LP_MUST_USE enum lp_code lp_node_choice(const struct lp_node *node, const char *key, struct lp_choice choice,
                                        const struct lp_choice *later, size_t *ret_index, struct lp_error *err);

/** Required finite number. */
LP_MUST_USE enum lp_code lp_node_number(const struct lp_node *node, const char *key, double *ret_number,
                                        struct lp_error *err);

/** Number where present, else ret_number stays. */
LP_MUST_USE enum lp_code lp_node_number_or(const struct lp_node *node, const char *key, double *ret_number,
                                           struct lp_error *err);

/** Required whole number from low to high. */
LP_MUST_USE enum lp_code lp_node_whole(const struct lp_node *node, const char *key, json_int_t low, json_int_t high,
                                       json_int_t *ret_whole, struct lp_error *err);

/** Boolean where present, else ret_flag stays. */
LP_MUST_USE enum lp_code lp_node_flag_or(const struct lp_node *node, const char *key, bool *ret_flag,
                                         struct lp_error *err);

/** Required array. */
LP_MUST_USE enum lp_code lp_node_array(const struct lp_node *node, const char *key, const json_t **ret_array,
                                       struct lp_error *err);

/** True for text without control characters, 1 to max_bytes bytes. */
bool lp_name_valid(const char *text, size_t size, size_t max_bytes);

#endif
