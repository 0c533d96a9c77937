#include "decode/registry.h"

#include "core/clock.h"
#include "decode/registry_client.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>

static void init_curl(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

static enum lp_code new_table(struct lp_registry *registry, struct lp_error *err)
{
    uint32_t buckets = 16;
    while (buckets < registry->cache_max && buckets < 65536) buckets *= 2;
    registry->bucket_mask = buckets - 1;
    registry->buckets = calloc(buckets, sizeof *registry->buckets);
    if (registry->buckets == NULL) return lp_fail_memory(err, buckets * sizeof *registry->buckets);
    return LP_OK;
}

static enum lp_code new_client(struct lp_registry *registry, struct lp_error *err)
{
    static const char *const headers[] = {"Accept: application/vnd.schemaregistry.v1+json, application/json; q=0.5",
                                          "Content-Type: application/vnd.schemaregistry.v1+json", "Expect:"};
    registry->multi = curl_multi_init();
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct curl_slist *longer = curl_slist_append(registry->headers, headers[i]);
        if (longer == NULL) return lp_fail_memory(err, strlen(headers[i]));
        registry->headers = longer;
    }
    return registry->multi != NULL ? LP_OK : lp_fail(err, LP_E_MEMORY, LP_FATAL, "registry: curl cannot start");
}

/* The thread takes no signals: they are the worker's, and a broken connection must not raise SIGPIPE. */
static enum lp_code start_thread(struct lp_registry *registry, struct lp_error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(&registry->thread, NULL, lp_registry_thread, registry);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed == 0) return LP_OK;
    return lp_fail(err, LP_E_IO, LP_FATAL, "registry: no thread: %s: raise the limit on threads", strerror(failed));
}

static void free_parts(struct lp_registry *registry)
{
    lp_registry_cache_free(registry);
    while (registry->inbox != NULL) {
        struct lp_registry_call *call = registry->inbox;
        registry->inbox = call->next;
        lp_registry_call_free(call);
    }
    curl_multi_cleanup(registry->multi);
    curl_slist_free_all(registry->headers);
    pthread_cond_destroy(&registry->changed);
    pthread_mutex_destroy(&registry->mutex);
    for (uint32_t i = 0; i < LP_REGISTRY_URLS_MAX; i++) free(registry->urls[i]);
    char *const texts[] = {registry->user,    registry->password,         registry->token,   registry->key_password,
                           registry->ca_path, registry->certificate_path, registry->key_path};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i] != NULL) explicit_bzero(texts[i], strlen(texts[i]));
        free(texts[i]);
    }
    free(registry);
}

enum lp_code lp_registry_new(const struct lp_registry_options *options, struct lp_registry **ret_registry,
                             struct lp_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
    struct lp_registry *registry = calloc(1, sizeof *registry);
    if (registry == NULL) return lp_fail_memory(err, sizeof *registry);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&registry->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&registry->mutex, NULL);
    enum lp_code rc;
    LP_GUARD(lp_registry_take_options(registry, options, err));
    LP_GUARD(new_table(registry, err));
    LP_GUARD(new_client(registry, err));
    LP_GUARD(start_thread(registry, err));
    *ret_registry = registry;
    return LP_OK;
out:
    free_parts(registry);
    return rc;
}

void lp_registry_free(struct lp_registry *registry)
{
    if (registry == NULL) return;
    pthread_mutex_lock(&registry->mutex);
    registry->stopping = true;
    pthread_mutex_unlock(&registry->mutex);
    curl_multi_wakeup(registry->multi);
    pthread_join(registry->thread, NULL);
    free_parts(registry);
}

/* Under the mutex. */
static void submit(struct lp_registry *registry, struct lp_registry_call *call)
{
    call->next = registry->inbox;
    registry->inbox = call;
    curl_multi_wakeup(registry->multi);
}

