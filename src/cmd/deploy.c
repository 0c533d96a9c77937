/* lepton deploy, rollback, status: write and watch desired state. */
#include "cmd/command.h"
#include "cmd/fleet.h"
#include "cmd/options.h"
#include "cmd/terminal.h"
#include "control/source.h"
#include "core/clock.h"
#include "core/log.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_TIMEOUT_MS = 15000, WRITE_TIMEOUT_MS = 15000, DEFAULT_WAIT_MS = 60000, WAIT_MAX_MS = 24 * 3600 * 1000 };

struct arguments {
    const char *slot, *uri, *sign, *signature; /* the last three: deploy only */
    int64_t wait_ms;
    bool json;
    struct lp_overrides overrides;
    struct lp_operands operands;
    struct lp_config *config;
    struct lp_fleet fleet;
};

/* Options, configuration, both topics read. -1: go on. */
static int open_fleet(const struct lp_command *command, int argc, char **argv, int operands, struct arguments *args)
{
    struct lp_option options[] = {
        {.name = "set", .type = LP_OPTION_SET, .value = &args->overrides},
        {.name = "slot", .type = LP_OPTION_TEXT, .value = &args->slot},
        {.name = "json", .type = LP_OPTION_FLAG, .value = &args->json},
        {.name = "wait", .type = LP_OPTION_DURATION, .value = &args->wait_ms, .low = 0, .high = WAIT_MAX_MS},
        {.name = "uri", .type = LP_OPTION_TEXT, .value = &args->uri},
        {.name = "sign", .type = LP_OPTION_TEXT, .value = &args->sign},
        {.name = "signature", .type = LP_OPTION_TEXT, .value = &args->signature},
    };
    struct lp_error err;
    args->wait_ms = DEFAULT_WAIT_MS;
    int code =
        lp_options_parse(command, argc, argv, options, operands == 2 ? 7 : 4, operands, operands, &args->operands);
    if (code >= 0) return code;
    if (lp_options_load(args->operands.items[0], &args->overrides, &args->config, &err) != LP_OK)
        return lp_command_fail(command, &err);
    lp_log_setup(LP_LOG_ERROR, LP_LOG_LOGFMT);
    if (lp_fleet_open(&args->fleet, args->config, args->slot, READ_TIMEOUT_MS, &err) != LP_OK)
        return lp_command_fail(command, &err);
    return -1;
}

static int close_fleet(struct arguments *args, int code)
{
    lp_fleet_close(&args->fleet);
    lp_config_free(args->config);
    return code;
}

/* Write generation + 1 and wait for the replicas. The sources are copies: the fleet's own go as new records come. */
static int put(const struct lp_command *command, struct arguments *args, const struct lp_model_source *active,
               const struct lp_model_source *previous)
{
    struct lp_fleet *fleet = &args->fleet;
    struct lp_error err;
    if (fleet->generation >= LP_GENERATION_MAX) {
        (void)lp_fail(&err, LP_E_LIMIT, LP_FATAL,
                      "slot %s: generation 2^53 - 1 is used, none is above it: name another slot, or new topics",
                      fleet->slot);
        return lp_command_fail(command, &err);
    }
    uint64_t generation = fleet->generation + 1;
    bool paused = fleet->desired != NULL && fleet->desired->paused;
    char *json = lp_desired_encode(generation, active, previous, paused);
    if (json == NULL) {
        (void)lp_fail_memory(&err, LP_URI_MAX_BYTES);
        return lp_command_fail(command, &err);
    }
    enum lp_code rc = lp_fleet_write(fleet, json, WRITE_TIMEOUT_MS, &err);
    if (rc == LP_OK && args->wait_ms > 0) rc = lp_fleet_wait(fleet, generation, args->wait_ms, &err);
    if (rc == LP_OK && args->json) printf("%s\n", json);
    else if (rc == LP_OK)
        lp_print_safe(stdout, "slot %s: generation %llu: %s\n", fleet->slot, (unsigned long long)generation,
                      active->uri);
    free(json);
    return lp_command_finish(command, rc == LP_OK ? LP_EXIT_OK : lp_command_fail(command, &err));
}

