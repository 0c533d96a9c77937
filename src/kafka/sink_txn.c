/*
 * Transactions of a sink. The client has one owner at a time: the lane, while a transaction is open, or the committer,
 * while one is being committed, aborted or begun anew. What the lane sends meanwhile waits in the stage.
 *
 * Errors are judged in this order (KIP-447, as Kafka Streams does): what requires an abort is aborted; what is
 * retriable is called again, the same call with the same arguments; all else makes the producer anew, which fences
 * whatever the old one left behind, so that the group's offsets are final when the caller asks for them.
 */
#include "core/clock.h"
#include "kafka/committer.h"
#include "kafka/sink_private.h"
#include "kafka/source.h"
#include "kafka/stage.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TRANSACTION_TIMEOUT_MS = 15000, /* how long a dead lane holds read_committed readers up */
    INIT_CALL_MS = 2000,
    OFFSETS_CALL_MS = 10000, /* past it librdkafka gives the transaction up */
    COMMIT_CALL_MS = 1000,   /* resumed by the next call */
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 1000,
    REFUSED_PAUSE_MS = 1000, /* before what a right was missing for is tried again */
    ANEW_PAUSE_MS = 100,     /* doubled with every time within the period */
    ANEW_PAUSE_MAX_MS = 5000,
    ANEW_MAX = 5, /* so often within the period: another process uses our name */
    ANEW_PERIOD_MS = 60000,
    END_TIMEOUT_MS = 2500, /* longer than a call that asks again */
    REFUSED_MAX = 16,
    OVERHEAD_BYTES = 64, /* of a message within its batch, at most; and of each header */
    NAME_BYTES = 1024,
    LIBRDKAFKA_MIN = 0x020002ff /* what it was tested with */
};

/* A message that the brokers refused for good. */
struct refusal {
    uint64_t ticket;
    struct lp_error error;
};

struct sink_txn {
    struct lp_committer *committer;
    struct stage stage;
    size_t message_max_bytes;
    char client_id[NAME_BYTES], transactional_id[NAME_BYTES];
    bool started, away; /* away: a job was given and its event not taken yet */
    bool open;          /* a transaction is open and ours */
    bool failed;        /* for good: reason */
    bool stalled;       /* `trouble` is about what waits in the stage */
    atomic_bool stop;   /* the committer gives up trying */

    /* of the client's owner */
    bool broken; /* only an abort mends it */
    struct lp_source_offsets *offsets;
    enum lp_txn_event event;
    struct lp_error reason;
    struct refusal refused[REFUSED_MAX];
    uint32_t refused_count;
    uint64_t anew_ns[ANEW_MAX]; /* when the producer was made anew, a ring */
    uint32_t anew_count;

    pthread_mutex_t trouble_lock;
    bool in_trouble;
    struct lp_error trouble;
};

/* --- the committer's thread --- */

enum verdict { DONE, AGAIN, ABORT, ANEW, FAILED, STOPPED };

/* What trying again does not mend: it stops the lane, or (a right that somebody may grant) is tried again slowly. */
static const struct hopeless {
    rd_kafka_resp_err_t code;
    bool stops;
    const char *cure;
} hopeless[] = {
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, true,
     "delivery=exactly_once needs brokers with transactions (Kafka 2.5 or later): use delivery=at_least_once here"},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, true,
     "delivery=exactly_once needs brokers with transactions (Kafka 2.5 or later): use delivery=at_least_once here"},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, true, "the topic's message format is too old for transactions"},
    {RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, true,
     "the brokers' transaction.max.timeout.ms is below 15000: raise it, or use delivery=at_least_once"},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, true,
     "grant Write on the transactional id (prefix lepton-GROUP-)"},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, true,
     "grant Write on the topics that are written; brokers before 2.8 also want IdempotentWrite on the cluster"},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, false, "grant Read on the group"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, false, "grant Write on the output topics"},
};

static const struct hopeless *find_hopeless(rd_kafka_resp_err_t code)
{
    for (size_t i = 0; i < sizeof hopeless / sizeof *hopeless; i++)
        if (hopeless[i].code == code) return &hopeless[i];
    return NULL;
}

static void set_trouble(struct sink_txn *txn, const struct lp_error *reason)
{
    pthread_mutex_lock(&txn->trouble_lock);
    txn->in_trouble = reason != NULL;
    if (reason != NULL) txn->trouble = *reason;
    pthread_mutex_unlock(&txn->trouble_lock);
}

