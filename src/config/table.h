/* The table of keys: private to config/. */
#ifndef LP_CONFIG_TABLE_H
#define LP_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lp_config_type {
    LP_CONFIG_TEXT,        /* const char *; NULL when not set */
    LP_CONFIG_LIST,        /* struct lp_config_list */
    LP_CONFIG_WORD,        /* int, one of `words` */
    LP_CONFIG_INTEGER,     /* int64_t, `scale` units of the struct a unit of the file */
    LP_CONFIG_REAL,        /* double */
    LP_CONFIG_BOOL,        /* bool */
    LP_CONFIG_PASSTHROUGH, /* documented here, kept among the passthrough settings */
};

/** What a text, or each item of a list, must look like. */
enum lp_config_form {
    LP_CONFIG_ANY,
    LP_CONFIG_TOPIC,  /* a legal Kafka topic name */
    LP_CONFIG_NAME,   /* letters, digits, . _ - : used in keys of topics and in metrics */
    LP_CONFIG_URLS,   /* http(s)://..., comma separated */
    LP_CONFIG_URI,    /* file:... */
    LP_CONFIG_SHA256, /* 64 hexadecimal digits */
    LP_CONFIG_LISTEN, /* host:port, [v6]:port or off */
};

struct lp_config_word {
    const char *word;
    int value;
};

struct lp_config_key {
    const char *group; /* heading of the reference */
    const char *key;
    enum lp_config_type type;
    enum lp_config_form form;
    size_t offset;            /* of the member of struct lp_config */
    const char *default_text; /* as in the file; NULL: not set */
    const char *default_note; /* what stands for an unset value, for the reference */
    const struct lp_config_word *words;
    int64_t low, high; /* integer, in the unit of the file */
    int64_t scale;
    double real_low, real_high;
    bool required, secret;
    const char *help;
};

extern const struct lp_config_key lp_config_keys[];
extern const uint32_t lp_config_key_count;

/** Index of a key, or -1. */
int lp_config_find(const char *key, size_t bytes);
/** The table's key that looks most like `key`, or NULL when none comes near. */
const char *lp_config_nearest(const char *key);

#endif
