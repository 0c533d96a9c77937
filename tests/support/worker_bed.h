/* A worker in this process on an embedded cluster, and what stands around it: a producer, readers of topics with
 * headers, deployments. Models and records are those of tests/data/pipeline. Functions are static: one program a file.
 */
#ifndef LP_TESTS_WORKER_BED_H
#define LP_TESTS_WORKER_BED_H

#include "support/kafka_bed.h"

#include "config/config.h"
#include "core/log.h"
#include "worker/worker.h"
#include "worker/worker_private.h"

#include <jansson.h>
#include <math.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { WB_OVERRIDES_MAX = 32, WB_WAIT_MS = 40000, WB_HEADERS_MAX = 16 };
#define WB_FOLDER TEST_DATA_DIR "/pipeline"
#define WB_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Records with their scores by a, b and c as numpy has them. */
static const struct wb_case {
    const char *json;
    double field[4]; /* NAN: absent */
    double score[3];
} wb_cases[] = {
#include "data/pipeline/cases.inc"
};
enum { WB_CASES = WB_COUNT(wb_cases), WB_CASES_COMPLETE = 64 /* the first have every field */ };

struct wb {
    struct bed bed;
    rd_kafka_t *producer;
    atomic_uint_fast64_t delivered, undelivered;
    struct lp_config *config;
    struct lp_worker *worker;
    pthread_t ticker;
    atomic_bool quit, lane_failed;
    char lane_failure[LP_ERROR_TEXT_BYTES]; /* once lane_failed */
};

/* --- cluster and producer --- */

static void wb_on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct wb *wb = opaque;
    (void)client;
    atomic_fetch_add(message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? &wb->delivered : &wb->undelivered, 1);
}

static BED_UNUSED rd_kafka_t *wb_client(const char *bootstrap, rd_kafka_type_t type, struct wb *opaque)
{
    char text[256];
    static const char *const settings[][2] = {{"linger.ms", "0"}, {"log_level", "2"}, {"compression.type", "none"}};
    static const char *const reading[][2] = {{"group.id", "unused"},
                                             {"enable.partition.eof", "false"},
                                             {"enable.auto.commit", "false"},
                                             {"auto.offset.reset", "earliest"},
                                             {"log_level", "2"},
                                             {"fetch.wait.max.ms", "10"}};
    bool produces = type == RD_KAFKA_PRODUCER;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, text, sizeof text);
    for (size_t i = 0; produces && i < WB_COUNT(settings); i++)
        rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text);
    for (size_t i = 0; !produces && i < WB_COUNT(reading); i++)
        rd_kafka_conf_set(conf, reading[i][0], reading[i][1], text, sizeof text);
    rd_kafka_conf_set_opaque(conf, opaque);
    if (produces) rd_kafka_conf_set_dr_msg_cb(conf, wb_on_delivery);
    rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof text);
    if (client == NULL) fail_msg("client: %s", text);
    return client;
}

/* Topics in, out, dead (of `partitions`), control, status, drift (of one). */
static BED_UNUSED void wb_start(struct wb *wb, uint32_t partitions)
{
    memset(wb, 0, sizeof *wb);
    lp_log_setup(getenv("LEPTON_TEST_VERBOSE") != NULL ? LP_LOG_INFO : LP_LOG_ERROR, LP_LOG_LOGFMT);
    bed_start(&wb->bed, NULL);
    static const char *const wide[] = {"in", "out", "dead"}, *const narrow[] = {"control", "status", "drift"};
    for (int i = 0; i < 3; i++) bed_topic(&wb->bed, wide[i], partitions);
    for (int i = 0; i < 3; i++) bed_topic(&wb->bed, narrow[i], 1);
    wb->producer = wb_client(wb->bed.settings[0].value, RD_KAFKA_PRODUCER, wb);
}

struct wb_message {
    const char *topic;
    int32_t partition;
    const char *key; /* NULL: null */
    const void *value;
    size_t value_size; /* value NULL: null */
    int64_t timestamp_ms;
    const char *const *headers; /* name, value, ..., NULL */
};