/* Takes `error`; txn->reason says what it was. */
static enum verdict judge(struct sink_txn *txn, rd_kafka_error_t *error, const char *what)
{
    if (error == NULL) return DONE;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    const struct hopeless *found = find_hopeless(code);
    bool stops = found != NULL && found->stops;
    enum verdict verdict = rd_kafka_error_txn_requires_abort(error) ? ABORT
                           : rd_kafka_error_is_retriable(error)     ? AGAIN
                           : stops                                  ? FAILED
                                                                    : ANEW;
    lp_fail(&txn->reason, found != NULL ? LP_E_REFUSED : LP_E_IO, stops ? LP_FATAL : LP_RETRY, "%s: %s: %s: %s%s%s",
            txn->transactional_id, what, rd_kafka_err2name(code), rd_kafka_error_string(error),
            found != NULL ? ": " : "", found != NULL ? found->cure : "");
    rd_kafka_error_destroy(error);
    return verdict;
}

/* False: the sink is being freed. */
static bool rest(struct sink_txn *txn, int pause_ms)
{
    struct timespec step = {.tv_nsec = 10 * 1000 * 1000};
    for (int i = 0; i < pause_ms && !atomic_load(&txn->stop); i += 10) nanosleep(&step, NULL);
    return !atomic_load(&txn->stop);
}

typedef rd_kafka_error_t *call(struct lp_sink *sink);

static rd_kafka_error_t *call_init(struct lp_sink *sink)
{
    return rd_kafka_init_transactions(sink->client, INIT_CALL_MS);
}

static rd_kafka_error_t *call_begin(struct lp_sink *sink) { return rd_kafka_begin_transaction(sink->client); }

static rd_kafka_error_t *call_offsets(struct lp_sink *sink)
{
    const struct lp_source_offsets *offsets = sink->txn->offsets;
    return rd_kafka_send_offsets_to_transaction(sink->client, offsets->list, offsets->metadata, OFFSETS_CALL_MS);
}

static rd_kafka_error_t *call_commit(struct lp_sink *sink)
{
    return rd_kafka_commit_transaction(sink->client, COMMIT_CALL_MS);
}

static rd_kafka_error_t *call_abort(struct lp_sink *sink)
{
    return rd_kafka_abort_transaction(sink->client, COMMIT_CALL_MS);
}

static enum verdict repeat(struct lp_sink *sink, call *function, const char *what)
{
    struct sink_txn *txn = sink->txn;
    enum verdict verdict;
    for (int pause_ms = BACKOFF_FIRST_MS; (verdict = judge(txn, function(sink), what)) == AGAIN; pause_ms *= 2) {
        set_trouble(txn, &txn->reason);
        if (pause_ms > BACKOFF_MAX_MS) pause_ms = BACKOFF_MAX_MS;
        if (!rest(txn, pause_ms)) return STOPPED;
    }
    return verdict;
}

/* The producer can do nothing more: a new one under the same id fences it and ends what it left open. */
static enum verdict make_anew(struct lp_sink *sink)
{
    struct sink_txn *txn = sink->txn;
    enum verdict verdict;
    do {
        uint64_t now_ns = lp_clock_ns(), period_ns = (uint64_t)ANEW_PERIOD_MS * 1000000;
        uint64_t *place = &txn->anew_ns[txn->anew_count % ANEW_MAX];
        if (txn->anew_count >= ANEW_MAX && now_ns - *place < period_ns) {
            (void)lp_error_wrap(&txn->reason,
                                "the transactional producer failed %d times within a minute (does another process use "
                                "the same group.id and replica.id? give each replica its own)",
                                ANEW_MAX);
            txn->reason.action = LP_FATAL;
            return FAILED;
        }
        *place = now_ns;
        int pause_ms = ANEW_PAUSE_MS;
        for (uint32_t i = 0; i < ANEW_MAX; i++)
            if (txn->anew_ns[i] != 0 && now_ns - txn->anew_ns[i] < period_ns) pause_ms *= 2;
        txn->anew_count++;
        set_trouble(txn, &txn->reason);
        if (!rest(txn, pause_ms < ANEW_PAUSE_MAX_MS ? pause_ms : ANEW_PAUSE_MAX_MS)) return STOPPED;
        sink_close(sink);
        sink->queued = 0;
        sink->queued_bytes = 0;
        struct lp_error err;
        if (sink_open(sink, &err) != LP_OK) {
            txn->reason = err;
            return FAILED;
        }
        verdict = repeat(sink, call_init, "init_transactions");
        if (verdict == DONE) verdict = repeat(sink, call_begin, "begin_transaction");
    } while (verdict == ANEW || verdict == ABORT);
    return verdict;
}

