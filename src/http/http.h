/* /metrics, /livez, /readyz, /status: one extra thread that serves texts made by callbacks. Read-only. */
#ifndef LP_HTTP_HTTP_H
#define LP_HTTP_HTTP_H

#include "core/buffer.h"
#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LP_HTTP_BODY_MAX_BYTES = 32 * 1024 * 1024, /* of an answer; a longer one becomes 500 */
    LP_HTTP_CONNECTIONS_MAX = 64,
    LP_HTTP_CONNECTIONS_KEPT = 32,     /* a new connection past these closes the oldest: slow clients starve nobody */
    LP_HTTP_REQUEST_MAX_BYTES = 16384, /* request line and headers; longer: 4xx or closed */
    LP_HTTP_IDLE_SECONDS = 10,
};

struct lp_http;

/** Called on the HTTP thread; must be quick, must not block on a lane. */
struct lp_http_handlers {
    void *context;
    void (*metrics)(void *context, struct lp_buffer *out); /* Prometheus text format 0.0.4 */
    void (*status)(void *context, struct lp_buffer *out);  /* JSON */
    bool (*live)(void *context, struct lp_buffer *out);    /* false: 503; `out` gets the reason, one line */
    bool (*ready)(void *context, struct lp_buffer *out);
};

/**
 * Listen on "host:port" ("127.0.0.1:8080", "0.0.0.0:0" picks a port, "[::1]:8080"). GET and HEAD only (else 405).
 * The thread blocks every signal, so that SIGTERM reaches the program's own.
 *
 * @param token    NULL or the bearer token that /metrics, /status and / ask for; /livez and /readyz never do; copied
 * @param handlers copied; the context is borrowed until lp_http_free
 * @return LP_E_IO when the address cannot be bound (says which and why), LP_E_INVALID, LP_E_NOT_FOUND (address)
 */
LP_MUST_USE enum lp_code lp_http_new(const char *listen, const char *token, const struct lp_http_handlers *handlers,
                                     struct lp_http **ret_http, struct lp_error *err);
uint16_t lp_http_port(const struct lp_http *http);
/** Can only this machine reach it? */
bool lp_http_is_local(const struct lp_http *http);
/** Stops the thread. NULL is fine. */
void lp_http_free(struct lp_http *http);

/** Version of the linked libmicrohttpd. */
const char *lp_http_version_text(void);

/**
 * A tiny client for `lepton health`: GET, bounded by timeout_ms in all. An "any" address (0.0.0.0, [::]) means
 * loopback.
 * @param body the answer's body is appended; its limit bounds the answer
 * @return LP_OK with the HTTP status; LP_E_IO (nobody listens), LP_E_TIMEOUT, LP_E_INVALID (not HTTP), LP_E_LIMIT
 */
LP_MUST_USE enum lp_code lp_http_get(const char *listen, const char *path, int timeout_ms, int *ret_status,
                                     struct lp_buffer *body, struct lp_error *err);

#endif
