/* lepton check: a configuration, or a bundle, or a bundle against a schema, without a broker. */
#include "cmd/check.h"

#include "cmd/bundles.h"
#include "cmd/command.h"
#include "cmd/options.h"
#include "core/actions.h"
#include "decode/decoder.h"
#include "kafka/conf.h"

#include <stdio.h>

static int run(int argc, char **argv);

const struct lp_command lp_command_check = {
    .name = "check",
    .help = "verify a configuration, a bundle, or a bundle against a schema, without a broker",
    .usage = "usage: lepton check [worker.properties] [--print-config] [--set KEY=VALUE] [--json]\n"
             "       lepton check BUNDLE [--schema SCHEMA.avsc] [--json]\n"
             "       lepton check --print-reference | --print-actions\n"
             "\n"
             "A configuration: its keys, the files it names, its model, and the model's features against the schema. A "
             "bundle:\n"
             "its structure, its golden rows, and with --schema whether records of that schema give each feature. Each "
             "line is\n"
             "pass, warn or fail; exit 1 when one failed.\n"
             "\n"
             "  --print-config     the effective values and where each came from, secrets masked; nothing else\n"
             "  --print-reference  every key, as Markdown\n"
             "  --print-actions    every error and what the worker does about it, as Markdown\n"
             "  --schema FILE      an Avro schema\n"
             "  --set KEY=VALUE    override a key\n"
             "  --json             {\"ok\":...,\"findings\":[{\"result\":...,\"subject\":...,\"text\":...}]}\n"
             "\n"
             "example: lepton check ctr.safetensors --schema clicks.avsc\n",
    .run = run,
};

struct check {
    bool print_config, print_reference, print_actions, json;
    const char *schema;
    struct lp_overrides overrides;
};

static int check_config(const struct check *check, const char *path)
{
    struct lp_config *config = NULL;
    struct lp_error err;
    struct lp_findings findings;
    lp_findings_init(&findings, check->json);
    enum lp_code rc = lp_options_load(path, &check->overrides, &config, &err);
    if (rc != LP_OK && check->print_config) {
        lp_findings_done(&findings);
        return lp_command_fail(&lp_command_check, &err);
    }
    if (rc != LP_OK) lp_findings_fail(&findings, "configuration", &err);
    else if (check->print_config) lp_config_print(config, lp_kafka_conf_known, stdout);
    else lp_check_config(config, &findings);
    lp_config_free(config);
    if (check->print_config && rc == LP_OK) findings.json = false;
    return lp_findings_done(&findings);
}

static int check_bundle(const struct check *check, const char *path)
{
    struct lp_model *model = NULL;
    struct lp_avro_schema *schema = NULL;
    struct lp_error err;
    struct lp_findings findings;
    lp_findings_init(&findings, check->json);
    if (lp_bundles_load(path, &model, &err) != LP_OK) lp_findings_fail(&findings, "bundle", &err);
    else lp_check_model(model, &findings);
    if (check->schema != NULL && lp_schema_load_file(check->schema, &schema, &err) != LP_OK)
        lp_findings_fail(&findings, "schema", &err);
    if (model != NULL && schema != NULL) lp_check_features(model, schema, NULL, check->schema, &findings);
    lp_avro_schema_free(schema);
    lp_model_unref(model);
    return lp_findings_done(&findings);
}

static int run(int argc, char **argv)
{
    struct check check = {0};
    const struct lp_option options[] = {
        {.name = "print-config", .type = LP_OPTION_FLAG, .value = &check.print_config},
        {.name = "print-reference", .type = LP_OPTION_FLAG, .value = &check.print_reference},
        {.name = "print-actions", .type = LP_OPTION_FLAG, .value = &check.print_actions},
        {.name = "json", .type = LP_OPTION_FLAG, .value = &check.json},
        {.name = "schema", .type = LP_OPTION_TEXT, .value = &check.schema},
        {.name = "set", .type = LP_OPTION_SET, .value = &check.overrides}};
    struct lp_operands operands;
    int code =
        lp_options_parse(&lp_command_check, argc, argv, options, sizeof options / sizeof *options, 0, 1, &operands);
    if (code >= 0) return code;
    if (check.print_reference || check.print_actions) {
        if (check.print_reference) lp_config_print_reference(stdout);
        else lp_actions_print(stdout);
        return lp_command_finish(&lp_command_check, LP_EXIT_OK);
    }
    /* Without a file the environment and --set may still make a configuration, as for `run`. */
    if (operands.count == 0 && !check.print_config && check.overrides.count == 0)
        return lp_command_misuse(&lp_command_check, "which file?");
    if (operands.count == 0) return lp_command_finish(&lp_command_check, check_config(&check, NULL));
    bool bundle = lp_bundles_looks_like(operands.items[0]);
    if (!bundle && check.schema != NULL) return lp_command_misuse(&lp_command_check, "--schema wants a bundle");
    if (bundle && (check.print_config || check.overrides.count > 0))
        return lp_command_misuse(&lp_command_check, "--print-config and --set want a configuration");
    code = bundle ? check_bundle(&check, operands.items[0]) : check_config(&check, operands.items[0]);
    return lp_command_finish(&lp_command_check, code);
}
