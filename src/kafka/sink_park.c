#include "kafka/sink_park.h"

#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

enum { PAUSE_MIN_MS = 100, PAUSE_MAX_MS = 5000, WINDOW_MAX = 1024 };

struct parked {
    struct parked *next;
    struct lp_headers *headers; /* owned */
    uint64_t ticket;
    int64_t timestamp_ms;
    int32_t partition;
    bool has_key, has_value;
    size_t key_bytes, value_bytes;
    unsigned char bytes[]; /* key, value */
};

static void append(struct parked_list *list, struct parked *parked)
{
    parked->next = NULL;
    if (list->last != NULL) list->last->next = parked;
    else list->first = parked;
    list->last = parked;
}

static struct parked *take_first(struct parked_list *list)
{
    struct parked *parked = list->first;
    if (parked == NULL) return NULL;
    list->first = parked->next;
    if (list->first == NULL) list->last = NULL;
    return parked;
}

static void put_before(struct parked_list *list, struct parked_list *before)
{
    if (before->first == NULL) return;
    before->last->next = list->first;
    if (list->first == NULL) list->last = before->last;
    list->first = before->first;
    *before = (struct parked_list){0};
}

static struct parked *copy_of(const struct lp_sink_message *message)
{
    struct parked *parked = malloc(sizeof *parked + message->key.size + message->value.size);
    if (parked == NULL) return NULL;
    *parked = (struct parked){.headers = message->headers,
                              .ticket = message->ticket,
                              .timestamp_ms = message->timestamp_ms,
                              .partition = message->partition,
                              .has_key = message->key.data != NULL,
                              .has_value = message->value.data != NULL,
                              .key_bytes = message->key.size,
                              .value_bytes = message->value.size};
    if (parked->key_bytes > 0) memcpy(parked->bytes, message->key.data, parked->key_bytes);
    if (parked->value_bytes > 0) memcpy(parked->bytes + parked->key_bytes, message->value.data, parked->value_bytes);
    return parked;
}

struct lp_sink_message sink_park_message(const struct parked *parked, struct lp_sink_topic *topic)
{
    return (struct lp_sink_message){
        .topic = topic,
        .partition = parked->partition,
        .key = {.data = parked->has_key ? parked->bytes : NULL, .size = parked->key_bytes},
        .value = {.data = parked->has_value ? parked->bytes + parked->key_bytes : NULL, .size = parked->value_bytes},
        .timestamp_ms = parked->timestamp_ms,
        .headers = parked->headers,
        .ticket = parked->ticket};
}

void sink_park_drop(struct parked *parked)
{
    lp_headers_free(parked->headers);
    free(parked);
}

bool sink_park_push(struct sink_park *park, const struct lp_sink_message *message)
{
    struct parked *parked = copy_of(message);
    if (parked == NULL) return false;
    append(&park->waiting, parked);
    park->count++;
    return true;
}

static void lengthen_pause(struct sink_park *park)
{
    if (park->stalled) park->pause_ms = park->pause_ms * 2 < PAUSE_MAX_MS ? park->pause_ms * 2 : PAUSE_MAX_MS;
}

static void wait_for(struct sink_park *park, const struct lp_error *why)
{
    uint64_t now_ns = lp_clock_ns();
    if (!park->stalled) park->stalled_ns = now_ns;
    if (!park->stalled || park->pause_ms == 0) park->pause_ms = PAUSE_MIN_MS;
    park->stalled = true;
    park->why = *why;
    park->due_ns = now_ns + (uint64_t)park->pause_ms * 1000000u;
    park->window = 1;
}

bool sink_park_fail(struct sink_park *park, const struct lp_sink_message *message, const struct lp_error *why)
{
    struct parked *parked = copy_of(message);
    if (parked == NULL) return false;
    if (!sink_park_active(park)) {
        park->window = 1;
        park->ceiling = WINDOW_MAX;
    }
    append(&park->failed, parked);
    park->count++;
    if (why->action != LP_SKIP_RECORD) wait_for(park, why);
    return true;
}

/* Out of the round, by its ticket; reports come nearly in order. */
static struct parked *take_sent(struct sink_park *park, uint64_t ticket)
{
    struct parked *before = NULL, *parked = park->sent.first;
    while (parked != NULL && parked->ticket != ticket) {
        before = parked;
        parked = parked->next;
    }
    if (parked == NULL) return NULL;
    if (before != NULL) before->next = parked->next;
    else park->sent.first = parked->next;
    if (park->sent.last == parked) park->sent.last = before;
    park->outstanding--;
    return parked;
}

