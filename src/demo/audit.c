#include "demo/audit.h"

#include "kafka/reader.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lp_audit {
    struct lp_reader *reader;
    struct lp_audit_state state;
    int64_t last_offset[LP_AUDIT_PARTITIONS_MAX];
    char last_version[LP_AUDIT_PARTITIONS_MAX][64];
};

enum lp_code lp_audit_new(const struct lp_kafka_conf *conf, const char *predictions, const char *dead_letters,
                          struct lp_audit **ret_audit, struct lp_error *err)
{
    const char *topics[] = {predictions, dead_letters};
    struct lp_audit *audit = calloc(1, sizeof *audit);
    if (audit == NULL) return lp_fail_memory(err, sizeof *audit);
    for (int i = 0; i < LP_AUDIT_PARTITIONS_MAX; i++) audit->last_offset[i] = -1;
    enum lp_code rc = lp_reader_new(conf, "lepton-demo-audit", topics, 2, &audit->reader, err);
    if (rc != LP_OK) {
        free(audit);
        return rc;
    }
    *ret_audit = audit;
    return LP_OK;
}

static void account(struct lp_audit *audit, int64_t partition, int64_t offset, const char *version)
{
    struct lp_audit_state *state = &audit->state;
    if (partition < 0 || partition >= LP_AUDIT_PARTITIONS_MAX) return;
    int64_t *last = &audit->last_offset[partition];
    if (offset == *last) state->duplicates++;
    else if (offset < *last) state->out_of_order++;
    else *last = offset;
    char *seen = audit->last_version[partition];
    if (seen[0] != '\0' && strcmp(seen, version) != 0) state->version_flips++;
    snprintf(seen, sizeof audit->last_version[0], "%s", version);
}

static void on_record(void *context, const struct lp_reader_record *record)
{
    struct lp_audit *audit = context;
    if (record->topic_index == 1) {
        audit->state.dead_letters++;
        return;
    }
    json_t *root = json_loadb((const char *)record->value.data, record->value.size, 0, NULL);
    const char *version = json_string_value(json_object_get(root, "version"));
    const char *label = json_string_value(json_object_get(root, "label"));
    audit->state.predictions++;
    audit->state.late_flagged += label != NULL && strcmp(label, "late") == 0;
    account(audit, json_integer_value(json_object_get(root, "partition")),
            json_integer_value(json_object_get(root, "offset")), version != NULL ? version : "");
    json_decref(root);
}

enum lp_code lp_audit_poll(struct lp_audit *audit, int timeout_ms, struct lp_error *err)
{
    return lp_reader_poll(audit->reader, timeout_ms, on_record, audit, err);
}

void lp_audit_get_state(const struct lp_audit *audit, struct lp_audit_state *ret_state) { *ret_state = audit->state; }

void lp_audit_free(struct lp_audit *audit)
{
    if (audit == NULL) return;
    lp_reader_free(audit->reader);
    free(audit);
}
