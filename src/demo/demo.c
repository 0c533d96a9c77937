#include "demo/demo.h"

#include "config/config.h"
#include "control/desired.h"
#include "control/source.h"
#include "core/clock.h"
#include "core/log.h"
#include "demo/assets.h"
#include "demo/flights.h"
#include "demo/learn.h"
#include "demo/view.h"
#include "kafka/embedded.h"
#include "kafka/sink.h"
#include "worker/kafka_conf.h"
#include "worker/worker.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    PARTITIONS = 8,
    FRAME_MS = 200,
    TAIL_S = 4, /* after the last record: time for the last windows to close */
    YEAR_MIN_S = 10,
    ENDLESS_YEAR_S = 50,
    RATE_WINDOW_FRAMES = 10,
    FLUSH_MS = 5000,
};
/* The first of August, the end of what the second model was trained on; three weeks are a window of drift. */
static const int64_t DEPLOY_AT_MS = 1375315200000;

static const char FLIGHTS[] = "flights", PREDICTIONS[] = "flights.predictions", DEAD[] = "flights.dead-letters",
                  CONTROL[] = "lepton.control", STATUS[] = "lepton.status", DRIFT[] = "lepton.drift";

struct demo {
    const struct lp_demo_options *options;
    char folder[PATH_MAX];
    struct lp_embedded *broker;
    struct lp_config *config;
    struct lp_kafka_conf kafka;
    struct lp_worker *worker;
    struct lp_stream *stream;
    struct lp_audit *audit;
    struct lp_view *view;
    struct lp_learned first, second; /* versions 1 and 2 */
    uint64_t begin_ns;
    bool deployed, alarmed;
    double alarm_s, deploy_s, live_s;
    int64_t alarm_day_ms, deploy_day_ms;
    const char *alarm_feature;
    double alarm_psi, alarm_ks;
    double psi_at_deploy, psi_after; /* of the score */
    uint64_t frame_records[RATE_WINDOW_FRAMES], frame_ns[RATE_WINDOW_FRAMES];
    struct lp_latency frame_latency[RATE_WINDOW_FRAMES];
    uint32_t frame;
};

/* --- set up and take down --- */

static enum lp_code write_file(const struct demo *demo, const char *name, struct lp_span bytes, struct lp_error *err)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", demo->folder, name);
    FILE *file = fopen(path, "wb");
    bool written = file != NULL && fwrite(bytes.data, 1, bytes.size, file) == bytes.size;
    if (file != NULL && fclose(file) != 0) written = false;
    if (written) return LP_OK;
    return lp_fail(err, LP_E_IO, LP_FATAL, "%s: cannot be written: is the disk full?", path);
}

static enum lp_code unpack_files(struct demo *demo, struct lp_error *err)
{
    const char *base = getenv("TMPDIR");
    snprintf(demo->folder, sizeof demo->folder, "%s/lepton-demo-XXXXXX",
             base != NULL && base[0] == '/' ? base : "/tmp");
    if (mkdtemp(demo->folder) == NULL) {
        int length = (int)strlen(demo->folder);
        enum lp_code rc =
            lp_fail(err, LP_E_IO, LP_FATAL, "%.*s: no temporary folder: set TMPDIR", length, demo->folder);
        demo->folder[0] = '\0';
        return rc;
    }
    LP_TRY(write_file(demo, "flights.avsc", lp_asset_flights_schema(), err));
    return LP_OK;
}

/* The first version knows the winter only, so that the seasons show; the second knows what came until it is deployed.
 */
static enum lp_code learn(struct demo *demo, struct lp_error *err)
{
    struct lp_flights *flights;
    LP_TRY(lp_flights_new(&flights, err));
    enum lp_code rc = lp_learn(flights, 1, 2, "1", demo->folder, &demo->first, err);
    if (rc == LP_OK) rc = lp_learn(flights, 1, 7, "2", demo->folder, &demo->second, err);
    lp_flights_free(flights);
    if (rc == LP_OK)
        printf("trained version 1 on %u departures of January and February (AUC %.3f on held-out days, %.2f s), "
               "version 2 on %u to July (AUC %.3f, %.2f s)\n",
               demo->first.rows, demo->first.auc, demo->first.seconds, demo->second.rows, demo->second.auc,
               demo->second.seconds);
    return rc;
}