static void conclude(struct sink_txn *txn, enum verdict verdict, enum lp_txn_event done)
{
    txn->event = verdict == DONE ? done : verdict == FAILED ? LP_TXN_FAILED : LP_TXN_NONE;
    set_trouble(txn, NULL);
}

static void begin_next(struct lp_sink *sink, enum verdict verdict, enum lp_txn_event done)
{
    if (verdict == DONE) verdict = repeat(sink, call_begin, "begin_transaction");
    if (verdict == ANEW || verdict == ABORT) {
        verdict = make_anew(sink);
        done = LP_TXN_FENCED;
    }
    conclude(sink->txn, verdict, done);
}

static void init_job(void *context)
{
    struct lp_sink *sink = context;
    begin_next(sink, repeat(sink, call_init, "init_transactions"), LP_TXN_READY);
}

static void abort_job(void *context)
{
    struct lp_sink *sink = context;
    struct lp_error reason = sink->txn->reason;
    begin_next(sink, repeat(sink, call_abort, "abort_transaction"), LP_TXN_ABORTED);
    if (sink->txn->event == LP_TXN_ABORTED) sink->txn->reason = reason;
}

/* librdkafka logs why; here only what the brokers said of single messages is known. */
static void tell_broken(struct sink_txn *txn)
{
    if (txn->refused_count > 0) txn->reason = txn->refused[0].error;
    else lp_fail(&txn->reason, LP_E_IO, LP_RETRY, "%s: the transaction failed on its way", txn->transactional_id);
}

static enum verdict commit(struct lp_sink *sink)
{
    struct sink_txn *txn = sink->txn;
    enum verdict verdict = DONE;
    if (txn->broken) {
        tell_broken(txn);
        return ABORT;
    }
    if (txn->offsets != NULL) verdict = repeat(sink, call_offsets, "send_offsets_to_transaction");
    return verdict == DONE ? repeat(sink, call_commit, "commit_transaction") : verdict;
}

static void commit_job(void *context)
{
    struct lp_sink *sink = context;
    struct sink_txn *txn = sink->txn;
    enum lp_txn_event done = LP_TXN_COMMITTED;
    enum verdict verdict = commit(sink);
    struct lp_error reason = txn->reason;
    lp_source_offsets_free(txn->offsets);
    txn->offsets = NULL;
    if (verdict == ABORT) {
        done = LP_TXN_ABORTED;
        verdict = repeat(sink, call_abort, "abort_transaction");
        if (verdict == DONE && reason.action == LP_FATAL) verdict = FAILED;
        if (verdict == DONE && reason.code == LP_E_REFUSED && !rest(txn, REFUSED_PAUSE_MS)) verdict = STOPPED;
    }
    begin_next(sink, verdict, done);
    if (txn->event == LP_TXN_ABORTED || (verdict == FAILED && done == LP_TXN_ABORTED)) txn->reason = reason;
}

/* --- the owner of the client --- */

/* Runs where the client is polled: the lane's thread or the committer's. */
void sink_txn_delivered(struct lp_sink *sink, const rd_kafka_message_t *message)
{
    struct sink_txn *txn = sink->txn;
    sink->queued--;
    sink->queued_bytes -= message->len + message->key_len;
    sink->reported++;
    if (__builtin_expect(message->err == RD_KAFKA_RESP_ERR_NO_ERROR, 1)) return;
    txn->broken = true;
    struct refusal refusal = {.ticket = (uint64_t)(uintptr_t)message->_private};
    char what[NAME_BYTES];
    snprintf(what, sizeof what, "topic %s, partition %d", rd_kafka_topic_name(message->rkt), (int)message->partition);
    lp_client_fail_on(&refusal.error, message->err, LP_SIDE_PRODUCE, what);
    /* About this message; all else is about the transaction and comes with its own error. */
    if (refusal.error.action != LP_SKIP_RECORD) return;
    if (txn->refused_count < REFUSED_MAX) txn->refused[txn->refused_count++] = refusal;
}

/* --- the lane's thread --- */

static void on_done(void *context)
{
    struct lp_sink *sink = context;
    if (sink->options.wake != NULL) sink->options.wake(sink->context);
}

static void give(struct lp_sink *sink, lp_committer_job *job)
{
    struct sink_txn *txn = sink->txn;
    txn->open = false;
    txn->away = true;
    txn->event = LP_TXN_NONE;
    lp_committer_start(txn->committer, job, sink);
}