/* All of the round is reported: how large may the next be? */
static void end_round(struct sink_park *park)
{
    if (!park->round_failed) {
        park->stalled = false;
        park->pause_ms = 0;
        park->window = park->round * 2 < park->ceiling ? park->round * 2 : park->ceiling;
    }
    if (park->window == 0) park->window = 1;
}

static void note_failure(struct sink_park *park, const struct lp_error *err)
{
    if (err->action == LP_SKIP_RECORD) {
        if (!park->round_failed) park->window = park->ceiling = park->round / 2;
    } else {
        if (!park->round_failed) lengthen_pause(park);
        wait_for(park, err);
    }
    park->round_failed = true;
}

enum park_fate sink_park_report(struct sink_park *park, uint64_t ticket, const struct lp_error *err,
                                struct parked **ret_message)
{
    struct parked *parked = park->outstanding > 0 ? take_sent(park, ticket) : NULL;
    enum park_fate fate = PARK_DONE;
    if (parked == NULL) return PARK_NOT_MINE;
    if (err == NULL) {
        sink_park_drop(parked);
    } else if (err->action == LP_FATAL || (err->action == LP_SKIP_RECORD && park->round == 1)) {
        fate = PARK_REFUSED;
        park->ceiling = WINDOW_MAX; /* the one to blame is found */
        *ret_message = parked;
    } else {
        note_failure(park, err);
        append(&park->returned, parked);
        park->count++;
        fate = PARK_KEPT;
    }
    if (park->outstanding == 0) end_round(park);
    return fate;
}

static struct parked *next_of(struct sink_park *park)
{
    put_before(&park->failed, &park->returned);
    struct parked *parked = take_first(&park->failed);
    if (parked == NULL) parked = take_first(&park->waiting);
    if (parked != NULL) park->count--;
    return parked;
}

static void put_back(struct sink_park *park, struct parked *parked)
{
    struct parked_list one = {parked, parked};
    put_before(&park->failed, &one);
    park->count++;
}

/* The producer takes a copy of the headers, so that ours are there if it fails. */
static enum lp_code send_copy(struct parked *parked, struct lp_sink_topic *topic, const struct sink_park_calls *calls,
                              struct lp_error *err)
{
    struct lp_sink_message message = sink_park_message(parked, topic);
    if (parked->headers != NULL) message.headers = lp_headers_copy(parked->headers);
    enum lp_code rc = calls->send(calls->context, &message, err);
    if (rc != LP_OK) lp_headers_free(message.headers);
    return rc;
}

void sink_park_serve(struct sink_park *park, struct lp_sink_topic *topic, const struct sink_park_calls *calls,
                     uint64_t now_ns)
{
    struct lp_error err;
    if (park->count == 0 || park->outstanding > 0 || (park->stalled && now_ns < park->due_ns)) return;
    park->round = 0;
    park->round_failed = false;
    while (park->round < park->window) {
        struct parked *parked = next_of(park);
        if (parked == NULL) break;
        if (!calls->live(calls->context, parked->ticket)) {
            struct lp_sink_message message = sink_park_message(parked, topic);
            calls->dropped(calls->context, &message);
            sink_park_drop(parked);
            continue;
        }
        enum lp_code rc = send_copy(parked, topic, calls, &err);
        if (rc != LP_OK && (err.action == LP_SKIP_RECORD || err.action == LP_FATAL)) {
            calls->refused(calls->context, topic, parked, &err);
            continue;
        }
        if (rc != LP_OK) {
            put_back(park, parked);
            if (rc == LP_E_LIMIT && err.action == LP_RETRY) break; /* the queue is full */
            lengthen_pause(park);
            wait_for(park, &err);
            break;
        }
        append(&park->sent, parked);
        park->outstanding++;
        park->round++;
    }
    if (!sink_park_active(park)) park->stalled = false;
}

void sink_park_clear(struct sink_park *park)
{
    struct parked_list *lists[] = {&park->returned, &park->failed, &park->waiting, &park->sent};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (struct parked *parked; (parked = take_first(lists[i])) != NULL;) sink_park_drop(parked);
    *park = (struct sink_park){0};
}