static enum lp_code say_pending(uint64_t id, const struct lp_registry_entry *entry, struct lp_error *err)
{
    if (entry == NULL || entry->error.code == LP_OK)
        return lp_fail(err, LP_E_PENDING, LP_RETRY, "schema id %" PRIu64 " is being fetched from the registry", id);
    struct lp_error last = entry->error;
    return lp_fail(err, LP_E_PENDING, LP_RETRY, "schema id %" PRIu64 " is being fetched: the last try: %s", id,
                   last.text);
}

/* Under the mutex: begins a fetch for an id that has no entry, or one whose failure is forgotten. */
static enum lp_code begin_fetch(struct lp_registry *registry, uint64_t id, struct lp_registry_entry *entry,
                                struct lp_error *err)
{
    if (registry->pending_count >= LP_REGISTRY_PENDING_MAX) return say_pending(id, NULL, err);
    struct lp_registry_call *call = lp_registry_call_new(LP_REGISTRY_FETCH);
    if (call != NULL) call->path = lp_registry_id_path(id);
    bool ok = call != NULL && call->path != NULL;
    if (ok && entry == NULL) ok = lp_registry_add(registry, id) != NULL;
    else if (ok) registry->pending_count++;
    if (!ok) {
        lp_registry_call_free(call);
        lp_fail_memory(err, sizeof *call);
        err->action = LP_RETRY;
        return err->code;
    }
    if (entry != NULL) {
        registry->failed_count--;
        entry->state = LP_REGISTRY_PENDING;
        entry->error.code = LP_OK;
    }
    call->id = id;
    submit(registry, call);
    return say_pending(id, NULL, err);
}

/* Under the mutex. */
static enum lp_code get_locked(struct lp_registry *registry, uint64_t id, const struct lp_avro_schema **ret_schema,
                               struct lp_error *err)
{
    struct lp_registry_entry *entry = lp_registry_find(registry, id);
    if (entry == NULL) return begin_fetch(registry, id, NULL, err);
    switch (entry->state) {
    case LP_REGISTRY_READY: *ret_schema = entry->schema; return LP_OK;
    case LP_REGISTRY_PENDING: return say_pending(id, entry, err);
    case LP_REGISTRY_FAILED: break;
    }
    if (lp_clock_ns() >= entry->expires_ns) return begin_fetch(registry, id, entry, err);
    *err = entry->error;
    return err->code;
}

enum lp_code lp_registry_get(struct lp_registry *registry, uint64_t id, const struct lp_avro_schema **ret_schema,
                             struct lp_error *err)
{
    pthread_mutex_lock(&registry->mutex);
    enum lp_code rc = get_locked(registry, id, ret_schema, err);
    pthread_mutex_unlock(&registry->mutex);
    return rc;
}

static struct timespec deadline_of(int timeout_ms)
{
    uint64_t at_ns = lp_clock_ns() + (timeout_ms > 0 ? (uint64_t)timeout_ms * 1000000u : 0);
    return (struct timespec){.tv_sec = (time_t)(at_ns / 1000000000u), .tv_nsec = (long)(at_ns % 1000000000u)};
}

/* Puts the time-out in front of what went wrong last. */
static enum lp_code say_timeout(int timeout_ms, struct lp_error *err)
{
    err->code = LP_E_TIMEOUT;
    err->action = LP_RETRY;
    return lp_error_wrap(err, "no answer within %d ms", timeout_ms);
}

enum lp_code lp_registry_wait(struct lp_registry *registry, uint64_t id, int timeout_ms,
                              const struct lp_avro_schema **ret_schema, struct lp_error *err)
{
    struct timespec deadline = deadline_of(timeout_ms);
    pthread_mutex_lock(&registry->mutex);
    enum lp_code rc = get_locked(registry, id, ret_schema, err);
    int waited = 0;
    while (rc == LP_E_PENDING && waited != ETIMEDOUT) {
        waited = pthread_cond_timedwait(&registry->changed, &registry->mutex, &deadline);
        rc = get_locked(registry, id, ret_schema, err);
    }
    pthread_mutex_unlock(&registry->mutex);
    return rc == LP_E_PENDING ? say_timeout(timeout_ms, err) : rc;
}