/* The last state known good: what replicas accepted; before any answered, what is wanted now. */
static void known_good(const struct lp_fleet *fleet, const char *sha256, struct lp_model_source *ret_source)
{
    const struct lp_desired *states[] = {fleet->known, fleet->desired};
    for (int i = 0; i < 2; i++) {
        if (states[i] == NULL) continue;
        bool other = strcmp(states[i]->active.sha256, sha256) != 0;
        if (other) *ret_source = states[i]->active;
        else if (states[i]->has_previous) *ret_source = states[i]->previous;
        if (other || states[i]->has_previous) return;
    }
    /* The first deployment: what replicas serve out of their own configuration. */
    for (uint32_t i = 0; i < fleet->replica_count && fleet->config->model_uri != NULL; i++) {
        const struct lp_status_record *replica = &fleet->replicas[i];
        if (!replica->serving || replica->serving_generation != 0 || strcmp(replica->sha256, sha256) == 0) continue;
        snprintf(ret_source->uri, sizeof ret_source->uri, "%s", fleet->config->model_uri);
        memcpy(ret_source->sha256, replica->sha256, sizeof ret_source->sha256);
        if (fleet->config->model_signature != NULL)
            snprintf(ret_source->signature, sizeof ret_source->signature, "%s", fleet->config->model_signature);
        return;
    }
}

/* The signature made or given. Where the workers' trusted keys are at hand, what they would refuse is refused here. */
static enum lp_code sign(const struct arguments *args, struct lp_model_source *source, struct lp_error *err)
{
    const char *keys = args->config->model_trusted_keys_path;
    if (args->sign != NULL && args->signature != NULL)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "--sign and --signature: give one of them");
    if (args->sign != NULL) LP_TRY(lp_signature_make(args->sign, source->sha256, source->signature, err));
    if (args->signature != NULL && !lp_signature_is_valid(args->signature))
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "--signature: not KEYID:BASE64 of an Ed25519 signature");
    if (args->signature != NULL) snprintf(source->signature, sizeof source->signature, "%s", args->signature);
    if (keys == NULL || access(keys, R_OK) != 0) return LP_OK;
    return lp_signature_verify(keys, source->sha256, source->signature, err);
}

static enum lp_code describe_bundle(struct arguments *args, struct lp_model_source *ret_source, struct lp_error *err)
{
    const char *path = args->operands.items[1];
    struct lp_model_source local = {0};
    struct lp_model_options options = {.bundle_max_bytes = (uint64_t)args->config->model_max_bytes,
                                       .require_golden = args->config->model_require_golden};
    struct lp_model *model = NULL;
    char *real = realpath(path, NULL);
    enum lp_code rc;
    if (real == NULL) {
        return lp_fail(err, LP_E_NOT_FOUND, LP_FATAL, "%s: no such file: name the bundle to deploy", path);
    }
    rc = lp_source_file_uri(real, local.uri, err);
    free(real);
    LP_TRY(rc);
    LP_TRY(lp_source_load_model(&local, NULL, NULL, &options, &model, err));
    snprintf(ret_source->uri, sizeof ret_source->uri, "%s", args->uri != NULL ? args->uri : local.uri);
    lp_sha256_text(model->bundle->sha256, ret_source->sha256);
    lp_model_unref(model);
    return sign(args, ret_source, err);
}

static int deploy(int argc, char **argv)
{
    struct arguments args = {0};
    struct lp_model_source active = {0}, previous = {0};
    struct lp_error err;
    int code = open_fleet(&lp_command_deploy, argc, argv, 2, &args);
    if (code >= 0) return close_fleet(&args, code);
    if (describe_bundle(&args, &active, &err) != LP_OK)
        return close_fleet(&args, lp_command_fail(&lp_command_deploy, &err));
    if (strncmp(active.uri, "file:", 5) != 0) {
        (void)lp_fail(&err, LP_E_UNSUPPORTED, LP_FATAL, "%s: only file: sources are in this release: mount the model",
                      active.uri);
        return close_fleet(&args, lp_command_fail(&lp_command_deploy, &err));
    }
    known_good(&args.fleet, active.sha256, &previous);
    return close_fleet(&args, put(&lp_command_deploy, &args, &active, &previous));
}

