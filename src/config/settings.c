#include "config/settings.h"

#include "config/table.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool ends_with(const char *text, size_t bytes, const char *tail)
{
    size_t tail_bytes = strlen(tail);
    return bytes >= tail_bytes && memcmp(text + bytes - tail_bytes, tail, tail_bytes) == 0;
}

static bool begins_with(const char *text, const char *head) { return strncmp(text, head, strlen(head)) == 0; }

enum lp_code lp_settings_read_file(struct lp_pool *pool, const char *path, size_t max_bytes, struct lp_span *ret_text,
                                   struct lp_error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return lp_fail(err, errno == ENOENT ? LP_E_NOT_FOUND : LP_E_IO, LP_FATAL, "%s: cannot be opened: %s", path,
                       strerror(errno));
    enum lp_code rc = LP_OK;
    char *text = lp_pool_take(pool, max_bytes + 2);
    if (text == NULL) {
        rc = lp_fail_memory(err, max_bytes);
        goto out;
    }
    size_t bytes = fread(text, 1, max_bytes + 1, file);
    if (ferror(file)) {
        rc = lp_fail(err, LP_E_IO, LP_FATAL, "%s: cannot be read: %s", path, strerror(errno));
        goto out;
    }
    if (bytes > max_bytes) {
        rc = lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: larger than %zu bytes: is it the right file?", path, max_bytes);
        goto out;
    }
    text[bytes] = '\0';
    *ret_text = lp_span_of(text, bytes);
out:
    fclose(file);
    return rc;
}

enum lp_code lp_settings_init(struct lp_settings *settings, struct lp_pool *pool, struct lp_error *err)
{
    *settings = (struct lp_settings){.pool = pool};
    settings->keys = lp_pool_take(pool, lp_config_key_count * sizeof *settings->keys);
    settings->kafka = lp_pool_take(pool, LP_PASSTHROUGH_MAX * sizeof *settings->kafka);
    settings->ignored = lp_pool_take(pool, LP_IGNORED_MAX * sizeof *settings->ignored);
    if (settings->keys == NULL || settings->kafka == NULL || settings->ignored == NULL)
        return lp_fail_memory(err, LP_PASSTHROUGH_MAX * sizeof *settings->kafka);
    return LP_OK;
}

/* "kafka." and what librdkafka could know: lower case, digits, dots. */
static bool is_kafka_key(const char *key, size_t bytes)
{
    static const char *const prefixes[] = {"kafka.consumer.", "kafka.producer.", "kafka."};
    size_t prefix = 0;
    for (size_t i = 0; prefix == 0 && i < sizeof prefixes / sizeof *prefixes; i++)
        if (begins_with(key, prefixes[i])) prefix = strlen(prefixes[i]);
    if (prefix == 0 || bytes <= prefix) return false;
    for (size_t i = prefix; i < bytes; i++) {
        unsigned char c = (unsigned char)key[i];
        if (!(c >= 'a' && c <= 'z') && !isdigit(c) && c != '.' && c != '_' && c != '-') return false;
    }
    return key[prefix] != '.' && key[bytes - 1] != '.';
}

/* The setting of a librdkafka key, made when it is new. */
static enum lp_code kafka_setting(struct lp_settings *settings, const char *key, size_t bytes, const char *origin,
                                  struct lp_setting **ret_setting, struct lp_error *err)
{
    for (uint32_t i = 0; i < settings->kafka_count; i++) {
        const char *known = settings->kafka[i].key;
        *ret_setting = &settings->kafka[i];
        if (strlen(known) == bytes && memcmp(known, key, bytes) == 0) return LP_OK;
    }
    if (settings->kafka_count == LP_PASSTHROUGH_MAX)
        return lp_fail_field(err, LP_E_LIMIT, LP_FATAL, key, "%s: more than %d kafka.* keys", origin,
                             LP_PASSTHROUGH_MAX);
    const char *copy = lp_pool_copy(settings->pool, key, bytes);
    if (copy == NULL) return lp_fail_memory(err, bytes);
    *ret_setting = &settings->kafka[settings->kafka_count++];
    (*ret_setting)->key = copy;
    return LP_OK;
}

