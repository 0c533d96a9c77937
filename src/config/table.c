#include "config/table.h"

#include "config/config.h"
#include "core/log.h"

#include <string.h>

#define WORDS(name, ...) static const struct lp_config_word name[] = {__VA_ARGS__, {NULL, 0}}
WORDS(INPUT_FORMATS, {"confluent", LP_CONFIG_CONFLUENT}, {"single_object", LP_CONFIG_SINGLE_OBJECT},
      {"avro", LP_CONFIG_AVRO}, {"json", LP_CONFIG_JSON});
WORDS(OUTPUT_FORMATS, {"avro", LP_CONFIG_AVRO}, {"json", LP_CONFIG_JSON});
WORDS(FRAMINGS, {"confluent", LP_CONFIG_FRAMING_CONFLUENT}, {"none", LP_CONFIG_FRAMING_NONE});
WORDS(ON_ERRORS, {"pause", LP_CONFIG_ON_ERROR_PAUSE}, {"stop", LP_CONFIG_ON_ERROR_STOP});
WORDS(TOMBSTONES, {"forward", LP_CONFIG_TOMBSTONE_FORWARD}, {"skip", LP_CONFIG_TOMBSTONE_SKIP},
      {"dead_letter", LP_CONFIG_TOMBSTONE_DEAD_LETTER});
WORDS(STARTS, {"earliest", LP_CONFIG_START_EARLIEST}, {"latest", LP_CONFIG_START_LATEST},
      {"fail", LP_CONFIG_START_FAIL});
WORDS(PARTITIONS, {"auto", LP_CONFIG_PARTITION_AUTO}, {"source", LP_CONFIG_PARTITION_SOURCE},
      {"key", LP_CONFIG_PARTITION_KEY});
WORDS(HEADERS, {"copy", LP_CONFIG_HEADERS_COPY}, {"trace", LP_CONFIG_HEADERS_TRACE}, {"none", LP_CONFIG_HEADERS_NONE});
WORDS(TIMESTAMPS, {"source", LP_CONFIG_TIMESTAMP_SOURCE}, {"now", LP_CONFIG_TIMESTAMP_NOW});
WORDS(DELIVERIES, {"at_least_once", LP_CONFIG_AT_LEAST_ONCE}, {"exactly_once", LP_CONFIG_EXACTLY_ONCE});
WORDS(LOG_FORMATS, {"logfmt", LP_LOG_LOGFMT}, {"json", LP_LOG_JSON});
WORDS(LOG_LEVELS, {"debug", LP_LOG_DEBUG}, {"info", LP_LOG_INFO}, {"warn", LP_LOG_WARN}, {"error", LP_LOG_ERROR});

/* The offset of a member, and a compile error (comparison of distinct pointers) when it is not of the row's type. */
#define AT(ctype, member) \
    (offsetof(struct lp_config, member) + 0 * sizeof(&((struct lp_config *)0)->member == (ctype *)0))

#define GROUP(title) {.group = title},
#define LIST(name, member, item_form, need, value, note, text) \
    {.key = name,                                              \
     .type = LP_CONFIG_LIST,                                   \
     .form = LP_CONFIG_##item_form,                            \
     .offset = AT(struct lp_config_list, member),              \
     .required = need,                                         \
     .default_text = value,                                    \
     .default_note = note,                                     \
     .help = text},
#define TEXT_ROW(name, member, value_form, value, note, need, mask, text) \
    {.key = name,                                                         \
     .type = LP_CONFIG_TEXT,                                              \
     .form = LP_CONFIG_##value_form,                                      \
     .offset = AT(const char *, member),                                  \
     .default_text = value,                                               \
     .default_note = note,                                                \
     .required = need,                                                    \
     .secret = mask,                                                      \
     .help = text},
#define TEXT(name, member, value_form, value, note, text) \
    TEXT_ROW(name, member, value_form, value, note, false, false, text)
#define TEXT_REQUIRED(name, member, value_form, text) TEXT_ROW(name, member, value_form, NULL, NULL, true, false, text)
#define SECRET(name, member, text) TEXT_ROW(name, member, ANY, NULL, NULL, false, true, text)
#define WORD(name, member, list, value, text) \
    {.key = name,                             \
     .type = LP_CONFIG_WORD,                  \
     .offset = AT(int, member),               \
     .words = list,                           \
     .default_text = value,                   \
     .help = text},
#define INTEGER_ROW(name, member, value, least, most, factor, note, text) \
    {.key = name,                                                         \
     .type = LP_CONFIG_INTEGER,                                           \
     .offset = AT(int64_t, member),                                       \
     .default_text = value,                                               \
     .low = least,                                                        \
     .high = most,                                                        \
     .scale = factor,                                                     \
     .default_note = note,                                                \
     .help = text},
#define INTEGER(name, member, value, least, most, factor, text) \
    INTEGER_ROW(name, member, value, least, most, factor, NULL, text)
#define INTEGER_NOTE(name, member, value, least, most, note, text) \
    INTEGER_ROW(name, member, value, least, most, 1, note, text)
#define SECONDS(name, member, value, least, most, text) INTEGER_ROW(name, member, value, least, most, 1000, NULL, text)
#define REAL(name, member, value, least, most, text) \
    {.key = name,                                    \
     .type = LP_CONFIG_REAL,                         \
     .offset = AT(double, member),                   \
     .default_text = value,                          \
     .real_low = least,                              \
     .real_high = most,                              \
     .help = text},
#define BOOL(name, member, value, text) \
    {.key = name, .type = LP_CONFIG_BOOL, .offset = AT(bool, member), .default_text = value, .help = text},
#define KAFKA(name, text) {.key = name, .type = LP_CONFIG_PASSTHROUGH, .required = true, .help = text},

const struct lp_config_key lp_config_keys[] = {
#include "config/table.inc"
};
const uint32_t lp_config_key_count = sizeof lp_config_keys / sizeof *lp_config_keys;

int lp_config_find(const char *key, size_t bytes)
{
    for (uint32_t i = 0; i < lp_config_key_count; i++) {
        const char *name = lp_config_keys[i].key;
        if (name != NULL && strlen(name) == bytes && memcmp(name, key, bytes) == 0) return (int)i;
    }
    return -1;
}

const char *lp_config_default(const char *key)
{
    int index = lp_config_find(key, strlen(key));
    return index >= 0 ? lp_config_keys[index].default_text : NULL;
}

enum { NAME_MAX_BYTES = 64 };

/* Levenshtein distance with swaps of neighbours as one edit (optimal string alignment). */
static unsigned edit_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    unsigned rows[3][NAME_MAX_BYTES + 1];
    for (unsigned j = 0; j <= b_bytes; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_bytes; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < best) best = before[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a_bytes % 3][b_bytes];
}

const char *lp_config_nearest(const char *key)
{
    size_t bytes = strlen(key);
    if (bytes == 0 || bytes > NAME_MAX_BYTES) return NULL;
    const char *nearest = NULL;
    unsigned least = (unsigned)(bytes / 2) + 1;
    for (uint32_t i = 0; i < lp_config_key_count; i++) {
        const char *name = lp_config_keys[i].key;
        if (name == NULL) continue;
        unsigned distance = edit_distance(key, bytes, name, strlen(name));
        if (distance < least) {
            least = distance;
            nearest = name;
        }
    }
    return nearest;
}
