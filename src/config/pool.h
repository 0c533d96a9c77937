/* Strings that live as long as a configuration: private to config/. */
#ifndef LP_CONFIG_POOL_H
#define LP_CONFIG_POOL_H

#include "core/error.h"

#include <stddef.h>

struct lp_pool_block;
struct lp_pool {
    struct lp_pool_block *blocks; /* owned */
};

void lp_pool_done(struct lp_pool *pool);
/** Zeroed bytes, or NULL. */
void *lp_pool_take(struct lp_pool *pool, size_t bytes);
/** A terminated copy, or NULL. */
const char *lp_pool_copy(struct lp_pool *pool, const char *text, size_t bytes);
const char *lp_pool_format(struct lp_pool *pool, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
