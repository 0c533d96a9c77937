/*
 * Transactions of a sink. The client has one owner at a time: the lane, while a transaction is open, or the committer,
 * while one is being committed, aborted or begun anew (sink_txn_jobs.c). What the lane sends meanwhile waits in the
 * stage.
 */
#include "core/clock.h"
#include "kafka/sink_txn_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRANSACTION_TIMEOUT_MS = 15000, /* how long a dead lane holds read_committed readers up */
    END_TIMEOUT_MS = 2500,          /* longer than a call that asks again */
    HUNG_MS = 45000,                /* several times the longest time-out that a call is given */
    LOOK_MAX_MS = 5000,             /* of the time between two looks at a call, so much counts */
    OVERHEAD_BYTES = 64,            /* of a message within its batch, at most; and of each header */
    LIBRDKAFKA_MIN = 0x020002ff     /* what it was tested with */
};

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
            if (err.action == LP_PAUSE) sink_txn_trouble(txn, &err); /* the topic is not there */
            txn->stalled = err.action == LP_PAUSE;
            if (err.action == LP_RETRY || err.action == LP_PAUSE) return; /* or the queue is full */
            txn->broken = true;
            if (txn->refused_count < SINK_TXN_REFUSED_MAX)
                txn->refused[txn->refused_count++] = (struct refusal){.ticket = message.ticket, .error = err};
            return;
        }
        stage_pop(&txn->stage);
        if (txn->stalled) sink_txn_trouble(txn, NULL);
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
        give(sink, sink_txn_init_job);
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
    give(sink, sink_txn_commit_job);
}

void lp_sink_abort(struct lp_sink *sink)
{
    struct sink_txn *txn = sink->txn;
    stage_clear(&txn->stage);
    if (!txn->open) return;
    if (txn->broken) sink_txn_tell_broken(txn);
    else lp_fail(&txn->reason, LP_E_REFUSED, LP_RETRY, "%s: given up", txn->transactional_id);
    give(sink, sink_txn_abort_job);
}

bool lp_sink_txn_hung(struct lp_sink *sink, struct lp_error *err)
{
    struct sink_txn *txn = sink->txn;
    uint64_t since_ns = atomic_load(&txn->call_ns), now_ns = lp_clock_ns();
    uint64_t step_ns = since_ns == txn->watched_ns ? now_ns - txn->looked_ns : 0;
    if (since_ns != txn->watched_ns) txn->waited_ns = 0;
    txn->watched_ns = since_ns;
    txn->looked_ns = now_ns;
    /* A process that was stopped finds the clock ahead, but the call has not had that time. */
    txn->waited_ns += step_ns < LOOK_MAX_MS * UINT64_C(1000000) ? step_ns : LOOK_MAX_MS * UINT64_C(1000000);
    if (since_ns == 0 || txn->waited_ns < HUNG_MS * UINT64_C(1000000)) return false;
    lp_fail(err, LP_E_TIMEOUT, LP_FATAL,
            "%s: %s has not come back from librdkafka for %d s, whatever time it was given: a new process ends what it "
            "left open: restart",
            txn->transactional_id, atomic_load(&txn->call), HUNG_MS / 1000);
    return true;
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
