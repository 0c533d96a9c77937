/* What is done about an error: the table of actions.inc. Any thread. */
#ifndef LP_CORE_ACTIONS_H
#define LP_CORE_ACTIONS_H

#include "core/error.h"

#include <stdint.h>
#include <stdio.h>

/** Where a Kafka error comes up. */
enum lp_side { LP_SIDE_PRODUCE, LP_SIDE_CONSUME, LP_SIDE_COMMIT, LP_SIDE_COUNT };

struct lp_kafka_action {
    int number;       /* librdkafka's */
    const char *name; /* librdkafka's; "" in the row of what has none */
    enum lp_action actions[LP_SIDE_COUNT];
    enum lp_code code;
    const char *cure; /* NULL: none to tell */
};

/** The row of a librdkafka error, never NULL: numbers without one share the row of the unknown. */
const struct lp_kafka_action *lp_action_of_kafka(int number);

/** What becomes of a record whose error has this code; `stage` by name ("decode", ...), LP_FATAL without a row. */
enum lp_action lp_action_of_stage(const char *stage, enum lp_code code);

/** "skip", "retry", "pause", "stop". */
const char *lp_action_name(enum lp_action action);

/** The table as Markdown. */
void lp_actions_print(FILE *out);

#endif