static BED_UNUSED void wb_send(struct wb *wb, const struct wb_message *message)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    for (const char *const *h = message->headers; h != NULL && *h != NULL; h += 2)
        rd_kafka_header_add(headers, h[0], -1, h[1], -1);
    size_t key_size = message->key != NULL ? strlen(message->key) : 0;
    rd_kafka_resp_err_t error;
    for (;;) {
        error =
            rd_kafka_producev(wb->producer, RD_KAFKA_V_TOPIC(message->topic), RD_KAFKA_V_PARTITION(message->partition),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(message->key, key_size),
                              RD_KAFKA_V_VALUE((void *)(uintptr_t)message->value, message->value_size),
                              RD_KAFKA_V_TIMESTAMP(message->timestamp_ms), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) break;
        rd_kafka_poll(wb->producer, 20);
    }
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) fail_msg("produce to %s: %s", message->topic, rd_kafka_err2str(error));
    rd_kafka_poll(wb->producer, 0);
}

static BED_UNUSED void wb_flush(struct wb *wb)
{
    if (rd_kafka_flush(wb->producer, WB_WAIT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) fail_msg("the test's producer hangs");
    assert_int_equal(atomic_load(&wb->undelivered), 0);
}

/* Record `index` of a partition is case index % `cases`, its number is in the key. */
static BED_UNUSED void wb_send_case(struct wb *wb, int32_t partition, int index, int cases)
{
    char key[32];
    snprintf(key, sizeof key, "%d", index);
    const char *json = wb_cases[index % cases].json;
    struct wb_message message = {.topic = "in",
                                 .partition = partition,
                                 .key = key,
                                 .value = json,
                                 .value_size = strlen(json),
                                 .timestamp_ms = 1700000000000 + index};
    wb_send(wb, &message);
}

/* --- worker --- */

static void *wb_tick(void *context)
{
    struct wb *wb = context;
    struct lp_error err;
    while (!atomic_load(&wb->quit)) {
        if (!atomic_load(&wb->lane_failed) && lp_worker_tick(wb->worker, &err) != LP_OK) {
            snprintf(wb->lane_failure, sizeof wb->lane_failure, "%s", err.text);
            atomic_store(&wb->lane_failed, true);
        }
        usleep(10000);
    }
    return NULL;
}

/* The test's configuration; `overrides`: key, value, ..., NULL. */
static BED_UNUSED void wb_configure(struct wb *wb, const char *const *overrides)
{
    char text[4096];
    char *no_environment[] = {NULL};
    struct lp_config_override list[WB_OVERRIDES_MAX];
    uint32_t count = 0;
    snprintf(text, sizeof text,
             "kafka.bootstrap.servers=%s\nkafka.consumer.session.timeout.ms=6000\nkafka.fetch.wait.max.ms=10\n"
             "input.topics=in\ninput.format=json\ngroup.id=g\noutput.topic=out\noutput.format=json\n"
             "output.fields=version,scores,partition,offset,degraded\ndead_letter.topic=dead\ncontrol.topic=control\n"
             "status.topic=status\nmodel.root.path=" WB_FOLDER "\nlanes=1\nmemory.limit_bytes=134217728\n"
             "replica.id=r1\nhttp.listen=127.0.0.1:0\nlog.level=error\ncommit.interval_ms=200\n",
             wb->bed.settings[0].value);
    for (const char *const *o = overrides; o != NULL && *o != NULL; o += 2)
        list[count++] = (struct lp_config_override){o[0], o[1]};
    BED_OK(lp_config_parse(lp_span_text(text), "test", no_environment, list, count, &wb->config, &bed_err));
}

/* Starts a worker; does not wait until it is ready. */
static BED_UNUSED void wb_run(struct wb *wb, const char *const *overrides)
{
    wb_configure(wb, overrides);
    BED_OK(lp_worker_start(wb->config, NULL, NULL, &wb->worker, &bed_err));
    atomic_store(&wb->quit, false);
    atomic_store(&wb->lane_failed, false);
    assert_int_equal(pthread_create(&wb->ticker, NULL, wb_tick, wb), 0);
}

static BED_UNUSED void wb_wait_ready(struct wb *wb)
{
    const char *reason = "";
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (!lp_worker_ready(wb->worker, &reason)) {
        if (bed_ms() > deadline_ms) fail_msg("not ready: %s", reason);
        usleep(10000);
    }
}

static BED_UNUSED void wb_halt(struct wb *wb)
{
    atomic_store(&wb->quit, true);
    pthread_join(wb->ticker, NULL);
    lp_worker_stop(wb->worker);
    lp_worker_free(wb->worker);
    lp_config_free(wb->config);
    wb->worker = NULL;
    wb->config = NULL;
}

static BED_UNUSED void wb_end(struct wb *wb)
{
    if (wb->worker != NULL) wb_halt(wb);
    rd_kafka_destroy(wb->producer);
    bed_stop(&wb->bed);
}

static BED_UNUSED struct lp_lane_stats wb_totals(struct wb *wb)
{
    struct lp_lane_stats stats;
    int64_t lag;
    lp_worker_totals(wb->worker, &stats, &lag);
    return stats;
}

/* --- deployments --- */

static BED_UNUSED void wb_sha256(const char *path, char ret_text[65])
{
    unsigned char bytes[1 << 16], digest[32];
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail_msg("%s is not there", path);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_int_equal(EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL), 1);
    for (int i = 0; i < 32; i++) snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
}