/* Hands a call to the thread, waits for its end and frees it. */
static enum lp_code run_call(struct lp_registry *registry, struct lp_registry_call *call, int timeout_ms,
                             uint64_t *ret_id, struct lp_error *err)
{
    struct timespec deadline = deadline_of(timeout_ms);
    lp_fail(err, LP_E_TIMEOUT, LP_RETRY, "registry: %.200s: no request has ended", call->path);
    pthread_mutex_lock(&registry->mutex);
    submit(registry, call);
    int waited = 0;
    while (!call->done && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&registry->changed, &registry->mutex, &deadline);
    bool done = call->done;
    call->abandoned = !done; /* then it is the thread's to free */
    if (call->last_error.code != LP_OK) *err = call->last_error;
    pthread_mutex_unlock(&registry->mutex);
    if (!done) {
        curl_multi_wakeup(registry->multi);
        return say_timeout(timeout_ms, err);
    }
    enum lp_code rc = call->error.code;
    if (rc == LP_OK) *ret_id = call->id;
    else *err = call->error;
    lp_registry_call_free(call);
    return rc;
}

static char *schema_body(struct lp_span schema_json)
{
    json_t *root = json_pack("{s:s%}", "schema", (const char *)schema_json.data, schema_json.size);
    char *body = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return body;
}

/* One of the blocking calls; `rest` follows /subjects/{subject}. */
static enum lp_code run_subject(struct lp_registry *registry, enum lp_registry_call_kind kind, const char *subject,
                                const char *rest, struct lp_span schema_json, int timeout_ms, uint64_t *ret_id,
                                struct lp_error *err)
{
    struct lp_registry_call *call = lp_registry_call_new(kind);
    if (call == NULL) return lp_fail_memory(err, sizeof *call);
    call->path = lp_registry_subject_path(subject, rest);
    if (schema_json.data != NULL) call->body = schema_body(schema_json);
    if (call->path == NULL || (schema_json.data != NULL && call->body == NULL)) {
        lp_registry_call_free(call);
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "registry: subject %.100s: its name is too long or the schema is not "
                       "UTF-8: correct it",
                       subject);
    }
    return run_call(registry, call, timeout_ms, ret_id, err);
}

enum lp_code lp_registry_register(struct lp_registry *registry, const char *subject, struct lp_span schema_json,
                                  int timeout_ms, uint64_t *ret_id, struct lp_error *err)
{
    return run_subject(registry, LP_REGISTRY_REGISTER, subject, "/versions", schema_json, timeout_ms, ret_id, err);
}

enum lp_code lp_registry_lookup(struct lp_registry *registry, const char *subject, struct lp_span schema_json,
                                int timeout_ms, uint64_t *ret_id, struct lp_error *err)
{
    return run_subject(registry, LP_REGISTRY_LOOKUP, subject, "", schema_json, timeout_ms, ret_id, err);
}

enum lp_code lp_registry_latest(struct lp_registry *registry, const char *subject, int timeout_ms,
                                const struct lp_avro_schema **ret_schema, uint64_t *ret_id, struct lp_error *err)
{
    uint64_t id = 0;
    struct lp_span nothing = {0};
    LP_TRY(run_subject(registry, LP_REGISTRY_LATEST, subject, "/versions/latest", nothing, timeout_ms, &id, err));
    LP_TRY(lp_registry_get(registry, id, ret_schema, err));
    *ret_id = id;
    return LP_OK;
}

void lp_registry_counts(struct lp_registry *registry, struct lp_registry_counts *ret_counts)
{
    *ret_counts = (struct lp_registry_counts){
        .requests = atomic_load_explicit(&registry->requests, memory_order_relaxed),
        .failures = atomic_load_explicit(&registry->failures, memory_order_relaxed),
        .not_found = atomic_load_explicit(&registry->not_found, memory_order_relaxed),
    };
}