static enum lp_code unknown_key(const char *key, const char *origin, struct lp_error *err)
{
    const char *nearest = lp_config_nearest(key);
    if (nearest != NULL)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, key, "%s: %.120s: unknown key: did you mean %s?", origin, key,
                             nearest);
    return lp_fail_field(err, LP_E_INVALID, LP_FATAL, key,
                         "%s: %.120s: unknown key: `lepton check --print-reference` lists them", origin, key);
}

/* KEY.file: the value is what the file holds, without the newline that editors put at its end. */
static enum lp_code read_secret(struct lp_settings *settings, const char *key, const char **value, const char **origin,
                                struct lp_error *err)
{
    struct lp_span text;
    if (lp_settings_read_file(settings->pool, *value, LP_SECRET_MAX_BYTES, &text, err) != LP_OK) {
        lp_error_wrap(err, "%s: %s", *origin, key);
        snprintf(err->field, sizeof err->field, "%s", key);
        return err->code;
    }
    size_t bytes = text.size;
    if (bytes > 0 && text.data[bytes - 1] == '\n') bytes--;
    if (bytes > 0 && text.data[bytes - 1] == '\r') bytes--;
    if (bytes == 0 || memchr(text.data, '\0', bytes) != NULL)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, key, "%s: %s: %s %s", *origin, key, *value,
                             bytes == 0 ? "is empty: write the value into it" : "holds a NUL byte: is it text?");
    *origin = lp_pool_format(settings->pool, "%s, %s", *origin, *value);
    *value = lp_pool_copy(settings->pool, (const char *)text.data, bytes);
    return *origin != NULL && *value != NULL ? LP_OK : lp_fail_memory(err, bytes);
}

/* librdkafka has keys of its own that end so; they name the file, which librdkafka reads. */
static bool names_a_file(const char *key, size_t bytes)
{
    return begins_with(key, "kafka.") && (ends_with(key, bytes, ".oauthbearer.assertion.file") ||
                                          ends_with(key, bytes, ".oauthbearer.assertion.private.key.file") ||
                                          ends_with(key, bytes, ".oauthbearer.assertion.jwt.template.file"));
}

static enum lp_code assign(struct lp_settings *settings, const char *key, const char *value,
                           enum lp_settings_source source, const char *origin, struct lp_error *err)
{
    if (origin == NULL) return lp_fail_memory(err, strlen(key));
    size_t bytes = strlen(key);
    bool from_file = ends_with(key, bytes, ".file") && !names_a_file(key, bytes);
    size_t base = from_file ? bytes - strlen(".file") : bytes;
    int index = lp_config_find(key, base);
    bool kafka = index < 0 || lp_config_keys[index].type == LP_CONFIG_PASSTHROUGH;
    if (index < 0 && !is_kafka_key(key, base)) return unknown_key(key, origin, err);
    if (from_file && ends_with(key, base, ".path"))
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, key, "%s: %s: names a file already: write %.*s", origin, key,
                             (int)base, key);
    struct lp_setting *setting = kafka ? NULL : &settings->keys[index];
    if (kafka) LP_TRY(kafka_setting(settings, key, base, origin, &setting, err));
    if (setting->source == source && source != LP_FROM_SET)
        return lp_fail_field(err, LP_E_INVALID, LP_FATAL, key, "%s: %s is set twice, first at %s: remove one", origin,
                             key, setting->origin);
    setting->origin = origin;
    setting->source = source;
    setting->value = lp_pool_copy(settings->pool, value, strlen(value));
    if (setting->value == NULL) return lp_fail_memory(err, strlen(value));
    if (from_file && value[0] != '\0') return read_secret(settings, key, &setting->value, &setting->origin, err);
    return LP_OK;
}

enum lp_code lp_settings_from_file(void *context, const char *key, const char *value, uint32_t line,
                                   struct lp_error *err)
{
    struct lp_settings *settings = context;
    return assign(settings, key, value, LP_FROM_FILE,
                  lp_pool_format(settings->pool, "%s:%u", settings->file_name, line), err);
}

