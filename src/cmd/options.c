#include "cmd/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { HELP_INDEX = LP_OPTIONS_MAX };

static bool take_number(const char *text, const char **ret_unit, int64_t *ret_number)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || isspace((unsigned char)text[0])) return false;
    *ret_unit = end;
    *ret_number = number;
    return true;
}

static int take_integer(const struct lp_command *command, const struct lp_option *option, const char *text)
{
    const char *unit;
    int64_t number;
    if (!take_number(text, &unit, &number) || *unit != '\0' || number < option->low || number > option->high)
        return lp_command_misuse(command, "--%s %s: not a whole number from %lld to %lld", option->name, text,
                                 (long long)option->low, (long long)option->high);
    *(int64_t *)option->value = number;
    return -1;
}

static int take_duration(const struct lp_command *command, const struct lp_option *option, const char *text)
{
    const char *unit = "";
    int64_t number = 0;
    bool good = take_number(text, &unit, &number);
    int64_t scale = strcmp(unit, "ms") == 0                           ? 1
                    : strcmp(unit, "s") == 0 || strcmp(unit, "") == 0 ? 1000
                    : strcmp(unit, "m") == 0                          ? 60000
                                                                      : 0;
    good = good && scale != 0 && !__builtin_mul_overflow(number, scale, &number);
    if (!good || number < option->low || number > option->high)
        return lp_command_misuse(command, "--%s %s: not a time from %lld ms to %lld s, as 500ms, 60s or 2m",
                                 option->name, text, (long long)option->low, (long long)option->high / 1000);
    *(int64_t *)option->value = number;
    return -1;
}

/* key=value is cut in argv, which lives as long as the program. */
static int take_override(const struct lp_command *command, struct lp_overrides *overrides, char *text)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) { /* what is no key may be a password */
        int key_bytes = (int)strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-");
        return lp_command_misuse(command, "--set %.*s: write key=value", key_bytes, text);
    }
    if (overrides->count == LP_OVERRIDES_MAX) return lp_command_misuse(command, "more than %d --set", LP_OVERRIDES_MAX);
    *equals = '\0';
    overrides->items[overrides->count++] = (struct lp_config_override){.key = text, .value = equals + 1};
    return -1;
}

static int take_pair(const struct lp_command *command, const struct lp_option *option, char *text)
{
    struct lp_pairs *pairs = option->value;
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || equals[1] == '\0')
        return lp_command_misuse(command, "--%s %s: write NAME=VALUE", option->name, text);
    *equals = '\0';
    pairs->items[pairs->count++] = (struct lp_pair){.name = text, .value = equals + 1};
    return -1;
}

static int take(const struct lp_command *command, const struct lp_option *option, char *text)
{
    switch (option->type) {
    case LP_OPTION_FLAG: *(bool *)option->value = true; return -1;
    case LP_OPTION_TEXT: *(const char **)option->value = text; return -1;
    case LP_OPTION_INTEGER: return take_integer(command, option, text);
    case LP_OPTION_DURATION: return take_duration(command, option, text);
    case LP_OPTION_SET: return take_override(command, option->value, text);
    case LP_OPTION_PAIR: return take_pair(command, option, text);
    }
    return -1;
}

int lp_options_parse(const struct lp_command *command, int argc, char **argv, const struct lp_option *options,
                     uint32_t option_count, int operands_min, int operands_max, struct lp_operands *ret_operands)
{
    struct option table[LP_OPTIONS_MAX + 2] = {0};
    char letters[2 * LP_OPTIONS_MAX + 3] = ":h";
    size_t letters_size = 2;
    if (option_count > LP_OPTIONS_MAX) option_count = LP_OPTIONS_MAX;
    for (uint32_t i = 0; i < option_count; i++)
        table[i] = (struct option){.name = options[i].name,
                                   .has_arg = options[i].type == LP_OPTION_FLAG ? no_argument : required_argument,
                                   .val = (int)i + 256};
    for (uint32_t i = 0; i < option_count; i++) {
        if (options[i].letter == 0) continue;
        letters[letters_size++] = options[i].letter;
        if (options[i].type != LP_OPTION_FLAG) letters[letters_size++] = ':';
    }
    table[option_count] = (struct option){.name = "help", .val = HELP_INDEX + 256};
    opterr = 0;
    optind = 1;
    for (int found; (found = getopt_long(argc, argv, letters, table, NULL)) != -1;) {
        if (found == 'h' || found == HELP_INDEX + 256) {
            fputs(command->usage, stdout);
            return lp_command_finish(command, LP_EXIT_OK);
        }
        if (found == ':') return lp_command_misuse(command, "%s: wants a value", argv[optind - 1]);
        if (found == '?') return lp_command_misuse(command, "%s: unknown option", argv[optind - 1]);
        for (uint32_t i = 0; i < option_count && found < 256; i++)
            if (options[i].letter == found) found = (int)i + 256;
        int code = take(command, &options[found - 256], optarg);
        if (code >= 0) return code;
    }
    *ret_operands = (struct lp_operands){.count = argc - optind, .items = argv + optind};
    if (ret_operands->count < operands_min) return lp_command_misuse(command, "something is missing");
    if (ret_operands->count > operands_max)
        return lp_command_misuse(command, "%s: one too many", ret_operands->items[operands_max]);
    return -1;
}

enum lp_code lp_options_load(const char *path, const struct lp_overrides *overrides, struct lp_config **ret_config,
                             struct lp_error *err)
{
    /* Also where the kernel pipes dumps to a program, which no resource limit stops. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    LP_TRY(lp_config_load(path, environ, overrides->items, overrides->count, ret_config, err));
    if ((*ret_config)->core_dump) (void)prctl(PR_SET_DUMPABLE, 1);
    return LP_OK;
}
