#include "model/storage.h"

#include "core/checked.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 16 * 1024, ALIGNMENT = 8 };

struct lp_storage_block {
    struct lp_storage_block *next;
    uint64_t data[]; /* 8-byte aligned */
};

static unsigned char *add_block(struct lp_bundle_storage *storage, size_t bytes, struct lp_error *err)
{
    size_t total;
    struct lp_storage_block *block = NULL;
    if (lp_checked_add(sizeof *block, bytes, &total)) block = malloc(total);
    if (block == NULL) {
        lp_fail_memory(err, bytes);
        return NULL;
    }
    block->next = storage->blocks;
    storage->blocks = block;
    storage->bytes += total;
    return (unsigned char *)block->data;
}

enum lp_code lp_storage_charge(struct lp_bundle_storage *storage, uint64_t count, size_t element_bytes,
                               struct lp_error *err)
{
    uint64_t bytes;
    if (__builtin_mul_overflow(count, (uint64_t)element_bytes, &bytes) || bytes > storage->budget - storage->charged)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL,
                       "the manifest needs more than %llu bytes, many times the file's size: it repeats its tensors, "
                       "or has many trees of one leaf",
                       (unsigned long long)storage->budget);
    storage->charged += bytes;
    return LP_OK;
}

void *lp_storage_take(struct lp_bundle_storage *storage, size_t count, size_t element_bytes, struct lp_error *err)
{
    size_t bytes;
    if (!lp_checked_mul(count, element_bytes, &bytes) || bytes > SIZE_MAX - ALIGNMENT) {
        lp_fail_memory(err, SIZE_MAX);
        return NULL;
    }
    if (lp_storage_charge(storage, count, element_bytes, err) != LP_OK) return NULL;
    bytes = bytes > 0 ? (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1) : ALIGNMENT;
    unsigned char *taken = storage->next;
    if (bytes > BLOCK_BYTES / 4 && bytes > storage->left) {
        /* Large: a block of its own, while the shared one stays open. */
        taken = add_block(storage, bytes, err);
        return taken != NULL ? memset(taken, 0, bytes) : NULL;
    }
    if (bytes > storage->left) {
        taken = add_block(storage, BLOCK_BYTES, err);
        if (taken == NULL) return NULL;
        storage->left = BLOCK_BYTES;
    }
    storage->next = taken + bytes;
    storage->left -= bytes;
    return memset(taken, 0, bytes);
}

const char *lp_storage_text(struct lp_bundle_storage *storage, const void *text, size_t size, struct lp_error *err)
{
    size_t bytes = 0;
    char *copy = lp_checked_add(size, 1, &bytes) ? lp_storage_take(storage, bytes, 1, err) : NULL;
    if (copy != NULL) memcpy(copy, text, size);
    return copy;
}

void lp_storage_done(struct lp_bundle_storage *storage)
{
    for (struct lp_storage_block *block = storage->blocks; block != NULL;) {
        struct lp_storage_block *next = block->next;
        free(block);
        block = next;
    }
    *storage = (struct lp_bundle_storage){0};
}
