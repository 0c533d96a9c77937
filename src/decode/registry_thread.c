/* The client's thread: starts what is due, takes what has ended, pauses and goes round the URLs after failures. */
#include "core/clock.h"
#include "decode/registry_client.h"

#include <stdlib.h>

enum { POLL_MAX_MS = 1000 };

static void take_inbox(struct lp_registry *registry)
{
    while (registry->inbox != NULL) {
        struct lp_registry_call *call = registry->inbox;
        registry->inbox = call->next;
        call->next = registry->calls;
        registry->calls = call;
    }
}

static void remove_call(struct lp_registry *registry, struct lp_registry_call *call)
{
    struct lp_registry_call **at = &registry->calls;
    while (*at != call) at = &(*at)->next;
    *at = call->next;
    call->next = NULL;
}

/* The call is over: to the cache, to who waits, or to nobody. */
static void finish(struct lp_registry *registry, struct lp_registry_call *call)
{
    remove_call(registry, call);
    pthread_mutex_lock(&registry->mutex);
    bool is_schema = call->kind == LP_REGISTRY_FETCH || (call->kind == LP_REGISTRY_LATEST && call->parsed != NULL);
    struct lp_registry_entry *entry = is_schema ? lp_registry_find(registry, call->id) : NULL;
    if (is_schema && entry == NULL) entry = lp_registry_add(registry, call->id);
    if (entry != NULL && entry->state == LP_REGISTRY_FAILED) { /* refused until now, here it is after all */
        entry->state = LP_REGISTRY_PENDING;
        registry->failed_count--;
        registry->pending_count++;
    }
    if (entry != NULL && entry->state == LP_REGISTRY_PENDING) {
        lp_registry_settle(registry, entry, call->parsed, &call->error);
        call->parsed = NULL;
    }
    call->done = true;
    bool is_nobodys = call->kind == LP_REGISTRY_FETCH || call->abandoned;
    pthread_cond_broadcast(&registry->changed);
    pthread_mutex_unlock(&registry->mutex);
    if (is_nobodys) lp_registry_call_free(call);
}

/* The next URL at once; after the last one a pause that doubles. */
static void plan_retry(struct lp_registry *registry, struct lp_registry_call *call)
{
    atomic_fetch_add_explicit(&registry->failures, 1, memory_order_relaxed);
    call->url = (call->url + 1) % registry->url_count;
    call->due_ns = 0;
    if (++call->failed_urls >= registry->url_count) {
        call->failed_urls = 0;
        if (call->backoff_ms == 0) call->backoff_ms = registry->retry_ms;
        call->due_ns = lp_clock_ns() + (uint64_t)call->backoff_ms * 1000000u;
        call->backoff_ms =
            call->backoff_ms > LP_REGISTRY_BACKOFF_MAX_MS / 2 ? LP_REGISTRY_BACKOFF_MAX_MS : call->backoff_ms * 2;
    }
    pthread_mutex_lock(&registry->mutex);
    call->last_error = call->error;
    struct lp_registry_entry *entry = call->kind == LP_REGISTRY_FETCH ? lp_registry_find(registry, call->id) : NULL;
    if (entry != NULL && entry->state == LP_REGISTRY_PENDING) entry->error = call->error;
    pthread_mutex_unlock(&registry->mutex);
}

static void take_end(struct lp_registry *registry, struct lp_registry_call *call, CURLcode code)
{
    long status = 0;
    if (code == CURLE_OK) curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    lp_registry_cancel(registry, call);
    switch (lp_registry_judge(registry, call, code, status)) {
    case LP_REGISTRY_ANSWERED:
        call->error.code = LP_OK;
        finish(registry, call);
        break;
    case LP_REGISTRY_GO_ON:
        call->failed_urls = 0;
        call->due_ns = 0;
        break;
    case LP_REGISTRY_FINAL: finish(registry, call); break;
    case LP_REGISTRY_AGAIN: plan_retry(registry, call); break;
    }
}

static void take_ends(struct lp_registry *registry)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(registry->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE) continue;
        struct lp_registry_call *call = NULL;
        CURLcode code = message->data.result; /* the message dies with the handle */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        take_end(registry, call, code);
    }
}

static void drop_abandoned(struct lp_registry *registry)
{
    for (struct lp_registry_call *call = registry->calls, *next; call != NULL; call = next) {
        next = call->next;
        pthread_mutex_lock(&registry->mutex);
        bool abandoned = call->abandoned;
        pthread_mutex_unlock(&registry->mutex);
        if (!abandoned) continue;
        lp_registry_cancel(registry, call);
        remove_call(registry, call);
        lp_registry_call_free(call);
    }
}

/* Starts what is due; how long the poll may take, in ms. */
static int start_due(struct lp_registry *registry)
{
    uint64_t now = lp_clock_ns(), wait_ns = POLL_MAX_MS * 1000000ull;
    for (struct lp_registry_call *call = registry->calls; call != NULL; call = call->next) {
        if (call->easy != NULL || registry->transfers == LP_REGISTRY_TRANSFERS_MAX) continue;
        if (call->due_ns <= now) {
            if (lp_registry_start(registry, call, &call->error) == LP_OK) continue;
            plan_retry(registry, call);
        }
        uint64_t left = call->due_ns > now ? call->due_ns - now : 0;
        if (left < wait_ns) wait_ns = left;
    }
    return (int)((wait_ns + 999999) / 1000000);
}

static void stop(struct lp_registry *registry)
{
    while (registry->calls != NULL) {
        struct lp_registry_call *call = registry->calls;
        lp_registry_cancel(registry, call);
        registry->calls = call->next;
        lp_registry_call_free(call);
    }
}

void *lp_registry_thread(void *context)
{
    struct lp_registry *registry = context;
    for (;;) {
        pthread_mutex_lock(&registry->mutex);
        take_inbox(registry);
        bool stopping = registry->stopping;
        pthread_mutex_unlock(&registry->mutex);
        if (stopping) break;
        drop_abandoned(registry);
        /* A request just started makes the poll return at once. */
        int wait_ms = start_due(registry), running = 0;
        curl_multi_poll(registry->multi, NULL, 0, wait_ms, NULL);
        curl_multi_perform(registry->multi, &running);
        take_ends(registry);
    }
    stop(registry);
    return NULL;
}
