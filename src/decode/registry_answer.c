/* What the registry's answers mean. Texts name the URL, the status and the registry's own error, never a secret. */
#include "decode/registry_client.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_BYTES_MAX = 160 };

/* The registry's error body: {"error_code": 40403, "message": "Schema not found"}. */
struct refusal {
    int64_t code; /* 0: the body is not a registry's */
    char message[MESSAGE_BYTES_MAX];
};

static json_t *parse(const struct lp_buffer *answer)
{
    json_error_t where;
    return answer->size > 0 ? json_loadb((const char *)answer->data, answer->size, 0, &where) : NULL;
}

static struct refusal read_refusal(const struct lp_buffer *answer)
{
    struct refusal refusal = {0};
    json_t *root = parse(answer);
    refusal.code = json_integer_value(json_object_get(root, "error_code"));
    const char *message = json_string_value(json_object_get(root, "message"));
    snprintf(refusal.message, sizeof refusal.message, "%s", message != NULL ? message : "");
    for (char *c = refusal.message; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20) *c = ' ';
    json_decref(root);
    return refusal;
}

static const char *method(const struct lp_registry_call *call) { return call->body != NULL ? "POST" : "GET"; }

static enum lp_registry_verdict say(const struct lp_registry *registry, struct lp_registry_call *call,
                                    enum lp_registry_verdict verdict, enum lp_code code, enum lp_action action,
                                    const char *what, const char *cure)
{
    lp_fail(&call->error, code, action, "registry: %s %.160s%.120s: %s: %s", method(call), registry->urls[call->url],
            lp_registry_call_path(call), what, cure);
    return verdict;
}

/* No answer at all. */
static enum lp_registry_verdict judge_failure(const struct lp_registry *registry, struct lp_registry_call *call,
                                              CURLcode code)
{
    if (call->answer.failed)
        return say(registry, call, LP_REGISTRY_FINAL, LP_E_LIMIT, LP_SKIP_RECORD,
                   "an answer beyond the limit for schemas", "is it a schema registry?");
    const char *what = call->curl_error[0] != '\0' ? call->curl_error : curl_easy_strerror(code);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return say(registry, call, LP_REGISTRY_AGAIN, LP_E_TIMEOUT, LP_RETRY, what,
                   "check the registry's health, or raise registry.timeout_ms");
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return say(registry, call, LP_REGISTRY_AGAIN, LP_E_REFUSED, LP_RETRY, what,
                   "set registry.ca.path to the certificates that vouch for it");
    return say(registry, call, LP_REGISTRY_AGAIN, LP_E_IO, LP_RETRY, what, "check registry.url and that it runs");
}

/* Any status but 200. Only the registry's own "not found" makes a record bad; a wrong path or password does not. */
static enum lp_registry_verdict judge_status(struct lp_registry *registry, struct lp_registry_call *call, long status)
{
    struct refusal refusal = read_refusal(&call->answer);
    char what[MESSAGE_BYTES_MAX + 64];
    snprintf(what, sizeof what, "status %ld, error_code %" PRId64 " %s", status, refusal.code, refusal.message);
    bool is_fetch = call->kind == LP_REGISTRY_FETCH;
    enum lp_registry_verdict stays = is_fetch ? LP_REGISTRY_AGAIN : LP_REGISTRY_FINAL;
    enum lp_action action = is_fetch ? LP_RETRY : LP_FATAL;
    if (status == 404 && refusal.code >= 40400 && refusal.code <= 40499) {
        atomic_fetch_add_explicit(&registry->not_found, 1, memory_order_relaxed);
        return say(registry, call, LP_REGISTRY_FINAL, LP_E_NOT_FOUND, is_fetch ? LP_SKIP_RECORD : LP_FATAL, what,
                   "register it there, or point registry.url to the producer's registry");
    }
    if (status == 401 || status == 403)
        return say(registry, call, stays, LP_E_REFUSED, action, what,
                   "check registry.user and registry.password, or registry.token, and their rights");
    if (status == 409)
        return say(registry, call, stays, is_fetch ? LP_E_IO : LP_E_MISMATCH, action, what,
                   "the schema is incompatible with the subject's: change the subject or its compatibility");
    if (status == 422)
        return say(registry, call, stays, is_fetch ? LP_E_IO : LP_E_INVALID, action, what,
                   "the registry refuses the schema as it is");
    if (status == 429 || status >= 500)
        return say(registry, call, LP_REGISTRY_AGAIN, LP_E_IO, LP_RETRY, what, "check the registry's health");
    if (status >= 300 && status < 400)
        return say(registry, call, stays, LP_E_IO, action, what,
                   "redirects are not followed: set registry.url to the goal");
    return say(registry, call, stays, LP_E_IO, action, what,
               "not a registry's answer: is the path in registry.url right?");
}

static bool keep_text(const json_t *root, const char *key, char **ret_text)
{
    const char *text = json_string_value(json_object_get(root, key));
    if (text == NULL) return false;
    char *kept = strdup(text);
    if (kept == NULL) return false;
    free(*ret_text);
    *ret_text = kept;
    return true;
}

static bool is_listed(const struct lp_registry_call *call, const char *subject, int64_t version)
{
    for (uint32_t i = 0; i < call->reference_count; i++)
        if (call->references[i].version == version && strcmp(call->references[i].subject, subject) == 0) return true;
    return false;
}

