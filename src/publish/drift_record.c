/* Drift reports as records. */
#include "publish/drift_record.h"

#include "publish/avro_write.h"
#include "publish/json_write.h"

/* clang-format off */
static const char schema[] =
    "{\"type\": \"record\", \"name\": \"Drift\", \"namespace\": \"lepton\", \"doc\": \"What one replica saw of "
    "one feature, or of the score, in one window. Bins are the bundle's baseline: counts of several replicas "
    "may be added and the statistics computed again.\", \"fields\": [{\"name\": \"slot\", \"type\": "
    "\"string\"}, {\"name\": \"feature\", \"type\": \"string\", \"doc\": \"The feature's name; `$score` is the "
    "model's score.\"}, {\"name\": \"replica\", \"type\": \"string\"}, {\"name\": \"version\", \"type\": "
    "[\"null\", \"string\"], \"default\": null, \"doc\": \"The bundle's version.\"}, {\"name\": "
    "\"model_sha256\", \"type\": [\"null\", {\"type\": \"fixed\", \"name\": \"ModelHash\", \"size\": 8}], "
    "\"default\": null, \"doc\": \"The first 8 bytes of the SHA-256 of the bundle file.\"}, {\"name\": "
    "\"window_start\", \"type\": {\"type\": \"long\", \"logicalType\": \"timestamp-millis\"}, \"doc\": \"Event "
    "time, inclusive, aligned to the epoch.\"}, {\"name\": \"window_end\", \"type\": {\"type\": \"long\", "
    "\"logicalType\": \"timestamp-millis\"}, \"doc\": \"Event time, exclusive.\"}, {\"name\": \"n_ref\", "
    "\"type\": \"double\", \"doc\": \"Rows in the reference counts.\"}, {\"name\": \"n_cur\", \"type\": "
    "\"long\", \"doc\": \"Rows observed in the window, missing ones included.\"}, {\"name\": \"edges\", "
    "\"type\": {\"type\": \"array\", \"items\": \"double\"}, \"default\": [], \"doc\": \"Inner bin edges, "
    "rising; a value equal to an edge lies right of it. Empty for a category: its bins are the vocabulary and "
    "the unknown bucket.\"}, {\"name\": \"ref_counts\", \"type\": {\"type\": \"array\", \"items\": "
    "\"double\"}, \"default\": [], \"doc\": \"Reference rows in each bin.\"}, {\"name\": \"counts\", \"type\": "
    "{\"type\": \"array\", \"items\": \"long\"}, \"default\": [], \"doc\": \"Rows of the window in each "
    "bin.\"}, {\"name\": \"missing\", \"type\": \"long\", \"default\": 0, \"doc\": \"Rows whose value was "
    "missing; they are in no bin.\"}, {\"name\": \"clipped\", \"type\": \"long\", \"default\": 0, \"doc\": "
    "\"Rows whose value was clipped to its bounds.\"}, {\"name\": \"unknown\", \"type\": \"long\", "
    "\"default\": 0, \"doc\": \"Rows with a category outside the vocabulary.\"}, {\"name\": \"statistics\", "
    "\"type\": {\"type\": \"array\", \"items\": {\"type\": \"record\", \"name\": \"Statistic\", \"fields\": "
    "[{\"name\": \"name\", \"type\": \"string\", \"doc\": \"psi, ks, js, missing_rate, clipped_rate, "
    "unknown_rate; readers ignore names they do not know.\"}, {\"name\": \"value\", \"type\": \"double\"}, "
    "{\"name\": \"threshold\", \"type\": [\"null\", \"double\"], \"default\": null, \"doc\": \"The threshold "
    "that gave the severity, else the warn one; null when there is none.\"}, {\"name\": \"severity\", \"type\": {\"type\": \"enum\", "
    "\"name\": \"Severity\", \"symbols\": [\"ok\", \"warn\", \"alert\"], \"default\": \"ok\"}}]}}, "
    "\"default\": []}]}";
