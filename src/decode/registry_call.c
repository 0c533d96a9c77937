#include "decode/registry_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct lp_registry_call *lp_registry_call_new(enum lp_registry_call_kind kind)
{
    struct lp_registry_call *call = calloc(1, sizeof *call);
    if (call == NULL) return NULL;
    call->kind = kind;
    lp_buffer_init(&call->answer, LP_REGISTRY_ANSWER_MAX_BYTES);
    return call;
}

void lp_registry_call_restart(struct lp_registry_call *call)
{
    for (uint32_t i = 0; i < call->reference_count; i++) {
        free(call->references[i].name);
        free(call->references[i].subject);
        free(call->references[i].schema);
        call->references[i] = (struct lp_registry_reference){0};
    }
    call->reference_count = 0;
    call->references_fetched = 0;
    free(call->reference_path);
    call->reference_path = NULL;
    free(call->schema);
    call->schema = NULL;
}

void lp_registry_call_free(struct lp_registry_call *call)
{
    if (call == NULL) return;
    lp_registry_call_restart(call);
    lp_avro_schema_free(call->parsed);
    lp_buffer_done(&call->answer);
    free(call->path);
    free(call->body);
    free(call);
}

const char *lp_registry_call_path(const struct lp_registry_call *call)
{
    return call->reference_path != NULL ? call->reference_path : call->path;
}

char *lp_registry_id_path(uint64_t id)
{
    char path[64];
    snprintf(path, sizeof path, "/schemas/ids/%" PRIu64, id);
    return strdup(path);
}

char *lp_registry_subject_path(const char *subject, const char *rest)
{
    if (strlen(subject) > LP_REGISTRY_TEXT_MAX) return NULL;
    char *escaped = curl_easy_escape(NULL, subject, (int)strlen(subject));
    if (escaped == NULL) return NULL;
    size_t bytes = strlen(escaped) + strlen(rest) + 16;
    char *path = malloc(bytes);
    if (path != NULL) snprintf(path, bytes, "/subjects/%s%s", escaped, rest);
    curl_free(escaped);
    return path;
}