/* Adds an answer's references to those to fetch; LP_E_LIMIT when they break the format or there are too many. */
static enum lp_code list_references(struct lp_registry_call *call, const json_t *root)
{
    const json_t *list = json_object_get(root, "references");
    if (list == NULL || json_is_null(list)) return LP_OK;
    if (!json_is_array(list)) return LP_E_LIMIT;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *subject = json_string_value(json_object_get(item, "subject"));
        int64_t version = json_integer_value(json_object_get(item, "version"));
        if (subject == NULL || strlen(subject) > LP_REGISTRY_TEXT_MAX || version < 1) return LP_E_LIMIT;
        if (!json_is_string(json_object_get(item, "name"))) return LP_E_LIMIT;
        if (is_listed(call, subject, version)) continue;
        if (call->reference_count == LP_REGISTRY_REFERENCES_MAX) return LP_E_LIMIT;
        struct lp_registry_reference *reference = &call->references[call->reference_count++];
        reference->version = version;
        if (!keep_text(item, "name", &reference->name) || !keep_text(item, "subject", &reference->subject))
            return LP_E_MEMORY;
    }
    return LP_OK;
}

static enum lp_registry_verdict say_memory(const struct lp_registry *registry, struct lp_registry_call *call)
{
    return say(registry, call, LP_REGISTRY_AGAIN, LP_E_MEMORY, LP_RETRY, "no memory for the answer",
               "raise the memory limit");
}

static enum lp_registry_verdict parse_schema(struct lp_registry *registry, struct lp_registry_call *call)
{
    char *whole = NULL;
    enum lp_code rc = lp_registry_inline(call->schema, call->references, call->reference_count, &whole, &call->error);
    if (rc == LP_OK) rc = lp_avro_schema_parse(lp_span_text(whole), &call->parsed, &call->error);
    free(whole);
    if (rc == LP_OK) return LP_REGISTRY_ANSWERED;
    call->error.action = rc == LP_E_MEMORY ? LP_RETRY : LP_SKIP_RECORD;
    lp_error_wrap(&call->error, "registry: %.160s: schema id %" PRIu64, registry->urls[call->url], call->id);
    return rc == LP_E_MEMORY ? LP_REGISTRY_AGAIN : LP_REGISTRY_FINAL;
}

/* The path of the next reference, or the schema when all are here. */
static enum lp_registry_verdict go_on(struct lp_registry *registry, struct lp_registry_call *call)
{
    if (call->references_fetched == call->reference_count) return parse_schema(registry, call);
    const struct lp_registry_reference *next = &call->references[call->references_fetched];
    char rest[48];
    snprintf(rest, sizeof rest, "/versions/%" PRId64, next->version);
    char *path = lp_registry_subject_path(next->subject, rest);
    if (path == NULL) return say_memory(registry, call);
    free(call->reference_path);
    call->reference_path = path;
    return LP_REGISTRY_GO_ON;
}

/* {"schema": text, "schemaType": "AVRO", "references": [...]}, the latest with an id as well. */
static enum lp_registry_verdict take_schema(struct lp_registry *registry, struct lp_registry_call *call,
                                            const json_t *root)
{
    const char *type = json_string_value(json_object_get(root, "schemaType"));
    if (type != NULL && strcmp(type, "AVRO") != 0)
        return say(registry, call, LP_REGISTRY_FINAL, LP_E_INVALID, LP_SKIP_RECORD, "a schema that is not Avro",
                   "let the producer write Avro, or set input.format");
    bool is_first = call->schema == NULL;
    char **to = is_first ? &call->schema : &call->references[call->references_fetched].schema;
    const json_t *id = json_object_get(root, "id");
    bool needs_id = is_first && call->kind == LP_REGISTRY_LATEST;
    if (needs_id && (!json_is_integer(id) || json_integer_value(id) < 0))
        return say(registry, call, LP_REGISTRY_AGAIN, LP_E_IO, LP_RETRY, "an answer without an id",
                   "is it a schema registry?");
    if (!keep_text(root, "schema", to))
        return say(registry, call, LP_REGISTRY_AGAIN, LP_E_IO, LP_RETRY, "an answer without a schema",
                   "is it a schema registry?");
    if (needs_id) call->id = (uint64_t)json_integer_value(id);
    if (!is_first) call->references_fetched++;
    switch (list_references(call, root)) {
    case LP_OK: return go_on(registry, call);
    case LP_E_MEMORY: return say_memory(registry, call);
    default:
        return say(registry, call, LP_REGISTRY_FINAL, LP_E_LIMIT, LP_SKIP_RECORD,
                   "references that are broken or more than 32", "register the schema with its types written out");
    }
}

enum lp_registry_verdict lp_registry_judge(struct lp_registry *registry, struct lp_registry_call *call, CURLcode code,
                                           long status)
{
    if (code != CURLE_OK) return judge_failure(registry, call, code);
    if (status != 200) return judge_status(registry, call, status);
    json_t *root = parse(&call->answer);
    enum lp_registry_verdict verdict;
    const json_t *id = json_object_get(root, "id");
    if (!json_is_object(root)) {
        verdict = say(registry, call, LP_REGISTRY_AGAIN, LP_E_IO, LP_RETRY, "an answer that is not JSON",
                      "is it a schema registry?");
    } else if (call->kind == LP_REGISTRY_FETCH || call->kind == LP_REGISTRY_LATEST) {
        verdict = take_schema(registry, call, root);
        if (verdict == LP_REGISTRY_AGAIN) lp_registry_call_restart(call);
    } else if (!json_is_integer(id) || json_integer_value(id) < 0) {
        verdict = say(registry, call, LP_REGISTRY_AGAIN, LP_E_IO, LP_RETRY, "an answer without an id",
                      "is it a schema registry?");
    } else {
        call->id = (uint64_t)json_integer_value(id);
        verdict = LP_REGISTRY_ANSWERED;
    }
    json_decref(root);
    return verdict;
}
