/* The pieces of schemas/prediction.avsc. */
#include "publish/prediction_fields.h"

/* JSON is made of C tokens, so the preprocessor can quote it. */
#define TEXT(...) #__VA_ARGS__

/* clang-format off */
const char lp_prediction_schema_head[] =
    "{\"type\": \"record\", \"name\": \"Prediction\", \"namespace\": \"lepton\", \"doc\": \"One scored record. "
    "Every field may be null, so that any subset of these fields, in this order (output.fields), can be read "
    "with any other. With output.copy a last nullable field `copied` follows: a record named Copied with the "
    "input fields that were asked for.\", \"fields\": [";
const char lp_prediction_schema_tail[] = "]}";

const struct lp_prediction_field_info lp_prediction_fields[LP_FIELD_COUNT] = {
    [LP_FIELD_SLOT] = {"slot", TEXT(
        {"name": "slot", "type": ["null", "string"], "default": null, "doc":
        "The slot whose model scored the record."})},
    [LP_FIELD_VERSION] = {"version", TEXT(
        {"name": "version", "type": ["null", "string"], "default": null, "doc": "The bundle's version."})},
    [LP_FIELD_MODEL_SHA256] = {"model_sha256", TEXT(
        {"name": "model_sha256", "type": ["null", {"type": "fixed", "name": "ModelHash", "size": 8}], "default":
        null, "doc": "The first 8 bytes of the SHA-256 of the bundle file."})},
    [LP_FIELD_ROWS] = {"rows", TEXT(
        {"name": "rows", "type": ["null", "int"], "default": null, "doc":
        "Rows that the record gave: 1, or its candidates."})},
    [LP_FIELD_SCORES] = {"scores", TEXT(
        {"name": "scores", "type": ["null", {"type": "array", "items": "float"}], "default": null, "doc":
        "Scores after the link, row-major: rows times the model's outputs."})},
    [LP_FIELD_LABEL] = {"label", TEXT(
        {"name": "label", "type": ["null", "string"], "default": null, "doc":
        "Classifiers: the label's text, or its number where the bundle names no labels."})},
    [LP_FIELD_ITEMS] = {"items", TEXT(
        {"name": "items", "type": ["null", {"type": "array", "items": {"type": "record", "name": "Item",
        "fields": [{"name": "id", "type": ["null", "string"], "default": null}, {"name": "score", "type":
        "float"}]}}], "default": null, "doc": "Candidate lists: best first."})},
    [LP_FIELD_EVENT_TIME] = {"event_time", TEXT(
        {"name": "event_time", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default":
        null, "doc": "When it happened: the event time field, else the input record's timestamp."})},
    [LP_FIELD_SCORED_TIME] = {"scored_time", TEXT(
        {"name": "scored_time", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}],
        "default": null, "doc": "When it was scored."})},
    [LP_FIELD_PARTITION] = {"partition", TEXT(
        {"name": "partition", "type": ["null", "int"], "default": null, "doc": "Partition of the input record."})},
    [LP_FIELD_OFFSET] = {"offset", TEXT(
        {"name": "offset", "type": ["null", "long"], "default": null, "doc": "Offset of the input record."})},
    [LP_FIELD_DEGRADED] = {"degraded", TEXT(
        {"name": "degraded", "type": ["null", "boolean"], "default": null, "doc":
        "The desired model could not be loaded; its predecessor scored this."})},
    [LP_FIELD_SHADOW] = {"shadow", TEXT(
        {"name": "shadow", "type": ["null", "boolean"], "default": null, "doc":
        "Scored by a candidate in shadow mode: not to be acted upon."})},
    [LP_FIELD_CANARY] = {"canary", TEXT(
        {"name": "canary", "type": ["null", "boolean"], "default": null, "doc":
        "Scored by a candidate in canary mode."})},
    [LP_FIELD_MISSING_COUNT] = {"missing_count", TEXT(
        {"name": "missing_count", "type": ["null", "int"], "default": null, "doc":
        "Features of the record that were missing."})},
};
/* clang-format on */
