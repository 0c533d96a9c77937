/*
 * Private to kafka/: messages that wait, in order, for the producer's next transaction. Keys and values are copied,
 * headers are taken. Bounded by its user; chunks are kept and used again, so that the steady path allocates nothing.
 */
#ifndef LP_KAFKA_STAGE_H
#define LP_KAFKA_STAGE_H

#include "kafka/sink.h"

struct stage_chunk;

struct stage {
    struct stage_chunk *first, *last; /* with messages; filled at the last, drained at the first */
    struct stage_chunk *unused;
    uint32_t count;
    size_t bytes; /* of keys, values and headers */
};

/** Append; takes message->headers. False: no memory (nothing taken). */
bool stage_push(struct stage *stage, const struct lp_sink_message *message);
/** The oldest message, borrowed until stage_pop; false: none. Its headers belong to the caller once sent. */
bool stage_peek(const struct stage *stage, struct lp_sink_message *ret_message);
/** Remove the oldest; its headers were taken. */
void stage_pop(struct stage *stage);
/** Drop all, headers included. */
void stage_clear(struct stage *stage);
void stage_done(struct stage *stage);

#endif