/* clang-format on */

const char *lp_drift_record_schema(void) { return schema; }

/* In the order of the schema's enum. */
static const char *const severity_names[] = {
    [LP_SEVERITY_OK] = "ok", [LP_SEVERITY_WARN] = "warn", [LP_SEVERITY_ALERT] = "alert"};

static double reference_rows(const struct lp_drift_report *report)
{
    double rows = 0;
    for (uint32_t i = 0; i < report->bin_count; i++) rows += report->reference_counts[i];
    return rows;
}

static struct lp_span text_or_empty(const char *text) { return lp_span_text(text != NULL ? text : ""); }

/* --- Avro --- */

static unsigned char *write_doubles(unsigned char *at, const double *values, uint32_t count)
{
    if (count > 0) at = lp_avro_long(at, count);
    for (uint32_t i = 0; i < count; i++) at = lp_avro_double(at, values[i]);
    return lp_avro_long(at, 0);
}

static unsigned char *write_counts(unsigned char *at, const uint64_t *values, uint32_t count)
{
    if (count > 0) at = lp_avro_long(at, count);
    for (uint32_t i = 0; i < count; i++) at = lp_avro_long(at, (int64_t)values[i]);
    return lp_avro_long(at, 0);
}

static unsigned char *write_statistics(unsigned char *at, const struct lp_drift_report *report)
{
    if (report->statistic_count > 0) at = lp_avro_long(at, report->statistic_count);
    for (uint32_t i = 0; i < report->statistic_count; i++) {
        const struct lp_drift_statistic *statistic = &report->statistics[i];
        at = lp_avro_bytes(at, lp_span_text(statistic->name));
        at = lp_avro_double(at, statistic->value);
        at = lp_avro_double(lp_avro_branch(at, true), statistic->threshold);
        at = lp_avro_long(at, (int64_t)statistic->severity);
    }
    return lp_avro_long(at, 0);
}

static unsigned char *write_head(unsigned char *at, const struct lp_drift_source *source,
                                 const struct lp_drift_report *report)
{
    at = lp_avro_bytes(at, text_or_empty(source->slot));
    at = lp_avro_bytes(at, text_or_empty(report->feature));
    at = lp_avro_bytes(at, text_or_empty(source->replica));
    at = lp_avro_branch(at, source->version != NULL);
    if (source->version != NULL) at = lp_avro_bytes(at, lp_span_text(source->version));
    at = lp_avro_hash(lp_avro_branch(at, true), source->model_sha256_prefix);
    at = lp_avro_long(at, report->window_start_ms);
    at = lp_avro_long(at, report->window_end_ms);
    at = lp_avro_double(at, reference_rows(report));
    return lp_avro_long(at, (int64_t)report->rows);
}

/* More than any record of this shape takes. */
static size_t avro_bound(const struct lp_drift_source *source, const struct lp_drift_report *report)
{
    enum { FIXED_BYTES = 512, STATISTIC_BYTES = 64, VALUE_BYTES = LP_AVRO_LONG_MAX_BYTES };
    size_t texts = text_or_empty(source->slot).size + text_or_empty(source->replica).size +
                   text_or_empty(source->version).size + text_or_empty(report->feature).size;
    return FIXED_BYTES + texts + STATISTIC_BYTES * (size_t)report->statistic_count +
           VALUE_BYTES * (2 * (size_t)report->bin_count + report->edge_count);
}

static void encode_avro(struct lp_span framing, const struct lp_drift_source *source,
                        const struct lp_drift_report *report, struct lp_buffer *out)
{
    lp_buffer_append(out, framing.data, framing.size);
    unsigned char *start = lp_buffer_reserve(out, avro_bound(source, report));
    if (start == NULL) return;
    unsigned char *at = write_head(start, source, report);
    at = write_doubles(at, report->edges, report->edge_count);
    at = write_doubles(at, report->reference_counts, report->bin_count);
    at = write_counts(at, report->counts, report->bin_count);
    at = lp_avro_long(at, (int64_t)report->missing);
    at = lp_avro_long(at, (int64_t)report->clipped);
    at = lp_avro_long(at, (int64_t)report->unknown);
    at = write_statistics(at, report);
    out->size += (size_t)(at - start);
}

