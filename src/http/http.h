/* /metrics, /livez, /readyz, /status: one extra thread that serves texts made by callbacks. Read-only. */
#ifndef LP_HTTP_HTTP_H
#define LP_HTTP_HTTP_H

#include "core/buffer.h"
#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

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
 * Listen on "host:port" ("127.0.0.1:8080", "0.0.0.0:0" picks a port, "[::1]:8080").
 * @param token NULL or the bearer token that /metrics, /status and / ask for; /livez and /readyz never do
 * @return LP_E_IO when the address cannot be bound (says which and why)
 */
LP_MUST_USE enum lp_code lp_http_new(const char *listen, const char *token, const struct lp_http_handlers *handlers,
                                     struct lp_http **ret_http, struct lp_error *err);
uint16_t lp_http_port(const struct lp_http *http);
/** Stops the thread. */
void lp_http_free(struct lp_http *http);

/** A tiny client for `lepton health`: GET on loopback, bounded by timeout_ms; *ret_status the HTTP status. */
LP_MUST_USE enum lp_code lp_http_get(const char *listen, const char *path, int timeout_ms, int *ret_status,
                                     struct lp_buffer *body, struct lp_error *err);

#endif