static void remove_files(struct demo *demo)
{
    static const char *const names[] = {"flights.avsc", "flights-1.safetensors", "flights-2.safetensors"};
    char path[PATH_MAX + 64];
    if (demo->folder[0] == '\0') return;
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", demo->folder, names[i]);
        unlink(path);
    }
    rmdir(demo->folder);
}

static enum lp_code make_topics(struct demo *demo, struct lp_error *err)
{
    LP_TRY(lp_embedded_new(1, &demo->broker, err));
    const char *const wide[] = {FLIGHTS, PREDICTIONS, DEAD}, *const narrow[] = {CONTROL, STATUS, DRIFT};
    for (int i = 0; i < 3; i++) LP_TRY(lp_embedded_create_topic(demo->broker, wide[i], PARTITIONS, err));
    for (int i = 0; i < 3; i++) LP_TRY(lp_embedded_create_topic(demo->broker, narrow[i], 1, err));
    return LP_OK;
}

/* The worker of the demo is configured as anybody's. */
static enum lp_code configure(struct demo *demo, struct lp_error *err)
{
    char text[PATH_MAX * 4 + 2048];
    char *no_environment[] = {NULL};
    snprintf(text, sizeof text,
             "kafka.bootstrap.servers=%s\n"
             "kafka.session.timeout.ms=6000\n"
             "kafka.fetch.wait.max.ms=10\n"
             "input.topics=%s\ninput.format=avro\ninput.schema.path=%s/flights.avsc\ninput.event_time=sched\n"
             "group.id=lepton-demo\noutput.topic=%s\noutput.format=json\n"
             "output.fields=version,scores,label,event_time,partition,offset\ndead_letter.topic=%s\n"
             "control.topic=%s\nstatus.topic=%s\nmodel.uri=file://%s/flights-1.safetensors\nmodel.root.path=%s\n"
             "lanes=1\ndrift.topic=%s\ndrift.window_s=1814400\ndrift.lateness_s=3600\ndrift.min_rows=1000\n"
             "status.interval_ms=2000\nreplica.id=demo\nhttp.listen=%s\nlog.level=error\n",
             lp_embedded_bootstrap(demo->broker), FLIGHTS, demo->folder, PREDICTIONS, DEAD, CONTROL, STATUS,
             demo->folder, demo->folder, DRIFT, demo->options->http_listen);
    LP_TRY(lp_config_parse(lp_span_text(text), "demo", no_environment, NULL, 0, &demo->config, err));
    return lp_kafka_conf_from_config(demo->config, &demo->kafka, err);
}

/* The year takes what the embedded broker's slow first join has left of the time. */
static enum lp_code start_stream(struct demo *demo, struct lp_error *err)
{
    double year_s = (double)demo->options->seconds - (double)(lp_clock_ns() - demo->begin_ns) * 1e-9 - (double)TAIL_S;
    if (demo->options->seconds == 0) year_s = ENDLESS_YEAR_S;
    if (year_s < (double)YEAR_MIN_S) year_s = (double)YEAR_MIN_S;
    return lp_stream_new(&demo->kafka, FLIGHTS, year_s, demo->options->seconds == 0, &demo->stream, err);
}

