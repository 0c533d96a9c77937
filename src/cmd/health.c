#include "cmd/command.h"
#include "cmd/options.h"
#include "cmd/terminal.h"
#include "config/config.h"
#include "http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX_BYTES = 64 * 1024 };

static int run_health(int argc, char **argv);

const struct lp_command lp_command_health = {
    .name = "health",
    .help = "is the worker alive (or ready)? for a container's health check",
    .usage =
        "usage: lepton health [worker.properties] [--ready] [--listen HOST:PORT] [--timeout TIME] [--set KEY=VALUE]\n"
        "\n"
        "Asks the worker on this host for /livez, or with --ready for /readyz. Exit 0: yes; 1: no, or no answer.\n"
        "The address is --listen, else http.listen of the configuration, else LEPTON_HTTP_LISTEN, else the default.\n"
        "\n"
        "  --ready             ready to score: model live, control topic replayed, group joined\n"
        "  --listen HOST:PORT  where the worker listens\n"
        "  --timeout TIME      for all of it, 3s by default (500ms, 3s, 1m)\n"
        "  --set KEY=VALUE     override a key of the configuration\n"
        "\n"
        "example: lepton health --ready --timeout 2s\n",
    .run = run_health,
};

struct health {
    const char *listen;
    bool ready;
    int64_t timeout_ms;
    struct lp_overrides overrides;
};

static int ask(const struct health *health, const char *listen)
{
    const char *path = health->ready ? "/readyz" : "/livez";
    struct lp_error err;
    struct lp_buffer body;
    lp_buffer_init(&body, ANSWER_MAX_BYTES);
    int status = 0, code = LP_EXIT_OK;
    if (lp_http_get(listen, path, (int)health->timeout_ms, &status, &body, &err) != LP_OK) {
        code = lp_command_fail(&lp_command_health, &err);
    } else {
        size_t line = body.data != NULL ? body.size : 0;
        for (size_t i = 0; i < line; i++)
            if (body.data[i] == '\n' || body.data[i] == '\r') line = i;
        const char *text = line > 0 ? (const char *)body.data : "";
        if (status == 200) {
            lp_print_safe(stdout, "%.*s\n", (int)line, text);
        } else {
            lp_print_safe(stderr, "lepton: health: %s%s: %d: %.*s\n", listen, path, status, (int)line, text);
            code = LP_EXIT_FAILED;
        }
    }
    lp_buffer_done(&body);
    return lp_command_finish(&lp_command_health, code);
}

static int ask_configured(const struct health *health, const char *path)
{
    struct lp_config *config;
    struct lp_error err;
    if (lp_options_load(path, &health->overrides, &config, &err) != LP_OK)
        return lp_command_fail(&lp_command_health, &err);
    int code = LP_EXIT_FAILED;
    if (strcmp(config->http_listen, "off") == 0)
        fprintf(stderr, "lepton: health: %s: http.listen is off: the worker cannot be asked\n", path);
    else code = ask(health, config->http_listen);
    lp_config_free(config);
    return code;
}

static int run_health(int argc, char **argv)
{
    struct health health = {.timeout_ms = 3000};
    const struct lp_option options[] = {
        {.name = "ready", .type = LP_OPTION_FLAG, .value = &health.ready},
        {.name = "listen", .type = LP_OPTION_TEXT, .value = &health.listen},
        {.name = "timeout", .type = LP_OPTION_DURATION, .value = &health.timeout_ms, .low = 1, .high = 600000},
        {.name = "set", .type = LP_OPTION_SET, .value = &health.overrides}};
    struct lp_operands operands;
    int code =
        lp_options_parse(&lp_command_health, argc, argv, options, sizeof options / sizeof *options, 0, 1, &operands);
    if (code >= 0) return code;
    if (health.listen != NULL) return ask(&health, health.listen);
    if (operands.count > 0) return ask_configured(&health, operands.items[0]);
    const char *variable = getenv("LEPTON_HTTP_LISTEN");
    return ask(&health, variable != NULL && variable[0] != '\0' ? variable : lp_config_default("http.listen"));
}
