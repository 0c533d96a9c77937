/*
 * What the committer's thread does with a transaction: begin, commit, abort, begin anew.
 *
 * Errors are judged in this order (KIP-447, as Kafka Streams does): what requires an abort is aborted; what is
 * retriable is called again, the same call with the same arguments; all else makes the producer anew, which fences
 * whatever the old one left behind, so that the group's offsets are final when the caller asks for them.
 */
#include "core/clock.h"
#include "kafka/sink_txn_private.h"

#include <stdio.h>
#include <time.h>

enum {
    INIT_CALL_MS = 2000,
    OFFSETS_CALL_MS = 10000, /* past it librdkafka gives the transaction up */
    COMMIT_CALL_MS = 1000,   /* resumed by the next call */
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 1000,
    REFUSED_PAUSE_MS = 1000, /* before what a right was missing for is tried again */
    ANEW_PAUSE_MS = 100,     /* doubled with every time within the period */
    ANEW_PAUSE_MAX_MS = 5000,
    ANEW_PERIOD_MS = 60000
};

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

void sink_txn_trouble(struct sink_txn *txn, const struct lp_error *reason)
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

static rd_kafka_error_t *timed(struct lp_sink *sink, call *function, const char *what)
{
    struct sink_txn *txn = sink->txn;
    atomic_store(&txn->call, what);
    atomic_store(&txn->call_ns, lp_clock_ns());
    rd_kafka_error_t *error = function(sink);
    atomic_store(&txn->call_ns, 0);
    return error;
}

static enum verdict repeat(struct lp_sink *sink, call *function, const char *what)
{
    struct sink_txn *txn = sink->txn;
    enum verdict verdict;
    for (int pause_ms = BACKOFF_FIRST_MS; (verdict = judge(txn, timed(sink, function, what), what)) == AGAIN;
         pause_ms *= 2) {
        sink_txn_trouble(txn, &txn->reason);
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
        uint64_t *place = &txn->anew_ns[txn->anew_count % SINK_TXN_ANEW_MAX];
        if (txn->anew_count >= SINK_TXN_ANEW_MAX && now_ns - *place < period_ns) {
            (void)lp_error_wrap(&txn->reason,
                                "the transactional producer failed %d times within a minute (does another process use "
                                "the same group.id and replica.id? give each replica its own)",
                                SINK_TXN_ANEW_MAX);
            txn->reason.action = LP_FATAL;
            return FAILED;
        }
        *place = now_ns;
        int pause_ms = ANEW_PAUSE_MS;
        for (uint32_t i = 0; i < SINK_TXN_ANEW_MAX; i++)
            if (txn->anew_ns[i] != 0 && now_ns - txn->anew_ns[i] < period_ns) pause_ms *= 2;
        txn->anew_count++;
        sink_txn_trouble(txn, &txn->reason);
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
    sink_txn_trouble(txn, NULL);
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

void sink_txn_init_job(void *context)
{
    struct lp_sink *sink = context;
    begin_next(sink, repeat(sink, call_init, "init_transactions"), LP_TXN_READY);
}

void sink_txn_abort_job(void *context)
{
    struct lp_sink *sink = context;
    struct lp_error reason = sink->txn->reason;
    begin_next(sink, repeat(sink, call_abort, "abort_transaction"), LP_TXN_ABORTED);
    if (sink->txn->event == LP_TXN_ABORTED) sink->txn->reason = reason;
}

/* librdkafka logs why; here only what the brokers said of single messages is known. */
void sink_txn_tell_broken(struct sink_txn *txn)
{
    if (txn->refused_count > 0) txn->reason = txn->refused[0].error;
    else lp_fail(&txn->reason, LP_E_IO, LP_RETRY, "%s: the transaction failed on its way", txn->transactional_id);
}

static enum verdict commit(struct lp_sink *sink)
{
    struct sink_txn *txn = sink->txn;
    enum verdict verdict = DONE;
    if (txn->broken) {
        sink_txn_tell_broken(txn);
        return ABORT;
    }
    if (txn->offsets != NULL) verdict = repeat(sink, call_offsets, "send_offsets_to_transaction");
    return verdict == DONE ? repeat(sink, call_commit, "commit_transaction") : verdict;
}

void sink_txn_commit_job(void *context)
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
    char what[SINK_TXN_NAME_BYTES];
    snprintf(what, sizeof what, "topic %s, partition %d", rd_kafka_topic_name(message->rkt), (int)message->partition);
    lp_client_fail_on(&refusal.error, message->err, LP_SIDE_PRODUCE, what);
    /* About this message; all else is about the transaction and comes with its own error. */
    if (refusal.error.action != LP_SKIP_RECORD) return;
    if (txn->refused_count < SINK_TXN_REFUSED_MAX) txn->refused[txn->refused_count++] = refusal;
}