static enum lp_code set_up(struct demo *demo, struct lp_error *err)
{
    /* Only the mock's own chatter is silenced; what fails is returned. */
    lp_log_setup(LP_LOG_ERROR, LP_LOG_LOGFMT);
    LP_TRY(unpack_files(demo, err));
    LP_TRY(learn(demo, err));
    LP_TRY(make_topics(demo, err));
    LP_TRY(configure(demo, err));
    LP_TRY(lp_worker_start(demo->config, demo->options->interrupted, demo->options->context, &demo->worker, err));
    LP_TRY(lp_audit_new(&demo->kafka, PREDICTIONS, DEAD, &demo->audit, err));
    if ((demo->view = lp_view_new()) == NULL) return lp_fail_memory(err, 1);
    const char *reason = "";
    uint64_t deadline_ns = lp_clock_ns() + (uint64_t)30 * 1000000000;
    while (!lp_worker_ready(demo->worker, &reason)) {
        LP_TRY(lp_worker_tick(demo->worker, err));
        if (lp_clock_ns() > deadline_ns)
            return lp_fail(err, LP_E_TIMEOUT, LP_FATAL, "demo: the worker did not get ready: %s", reason);
        if (demo->options->interrupted(demo->options->context)) return LP_OK;
        struct timespec pause = {.tv_nsec = 20 * 1000000L};
        nanosleep(&pause, NULL);
    }
    return start_stream(demo, err);
}

static void take_down(struct demo *demo)
{
    lp_view_free(demo->view);
    lp_stream_free(demo->stream);
    lp_audit_free(demo->audit);
    if (demo->worker != NULL) lp_worker_stop(demo->worker);
    lp_worker_free(demo->worker);
    lp_kafka_conf_done(&demo->kafka);
    lp_config_free(demo->config);
    lp_embedded_free(demo->broker);
    remove_files(demo);
}

/* --- the story --- */

/* What `lepton deploy` writes: the desired state of the slot, on the control topic. */
static enum lp_code deploy_second(struct demo *demo, struct lp_error *err)
{
    struct lp_sink *sink = NULL;
    struct lp_sink_topic *topic;
    struct lp_model_source first = {0}, second = {0};
    struct lp_sink_options options = {
        .conf = &demo->kafka, .client_id = "lepton-demo-deploy", .queue_max = 16, .queue_max_bytes = 1 << 20};
    snprintf(first.uri, sizeof first.uri, "file://%.4000s/flights-1.safetensors", demo->folder);
    snprintf(second.uri, sizeof second.uri, "file://%.4000s/flights-2.safetensors", demo->folder);
    memcpy(first.sha256, demo->first.sha256, sizeof demo->first.sha256);
    memcpy(second.sha256, demo->second.sha256, sizeof demo->second.sha256);
    char *json = lp_desired_encode(1, &second, &first, false);
    if (json == NULL) return lp_fail_memory(err, LP_URI_MAX_BYTES);
    enum lp_code rc;
    LP_GUARD(lp_sink_new(&options, &sink, err));
    LP_GUARD(lp_sink_topic(sink, CONTROL, &topic, err));
    struct lp_sink_message message = {
        .topic = topic, .partition = 0, .key = lp_span_text("default"), .value = lp_span_text(json)};
    LP_GUARD(lp_sink_send(sink, &message, err));
    rc = lp_sink_flush(sink, FLUSH_MS, err);
out:
    free(json);
    lp_sink_free(sink);
    return rc;
}

static double elapsed_s(const struct demo *demo) { return (double)(lp_clock_ns() - demo->begin_ns) * 1e-9; }

static void notice_alarm(struct demo *demo, const struct lp_moment *m)
{
    static const char *const watched[] = {"temp", "$score"};
    for (int i = 0; i < 2 && !demo->alarmed; i++) {
        const struct lp_drift_latest *latest = lp_drift_latest_find(m->drift, m->drift_count, watched[i]);
        /* NaN (too few rows) is no alarm. */
        if (latest == NULL || !(latest->psi >= demo->config->drift_psi_alert)) continue;
        demo->alarmed = true;
        demo->alarm_feature = watched[i];
        demo->alarm_psi = latest->psi;
        demo->alarm_ks = latest->ks;
        demo->alarm_s = m->elapsed_s;
        demo->alarm_day_ms = latest->window_end_ms;
    }
}