/* {"uri": ..., "sha256": ...} of a fixture. */
static BED_UNUSED void wb_source(const char *name, char *text, size_t bytes)
{
    char path[512], sha256[65];
    snprintf(path, sizeof path, "%s/%s.safetensors", WB_FOLDER, name);
    wb_sha256(path, sha256);
    snprintf(text, bytes, "{\"uri\":\"file://%s\",\"sha256\":\"%s\"}", path, sha256);
}

static BED_UNUSED void wb_control(struct wb *wb, const char *key, const char *text)
{
    struct wb_message message = {
        .topic = "control", .key = key, .value = text, .value_size = text != NULL ? strlen(text) : 0};
    wb_send(wb, &message);
    wb_flush(wb);
}

/* `more`: further members, each with its comma before it. */
static BED_UNUSED void wb_deploy(struct wb *wb, uint64_t generation, const char *name, const char *more)
{
    char source[1024], text[4096];
    wb_source(name, source, sizeof source);
    snprintf(text, sizeof text, "{\"format\":1,\"generation\":%llu,\"active\":%s%s}", (unsigned long long)generation,
             source, more);
    wb_control(wb, "default", text);
}

static BED_UNUSED void wb_wait_state(struct wb *wb, enum lp_slot_state state, uint64_t generation)
{
    struct lp_status_record status;
    struct lp_control_event events[LP_CONTROL_EVENTS_MAX];
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    for (;;) {
        lp_worker_control(wb->worker, &status, events);
        if (lp_control_replayed(wb->worker->control) && status.state == state && status.generation == generation)
            return;
        if (bed_ms() > deadline_ms)
            fail_msg("state %s of generation %llu (%s), wanted %s of %llu", lp_slot_state_name(status.state),
                     (unsigned long long)status.generation, status.reason, lp_slot_state_name(state),
                     (unsigned long long)generation);
        usleep(5000);
    }
}

/* Has every lane taken what was staged last? */
static BED_UNUSED bool wb_taken(struct wb *wb)
{
    struct lp_slot *slot = &wb->worker->slot;
    bool taken = true;
    pthread_mutex_lock(&slot->mutex);
    for (uint32_t i = 0; i < slot->lane_count; i++) taken = taken && !slot->mailboxes[i].changed;
    pthread_mutex_unlock(&slot->mutex);
    return taken;
}

/* --- reading topics back --- */

struct wb_record {
    int32_t partition;
    int64_t offset, timestamp_ms;
    char *key, *value; /* zero-terminated copies; NULL: null */
    size_t value_size;
    uint32_t header_count;
    char *headers[WB_HEADERS_MAX]; /* name=value */
};

struct wb_log {
    rd_kafka_t *client;
    struct wb_record *records; /* in order of arrival, which is the order within each partition */
    size_t count, capacity;
};

static BED_UNUSED void wb_log_open(struct wb_log *log, struct wb *wb, const char *topic, uint32_t partitions)
{
    memset(log, 0, sizeof *log);
    log->client = wb_client(wb->bed.settings[0].value, RD_KAFKA_CONSUMER, NULL);
    rd_kafka_poll_set_consumer(log->client);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)partitions);
    for (uint32_t p = 0; p < partitions; p++)
        rd_kafka_topic_partition_list_add(list, topic, (int32_t)p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(log->client, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static char *wb_text(const void *data, size_t size)
{
    if (data == NULL) return NULL;
    char *text = calloc(1, size + 1);
    assert_non_null(text);
    memcpy(text, data, size);
    return text;
}

static void wb_log_headers(struct wb_record *record, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        assert_true(record->header_count < WB_HEADERS_MAX);
        char text[2048];
        snprintf(text, sizeof text, "%s=%.*s", name, (int)size, value != NULL ? (const char *)value : "");
        record->headers[record->header_count++] = strdup(text);
    }
}

static BED_UNUSED void wb_log_poll(struct wb_log *log, int timeout_ms)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(log->client, timeout_ms);
    rd_kafka_timestamp_type_t type;
    for (; message != NULL; message = rd_kafka_consumer_poll(log->client, 0)) {
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (log->count == log->capacity) {
                log->capacity = log->capacity > 0 ? log->capacity * 2 : 1024;
                log->records = realloc(log->records, log->capacity * sizeof *log->records);
                assert_non_null(log->records);
            }
            struct wb_record *record = &log->records[log->count++];
            *record = (struct wb_record){.partition = message->partition,
                                         .offset = message->offset,
                                         .timestamp_ms = rd_kafka_message_timestamp(message, &type),
                                         .key = wb_text(message->key, message->key_len),
                                         .value = wb_text(message->payload, message->len),
                                         .value_size = message->len};
            wb_log_headers(record, message);
        }
        rd_kafka_message_destroy(message);
    }
}

