#include "optimize/draft.h"

#include "model/write.h"

#include <stdlib.h>
#include <string.h>

void lp_draft_remove(struct lp_draft *draft, const char *name)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; name != NULL && i < draft->count; i++)
        if (strcmp(draft->tensors[i].name, name) != 0) draft->tensors[kept++] = draft->tensors[i];
    if (name != NULL) draft->count = kept;
}

/* Rows in tensors go with the rows. */
static void remove_golden(struct lp_draft *draft)
{
    static const char *const parts[] = {"records", "margins", "scores"};
    const json_t *rows = json_object_get(json_object_get(draft->manifest, "golden"), "rows");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const json_t *part = json_object_get(rows, parts[i]);
        lp_draft_remove(draft, json_string_value(json_object_get(part, "tensor")));
        lp_draft_remove(draft, json_string_value(json_object_get(part, "offsets")));
    }
    json_object_del(draft->manifest, "golden");
}

enum lp_code lp_draft_new(const struct lp_bundle *parent, struct lp_draft **ret_draft, struct lp_error *err)
{
    struct lp_draft *draft = calloc(1, sizeof *draft);
    if (draft == NULL) return lp_fail_memory(err, sizeof *draft);
    draft->parent = parent;
    draft->capacity = parent->tensor_count + 1;
    draft->tensors = calloc(draft->capacity, sizeof *draft->tensors);
    draft->manifest = json_loads(parent->manifest_json, 0, NULL);
    draft->graph = json_object_get(draft->manifest, "graph");
    if (draft->tensors == NULL || draft->graph == NULL) {
        lp_draft_free(draft);
        return lp_fail_memory(err, parent->tensor_count * sizeof *draft->tensors);
    }
    memcpy(draft->tensors, parent->tensors, parent->tensor_count * sizeof *draft->tensors);
    draft->count = parent->tensor_count;
    remove_golden(draft);
    *ret_draft = draft;
    return LP_OK;
}

void lp_draft_free(struct lp_draft *draft)
{
    if (draft == NULL) return;
    for (uint32_t i = 0; i < draft->owned_count; i++) free(draft->owned[i]);
    free(draft->owned);
    free(draft->tensors);
    json_decref(draft->manifest);
    free(draft);
}

void *lp_draft_take(struct lp_draft *draft, size_t count, size_t element_bytes)
{
    if (draft->owned_count == draft->owned_capacity) {
        uint32_t capacity = 2 * draft->owned_capacity + 16;
        void **grown = realloc(draft->owned, capacity * sizeof *grown);
        if (grown == NULL) return NULL;
        draft->owned = grown;
        draft->owned_capacity = capacity;
    }
    void *block = calloc(count > 0 ? count : 1, element_bytes);
    if (block != NULL) draft->owned[draft->owned_count++] = block;
    return block;
}

enum lp_code lp_draft_put(struct lp_draft *draft, const struct lp_tensor *tensor, struct lp_error *err)
{
    for (uint32_t i = 0; i < draft->count; i++)
        if (strcmp(draft->tensors[i].name, tensor->name) == 0) {
            draft->tensors[i] = *tensor;
            return LP_OK;
        }
    if (draft->count == draft->capacity) {
        uint32_t capacity = 2 * draft->capacity + 16;
        struct lp_tensor *grown = realloc(draft->tensors, capacity * sizeof *grown);
        if (grown == NULL) return lp_fail_memory(err, capacity * sizeof *grown);
        draft->tensors = grown;
        draft->capacity = capacity;
    }
    draft->tensors[draft->count++] = *tensor;
    return LP_OK;
}

uint32_t lp_draft_uses(const struct lp_draft *draft, const char *name)
{
    uint32_t uses = 0;
    for (size_t i = 0; i < json_array_size(draft->graph); i++) {
        json_t *op = json_array_get(draft->graph, i);
        for (void *at = json_object_iter(op); at != NULL; at = json_object_iter_next(op, at)) {
            const char *text = json_string_value(json_object_iter_value(at));
            uses += text != NULL && strcmp(text, name) == 0;
        }
    }
    return uses;
}

enum lp_code lp_draft_set_lineage(struct lp_draft *draft, const struct lp_bundle *original, const char *step,
                                  const char *suffix, struct lp_error *err)
{
    char sha256[LP_SHA256_TEXT_BYTES];
    lp_sha256_text(original->sha256, sha256);
    json_t *steps = json_deep_copy(json_object_get(json_object_get(draft->manifest, "lineage"), "steps"));
    if (steps == NULL) steps = json_array();
    json_array_append_new(steps, json_string(step));
    json_t *lineage = json_pack("{s:s, s:o}", "parent", sha256, "steps", steps);
    /* The end of a long version gives way: names have a limit. */
    int room = LP_NAME_MAX_BYTES - (int)strlen(suffix) - 1;
    json_t *version = json_sprintf("%.*s-%s", room, original->version, suffix);
    if (version == NULL) version = json_string(suffix); /* a character was cut in two */
    bool good = lineage != NULL && json_object_set_new(draft->manifest, "lineage", lineage) == 0 &&
                json_object_set_new(draft->manifest, "version", version) == 0;
    return good ? LP_OK : lp_fail_memory(err, 0);
}

enum lp_code lp_draft_encode(const struct lp_draft *draft, struct lp_buffer *out, struct lp_error *err)
{
    char *text = json_dumps(draft->manifest, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (text == NULL) return lp_fail_memory(err, 0);
    enum lp_code rc = lp_bundle_encode(text, draft->tensors, draft->count, out, err);
    free(text);
    return rc;
}