enum lp_code lp_settings_from_override(struct lp_settings *settings, const struct lp_config_override *override,
                                       struct lp_error *err)
{
    return assign(settings, override->key, override->value, LP_FROM_SET, "--set", err);
}

/* Is `name` (behind LEPTON_) the environment's spelling of `key`? `.` and `_` are both `_`. */
static bool spells(const char *name, size_t name_bytes, const char *key)
{
    if (strlen(key) != name_bytes) return false;
    for (size_t i = 0; i < name_bytes; i++) {
        char upper = key[i] == '.' ? '_' : (char)toupper((unsigned char)key[i]);
        if (name[i] != upper) return false;
    }
    return true;
}

/* What Kubernetes (and Docker's links) inject for a Service whose name begins with lepton. */
static bool is_service_variable(const char *name, size_t bytes, const char *value)
{
    if (ends_with(name, bytes, "SERVICE_HOST") || begins_with(value, "tcp://") || begins_with(value, "udp://"))
        return true;
    for (size_t i = 0; i + 4 <= bytes; i++) {
        bool word = memcmp(name + i, "PORT", 4) == 0 && (i == 0 || name[i - 1] == '_');
        if (word && (i + 4 == bytes || name[i + 4] == '_')) return true;
    }
    return false;
}

enum { KEY_MAX_BYTES = 200 };

/* The key that a name behind LEPTON_ stands for; false: none. */
static bool resolve(const char *name, size_t bytes, const char *value, char *ret_key)
{
    bool from_file = ends_with(name, bytes, "_FILE");
    size_t base = from_file ? bytes - strlen("_FILE") : bytes;
    for (uint32_t i = 0; i < lp_config_key_count; i++) {
        const char *key = lp_config_keys[i].key;
        if (key == NULL || !spells(name, base, key)) continue;
        snprintf(ret_key, KEY_MAX_BYTES, "%s%s", key, from_file ? ".file" : "");
        return true;
    }
    if (!begins_with(name, "KAFKA_") || bytes >= KEY_MAX_BYTES || is_service_variable(name, bytes, value)) return false;
    for (size_t i = 0; i < bytes; i++) {
        if (islower((unsigned char)name[i])) return false;
        ret_key[i] = name[i] == '_' ? '.' : (char)tolower((unsigned char)name[i]);
    }
    ret_key[bytes] = '\0';
    return is_kafka_key(ret_key, bytes);
}

static enum lp_code ignore(struct lp_settings *settings, const char *entry, size_t bytes, struct lp_error *err)
{
    if (settings->ignored_count == LP_IGNORED_MAX) return LP_OK;
    const char *name = lp_pool_copy(settings->pool, entry, bytes);
    if (name == NULL) return lp_fail_memory(err, bytes);
    settings->ignored[settings->ignored_count++] = name;
    return LP_OK;
}

enum lp_code lp_settings_from_environment(struct lp_settings *settings, char *const *environment, struct lp_error *err)
{
    static const char prefix[] = "LEPTON_";
    const size_t prefix_bytes = sizeof prefix - 1;
    for (; environment != NULL && *environment != NULL; environment++) {
        const char *entry = *environment, *equals = strchr(entry, '=');
        if (equals == NULL || !begins_with(entry, prefix) || (size_t)(equals - entry) <= prefix_bytes) continue;
        const char *name = entry + prefix_bytes;
        size_t bytes = (size_t)(equals - name);
        char key[KEY_MAX_BYTES];
        if (resolve(name, bytes, equals + 1, key)) {
            const char *origin = lp_pool_copy(settings->pool, entry, prefix_bytes + bytes);
            LP_TRY(assign(settings, key, equals + 1, LP_FROM_ENVIRONMENT, origin, err));
        } else if (!is_service_variable(name, bytes, equals + 1) && strncmp(name, "CPU_DISABLE=", 12) != 0) {
            LP_TRY(ignore(settings, entry, prefix_bytes + bytes, err));
        }
    }
    return LP_OK;
}
