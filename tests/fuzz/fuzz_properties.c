// stages: config
/* A properties file: syntax, then the table, the checks between keys and both printers. */
#include "config/config.h"
#include "config/properties.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum lp_code check_entry(void *context, const char *key, const char *value, uint32_t line, struct lp_error *err)
{
    (void)err;
    bool *reads_files = context;
    if (key[0] == '\0' || line == 0) abort();
    size_t bytes = strlen(key) + strlen(value);
    if (bytes > LP_PROPERTIES_LINE_MAX_BYTES) abort();
    *reads_files = *reads_files || strstr(key, ".file") != NULL;
    return LP_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    if (nowhere == NULL) nowhere = fopen("/dev/null", "w");
    if (nowhere == NULL) abort();
    struct lp_error err = {0};
    bool reads_files = false;
    enum lp_code syntax = lp_properties_read(lp_span_of(data, size), "f", check_entry, &reads_files, &err);
    if (syntax != LP_OK && err.text[0] == '\0') abort();
    if (reads_files) return 0; /* KEY.file would open what the input names */
    char *const environment[] = {NULL};
    struct lp_config *config = NULL;
    enum lp_code rc = lp_config_parse(lp_span_of(data, size), "f", environment, NULL, 0, &config, &err);
    if (rc == LP_OK && syntax != LP_OK) abort();
    if (rc != LP_OK) return 0;
    lp_config_print(config, NULL, nowhere);
    lp_config_free(config);
    return 0;
}
