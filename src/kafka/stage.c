#include "kafka/stage.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_BYTES = 64 /* of each header's bookkeeping */,
    CHUNK_BYTES = 256 * 1024,
    ALIGNMENT = _Alignof(max_align_t)
};

struct stage_chunk {
    struct stage_chunk *next;
    size_t capacity, filled, drained; /* bytes of `data` */
    _Alignas(max_align_t) unsigned char data[];
};

/* A message as it lies in a chunk, its key and value behind it. */
struct staged {
    struct lp_sink_message message; /* spans point behind it */
    size_t bytes;                   /* all of it, rounded up */
    size_t counted;                 /* of stage->bytes */
};

static size_t staged_bytes(const struct lp_sink_message *message)
{
    size_t bytes = sizeof(struct staged) + message->key.size + message->value.size;
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static struct stage_chunk *take_chunk(struct stage *stage, size_t bytes)
{
    struct stage_chunk *chunk = bytes <= CHUNK_BYTES ? stage->unused : NULL;
    if (chunk != NULL) {
        stage->unused = chunk->next;
    } else {
        size_t capacity = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk = malloc(sizeof *chunk + capacity);
        if (chunk == NULL) return NULL;
        chunk->capacity = capacity;
    }
    chunk->next = NULL;
    chunk->filled = chunk->drained = 0;
    return chunk;
}

static struct stage_chunk *room(struct stage *stage, size_t bytes)
{
    if (stage->last != NULL && stage->last->capacity - stage->last->filled >= bytes) return stage->last;
    struct stage_chunk *chunk = take_chunk(stage, bytes);
    if (chunk == NULL) return NULL;
    if (stage->last != NULL) stage->last->next = chunk;
    else stage->first = chunk;
    stage->last = chunk;
    return chunk;
}

static struct lp_span copy(unsigned char **at, struct lp_span from)
{
    if (from.data == NULL) return from;
    struct lp_span to = lp_span_of(*at, from.size);
    if (from.size > 0) memcpy(*at, from.data, from.size);
    *at += from.size;
    return to;
}

static void add_header_bytes(void *context, const char *name, struct lp_span value)
{
    *(size_t *)context += HEADER_BYTES + strlen(name) + value.size;
}

bool stage_push(struct stage *stage, const struct lp_sink_message *message)
{
    size_t bytes = staged_bytes(message);
    struct stage_chunk *chunk = room(stage, bytes);
    if (chunk == NULL) return false;
    struct staged *staged = (struct staged *)(void *)(chunk->data + chunk->filled);
    unsigned char *at = (unsigned char *)(staged + 1);
    staged->message = *message;
    staged->message.key = copy(&at, message->key);
    staged->message.value = copy(&at, message->value);
    staged->bytes = bytes;
    chunk->filled += bytes;
    stage->count++;
    staged->counted = message->key.size + message->value.size;
    if (message->headers != NULL) lp_headers_each(message->headers, add_header_bytes, &staged->counted);
    stage->bytes += staged->counted;
    return true;
}

static struct staged *oldest(const struct stage *stage)
{
    return stage->count > 0 ? (struct staged *)(void *)(stage->first->data + stage->first->drained) : NULL;
}

bool stage_peek(const struct stage *stage, struct lp_sink_message *ret_message)
{
    const struct staged *staged = oldest(stage);
    if (staged == NULL) return false;
    *ret_message = staged->message;
    return true;
}

void stage_pop(struct stage *stage)
{
    struct stage_chunk *chunk = stage->first;
    const struct staged *staged = oldest(stage);
    if (staged == NULL) return;
    stage->count--;
    stage->bytes -= staged->counted;
    chunk->drained += staged->bytes;
    if (chunk->drained < chunk->filled) return;
    stage->first = chunk->next;
    if (stage->first == NULL) stage->last = NULL;
    if (chunk->capacity > CHUNK_BYTES) {
        free(chunk);
        return;
    }
    chunk->next = stage->unused;
    stage->unused = chunk;
}

void stage_clear(struct stage *stage)
{
    for (const struct staged *staged; (staged = oldest(stage)) != NULL; stage_pop(stage))
        lp_headers_free(staged->message.headers);
}

void stage_done(struct stage *stage)
{
    stage_clear(stage);
    for (struct stage_chunk *next, *chunk = stage->unused; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    stage->unused = NULL;
}
