/* Schema registry client: libcurl on one thread of its own, so that no poll thread ever waits. */
#ifndef LP_DECODE_REGISTRY_H
#define LP_DECODE_REGISTRY_H

#include "core/error.h"
#include "core/span.h"

#include <stdint.h>

struct lp_registry;
struct lp_avro_schema;

/** All strings borrowed for the call. */
struct lp_registry_options {
    const char *url;             /* http(s)://host:port[/path]; several, comma separated, are tried in turn */
    const char *user, *password; /* basic auth, or NULL */
    const char *token;           /* bearer, or NULL */
    const char *ca_path;         /* CA file, or NULL for the system's */
    const char *certificate_path, *key_path, *key_password; /* our own, PEM; NULL: none */
    long timeout_ms;                                        /* a request, connect included */
    long retry_ms;        /* first back-off after a time-out or 5xx; doubles to 30 s */
    long negative_ttl_ms; /* how long a 404 is remembered */
    uint32_t cache_max;   /* schemas kept */
};

/** Starts the thread. Never contacts the registry by itself. */
LP_MUST_USE enum lp_code lp_registry_new(const struct lp_registry_options *options, struct lp_registry **ret_registry,
                                         struct lp_error *err);
/** Cancels what is in flight and joins the thread, at once. Nobody may be inside a blocking call. NULL is fine. */
void lp_registry_free(struct lp_registry *registry);

/**
 * The writer's schema for an id, its references (up to 32, theirs included) written into it. Any thread, never blocks.
 * LP_OK: *ret_schema is the registry's own, valid for its life.
 * LP_E_PENDING/LP_RETRY: a fetch is under way (one per id, whoever asks). It goes on after time-outs, failed
 * connections, 5xx, 429 and every other answer that is not the registry's own word on the id (401, a 404 without an
 * error_code of 404xx, a page in HTML): the next URL, then a pause; the text names the last failure.
 * LP_E_NOT_FOUND/LP_SKIP_RECORD: the registry said 404 and error_code 404xx. LP_E_INVALID/LP_SKIP_RECORD: the schema is
 * not Avro or does not parse. LP_E_LIMIT/LP_SKIP_RECORD: too large, too many references, or the cache is full.
 */
LP_MUST_USE enum lp_code lp_registry_get(struct lp_registry *registry, uint64_t id,
                                         const struct lp_avro_schema **ret_schema, struct lp_error *err);

/** As lp_registry_get, waits up to timeout_ms (LP_E_TIMEOUT). Not for lanes. */
LP_MUST_USE enum lp_code lp_registry_wait(struct lp_registry *registry, uint64_t id, int timeout_ms,
                                          const struct lp_avro_schema **ret_schema, struct lp_error *err);

/**
 * Register `schema_json` under `subject` (idempotent) and return its id. Blocks up to timeout_ms; not for lanes.
 * This and the two below: LP_E_TIMEOUT/LP_RETRY with the last failure's text (time-outs, connections, 5xx and 429 are
 * tried again until then); else LP_FATAL: LP_E_REFUSED (401, 403), LP_E_MISMATCH (409, incompatible), LP_E_INVALID
 * (422), LP_E_NOT_FOUND, LP_E_IO.
 */
LP_MUST_USE enum lp_code lp_registry_register(struct lp_registry *registry, const char *subject,
                                              struct lp_span schema_json, int timeout_ms, uint64_t *ret_id,
                                              struct lp_error *err);

/** Id of an already registered schema (POST /subjects/{s}); LP_E_NOT_FOUND when it is not there. */
LP_MUST_USE enum lp_code lp_registry_lookup(struct lp_registry *registry, const char *subject,
                                            struct lp_span schema_json, int timeout_ms, uint64_t *ret_id,
                                            struct lp_error *err);

/** The subject's latest schema and id; the schema as in lp_registry_get. Blocks; not for lanes. */
LP_MUST_USE enum lp_code lp_registry_latest(struct lp_registry *registry, const char *subject, int timeout_ms,
                                            const struct lp_avro_schema **ret_schema, uint64_t *ret_id,
                                            struct lp_error *err);

/** Counters for /metrics. Any thread. */
struct lp_registry_counts {
    uint64_t requests, failures, not_found;
};
void lp_registry_counts(struct lp_registry *registry, struct lp_registry_counts *ret_counts);

#endif
