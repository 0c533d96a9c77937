/* A topic as a file of JSON Lines: for verbs that read data. */
#ifndef LP_CMD_TOPIC_INPUT_H
#define LP_CMD_TOPIC_INPUT_H

#include "config/config.h"
#include "core/error.h"

#include <stdbool.h>

enum { LP_TOPIC_INPUT_PATH_BYTES = 32 };

struct lp_topic_input;

/** Does DATA name a topic? `kafka:TOPIC` or `kafka:TOPIC@FROM-TO` */
bool lp_topic_input_is(const char *data);

/**
 * Begin to read a topic's values, JSON objects, from the first record to those that stand in it now, on a thread of its
 * own; FROM and TO keep the offsets of each partition from FROM on and below TO. Null values are passed over. Bounded:
 * what is not read yet waits in a pipe.
 *
 * @param config   borrowed until _close: brokers and their security
 * @param ret_path what to open instead of a file, once
 */
LP_MUST_USE enum lp_code lp_topic_input_open(const char *data, const struct lp_config *config,
                                             struct lp_topic_input **ret_input,
                                             char ret_path[LP_TOPIC_INPUT_PATH_BYTES], struct lp_error *err);

/**
 * Copy a topic's values, as above, into a file without a name, for a verb that reads its data more than once: one
 * partition behind the other, so that the same offsets give the same bytes. In $TMPDIR or /tmp; gone with the process.
 *
 * @param ret_path what to open instead of a file, as often as it is wanted, while the file is open
 * @param ret_file close() it
 * @return LP_E_LIMIT: more partitions than may be open at once; LP_E_IO: no room; LP_E_TIMEOUT: not read to its end
 */
LP_MUST_USE enum lp_code lp_topic_input_save(const char *data, const struct lp_config *config,
                                             char ret_path[LP_TOPIC_INPUT_PATH_BYTES], int *ret_file,
                                             struct lp_error *err);

/** After the path was read or given up: LP_OK, or why the topic was not read to its end. */
LP_MUST_USE enum lp_code lp_topic_input_close(struct lp_topic_input *input, struct lp_error *err);

#endif