enum lp_code sink_txn_new(struct lp_sink *sink, struct lp_error *err)
{
    if (rd_kafka_version() < LIBRDKAFKA_MIN)
        return lp_fail_field(err, LP_E_UNSUPPORTED, LP_FATAL, "delivery",
                             "librdkafka %s is too old for delivery=exactly_once: 2.0.2 or later is needed",
                             rd_kafka_version_str());
    struct sink_txn *txn = calloc(1, sizeof *txn);
    if (txn == NULL) return lp_fail_memory(err, sizeof *txn);
    sink->txn = txn;
    pthread_mutex_init(&txn->trouble_lock, NULL);
    snprintf(txn->transactional_id, sizeof txn->transactional_id, "%s", sink->options.transactional_id);
    snprintf(txn->client_id, sizeof txn->client_id, "%s",
             sink->options.client_id != NULL ? sink->options.client_id : "lepton");
    sink->options.transactional_id = txn->transactional_id;
    sink->options.client_id = txn->client_id;
    return lp_committer_new(on_done, sink, &txn->committer, err);
}

uint32_t sink_txn_values(const struct lp_sink *sink, struct lp_client_value *values)
{
    _Static_assert(TRANSACTION_TIMEOUT_MS == 15000, "the texts below");
    values[0] = (struct lp_client_value){"transactional.id", sink->txn->transactional_id};
    values[1] = (struct lp_client_value){"transaction.timeout.ms", "15000"};
    /* A message may not outlive its transaction. */
    values[2] = (struct lp_client_value){"message.timeout.ms", "15000"};
    return 3;
}

bool sink_txn_end(struct lp_sink *sink)
{
    struct sink_txn *txn = sink->txn;
    atomic_store(&txn->stop, true);
    bool ended = lp_committer_free(txn->committer, END_TIMEOUT_MS);
    txn->committer = NULL;
    return ended;
}

void sink_txn_free(struct lp_sink *sink)
{
    struct sink_txn *txn = sink->txn;
    if (txn == NULL || sink->hangs) return;
    lp_source_offsets_free(txn->offsets);
    stage_done(&txn->stage);
    pthread_mutex_destroy(&txn->trouble_lock);
    free(txn);
    sink->txn = NULL;
}

bool sink_txn_away(const struct lp_sink *sink) { return sink->txn->away || !sink->txn->started; }

bool sink_txn_failed(const struct lp_sink *sink, struct lp_error *err)
{
    if (sink->txn->failed) *err = sink->txn->reason;
    return sink->txn->failed;
}

uint32_t sink_txn_queued(const struct lp_sink *sink)
{
    return sink->txn->stage.count + (sink_txn_away(sink) ? 0 : sink->queued);
}

size_t sink_txn_queued_bytes(const struct lp_sink *sink)
{
    return sink->txn->stage.bytes + (sink_txn_away(sink) ? 0 : sink->queued_bytes);
}

static void add_header_bytes(void *context, const char *name, struct lp_span value)
{
    *(size_t *)context += OVERHEAD_BYTES + strlen(name) + value.size;
}

/* Asked here, since it must be known before the message waits in the stage. */
static bool too_large(const struct sink_txn *txn, const struct lp_sink_message *message)
{
    size_t bytes = OVERHEAD_BYTES + message->key.size + message->value.size;
    if (message->headers != NULL) lp_headers_each(message->headers, add_header_bytes, &bytes);
    return bytes > txn->message_max_bytes;
}

/* After these nothing goes into this transaction any more. */
static bool is_about_transaction(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__STATE || code == RD_KAFKA_RESP_ERR__FATAL || code == RD_KAFKA_RESP_ERR__FENCED;
}

static enum lp_code send_now(struct lp_sink *sink, const struct lp_sink_message *message, struct lp_error *err)
{
    rd_kafka_error_t *error = sink_produce(sink, message);
    if (__builtin_expect(error == NULL, 1)) return LP_OK;
    if (!rd_kafka_error_is_fatal(error) && !is_about_transaction(rd_kafka_error_code(error)))
        return sink_send_failed(error, message, err);
    rd_kafka_error_destroy(error);
    sink->txn->broken = true;
    lp_headers_free(message->headers);
    return LP_OK;
}

