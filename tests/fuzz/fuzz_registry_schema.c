// stages: decode
/* Schemas with references, as a registry may answer: texts separated by zero bytes, the first refers to the others.
 * What comes out must be a text that the schema parser takes or refuses. */
#include "decode/registry_client.h"

#include <stdint.h>
#include <stdlib.h>

enum { REFERENCES_MAX = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *texts = malloc(size + 1);
    if (texts == NULL) return 0;
    memcpy(texts, data, size);
    texts[size] = '\0';
    char subject[] = "s";
    struct lp_registry_reference references[REFERENCES_MAX] = {0};
    uint32_t count = 0;
    for (size_t at = strlen(texts) + 1; at <= size && count < REFERENCES_MAX; at += strlen(texts + at) + 1)
        references[count++] = (struct lp_registry_reference){.subject = subject, .version = 1, .schema = texts + at};
    char *whole = NULL;
    struct lp_error err;
    if (lp_registry_inline(texts, references, count, &whole, &err) == LP_OK) {
        struct lp_avro_schema *schema = NULL;
        if (lp_avro_schema_parse(lp_span_text(whole), &schema, &err) == LP_OK) lp_avro_schema_free(schema);
    } else if (err.text[0] == '\0') {
        abort();
    }
    free(whole);
    free(texts);
    return 0;
}
