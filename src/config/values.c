#include "config/values.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TOPIC_MAX_BYTES = 249, NAME_MAX_BYTES = 255, LIST_MAX_ITEMS = 1024 };

struct value {
    const struct lp_config_key *key;
    const char *text; /* trimmed */
    const char *origin;
};

/* The value for an error text: none that is a secret or may hold one, as user:password@host does in any scheme. */
static const char *shown(const struct value *value)
{
    return value->key->secret || strchr(value->text, '@') != NULL ? "******" : value->text;
}

static enum lp_code refuse(const struct value *value, const char *cure, struct lp_error *err)
{
    return lp_fail_field(err, LP_E_INVALID, LP_FATAL, value->key->key, "%s: %s=%.200s: %s", value->origin,
                         value->key->key, shown(value), cure);
}

static bool is_name(const char *text, size_t bytes, size_t most)
{
    if (bytes == 0 || bytes > most) return false;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x80 || (!isalnum(c) && c != '.' && c != '_' && c != '-')) return false;
    }
    return !(bytes == 1 && text[0] == '.') && !(bytes == 2 && text[0] == '.' && text[1] == '.');
}

bool lp_config_is_listen(const char *text)
{
    if (strcmp(text, "off") == 0) return true;
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text) return false;
    bool bracketed = text[0] == '[' && colon[-1] == ']' && colon - text > 2;
    if (!bracketed && memchr(text, ':', (size_t)(colon - text)) != NULL) return false;
    size_t digits = strspn(colon + 1, "0123456789");
    return digits > 0 && digits <= 5 && colon[1 + digits] == '\0' && strtol(colon + 1, NULL, 10) <= 65535;
}

static enum lp_code check_url(const struct value *value, const char *url, size_t bytes, struct lp_error *err)
{
    size_t scheme = bytes > 8 && strncasecmp(url, "https://", 8) == 0  ? 8
                    : bytes > 7 && strncasecmp(url, "http://", 7) == 0 ? 7
                                                                       : 0;
    if (scheme == 0) return refuse(value, "write http://host:port or https://host:port", err);
    size_t host = 0;
    while (scheme + host < bytes && url[scheme + host] != '/') host++;
    if (memchr(url + scheme, '@', host) != NULL)
        return refuse(value, "has a password in it: use registry.user and registry.password.file", err);
    return LP_OK;
}

static enum lp_code check_uri(const struct value *value, struct lp_error *err)
{
    static const char *const later[] = {"http:", "https:", "kafka:"};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        if (strncasecmp(value->text, later[i], strlen(later[i])) == 0)
            return lp_fail_field(err, LP_E_UNSUPPORTED, LP_FATAL, value->key->key,
                                 "%s: %s=%.200s: %s is not in this release: use file:///path", value->origin,
                                 value->key->key, shown(value), later[i]);
    if (strncmp(value->text, "file:/", 6) != 0) return refuse(value, "write file:///path/of/the/model", err);
    return LP_OK;
}

static enum lp_code check_form(const struct value *value, const char *item, size_t bytes, struct lp_error *err)
{
    switch (value->key->form) {
    case LP_CONFIG_ANY: return LP_OK;
    case LP_CONFIG_TOPIC:
        if (is_name(item, bytes, TOPIC_MAX_BYTES)) return LP_OK;
        return refuse(value, "a topic's name has letters, digits, . _ - and at most 249 of them", err);
    case LP_CONFIG_NAME:
        if (is_name(item, bytes, NAME_MAX_BYTES)) return LP_OK;
        return refuse(value, "a name has letters, digits, . _ - and at most 255 of them", err);
    case LP_CONFIG_URLS: return check_url(value, item, bytes, err);
    case LP_CONFIG_URI: return check_uri(value, err);
    case LP_CONFIG_SHA256:
        if (bytes == 64 && strspn(item, "0123456789abcdefABCDEF") == 64) return LP_OK;
        return refuse(value, "write 64 hexadecimal digits, as sha256sum prints them", err);
    case LP_CONFIG_LISTEN:
        if (lp_config_is_listen(item)) return LP_OK;
        return refuse(value, "write host:port, [v6]:port or off", err);
    }
    return LP_OK;
}

static void trim(const char **text, size_t *bytes)
{
    while (*bytes > 0 && isspace((unsigned char)**text)) (*text)++, (*bytes)--;
    while (*bytes > 0 && isspace((unsigned char)(*text)[*bytes - 1])) (*bytes)--;
}

/* The next item of "a, b,c" without its white space; false at the end. */
static bool next_item(const char **at, const char **ret_item, size_t *ret_bytes)
{
    if (*at == NULL) return false;
    const char *item = *at, *end = strchr(item, ',');
    size_t bytes = end != NULL ? (size_t)(end - item) : strlen(item);
    *at = end != NULL ? end + 1 : NULL;
    trim(&item, &bytes);
    *ret_item = item;
    *ret_bytes = bytes;
    return true;
}