static enum lp_code tell_story(struct demo *demo, struct lp_moment *m, struct lp_error *err)
{
    const struct lp_drift_latest *score = lp_drift_latest_find(m->drift, m->drift_count, "$score");
    notice_alarm(demo, m);
    if (!demo->deployed && demo->alarmed && m->stream.sched_ms >= DEPLOY_AT_MS) {
        LP_TRY(deploy_second(demo, err));
        demo->deployed = true;
        demo->deploy_s = m->elapsed_s;
        demo->deploy_day_ms = m->stream.sched_ms;
        demo->psi_at_deploy = score != NULL ? score->psi : 0;
    }
    bool second = m->model.serving_generation == 1;
    if (second && demo->live_s == 0) demo->live_s = m->elapsed_s;
    if (second && score != NULL && !isnan(score->psi)) demo->psi_after = score->psi;
    m->story = !demo->alarmed    ? "version 1 was trained on January and February; the seasons turn"
               : !demo->deployed ? "DRIFT ALARM: the data has left what version 1 was trained on"
               : !second         ? "version 2 deployed through the control topic ..."
                                 : "version 2 (trained on January to July) serves: the drift of the score falls";
    return LP_OK;
}

/* Rate and latency over the last RATE_WINDOW_FRAMES frames. */
static void measure(struct demo *demo, struct lp_moment *m)
{
    uint32_t at = demo->frame % RATE_WINDOW_FRAMES;
    uint64_t now_ns = lp_clock_ns();
    bool wrapped = demo->frame >= RATE_WINDOW_FRAMES;
    uint64_t before_records = wrapped ? demo->frame_records[at] : 0;
    uint64_t before_ns = wrapped ? demo->frame_ns[at] : demo->begin_ns;
    m->records_per_s = (double)(m->stats.records - before_records) / ((double)(now_ns - before_ns) * 1e-9 + 1e-9);
    m->recent = m->stats.record_to_prediction;
    for (uint32_t i = 0; wrapped && i <= LP_LATENCY_BOUNDS; i++)
        m->recent.counts[i] -= demo->frame_latency[at].counts[i];
    demo->frame_records[at] = m->stats.records;
    demo->frame_ns[at] = now_ns;
    demo->frame_latency[at] = m->stats.record_to_prediction;
    demo->frame++;
}

static void look(struct demo *demo, struct lp_moment *m)
{
    *m = (struct lp_moment){.elapsed_s = elapsed_s(demo),
                            .total_s = (double)demo->options->seconds,
                            .story = "",
                            .bootstrap = lp_embedded_bootstrap(demo->broker),
                            .http = demo->options->http_listen};
    lp_stream_get_state(demo->stream, &m->stream);
    m->stream_count = lp_stream_count(demo->stream);
    lp_worker_totals(demo->worker, &m->stats, &m->lag);
    lp_stream_consumed(demo->stream, m->stats.records);
    m->drift_count = lp_worker_drift(demo->worker, m->drift, LP_VIEW_DRIFT_MAX);
    m->event_count = lp_worker_control(demo->worker, &m->model, m->events);
    lp_audit_get_state(demo->audit, &m->audit);
    measure(demo, m);
}

static bool finished(const struct demo *demo, const struct lp_moment *m)
{
    if (demo->options->interrupted(demo->options->context)) return true;
    if (demo->options->seconds == 0) return false;
    bool all = m->stream.done && m->audit.predictions + m->audit.dead_letters >= m->stream.acknowledged;
    return m->elapsed_s >= (double)demo->options->seconds || (all && m->elapsed_s > m->total_s - 1);
}

static enum lp_code play(struct demo *demo, struct lp_moment *m, struct lp_error *err)
{
    uint64_t next_ns = lp_clock_ns();
    do {
        next_ns += (uint64_t)FRAME_MS * 1000000;
        while (lp_clock_ns() < next_ns) LP_TRY(lp_audit_poll(demo->audit, FRAME_MS / 4, err));
        LP_TRY(lp_worker_tick(demo->worker, err));
        look(demo, m);
        LP_TRY(tell_story(demo, m, err));
        lp_view_show(demo->view, m);
    } while (!finished(demo, m));
    return LP_OK;
}