static int rollback(int argc, char **argv)
{
    struct arguments args = {0};
    struct lp_error err;
    int code = open_fleet(&lp_command_rollback, argc, argv, 1, &args);
    if (code >= 0) return close_fleet(&args, code);
    const struct lp_desired *desired = args.fleet.desired;
    if (desired == NULL || !desired->has_previous) {
        (void)lp_fail(&err, LP_E_NOT_FOUND, LP_FATAL, "slot %s: no previous model is known: deploy one by name",
                      args.fleet.slot);
        return close_fleet(&args, lp_command_fail(&lp_command_rollback, &err));
    }
    /* What is left behind becomes `previous` only if some replica served it: previous is the last state known good. */
    const struct lp_desired *known = args.fleet.known;
    bool good = known != NULL && strcmp(known->active.sha256, desired->active.sha256) == 0;
    struct lp_model_source active = desired->previous, abandoned = {0};
    if (good) abandoned = desired->active;
    return close_fleet(&args, put(&lp_command_rollback, &args, &active, &abandoned));
}

static void print_replica(const struct lp_fleet *fleet, const struct lp_status_record *replica)
{
    lp_print_safe(stdout, "%-32s %-9s %10llu %-16s %.12s  %5.0fs%s%s\n", replica->replica,
                  lp_fleet_alive(fleet, replica) ? lp_slot_state_name(replica->state) : "silent",
                  (unsigned long long)replica->serving_generation, replica->version[0] != '\0' ? replica->version : "-",
                  replica->sha256[0] != '\0' ? replica->sha256 : "-",
                  (double)(lp_clock_wall_ms() - replica->time_ms) / 1e3, replica->reason[0] != '\0' ? "  " : "",
                  replica->reason);
}

static int status(int argc, char **argv)
{
    struct arguments args = {0};
    int code = open_fleet(&lp_command_status, argc, argv, 1, &args);
    if (code >= 0) return close_fleet(&args, code);
    const struct lp_fleet *fleet = &args.fleet;
    if (args.json) {
        for (uint32_t i = 0; i < fleet->replica_count; i++) {
            char *text = lp_status_record_encode(&fleet->replicas[i]);
            if (text != NULL) printf("%s\n", text);
            free(text);
        }
    } else {
        lp_print_safe(stdout, "slot %s: wanted: %s\n", fleet->slot,
                      fleet->desired != NULL ? fleet->desired->json : "nothing");
        printf("%-32s %-9s %10s %-16s %-12s  %6s\n", "replica", "state", "generation", "version", "sha256", "seen");
        for (uint32_t i = 0; i < fleet->replica_count; i++) print_replica(fleet, &fleet->replicas[i]);
    }
    return close_fleet(&args, lp_command_finish(&lp_command_status, LP_EXIT_OK));
}

const struct lp_command lp_command_deploy = {
    .name = "deploy",
    .help = "tell the workers to serve a bundle, and wait until they do",
    .usage =
        "usage: lepton deploy worker.properties BUNDLE [--slot S] [--uri U] [--wait 60s] [--sign KEY.pem] [--json]\n"
        "\n"
        "Verifies the bundle here, writes the desired state to the control topic and waits until every live\n"
        "replica serves it. Exit 1 with the reason when one refuses.\n"
        "\n"
        "  --slot S     slot to deploy to (default: the first of `slots`)\n"
        "  --uri U      the bundle as the workers see it (default: file:// and its path here)\n"
        "  --sign KEY.pem   sign the bundle with this Ed25519 private key (openssl genpkey -algorithm ed25519)\n"
        "  --signature KEYID:BASE64   a signature made elsewhere\n"
        "  --wait 60s   how long to wait for the replicas; 0 does not wait\n"
        "  --json       print the desired state that was written\n"
        "  --set key=value\n"
        "\n"
        "example: lepton deploy worker.properties ctr-12.safetensors --uri file:///models/ctr-12.safetensors\n",
    .run = deploy,
};

const struct lp_command lp_command_rollback = {
    .name = "rollback",
    .help = "go back to the model before",
    .usage = "usage: lepton rollback worker.properties [--slot S] [--wait 60s] [--json]\n"
             "\n"
             "Makes the desired state's `previous` the active model and waits as deploy does.\n"
             "\n"
             "example: lepton rollback worker.properties\n",
    .run = rollback,
};

const struct lp_command lp_command_status = {
    .name = "status",
    .help = "show what every replica runs",
    .usage = "usage: lepton status worker.properties [--slot S] [--json]\n"
             "\n"
             "Reads the control and status topics: the desired state, and for each replica its state, generation,\n"
             "version and the reason when it refused. --json prints the status records, one a line.\n"
             "\n"
             "example: lepton status worker.properties\n",
    .run = status,
};