static enum lp_code check_items(const struct value *value, uint32_t *ret_count, struct lp_error *err)
{
    uint32_t count = 0;
    const char *at = value->text, *item;
    for (size_t bytes; next_item(&at, &item, &bytes); count++) {
        if (bytes == 0) return refuse(value, "has an empty item: remove the comma", err);
        if (count == LIST_MAX_ITEMS) return refuse(value, "has more than 1024 items", err);
        LP_TRY(check_form(value, item, bytes, err));
    }
    *ret_count = count;
    return LP_OK;
}

static enum lp_code set_list(const struct value *value, struct lp_pool *pool, struct lp_config_list *ret_list,
                             struct lp_error *err)
{
    uint32_t count = 0;
    LP_TRY(check_items(value, &count, err));
    const char **items = lp_pool_take(pool, count * sizeof *items);
    if (items == NULL) return lp_fail_memory(err, count * sizeof *items);
    const char *at = value->text, *item;
    size_t bytes;
    for (uint32_t i = 0; next_item(&at, &item, &bytes); i++) {
        items[i] = lp_pool_copy(pool, item, bytes);
        if (items[i] == NULL) return lp_fail_memory(err, bytes);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(items[k], items[i]) == 0) return refuse(value, "names the same item twice", err);
    }
    *ret_list = (struct lp_config_list){.count = count, .items = items};
    return LP_OK;
}

static enum lp_code set_text(const struct value *value, const char **ret_text, struct lp_error *err)
{
    uint32_t count;
    if (value->key->form == LP_CONFIG_URLS) LP_TRY(check_items(value, &count, err));
    else LP_TRY(check_form(value, value->text, strlen(value->text), err));
    *ret_text = value->text;
    return LP_OK;
}

static enum lp_code set_word(const struct value *value, int *ret_word, struct lp_error *err)
{
    char choices[200] = "write one of";
    for (const struct lp_config_word *word = value->key->words; word->word != NULL; word++) {
        if (strcmp(word->word, value->text) == 0) {
            *ret_word = word->value;
            return LP_OK;
        }
        size_t used = strlen(choices);
        snprintf(choices + used, sizeof choices - used, " %s", word->word);
    }
    return refuse(value, choices, err);
}

static enum lp_code set_integer(const struct value *value, int64_t *ret_integer, struct lp_error *err)
{
    const struct lp_config_key *key = value->key;
    char range[120];
    snprintf(range, sizeof range, "write a whole number from %lld to %lld", (long long)key->low, (long long)key->high);
    const char *digits = value->text + (value->text[0] == '-' || value->text[0] == '+');
    char *end;
    errno = 0;
    long long number = strtoll(value->text, &end, 10);
    if (!isdigit((unsigned char)digits[0]) || *end != '\0' || errno != 0 || number < key->low || number > key->high)
        return refuse(value, range, err);
    *ret_integer = (int64_t)number * key->scale;
    return LP_OK;
}

static enum lp_code set_real(const struct value *value, double *ret_real, struct lp_error *err)
{
    const struct lp_config_key *key = value->key;
    char range[120];
    snprintf(range, sizeof range, "write a number from %g to %g", key->real_low, key->real_high);
    /* Digits, sign, point and exponent: strtod alone would take hexadecimal, inf and nan. */
    if (value->text[strspn(value->text, "0123456789+-.eE")] != '\0') return refuse(value, range, err);
    char *end;
    double number = strtod(value->text, &end);
    if (end == value->text || *end != '\0' || !(number >= key->real_low && number <= key->real_high))
        return refuse(value, range, err);
    *ret_real = number;
    return LP_OK;
}

static enum lp_code set_bool(const struct value *value, bool *ret_bool, struct lp_error *err)
{
    bool yes = strcmp(value->text, "true") == 0;
    if (!yes && strcmp(value->text, "false") != 0) return refuse(value, "write true or false", err);
    *ret_bool = yes;
    return LP_OK;
}

enum lp_code lp_config_set(struct lp_config *config, struct lp_pool *pool, const struct lp_config_key *key,
                           const char *text, const char *origin, struct lp_error *err)
{
    const char *begin = text;
    size_t bytes = strlen(text);
    /* Java keeps white space at the end of a value and Kafka cuts it again, save from passwords: so here. */
    if (!key->secret) trim(&begin, &bytes);
    struct value value = {.key = key, .text = lp_pool_copy(pool, begin, bytes), .origin = origin};
    if (value.text == NULL) return lp_fail_memory(err, bytes);
    void *member = (char *)config + key->offset;
    switch (key->type) {
    case LP_CONFIG_TEXT: return set_text(&value, member, err);
    case LP_CONFIG_LIST: return set_list(&value, pool, member, err);
    case LP_CONFIG_WORD: return set_word(&value, member, err);
    case LP_CONFIG_INTEGER: return set_integer(&value, member, err);
    case LP_CONFIG_REAL: return set_real(&value, member, err);
    case LP_CONFIG_BOOL: return set_bool(&value, member, err);
    case LP_CONFIG_PASSTHROUGH: break;
    }
    return LP_OK;
}
