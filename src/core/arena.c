#include "core/arena.h"

#include <stdlib.h>

enum lp_code lp_arena_init(struct lp_arena *arena, size_t capacity, struct lp_error *err)
{
    arena->base = malloc(capacity > 0 ? capacity : 1);
    arena->capacity = capacity;
    arena->used = 0;
    return arena->base != NULL ? LP_OK : lp_fail_memory(err, capacity);
}

void lp_arena_done(struct lp_arena *arena)
{
    free(arena->base);
    *arena = (struct lp_arena){0};
}
