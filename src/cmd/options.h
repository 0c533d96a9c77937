/* Options of a verb: a small table over getopt_long. */
#ifndef LP_CMD_OPTIONS_H
#define LP_CMD_OPTIONS_H

#include "cmd/command.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

enum { LP_OVERRIDES_MAX = 256, LP_OPTIONS_MAX = 64 };

/** Gathered --set key=value. */
struct lp_overrides {
    struct lp_config_override items[LP_OVERRIDES_MAX];
    uint32_t count;
};

enum lp_option_type {
    LP_OPTION_FLAG,     /* bool * */
    LP_OPTION_TEXT,     /* const char ** */
    LP_OPTION_INTEGER,  /* int64_t *, low to high */
    LP_OPTION_DURATION, /* int64_t * of milliseconds: 500ms, 60s, 2m, or seconds without a unit; low to high in ms */
    LP_OPTION_SET,      /* struct lp_overrides * */
    LP_OPTION_PAIR,     /* struct lp_pairs *: NAME=VALUE, as often as given */
};

/** Gathered NAME=VALUE, each cut in argv at its first `=`. */
struct lp_pairs {
    struct lp_pair {
        const char *name, *value;
    } * items; /* room for argc of them, the caller's */
    uint32_t count;
};

struct lp_option {
    const char *name; /* without the dashes */
    enum lp_option_type type;
    void *value;
    int64_t low, high;
    char letter; /* short form, or 0 */
};

/** What is left after the options. */
struct lp_operands {
    int count;
    char **items; /* in argv */
};

/**
 * Parse argv (argv[0] is the verb) into the options' values. --help is answered here.
 *
 * @return -1: go on; else the exit code to return (0 after --help, 2 after a wrong use that was explained)
 */
int lp_options_parse(const struct lp_command *command, int argc, char **argv, const struct lp_option *options,
                     uint32_t option_count, int operands_min, int operands_max, struct lp_operands *ret_operands);

/**
 * lp_config_load with the environment. From here on a crash leaves no core dump, unless core.dump allows it: the
 * process holds passwords, and that of `deploy --sign` a private key.
 *
 * @param path NULL: no file
 */
LP_MUST_USE enum lp_code lp_options_load(const char *path, const struct lp_overrides *overrides,
                                         struct lp_config **ret_config, struct lp_error *err);

#endif
