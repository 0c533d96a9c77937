#include "cmd/command.h"
#include "cmd/terminal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct lp_command *const commands[] = {
#define LP_COMMAND(name) &lp_command_##name,
#include "cmd/commands.inc"
#undef LP_COMMAND
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
    fputs("lepton scores the feature records in a Kafka topic with a model.\n\nusage: lepton VERB [...]\n\n", out);
    for (int i = 0; i < COMMAND_COUNT; i++) fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->help);
    fputs("\n`lepton VERB --help` explains a verb; `lepton --version` says what this build is.\n", out);
}

int lp_command_fail(const struct lp_command *command, const struct lp_error *err)
{
    fflush(stdout);
    lp_print_safe(stderr, "lepton: %s: %s\n", command->name, err->text);
    return LP_EXIT_FAILED;
}

int lp_command_misuse(const struct lp_command *command, const char *format, ...)
{
    fflush(stdout);
    fprintf(stderr, "lepton: %s: ", command->name);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, ": see lepton %s --help\n", command->name);
    return LP_EXIT_MISUSED;
}

int lp_command_finish(const struct lp_command *command, int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fprintf(stderr, "lepton: %s: stdout: cannot be written: %s\n", command->name, strerror(errno));
    return LP_EXIT_FAILED;
}

int lp_command_main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : NULL;
    if (verb == NULL) {
        print_help(stderr);
        return LP_EXIT_MISUSED;
    }
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0 || strcmp(verb, "help") == 0) {
        print_help(stdout);
        return LP_EXIT_OK;
    }
    if (strcmp(verb, "--version") == 0) {
        lp_version_print();
        return LP_EXIT_OK;
    }
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(verb, commands[i]->name) == 0) return commands[i]->run(argc - 1, argv + 1);
    fprintf(stderr, "lepton: %s: unknown verb: see lepton --help\n", verb);
    return LP_EXIT_MISUSED;
}
