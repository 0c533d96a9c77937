/* lepton run: the worker, until a signal. */
#include "cmd/command.h"
#include "cmd/options.h"
#include "cmd/signals.h"
#include "core/log.h"
#include "kafka/conf.h"
#include "worker/worker.h"

#include <malloc.h>
#include <signal.h>
#include <unistd.h>

enum { TICK_MS = 100 };

/*
 * Fetch buffers of a megabyte come and go many times a second. By default malloc maps and unmaps each, and the kernel
 * clears its pages every time; kept in the arenas they are reused. What is kept is bounded by the queues' own bounds.
 */
static void keep_fetch_buffers(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20); /* the largest that glibc takes */
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

static int serve(struct lp_worker *worker)
{
    struct lp_error err;
    int code = LP_EXIT_OK;
    for (;;) {
        int received = lp_signals_wait(TICK_MS);
        if (received != 0) {
            LP_LOG(LP_LOG_INFO, "drain", lp_kv("reason", received == SIGTERM ? "SIGTERM" : "SIGINT"));
            break;
        }
        if (lp_worker_tick(worker, &err) != LP_OK) {
            code = LP_EXIT_FAILED;
            LP_LOG(LP_LOG_ERROR, "stopping", lp_kv("reason", err.text));
            break;
        }
    }
    lp_worker_stop(worker);
    lp_worker_free(worker);
    return code;
}

static int run(int argc, char **argv)
{
    struct lp_overrides overrides = {0};
    struct lp_option options[] = {{.name = "set", .type = LP_OPTION_SET, .value = &overrides}};
    struct lp_operands operands;
    int code = lp_options_parse(&lp_command_run, argc, argv, options, 1, 0, 1, &operands);
    if (code >= 0) return code;
    struct lp_config *config = NULL;
    struct lp_worker *worker = NULL;
    struct lp_error err;
    lp_signals_install();
    keep_fetch_buffers();
    if (lp_options_load(operands.count > 0 ? operands.items[0] : NULL, &overrides, &config, &err) != LP_OK)
        return lp_command_fail(&lp_command_run, &err);
    lp_log_setup((enum lp_log_level)config->log_level, (enum lp_log_format)config->log_format);
    if (lp_worker_start(config, lp_signals_interrupted, NULL, &worker, &err) != LP_OK)
        code = lp_signals_received() != 0 ? LP_EXIT_OK : lp_command_fail(&lp_command_run, &err);
    else code = serve(worker);
    if (lp_kafka_left_behind() > 0) _exit(code); /* their threads still use what exit() tears down */
    lp_config_free(config);
    return code;
}

const struct lp_command lp_command_run = {
    .name = "run",
    .help = "score the records of the input topics until a signal",
    .usage = "usage: lepton run [worker.properties] [--set key=value ...]\n"
             "\n"
             "Reads the input topics in a consumer group, scores every record with the slot's model and writes one\n"
             "prediction a record. Without a file the configuration comes from LEPTON_* and --set.\n"
             "SIGTERM drains: nothing in flight is lost, offsets are committed, the group is left. A second signal\n"
             "exits at once.\n"
             "\n"
             "  --set key=value   override one key (may be repeated); `lepton check --print-reference` lists them\n"
             "\n"
             "example: lepton run worker.properties --set lanes=2 --set http.listen=127.0.0.1:8080\n",
    .run = run,
};
