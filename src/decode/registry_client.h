/* Inside the registry client: the cache (any thread, under the mutex) and the calls (the client's thread). */
#ifndef LP_DECODE_REGISTRY_CLIENT_H
#define LP_DECODE_REGISTRY_CLIENT_H

#include "core/buffer.h"
#include "decode/avro.h"
#include "decode/registry.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    LP_REGISTRY_URLS_MAX = 16,
    LP_REGISTRY_TEXT_MAX = 4096, /* URL, user, password, token, subject: bytes each */
    LP_REGISTRY_REFERENCES_MAX = 32,
    LP_REGISTRY_PENDING_MAX = 1024, /* ids being fetched or waiting to be; more are told to come again */
    LP_REGISTRY_TRANSFERS_MAX = 8,  /* requests at the same time */
    LP_REGISTRY_BACKOFF_MAX_MS = 30000,
    LP_REGISTRY_NEGATIVE_MIN_MS = 250,
    /* A schema of the largest size, each character escaped, and the fields around it. */
    LP_REGISTRY_ANSWER_MAX_BYTES = 2 * LP_AVRO_SCHEMA_MAX_BYTES + 65536,
};

enum lp_registry_state { LP_REGISTRY_PENDING, LP_REGISTRY_READY, LP_REGISTRY_FAILED };

/* One schema id. Under the mutex. */
struct lp_registry_entry {
    struct lp_registry_entry *next; /* in its bucket */
    uint64_t id;
    enum lp_registry_state state;
    struct lp_avro_schema *schema; /* ready */
    struct lp_error error;         /* failed: the answer; pending: the last failure, or code LP_OK */
    uint64_t expires_ns;           /* failed */
};

enum lp_registry_call_kind { LP_REGISTRY_FETCH, LP_REGISTRY_LATEST, LP_REGISTRY_REGISTER, LP_REGISTRY_LOOKUP };

struct lp_registry_reference {
    char *name, *subject; /* owned */
    int64_t version;
    char *schema; /* owned; NULL until fetched */
};

/*
 * A conversation with the registry: one request, or for a schema with references one each. Made by whoever asks, then
 * the thread's alone until `done`; `done` and `abandoned` are under the mutex.
 */
struct lp_registry_call {
    struct lp_registry_call *next;
    enum lp_registry_call_kind kind;
    uint64_t id;          /* fetch: which; the others: the answer's */
    char *path;           /* owned; of the first request, without the base URL */
    char *body;           /* owned; posted, or NULL */
    char *reference_path; /* owned; of the request at hand when it is for a reference; NULL: it is the first */
    char *schema;         /* owned; fetch, latest: its text, once there */
    struct lp_registry_reference references[LP_REGISTRY_REFERENCES_MAX];
    uint32_t reference_count, references_fetched;
    uint32_t url;         /* index of the one in use */
    uint32_t failed_urls; /* tried in vain since the last pause */
    long backoff_ms;      /* the next pause */
    uint64_t due_ns;      /* not before; 0: at once */
    CURL *easy;           /* NULL: not in flight */
    struct lp_buffer answer;
    char curl_error[CURL_ERROR_SIZE];
    struct lp_error error;         /* last failure; code LP_OK: none so far */
    struct lp_avro_schema *parsed; /* latest: handed to the cache */
    struct lp_error last_error;    /* under the mutex: of the last failed try; code LP_OK: none */
    bool done;                     /* error.code tells how */
    bool abandoned;                /* nobody waits any more: the thread frees it */
};

struct lp_registry {
    /* immutable after start */
    char *urls[LP_REGISTRY_URLS_MAX]; /* owned; without userinfo and trailing slash */
    uint32_t url_count;
    char *user, *password, *token, *ca_path, *certificate_path, *key_path, *key_password; /* owned, or NULL */
    long timeout_ms, retry_ms, negative_ttl_ms;
    uint32_t cache_max;
    struct curl_slist *headers;
    CURLM *multi;
    pthread_t thread;

    pthread_mutex_t mutex;
    pthread_cond_t changed; /* an entry or a call got its answer */
    bool stopping;
    struct lp_registry_entry **buckets; /* [bucket_mask + 1] */
    uint32_t bucket_mask;
    uint32_t ready_count, failed_count, pending_count;
    struct lp_registry_call *inbox; /* for the thread to take */

    _Atomic uint64_t requests, failures, not_found;

    /* thread only */
    struct lp_registry_call *calls;
    uint32_t transfers;
};

/* registry_options.c; what it has taken when it fails is the caller's to free */
LP_MUST_USE enum lp_code lp_registry_take_options(struct lp_registry *registry,
                                                  const struct lp_registry_options *options, struct lp_error *err);

/* registry_cache.c; all under the mutex */
struct lp_registry_entry *lp_registry_find(const struct lp_registry *registry, uint64_t id);
struct lp_registry_entry *lp_registry_add(struct lp_registry *registry, uint64_t id);
/** The fetch of an entry has ended: takes `schema` (NULL: failed with `error`). Returns LP_E_LIMIT as an error, too. */
void lp_registry_settle(struct lp_registry *registry, struct lp_registry_entry *entry, struct lp_avro_schema *schema,
                        const struct lp_error *error);
void lp_registry_cache_free(struct lp_registry *registry);

/* registry_call.c */
struct lp_registry_call *lp_registry_call_new(enum lp_registry_call_kind kind);
void lp_registry_call_free(struct lp_registry_call *call);
/** Path of the request to make next. */
const char *lp_registry_call_path(const struct lp_registry_call *call);
/** Forget every answer: the conversation begins again with its first request. */
void lp_registry_call_restart(struct lp_registry_call *call);
/** Path of the request that a call begins with. NULL: out of memory. */
char *lp_registry_id_path(uint64_t id);
char *lp_registry_subject_path(const char *subject, const char *rest);

/* registry_thread.c */
void *lp_registry_thread(void *registry);

/* registry_http.c; thread only */
LP_MUST_USE enum lp_code lp_registry_start(struct lp_registry *registry, struct lp_registry_call *call,
                                           struct lp_error *err);
void lp_registry_cancel(struct lp_registry *registry, struct lp_registry_call *call);

/* registry_answer.c */
enum lp_registry_verdict {
    LP_REGISTRY_ANSWERED, /* the call is over, well */
    LP_REGISTRY_GO_ON,    /* the call has another request to make */
    LP_REGISTRY_FINAL,    /* over, in vain: call->error */
    LP_REGISTRY_AGAIN,    /* call->error; trying again may help */
};
/** What the end of a transfer means. `status` 0 when there was no answer. After LP_REGISTRY_AGAIN the request is to be
 * made again; an answer that was there and of no use begins the whole conversation again. */
enum lp_registry_verdict lp_registry_judge(struct lp_registry *registry, struct lp_registry_call *call, CURLcode code,
                                           long status);

/* registry_reference.c */
/** The schema's text with every named type of the references written out where it is first used; malloc'ed. */
LP_MUST_USE enum lp_code lp_registry_inline(const char *schema, const struct lp_registry_reference *references,
                                            uint32_t reference_count, char **ret_schema, struct lp_error *err);

#endif
