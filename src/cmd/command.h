/* The verbs of the program: one file a verb, one line a verb in commands.inc. */
#ifndef LP_CMD_COMMAND_H
#define LP_CMD_COMMAND_H

#include "core/error.h"

/** Exit codes of every verb. */
enum { LP_EXIT_OK = 0, LP_EXIT_FAILED = 1, LP_EXIT_MISUSED = 2 };

struct lp_command {
    const char *name;
    const char *help;  /* one line, for `lepton --help` */
    const char *usage; /* for `lepton NAME --help`: synopsis, options, an example; ends with a newline */
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit code */
};

/** Every cmd/NAME.c defines `const struct lp_command lp_command_NAME`. */
#define LP_COMMAND(name) extern const struct lp_command lp_command_##name;
#include "cmd/commands.inc"
#undef LP_COMMAND

/** The whole program: dispatches on argv[1], answers --help and --version. */
int lp_command_main(int argc, char **argv);

/** "lepton: VERB: text" on stderr; returns LP_EXIT_FAILED. */
int lp_command_fail(const struct lp_command *command, const struct lp_error *err);
/** As lp_command_fail for a wrong use; says where the help is; returns LP_EXIT_MISUSED. */
int lp_command_misuse(const struct lp_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Flush stdout; LP_EXIT_FAILED with a message when what was printed did not arrive (a full disk), else `code`. */
int lp_command_finish(const struct lp_command *command, int code);

/** Version, commit, linked libraries and CPU level, on stdout. */
void lp_version_print(void);

#endif
