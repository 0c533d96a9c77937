#include "config/pool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lp_pool_block {
    struct lp_pool_block *next;
    size_t bytes;
    _Alignas(max_align_t) unsigned char data[];
};

void lp_pool_done(struct lp_pool *pool)
{
    while (pool->blocks != NULL) {
        struct lp_pool_block *block = pool->blocks;
        pool->blocks = block->next;
        /* Secrets are among the strings. */
        explicit_bzero(block->data, block->bytes);
        free(block);
    }
}

void *lp_pool_take(struct lp_pool *pool, size_t bytes)
{
    if (bytes > (size_t)1 << 30) return NULL;
    struct lp_pool_block *block = calloc(1, sizeof *block + bytes);
    if (block == NULL) return NULL;
    block->bytes = bytes;
    block->next = pool->blocks;
    pool->blocks = block;
    return block->data;
}

const char *lp_pool_copy(struct lp_pool *pool, const char *text, size_t bytes)
{
    char *copy = lp_pool_take(pool, bytes + 1);
    if (copy != NULL) memcpy(copy, text, bytes);
    return copy;
}

const char *lp_pool_format(struct lp_pool *pool, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : lp_pool_take(pool, (size_t)length + 1);
    if (text != NULL) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}