/* --- JSON --- */

static void json_text(struct lp_buffer *out, const char *name, const char *text)
{
    lp_json_key(out, false, name);
    lp_json_text(out, lp_span_text(text));
}

static void json_integer(struct lp_buffer *out, const char *name, int64_t value)
{
    lp_json_key(out, false, name);
    lp_json_integer(out, value);
}

static void json_doubles(struct lp_buffer *out, const char *name, const double *values, uint32_t count)
{
    lp_json_key(out, false, name);
    lp_buffer_append(out, "[", 1);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) lp_buffer_append(out, ",", 1);
        lp_json_double(out, values[i]);
    }
    lp_buffer_append(out, "]", 1);
}

static void json_counts(struct lp_buffer *out, const char *name, const uint64_t *values, uint32_t count)
{
    lp_json_key(out, false, name);
    lp_buffer_append(out, "[", 1);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) lp_buffer_append(out, ",", 1);
        lp_json_integer(out, (int64_t)values[i]);
    }
    lp_buffer_append(out, "]", 1);
}

static void json_statistics(struct lp_buffer *out, const struct lp_drift_report *report)
{
    lp_json_key(out, false, "statistics");
    lp_buffer_append(out, "[", 1);
    for (uint32_t i = 0; i < report->statistic_count; i++) {
        const struct lp_drift_statistic *statistic = &report->statistics[i];
        if (i > 0) lp_buffer_append(out, ",", 1);
        lp_json_key(out, true, "name");
        lp_json_text(out, lp_span_text(statistic->name));
        lp_json_key(out, false, "value");
        lp_json_double(out, statistic->value);
        lp_json_key(out, false, "threshold");
        lp_json_double(out, statistic->threshold);
        json_text(out, "severity", severity_names[statistic->severity]);
        lp_buffer_append(out, "}", 1);
    }
    lp_buffer_append(out, "]", 1);
}

static void encode_json(const struct lp_drift_source *source, const struct lp_drift_report *report,
                        struct lp_buffer *out)
{
    lp_json_key(out, true, "slot");
    lp_json_text(out, text_or_empty(source->slot));
    json_text(out, "feature", report->feature);
    lp_json_key(out, false, "replica");
    lp_json_text(out, text_or_empty(source->replica));
    json_text(out, "version", source->version);
    lp_json_key(out, false, "model_sha256");
    lp_json_hash(out, source->model_sha256_prefix);
    json_integer(out, "window_start", report->window_start_ms);
    json_integer(out, "window_end", report->window_end_ms);
    lp_json_key(out, false, "n_ref");
    lp_json_double(out, reference_rows(report));
    json_integer(out, "n_cur", (int64_t)report->rows);
    json_doubles(out, "edges", report->edges, report->edge_count);
    json_doubles(out, "ref_counts", report->reference_counts, report->bin_count);
    json_counts(out, "counts", report->counts, report->bin_count);
    json_integer(out, "missing", (int64_t)report->missing);
    json_integer(out, "clipped", (int64_t)report->clipped);
    json_integer(out, "unknown", (int64_t)report->unknown);
    json_statistics(out, report);
    lp_buffer_append(out, "}", 1);
}

void lp_drift_record_encode(enum lp_output_format format, struct lp_span framing, const struct lp_drift_source *source,
                            const struct lp_drift_report *report, struct lp_buffer *out)
{
    if (format == LP_OUTPUT_JSON) encode_json(source, report, out);
    else encode_avro(framing, source, report, out);
}
