#include "control/desired.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum lp_code invalid(struct lp_error *err, const char *member, const char *problem)
{
    return lp_fail_field(err, LP_E_INVALID, LP_FATAL, member, "control record: %s: %s: see schemas/control.schema.json",
                         member, problem);
}

/* Unknown members are refused: a misspelt one must not be taken for an absent one. */
static enum lp_code only(json_t *object, const char *const *names, const char *where, struct lp_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        bool known = false;
        for (const char *const *name = names; *name != NULL && !known; name++) known = strcmp(*name, key) == 0;
        if (!known)
            return lp_fail_field(err, LP_E_INVALID, LP_FATAL, key, "control record: %s: unknown member \"%.64s\"",
                                 where, key);
    }
    return LP_OK;
}

static bool known_scheme(const char *uri)
{
    return strncmp(uri, "file:", 5) == 0 || strncmp(uri, "http:", 5) == 0 || strncmp(uri, "https:", 6) == 0 ||
           strncmp(uri, "kafka:", 6) == 0;
}

static enum lp_code parse_source(json_t *value, const char *member, struct lp_model_source *ret_source,
                                 struct lp_error *err)
{
    static const char *const names[] = {"uri", "sha256", "signature", NULL};
    if (!json_is_object(value)) return invalid(err, member, "must be an object with uri and sha256");
    LP_TRY(only(value, names, member, err));
    json_t *uri = json_object_get(value, "uri"), *sha256 = json_object_get(value, "sha256");
    if (!json_is_string(uri) || json_string_length(uri) == 0 || json_string_length(uri) > LP_URI_MAX_BYTES ||
        strlen(json_string_value(uri)) != json_string_length(uri) || !known_scheme(json_string_value(uri)))
        return invalid(err, member, "uri must be a file:, http(s): or kafka: URI of at most 4096 bytes");
    if (!json_is_string(sha256) || json_string_length(sha256) != 64 ||
        strspn(json_string_value(sha256), "0123456789abcdef") != 64)
        return invalid(err, member, "sha256 must be 64 lower-case hexadecimal digits");
    memcpy(ret_source->uri, json_string_value(uri), json_string_length(uri) + 1);
    memcpy(ret_source->sha256, json_string_value(sha256), 65);
    json_t *signature = json_object_get(value, "signature");
    if (signature == NULL) return LP_OK;
    if (!json_is_string(signature) || strlen(json_string_value(signature)) != json_string_length(signature) ||
        !lp_signature_is_valid(json_string_value(signature)))
        return invalid(err, member, "signature must be KEYID:BASE64 of an Ed25519 signature");
    memcpy(ret_source->signature, json_string_value(signature), sizeof ret_source->signature);
    return LP_OK;
}

/* An integer, also as JSON Schema has it: 12.0 is one. -1: none, or out of range. */
static json_int_t whole(const json_t *value)
{
    const json_int_t most = LP_GENERATION_MAX;
    double real = json_is_real(value) ? json_real_value(value) : -1;
    if (json_is_integer(value) && json_integer_value(value) <= most) return json_integer_value(value);
    return real >= 0 && real <= (double)most && floor(real) == real ? (json_int_t)real : -1;
}

static enum lp_code parse_members(json_t *root, struct lp_desired *desired, struct lp_error *err)
{
    static const char *const names[] = {"format",    "generation", "active", "previous",
                                        "candidate", "paused",     "guards", NULL};
    LP_TRY(only(root, names, "top level", err));
    json_t *format = json_object_get(root, "format"), *generation = json_object_get(root, "generation");
    json_t *previous = json_object_get(root, "previous"), *candidate = json_object_get(root, "candidate");
    json_t *paused = json_object_get(root, "paused"), *guards = json_object_get(root, "guards");
    if (whole(format) != 1) return invalid(err, "format", "must be 1");
    if (whole(generation) < 1) return invalid(err, "generation", "must be an integer from 1 to 2^53 - 1");
    desired->generation = (uint64_t)whole(generation);
    LP_TRY(parse_source(json_object_get(root, "active"), "active", &desired->active, err));
    if (previous != NULL && !json_is_null(previous)) {
        LP_TRY(parse_source(previous, "previous", &desired->previous, err));
        desired->has_previous = true;
    }
    if (paused != NULL && !json_is_boolean(paused)) return invalid(err, "paused", "must be true or false");
    desired->paused = json_is_true(paused);
    if (candidate != NULL && !json_is_null(candidate))
        return lp_fail_field(err, LP_E_UNSUPPORTED, LP_FATAL, "candidate",
                             "control record: candidate: canary and shadow are not in this release: leave it out");
    if (guards != NULL && (!json_is_object(guards) || json_object_size(guards) > 0))
        return lp_fail_field(err, LP_E_UNSUPPORTED, LP_FATAL, "guards",
                             "control record: guards: not in this release: leave it out");
    return LP_OK;
}

static enum lp_code parse_text(struct lp_span json, struct lp_desired *desired, struct lp_error *err)
{
    json_error_t problem;
    json_t *root = json_loadb((const char *)json.data, json.size, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "control record: not JSON: line %d: %.200s", problem.line,
                       problem.text);
    enum lp_code rc = LP_OK;
    if (!json_is_object(root)) rc = invalid(err, "record", "must be a JSON object");
    if (rc == LP_OK) rc = parse_members(root, desired, err);
    if (rc == LP_OK && (desired->json = json_dumps(root, JSON_COMPACT)) == NULL) rc = lp_fail_memory(err, json.size);
    json_decref(root);
    return rc;
}

enum lp_code lp_desired_parse(struct lp_span json, size_t max_bytes, struct lp_desired **ret_desired,
                              struct lp_error *err)
{
    if (json.size > max_bytes)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "control record: %zu bytes are more than control.max_bytes = %zu",
                       json.size, max_bytes);
    struct lp_desired *desired = calloc(1, sizeof *desired);
    if (desired == NULL) return lp_fail_memory(err, sizeof *desired);
    enum lp_code rc = parse_text(json, desired, err);
    if (rc != LP_OK) {
        lp_desired_free(desired);
        return rc;
    }
    *ret_desired = desired;
    return LP_OK;
}

void lp_desired_free(struct lp_desired *desired)
{
    if (desired == NULL) return;
    free(desired->json);
    free(desired);
}

static json_t *pack_source(const struct lp_model_source *source)
{
    return json_pack("{s:s, s:s, s:s*}", "uri", source->uri, "sha256", source->sha256, "signature",
                     source->signature[0] != '\0' ? source->signature : NULL);
}

char *lp_desired_encode(uint64_t generation, const struct lp_model_source *active,
                        const struct lp_model_source *previous, bool paused)
{
    json_t *root = json_pack("{s:i, s:I, s:o, s:b}", "format", 1, "generation", (json_int_t)generation, "active",
                             pack_source(active), "paused", (int)paused);
    if (root == NULL) return NULL;
    if (previous != NULL && previous->uri[0] != '\0') json_object_set_new(root, "previous", pack_source(previous));
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}
