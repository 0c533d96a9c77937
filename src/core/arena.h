/* A fixed-capacity bump allocator: allocated once, cleared per batch, never grows. */
#ifndef LP_CORE_ARENA_H
#define LP_CORE_ARENA_H

#include "core/error.h"

#include <stddef.h>

struct lp_arena {
    unsigned char *base; /* owned */
    size_t capacity;     /* bytes */
    size_t used;         /* bytes */
};

/** Allocate `capacity` bytes once; `_done` frees them. */
LP_MUST_USE enum lp_code lp_arena_init(struct lp_arena *arena, size_t capacity, struct lp_error *err);
void lp_arena_done(struct lp_arena *arena);

/** Forget every allocation; O(1). */
static inline void lp_arena_clear(struct lp_arena *arena) { arena->used = 0; }

/** 8-byte aligned storage until the next clear, or NULL when the arena is full. Never calls malloc. */
static inline void *lp_arena_take(struct lp_arena *arena, size_t bytes)
{
    size_t rounded = (bytes + 7u) & ~(size_t)7u;
    if (rounded < bytes || rounded > arena->capacity - arena->used) return NULL;
    void *p = arena->base + arena->used;
    arena->used += rounded;
    return p;
}

static inline size_t lp_arena_left(const struct lp_arena *arena) { return arena->capacity - arena->used; }

#endif
