#include "config/storage.h"

#include <string.h>

bool lp_config_is_secret(const char *key)
{
    int index = lp_config_find(key, strlen(key));
    if (index >= 0) return lp_config_keys[index].secret;
    /* librdkafka's: sasl.password, ssl.key.password, ssl.keystore.password, ssl.key.pem, OAuth's. */
    static const char *const words[] = {"password", "secret", "key.pem", "oauthbearer.config", "assertion.private"};
    for (size_t i = 0; strncmp(key, "kafka.", 6) == 0 && i < sizeof words / sizeof *words; i++)
        if (strstr(key, words[i]) != NULL) return true;
    return false;
}

/* One line whatever the value holds. */
static void print_text(const char *text, FILE *out)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\n') fputs("\\n", out);
        else if (*c == '\r') fputs("\\r", out);
        else if ((unsigned char)*c < 0x20 || *c == 0x7f) fprintf(out, "\\u%04x", (unsigned char)*c);
        else fputc(*c, out);
    }
}

static void print_value(const struct lp_config *config, const struct lp_config_key *key, FILE *out)
{
    const void *member = (const char *)config + key->offset;
    const struct lp_config_list *list = member;
    const char *text = NULL;
    switch (key->type) {
    case LP_CONFIG_TEXT: text = *(const char *const *)member; break;
    case LP_CONFIG_LIST:
        for (uint32_t i = 0; i < list->count; i++) fprintf(out, "%s%s", i > 0 ? "," : "", list->items[i]);
        break;
    case LP_CONFIG_WORD:
        for (const struct lp_config_word *word = key->words; word->word != NULL; word++)
            if (word->value == *(const int *)member) text = word->word;
        break;
    case LP_CONFIG_INTEGER: fprintf(out, "%lld", (long long)(*(const int64_t *)member / key->scale)); break;
    case LP_CONFIG_REAL: fprintf(out, "%g", *(const double *)member); break;
    case LP_CONFIG_BOOL: text = *(const bool *)member ? "true" : "false"; break;
    case LP_CONFIG_PASSTHROUGH: break;
    }
    if (text != NULL) print_text(key->secret ? "******" : text, out);
}

static bool is_masked(const char *key, bool (*known)(const char *key))
{
    if (lp_config_is_secret(key)) return true;
    const char *name = key + strlen("kafka.");
    if (strncmp(name, "consumer.", 9) == 0 || strncmp(name, "producer.", 9) == 0) name += 9;
    return known != NULL && !known(name);
}

void lp_config_print(const struct lp_config *config, bool (*known)(const char *key), FILE *out)
{
    for (uint32_t i = 0; i < lp_config_key_count; i++) {
        const struct lp_config_key *key = &lp_config_keys[i];
        if (key->key == NULL || key->type == LP_CONFIG_PASSTHROUGH) continue;
        fprintf(out, "%s = ", key->key);
        print_value(config, key, out);
        fprintf(out, "  # %s\n", lp_config_origin(config, key->key));
    }
    for (uint32_t i = 0; i < config->passthrough_count; i++) {
        const struct lp_config_passthrough *setting = &config->passthrough[i];
        fprintf(out, "%s = ", setting->key);
        print_text(is_masked(setting->key, known) ? "******" : setting->value, out);
        fprintf(out, "  # %s\n", setting->origin);
    }
}

static void print_range(const struct lp_config_key *key, FILE *out)
{
    switch (key->type) {
    case LP_CONFIG_TEXT: fputs(key->secret ? "secret" : "text", out); return;
    case LP_CONFIG_LIST: fputs("list", out); return;
    case LP_CONFIG_WORD:
        for (const struct lp_config_word *word = key->words; word->word != NULL; word++)
            fprintf(out, "%s`%s`", word != key->words ? ", " : "", word->word);
        return;
    case LP_CONFIG_INTEGER: fprintf(out, "%lld to %lld", (long long)key->low, (long long)key->high); return;
    case LP_CONFIG_REAL: fprintf(out, "%g to %g", key->real_low, key->real_high); return;
    case LP_CONFIG_BOOL: fputs("`true`, `false`", out); return;
    case LP_CONFIG_PASSTHROUGH: fputs("text", out); return;
    }
}

static void print_default(const struct lp_config_key *key, FILE *out)
{
    if (key->required) fputs("*required*", out);
    else if (key->default_note != NULL) fputs(key->default_note, out);
    else if (key->default_text != NULL) fprintf(out, "`%s`", key->default_text);
    else fputs("not set", out);
}

static const char introduction[] =
    "Java properties in UTF-8: `key=value` or `key: value`, comments with `#` or `!`, a backslash at the end of a "
    "line\n"
    "continues it. A key that is set twice or that is not known is an error. An empty value stands for the default.\n"
    "\n"
    "- The environment overrides the file: `LEPTON_INPUT_TOPICS` is `input.topics`. `LEPTON_KAFKA_SASL_USERNAME` is\n"
    "  `kafka.sasl.username`, each `_` a dot. What Kubernetes injects for a Service (`*_SERVICE_HOST`, `*_PORT*`) is "
    "ignored;\n"
    "  other unknown names are logged once.\n"
    "- `--set key=value` overrides both; the last one wins.\n"
    "- Any key but those in `.path` may be given as `KEY.file` (`LEPTON_REGISTRY_PASSWORD_FILE`): the value is that "
    "file's\n"
    "  content, up to 64 KiB, without the newline at its end. Use it for secrets.\n"
    "- `lepton check worker.properties --print-config` shows the effective values and where each came from.\n";

static const char passthrough_note[] =
    "\n"
    "Every `kafka.KEY` goes to "
    "[librdkafka](https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md)'s\n"
    "clients unchanged, `kafka.consumer.KEY` to the consumers only and `kafka.producer.KEY` to the producers only:\n"
    "`kafka.security.protocol=sasl_ssl`, `kafka.sasl.password.file=/run/secrets/kafka`, `kafka.producer.linger.ms=5`. "
    "Keys that\n"
    "lepton owns (auto commit and offset store, idempotence, acks, transactional id, isolation level, partition eof, "
    "group id)\n"
    "are refused, and the message names the key to use.\n";

void lp_config_print_reference(FILE *out)
{
    fputs(introduction, out);
    for (uint32_t i = 0; i < lp_config_key_count; i++) {
        const struct lp_config_key *key = &lp_config_keys[i];
        if (key->key == NULL) {
            fprintf(out, "\n### %s\n\n| key | values | default | |\n|---|---|---|---|\n", key->group);
            continue;
        }
        fprintf(out, "| `%s` | ", key->key);
        print_range(key, out);
        fputs(" | ", out);
        print_default(key, out);
        fprintf(out, " | %s |\n", key->help);
    }
    fputs(passthrough_note, out);
}
