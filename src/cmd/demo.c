/* lepton demo: the whole program at work, without a broker or a file. */
#include "demo/demo.h"
#include "cmd/command.h"
#include "cmd/options.h"
#include "cmd/signals.h"

enum { DEFAULT_SECONDS = 60, SECONDS_MIN = 30, SECONDS_MAX = 24 * 3600 };

static int run(int argc, char **argv)
{
    struct lp_demo_options demo = {
        .seconds = DEFAULT_SECONDS, .http_listen = "127.0.0.1:8080", .interrupted = lp_signals_interrupted};
    struct lp_option options[] = {
        {.name = "seconds", .type = LP_OPTION_INTEGER, .value = &demo.seconds, .low = 0, .high = SECONDS_MAX},
        {.name = "listen", .type = LP_OPTION_TEXT, .value = &demo.http_listen},
    };
    struct lp_operands operands;
    int code = lp_options_parse(&lp_command_demo, argc, argv, options, 2, 0, 0, &operands);
    if (code >= 0) return code;
    if (demo.seconds != 0 && demo.seconds < SECONDS_MIN)
        return lp_command_misuse(&lp_command_demo, "--seconds %d: at least %d, or 0 to keep it up", (int)demo.seconds,
                                 SECONDS_MIN);
    struct lp_error err;
    lp_signals_install();
    code = lp_demo_run(&demo, &err) == LP_OK ? LP_EXIT_OK : lp_command_fail(&lp_command_demo, &err);
    return lp_command_finish(&lp_command_demo, code);
}

const struct lp_command lp_command_demo = {
    .name = "demo",
    .help = "watch it work: an embedded broker, a year of flights, a drift alarm, a model swap",
    .usage = "usage: lepton demo [--seconds N] [--listen HOST:PORT]\n"
             "\n"
             "Starts a Kafka broker inside this process, replays a year of departures from New York through the same\n"
             "worker as `lepton run`, shows the drift alarm as the seasons turn, deploys a second model through the\n"
             "control topic and accounts for every record at the end. Needs nothing and leaves nothing behind.\n"
             "\n"
             "  --seconds N         how long (default 60, at least 30); 0 keeps it up until Ctrl-C\n"
             "  --listen HOST:PORT  where /metrics and /status are served (default 127.0.0.1:8080)\n"
             "\n"
             "example: lepton demo --seconds 0\n",
    .run = run,
};
