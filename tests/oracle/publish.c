/*
 * What src/publish writes, on request: one command a line on stdin, one answer a line on stdout. Texts are hex (so that
 * any bytes pass), "~" is absent, lists are joined by commas, floats and doubles are the hex of their bits.
 *
 *   F bits                            -> the float's text
 *   G bits                            -> the double's text
 *   E avro|json fields                -> the schema; the encoder serves the P lines that follow
 *   P slot version hash rows outputs label label_text event scored partition offset flags missing scores items
 *                                     -> hex; an item is id:bits; flags has bits 1 degraded, 2 shadow, 4 canary
 *   D avro|json slot feature replica version hash start end rows missing clipped unknown edges reference counts stats
 *                                     -> hex; a statistic is name:value:threshold:severity
 */
#include "core/shortest.h"
#include "publish/drift_record.h"
#include "publish/prediction.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 4096, LABELS_MAX = 64, TEXT_MAX = 1 << 16 };

static char *cursor; /* strtok_r's */
static const struct lp_span framing = {(const unsigned char *)"\0\0\0\0\7", 5};

static char *next(void)
{
    char *token = strtok_r(NULL, " \n", &cursor);
    if (token == NULL) {
        fprintf(stderr, "oracle_publish: a line ends early\n");
        exit(2);
    }
    return token;
}

static int64_t next_integer(void) { return strtoll(next(), NULL, 10); }
static uint64_t next_hex(void) { return strtoull(next(), NULL, 16); }

static float float_of(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return value;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Hex -> bytes in place, zero-terminated; "~" -> absent; "-" -> empty. */
static struct lp_span text_of(char *hex)
{
    if (strcmp(hex, "~") == 0) return (struct lp_span){0};
    size_t size = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        hex[i] = (char)strtoul(pair, NULL, 16);
    }
    hex[size] = 0;
    return lp_span_of(hex, size);
}

static const char *next_text(void) { return (const char *)text_of(next()).data; }

/* Split a list; count -1: absent. */
static int32_t next_list(char **items)
{
    char *list = next(), *rest = NULL;
    int32_t count = 0;
    if (strcmp(list, "~") == 0) return -1;
    if (strcmp(list, "-") == 0) return 0;
    for (char *item = strtok_r(list, ",", &rest); item != NULL && count < LIST_MAX; item = strtok_r(NULL, ",", &rest))
        items[count++] = item;
    return count;
}

static void print_hex(const struct lp_buffer *out)
{
    if (out->failed) exit(3);
    for (size_t i = 0; i < out->size; i++) printf("%02x", out->data[i]);
    putchar('\n');
}

static enum lp_output_format next_format(void) { return strcmp(next(), "json") == 0 ? LP_OUTPUT_JSON : LP_OUTPUT_AVRO; }

static struct lp_encoder *make_encoder(void)
{
    static char *names[LIST_MAX];
    struct lp_encoder *encoder;
    struct lp_error err;
    enum lp_output_format format = next_format();
    int32_t count = next_list(names);
    if (lp_encoder_new(format, (const char *const *)names, count < 0 ? 0 : (uint32_t)count, &encoder, &err) != LP_OK) {
        fprintf(stderr, "oracle_publish: %s\n", err.text);
        exit(2);
    }
    puts(lp_encoder_schema(encoder));
    return encoder;
}

static void predict(const struct lp_encoder *encoder, struct lp_buffer *out)
{
    static char *list[LIST_MAX];
    static float scores[LIST_MAX];
    static struct lp_prediction_item items[LIST_MAX];
    static const char *label_names[LABELS_MAX];
    struct lp_prediction p = {.slot = next_text(), .version = next_text(), .model_sha256_prefix = next_hex()};
    p.row_count = (uint32_t)next_integer();
    p.output_count = (uint32_t)next_integer();
    const int32_t label = (int32_t)next_integer();
    const char *label_text = next_text();
    p.labels = &label;
    if (label_text != NULL) p.label_names = label_names;
    if (label_text != NULL && label >= 0 && label < LABELS_MAX) label_names[label] = label_text;
    p.event_time_ms = next_integer();
    p.scored_time_ms = next_integer();
    p.partition = (int32_t)next_integer();
    p.offset = next_integer();
    const int64_t flags = next_integer();
    p.degraded = flags & 1;
    p.shadow = flags & 2;
    p.canary = flags & 4;
    p.missing_count = (uint32_t)next_integer();
    int32_t count = next_list(list);
    for (int32_t i = 0; i < count; i++) scores[i] = float_of(strtoull(list[i], NULL, 16));
    p.scores = count >= 0 ? scores : NULL;
    count = next_list(list);
    for (int32_t i = 0; i < count; i++) {
        char *bits = strchr(list[i], ':');
        *bits++ = 0;
        items[i] = (struct lp_prediction_item){text_of(list[i]), float_of(strtoull(bits, NULL, 16))};
    }
    p.items = count >= 0 ? items : NULL;
    p.item_count = count >= 0 ? (uint32_t)count : 0;
    lp_encoder_run(encoder, framing, &p, out);
    print_hex(out);
}