/* Until `count` records are there; then a little longer, in case there are more. False: they did not come. */
static BED_UNUSED bool wb_log_wait(struct wb_log *log, size_t count)
{
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (log->count < count && bed_ms() < deadline_ms) wb_log_poll(log, 50);
    uint64_t quiet_ms = bed_ms() + 300;
    while (bed_ms() < quiet_ms) wb_log_poll(log, 50);
    return log->count == count;
}

static BED_UNUSED const char *wb_header(const struct wb_record *record, const char *name)
{
    size_t length = strlen(name);
    for (uint32_t i = 0; i < record->header_count; i++)
        if (strncmp(record->headers[i], name, length) == 0 && record->headers[i][length] == '=')
            return record->headers[i] + length + 1;
    return NULL;
}

static BED_UNUSED void wb_log_close(struct wb_log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        free(log->records[i].key);
        free(log->records[i].value);
        for (uint32_t h = 0; h < log->records[i].header_count; h++) free(log->records[i].headers[h]);
    }
    free(log->records);
    rd_kafka_destroy(log->client);
}

/* --- predictions --- */

struct wb_prediction {
    int model; /* 0, 1, 2: a, b, c */
    double score;
    int32_t partition;
    int64_t offset;
    bool degraded;
};

static BED_UNUSED struct wb_prediction wb_parse(const struct wb_record *record)
{
    json_t *root = record->value != NULL ? json_loadb(record->value, record->value_size, 0, NULL) : NULL;
    if (root == NULL) fail_msg("no JSON: %s", record->value != NULL ? record->value : "null");
    struct wb_prediction prediction = {.model = bed_whole(json_string_value(json_object_get(root, "version"))) - 1,
                                       .score = json_number_value(json_array_get(json_object_get(root, "scores"), 0)),
                                       .partition = (int32_t)json_integer_value(json_object_get(root, "partition")),
                                       .offset = json_integer_value(json_object_get(root, "offset")),
                                       .degraded = json_is_true(json_object_get(root, "degraded"))};
    assert_int_equal(json_array_size(json_object_get(root, "scores")), 1);
    json_decref(root);
    assert_in_range(prediction.model, 0, 2);
    return prediction;
}

/* The score is that of the record's case by the model that the prediction names, as numpy has it. */
static BED_UNUSED void wb_check_score(const struct wb_record *record, const struct wb_prediction *prediction, int cases)
{
    double want = wb_cases[bed_whole(record->key) % cases].score[prediction->model];
    if (!(fabs(prediction->score - want) <= 1e-5))
        fail_msg("key %s, version %d: %.9g, numpy has %.9g", record->key, prediction->model + 1, prediction->score,
                 want);
}

/* Text member of the status record of a generation and state that stands in the log, or NULL. The last one counts. */
static BED_UNUSED json_t *wb_status_find(const struct wb_log *log, uint64_t generation, const char *state)
{
    json_t *found = NULL;
    for (size_t i = 0; i < log->count; i++) {
        if (log->records[i].value == NULL) continue;
        json_t *root = json_loads(log->records[i].value, 0, NULL);
        assert_non_null(root);
        if ((uint64_t)json_integer_value(json_object_get(root, "generation")) == generation &&
            strcmp(json_string_value(json_object_get(root, "state")), state) == 0) {
            json_decref(found);
            found = json_incref(root);
        }
        json_decref(root);
    }
    return found;
}

static BED_UNUSED json_t *wb_status_wait(struct wb_log *log, uint64_t generation, const char *state)
{
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    for (;;) {
        json_t *found = wb_status_find(log, generation, state);
        if (found != NULL) return found;
        if (bed_ms() > deadline_ms) fail_msg("no status %s of generation %llu", state, (unsigned long long)generation);
        wb_log_poll(log, 50);
    }
}

#endif
