#include "control/status_record.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const state_names[] = {"starting", "loading", "live", "degraded", "refused", "retired", "stopped"};

const char *lp_slot_state_name(enum lp_slot_state state) { return state_names[state]; }

static void time_text(int64_t time_ms, char *text, size_t bytes)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t used = strftime(text, bytes, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + used, bytes - used, ".%03dZ", (int)(time_ms % 1000));
}

/* A text cut inside a character is no UTF-8 any more: what is not ASCII becomes a question mark then. */
static json_t *text_or_null(const char *text)
{
    json_t *json = text[0] != '\0' ? json_string(text) : json_null();
    if (json != NULL) return json;
    char ascii[LP_ERROR_TEXT_BYTES];
    snprintf(ascii, sizeof ascii, "%s", text);
    for (char *c = ascii; *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80) *c = '?';
    return json_string(ascii);
}

char *lp_status_record_encode(const struct lp_status_record *record)
{
    char when[40];
    time_text(record->time_ms, when, sizeof when);
    json_t *desired = record->desired_json != NULL ? json_loads(record->desired_json, 0, NULL) : NULL;
    json_t *root = json_object();
    json_object_set_new(root, "format", json_integer(1));
    json_object_set_new(root, "slot", json_string(record->slot));
    json_object_set_new(root, "replica", json_string(record->replica));
    json_object_set_new(root, "generation", json_integer((json_int_t)record->generation));
    json_object_set_new(root, "serving_generation",
                        record->serving ? json_integer((json_int_t)record->serving_generation) : json_null());
    json_object_set_new(root, "version", text_or_null(record->version));
    json_object_set_new(root, "sha256", text_or_null(record->sha256));
    json_object_set_new(root, "state", json_string(lp_slot_state_name(record->state)));
    json_object_set_new(root, "reason", text_or_null(record->reason));
    json_object_set_new(root, "desired", desired != NULL ? desired : json_null());
    json_object_set_new(root, "time", json_string(when));
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static void copy_text(json_t *root, const char *name, char *to, size_t bytes)
{
    const char *text = json_string_value(json_object_get(root, name));
    snprintf(to, bytes, "%s", text != NULL ? text : "");
}

static int64_t parse_time(const char *text)
{
    struct tm utc = {0};
    const char *rest = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &utc) : NULL;
    if (rest == NULL) return 0;
    return (int64_t)timegm(&utc) * 1000 + (*rest == '.' ? (int64_t)(strtod(rest, NULL) * 1000 + 0.5) : 0);
}

static enum lp_code parse_members(json_t *root, struct lp_status_record *record, struct lp_error *err)
{
    const char *state = json_string_value(json_object_get(root, "state"));
    json_t *generation = json_object_get(root, "generation"), *serving = json_object_get(root, "serving_generation");
    json_t *desired = json_object_get(root, "desired");
    size_t count = sizeof state_names / sizeof *state_names, found = count;
    for (size_t i = 0; state != NULL && i < count; i++)
        if (strcmp(state, state_names[i]) == 0) found = i;
    if (found == count || !json_is_integer(generation) || json_integer_value(generation) < 0 ||
        json_integer_value(generation) > LP_GENERATION_MAX)
        return lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD, "status record: state or generation is missing or unknown");
    record->state = (enum lp_slot_state)found;
    record->generation = (uint64_t)json_integer_value(generation);
    record->serving = json_is_integer(serving) && json_integer_value(serving) >= 0;
    record->serving_generation = record->serving ? (uint64_t)json_integer_value(serving) : 0;
    copy_text(root, "slot", record->slot, sizeof record->slot);
    copy_text(root, "replica", record->replica, sizeof record->replica);
    copy_text(root, "reason", record->reason, sizeof record->reason);
    copy_text(root, "version", record->version, sizeof record->version);
    copy_text(root, "sha256", record->sha256, sizeof record->sha256);
    record->time_ms = parse_time(json_string_value(json_object_get(root, "time")));
    if (json_is_object(desired) && (record->desired_json = json_dumps(desired, JSON_COMPACT)) == NULL)
        return lp_fail_memory(err, 4096);
    return LP_OK;
}

enum lp_code lp_status_record_parse(struct lp_span json, struct lp_status_record *ret_record, struct lp_error *err)
{
    struct lp_status_record record = {0};
    json_error_t problem;
    json_t *root = json_loadb((const char *)json.data, json.size, 0, &problem);
    if (!json_is_object(root)) {
        json_decref(root);
        return lp_fail(err, LP_E_INVALID, LP_SKIP_RECORD, "status record: not a JSON object: %.200s", problem.text);
    }
    enum lp_code rc = parse_members(root, &record, err);
    json_decref(root);
    if (rc == LP_OK) *ret_record = record;
    return rc;
}

void lp_status_record_done(struct lp_status_record *record)
{
    free(record->desired_json);
    record->desired_json = NULL;
}