enum lp_code sink_txn_send(struct lp_sink *sink, const struct lp_sink_message *message, struct lp_error *err)
{
    struct sink_txn *txn = sink->txn;
    if (too_large(txn, message))
        return lp_fail(err, LP_E_LIMIT, LP_SKIP_RECORD,
                       "topic %s: key, value and headers of a message do not fit %zu bytes: raise message.max.bytes "
                       "here and max.message.bytes of the topic",
                       message->topic->name, txn->message_max_bytes);
    if (txn->open && txn->broken) {
        lp_headers_free(message->headers);
        return LP_OK;
    }
    if (txn->open && txn->stage.count == 0) {
        enum lp_code rc = send_now(sink, message, err);
        if (rc == LP_OK || err->action != LP_PAUSE) return rc; /* a topic that is not there: it waits for it */
    }
    if (stage_push(&txn->stage, message)) return LP_OK;
    return lp_fail_memory(err, message->key.size + message->value.size);
}

/* What waited goes into the transaction that is open now. What the client refuses outright is refused for good. */
static void drain_stage(struct lp_sink *sink)
{
    struct sink_txn *txn = sink->txn;
    struct lp_sink_message message;
    struct lp_error err;
    while (!txn->broken && stage_peek(&txn->stage, &message)) {
        if (send_now(sink, &message, &err) != LP_OK) {
            if (err.action == LP_PAUSE) set_trouble(txn, &err); /* the topic is not there */
            txn->stalled = err.action == LP_PAUSE;
            if (err.action == LP_RETRY || err.action == LP_PAUSE) return; /* or the queue is full */
            txn->broken = true;
            if (txn->refused_count < REFUSED_MAX)
                txn->refused[txn->refused_count++] = (struct refusal){.ticket = message.ticket, .error = err};
            return;
        }
        stage_pop(&txn->stage);
        if (txn->stalled) set_trouble(txn, NULL);
        txn->stalled = false;
    }
}

static void report_refusals(struct lp_sink *sink)
{
    struct sink_txn *txn = sink->txn;
    for (uint32_t i = 0; i < txn->refused_count && sink->has_tickets; i++)
        sink->report(sink->context, txn->refused[i].ticket, &txn->refused[i].error);
    txn->refused_count = 0;
}

enum lp_txn_event lp_sink_txn_poll(struct lp_sink *sink, struct lp_error *ret_reason)
{
    struct sink_txn *txn = sink->txn;
    if (!txn->started) {
        txn->started = true;
        txn->message_max_bytes = sink_message_max_bytes(rd_kafka_conf(sink->client));
        give(sink, init_job);
        return LP_TXN_NONE;
    }
    if (!txn->away) {
        if (txn->open && txn->stage.count > 0) drain_stage(sink);
        return LP_TXN_NONE;
    }
    if (lp_committer_busy(txn->committer)) return LP_TXN_NONE;
    txn->away = false;
    enum lp_txn_event event = txn->event;
    if (event == LP_TXN_ABORTED || event == LP_TXN_FENCED || event == LP_TXN_FAILED) {
        *ret_reason = txn->reason;
        stage_clear(&txn->stage);
        report_refusals(sink);
    }
    txn->failed = event == LP_TXN_FAILED;
    txn->open = event != LP_TXN_FAILED && event != LP_TXN_NONE;
    txn->broken = false;
    if (txn->open) drain_stage(sink);
    return event;
}

bool lp_sink_txn_open(const struct lp_sink *sink)
{
    return sink->txn->open && sink->txn->stage.count == 0 && !sink->txn->broken;
}

bool lp_sink_txn_broken(const struct lp_sink *sink) { return sink->txn->open && sink->txn->broken; }

void lp_sink_commit(struct lp_sink *sink, struct lp_source_offsets *offsets)
{
    assert(sink->txn->open && sink->txn->stage.count == 0 && sink->txn->offsets == NULL);
    sink->txn->offsets = offsets;
    give(sink, commit_job);
}

void lp_sink_abort(struct lp_sink *sink)
{
    struct sink_txn *txn = sink->txn;
    stage_clear(&txn->stage);
    if (!txn->open) return;
    if (txn->broken) tell_broken(txn);
    else lp_fail(&txn->reason, LP_E_REFUSED, LP_RETRY, "%s: given up", txn->transactional_id);
    give(sink, abort_job);
}

void lp_sink_txn_wait(struct lp_sink *sink, int timeout_ms)
{
    if (sink->txn->away) (void)lp_committer_wait(sink->txn->committer, timeout_ms);
}

bool lp_sink_txn_trouble(struct lp_sink *sink, struct lp_error *ret_reason)
{
    struct sink_txn *txn = sink->txn;
    pthread_mutex_lock(&txn->trouble_lock);
    bool in_trouble = txn->in_trouble;
    if (in_trouble) *ret_reason = txn->trouble;
    pthread_mutex_unlock(&txn->trouble_lock);
    return in_trouble;
}