/* --- the end --- */

static void date(int64_t time_ms, char text[16])
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, 16, "%d %B", &utc);
}

/* Everything that the broker acknowledged must be there, once and in order. */
static enum lp_code summarize(struct demo *demo, const struct lp_moment *m, struct lp_error *err)
{
    struct lp_audit_state audit;
    char alarm[16], deployed[16];
    uint64_t deadline_ns = lp_clock_ns() + (uint64_t)FLUSH_MS * 1000000;
    struct lp_stream_state stream;
    lp_stream_stop(demo->stream, FLUSH_MS);
    lp_stream_get_state(demo->stream, &stream);
    do {
        LP_TRY(lp_audit_poll(demo->audit, 50, err));
        lp_audit_get_state(demo->audit, &audit);
    } while (audit.predictions + audit.dead_letters < stream.acknowledged && lp_clock_ns() < deadline_ns);
    uint64_t accounted = audit.predictions + audit.dead_letters;
    date(demo->alarm_day_ms, alarm);
    date(demo->deploy_day_ms, deployed);
    printf("\n%llu records: %llu predictions, %llu dead letters (%llu were damaged on purpose): %lld lost, %llu twice, "
           "%llu out of order\n",
           (unsigned long long)stream.acknowledged, (unsigned long long)audit.predictions,
           (unsigned long long)audit.dead_letters, (unsigned long long)stream.bad,
           (long long)(stream.acknowledged - accounted), (unsigned long long)audit.duplicates,
           (unsigned long long)audit.out_of_order);
    if (demo->alarmed)
        printf("drift alarm: %s in the three weeks to %s: PSI %.2f, KS %.2f; %.1f s after the start\n",
               demo->alarm_feature, alarm, demo->alarm_psi, demo->alarm_ks, demo->alarm_s);
    if (demo->live_s > 0)
        printf("version 2 deployed on %s: serving %.0f ms later; the lane paused at most %.0f us; %llu of %d "
               "partitions changed "
               "version at one point; PSI of the score %.3f -> %.3f\n",
               deployed, (demo->live_s - demo->deploy_s) * 1e3, lp_latency_quantile_ns(&m->stats.swap, 1) / 1e3,
               (unsigned long long)audit.version_flips, PARTITIONS, demo->psi_at_deploy, demo->psi_after);
    if (accounted == stream.acknowledged && audit.duplicates == 0 && audit.out_of_order == 0) return LP_OK;
    return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "demo: not every record was scored once and in order");
}

static void print_hints(const struct demo *demo)
{
    const char *bootstrap = lp_embedded_bootstrap(demo->broker);
    printf("While it runs (--seconds 0 keeps it up), try in another terminal:\n"
           "  kcat -b %s -C -t %s -o -5 -c 5\n"
           "  kcat -b %s -C -t %s -o -3 -c 3\n"
           "  curl -s http://%s/metrics | grep lepton_drift\n",
           bootstrap, PREDICTIONS, bootstrap, DRIFT, demo->options->http_listen);
}

enum lp_code lp_demo_run(const struct lp_demo_options *options, struct lp_error *err)
{
    struct demo demo = {.options = options};
    struct lp_moment *moment = calloc(1, sizeof *moment);
    if (moment == NULL) return lp_fail_memory(err, sizeof *moment);
    demo.begin_ns = lp_clock_ns();
    printf("starting an embedded Kafka broker and a worker ...\n");
    enum lp_code rc = set_up(&demo, err);
    if (rc == LP_OK && demo.stream != NULL) {
        if (!isatty(STDOUT_FILENO)) print_hints(&demo);
        rc = play(&demo, moment, err);
        lp_view_free(demo.view);
        demo.view = NULL;
        if (rc == LP_OK) rc = summarize(&demo, moment, err);
    }
    take_down(&demo);
    free(moment);
    return rc;
}