static uint32_t next_doubles(double *values)
{
    static char *list[LIST_MAX];
    int32_t count = next_list(list);
    for (int32_t i = 0; i < count; i++) values[i] = double_of(strtoull(list[i], NULL, 16));
    return count < 0 ? 0 : (uint32_t)count;
}

static void next_statistics(struct lp_drift_report *report)
{
    static char *list[LIST_MAX];
    int32_t count = next_list(list);
    for (int32_t i = 0; i < count && i < LP_DRIFT_STATISTICS_MAX; i++) {
        char *rest = NULL, *name = strtok_r(list[i], ":", &rest);
        uint64_t value = strtoull(strtok_r(NULL, ":", &rest), NULL, 16);
        uint64_t threshold = strtoull(strtok_r(NULL, ":", &rest), NULL, 16);
        report->statistics[report->statistic_count++] =
            (struct lp_drift_statistic){name, double_of(value), double_of(threshold),
                                        (enum lp_severity)strtoul(strtok_r(NULL, ":", &rest), NULL, 10)};
    }
}

static void drift(struct lp_buffer *out)
{
    static double edges[LIST_MAX], reference[LIST_MAX];
    static uint64_t counts[LIST_MAX];
    static char *list[LIST_MAX];
    enum lp_output_format format = next_format();
    struct lp_drift_source source = {.slot = next_text()};
    struct lp_drift_report report = {.feature = next_text()};
    source.replica = next_text();
    source.version = next_text();
    source.model_sha256_prefix = next_hex();
    report.window_start_ms = next_integer();
    report.window_end_ms = next_integer();
    report.rows = (uint64_t)next_integer();
    report.missing = (uint64_t)next_integer();
    report.clipped = (uint64_t)next_integer();
    report.unknown = (uint64_t)next_integer();
    report.edges = edges;
    report.edge_count = next_doubles(edges);
    report.reference_counts = reference;
    report.bin_count = next_doubles(reference);
    report.counts = counts;
    int32_t count = next_list(list);
    for (int32_t i = 0; i < count; i++) counts[i] = strtoull(list[i], NULL, 10);
    next_statistics(&report);
    lp_drift_record_encode(format, framing, &source, &report, out);
    print_hex(out);
}

int main(void)
{
    static char line[TEXT_MAX];
    struct lp_encoder *encoder = NULL;
    struct lp_buffer out;
    lp_buffer_init(&out, 1 << 20);
    while (fgets(line, sizeof line, stdin) != NULL) {
        const char *command = strtok_r(line, " \n", &cursor);
        lp_buffer_clear(&out);
        if (command == NULL) continue;
        if (*command == 'F') {
            char text[LP_SHORTEST_FLOAT_BYTES];
            printf("%.*s\n", (int)lp_shortest_float(text, float_of(next_hex())), text);
        } else if (*command == 'G') {
            char text[LP_SHORTEST_DOUBLE_BYTES];
            printf("%.*s\n", (int)lp_shortest_double(text, double_of(next_hex())), text);
        } else if (*command == 'E') {
            lp_encoder_free(encoder);
            encoder = make_encoder();
        } else if (*command == 'P' && encoder != NULL) {
            predict(encoder, &out);
        } else if (*command == 'D') {
            drift(&out);
        }
    }
    lp_encoder_free(encoder);
    lp_buffer_done(&out);
    return 0;
}
