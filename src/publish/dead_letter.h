/* Dead letters: the original bytes, with Kafka Connect's headers saying what failed and where. */
#ifndef LP_PUBLISH_DEAD_LETTER_H
#define LP_PUBLISH_DEAD_LETTER_H

#include "core/error.h"
#include "core/span.h"

#include <stdint.h>

enum lp_stage { LP_STAGE_DECODE, LP_STAGE_CLEAN, LP_STAGE_INFER, LP_STAGE_PUBLISH, LP_STAGE_COUNT };
const char *lp_stage_name(enum lp_stage stage);

/** Where the record came from and what happened to it. */
struct lp_dead_letter {
    const char *topic;
    int32_t partition;
    int64_t offset;
    enum lp_stage stage;
    const struct lp_error *error;
    const char *connector; /* __connect.errors.connector.name: the group id */
    uint32_t lane;         /* __connect.errors.task.id */
};

/**
 * Name every header of a dead letter in turn: __connect.errors.topic, .partition, .offset, .connector.name, .task.id,
 * .stage, .class.name, .exception.class.name, .exception.message, lepton.error.field (only where the error names one),
 * lepton.error.code; numbers as decimal text (Kafka Connect's convention).
 */
void lp_dead_letter_headers(const struct lp_dead_letter *letter,
                            void (*add)(void *context, const char *name, struct lp_span value), void *context);

#endif
