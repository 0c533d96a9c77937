#include "http/http.h"

#include "http/address.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One open connection, in the order of arrival. Only the HTTP thread touches the list. */
struct visitor {
    struct visitor *older, *newer;
    int socket;
    bool evicted;
};

struct lp_http {
    struct MHD_Daemon *daemon;
    struct lp_http_handlers handlers;
    char *token; /* owned; NULL: none */
    uint16_t port;
    bool local;
    struct visitor *oldest, *newest;
    uint32_t visitor_count; /* not evicted */
};

enum mime { MIME_TEXT, MIME_METRICS, MIME_JSON };

static const char index_text[] = "lepton\n\n/metrics  Prometheus\n/status   JSON\n/livez\n/readyz\n";

/*
 * Time-outs end idle connections only; a client that drips bytes would hold its place for ever, and enough of them
 * would lock the health check out. So the oldest goes when there are many.
 */
static void evict_oldest(struct lp_http *http)
{
    for (struct visitor *visitor = http->oldest; visitor != NULL; visitor = visitor->newer) {
        if (visitor->evicted) continue;
        visitor->evicted = true;
        http->visitor_count--;
        shutdown(visitor->socket, SHUT_RDWR);
        return;
    }
}

static void visitor_comes(struct lp_http *http, struct MHD_Connection *connection, void **ret_visitor)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct visitor *visitor = info != NULL ? calloc(1, sizeof *visitor) : NULL;
    *ret_visitor = visitor;
    if (visitor == NULL) return;
    if (http->visitor_count >= LP_HTTP_CONNECTIONS_KEPT) evict_oldest(http);
    *visitor = (struct visitor){.older = http->newest, .socket = info->connect_fd};
    *(http->newest != NULL ? &http->newest->newer : &http->oldest) = visitor;
    http->newest = visitor;
    http->visitor_count++;
}

static void visitor_goes(struct lp_http *http, struct visitor *visitor)
{
    if (visitor == NULL) return;
    *(visitor->older != NULL ? &visitor->older->newer : &http->oldest) = visitor->newer;
    *(visitor->newer != NULL ? &visitor->newer->older : &http->newest) = visitor->older;
    http->visitor_count -= !visitor->evicted;
    free(visitor);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) visitor_comes(context, connection, socket_context);
    else visitor_goes(context, *socket_context);
}

/* Time depends on the caller's text only. */
static bool same_token(const char *expected, const char *got)
{
    size_t expected_bytes = strlen(expected), got_bytes = strlen(got);
    unsigned char differs = expected_bytes != got_bytes;
    for (size_t i = 0; i < got_bytes; i++)
        differs |= (unsigned char)(got[i] ^ expected[expected_bytes > 0 ? i % expected_bytes : 0]);
    return differs == 0;
}

static bool may_read(const struct lp_http *http, struct MHD_Connection *connection)
{
    if (http->token == NULL) return true;
    const char *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0) return false;
    return same_token(http->token, header + 7 + strspn(header + 7, " "));
}

/* Takes `response`; NULL ends the connection. */
static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status, enum mime mime,
                                     struct MHD_Response *response)
{
    static const char *const types[] = {"text/plain; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8",
                                        "application/json"};
    if (response == NULL) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, types[mime]);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"lepton\"");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
    /* The text is static; the cast drops a const that persistent mode honours. */
    return send_response(
        connection, status, MIME_TEXT,
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT));
}

/* Takes the buffer's bytes. */
static enum MHD_Result answer_buffer(struct MHD_Connection *connection, unsigned status, enum mime mime,
                                     struct lp_buffer *body)
{
    if (body->failed) {
        lp_buffer_done(body);
        return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer is too large\n");
    }
    struct MHD_Response *response =
        body->data == NULL ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)
                           : MHD_create_response_from_buffer(body->size, body->data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) lp_buffer_done(body);
    return send_response(connection, status, mime, response);
}

static enum MHD_Result answer_probe(const struct lp_http *http, struct MHD_Connection *connection,
                                    bool (*probe)(void *context, struct lp_buffer *out))
{
    struct lp_buffer body;
    lp_buffer_init(&body, LP_HTTP_BODY_MAX_BYTES);
    bool good = probe(http->handlers.context, &body);
    if (body.size == 0) lp_buffer_text(&body, good ? "ok" : "not yet");
    if (body.data != NULL && body.data[body.size - 1] != '\n') lp_buffer_text(&body, "\n");
    return answer_buffer(connection, good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, MIME_TEXT, &body);
}

static enum MHD_Result answer_page(const struct lp_http *http, struct MHD_Connection *connection, enum mime mime,
                                   void (*make)(void *context, struct lp_buffer *out))
{
    struct lp_buffer body;
    lp_buffer_init(&body, LP_HTTP_BODY_MAX_BYTES);
    make(http->handlers.context, &body);
    return answer_buffer(connection, MHD_HTTP_OK, mime, &body);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_bytes, void **request)
{
    (void)version, (void)upload;
    static char seen;
    const struct lp_http *http = context;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    /* The first call has the headers only; an answer given there, before the request's end, would close the connection
     * after it. Right for what is refused above. */
    if (*request == NULL) {
        *request = &seen;
        return MHD_YES;
    }
    if (*upload_bytes != 0) return MHD_NO; /* nobody sends a body with GET */
    if (strcmp(url, "/livez") == 0) return answer_probe(http, connection, http->handlers.live);
    if (strcmp(url, "/readyz") == 0) return answer_probe(http, connection, http->handlers.ready);
    if (!may_read(http, connection))
        return answer_text(connection, MHD_HTTP_UNAUTHORIZED, "a bearer token is asked for\n");
    if (strcmp(url, "/metrics") == 0) return answer_page(http, connection, MIME_METRICS, http->handlers.metrics);
    if (strcmp(url, "/status") == 0) return answer_page(http, connection, MIME_JSON, http->handlers.status);
    if (strcmp(url, "/") == 0) return answer_text(connection, MHD_HTTP_OK, index_text);
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "not found\n");
}

static int open_listener(const struct addrinfo *address)
{
    int listener = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0) return -1;
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, address->ai_addr, address->ai_addrlen) == 0 && listen(listener, 128) == 0) return listener;
    int failed = errno;
    close(listener);
    errno = failed;
    return -1;
}

/* The first of the host's addresses that can be bound. */
static enum lp_code bind_address(const char *address, int *ret_listener, struct lp_error *err)
{
    struct addrinfo *list;
    LP_TRY(lp_address_resolve(address, false, &list, err));
    int listener = -1;
    for (const struct addrinfo *at = list; at != NULL && listener < 0; at = at->ai_next) listener = open_listener(at);
    int failed = errno;
    freeaddrinfo(list);
    if (listener < 0)
        return lp_fail(err, LP_E_IO, LP_FATAL, "%.200s: cannot listen: %s: set http.listen to a free address", address,
                       strerror(failed));
    *ret_listener = listener;
    return LP_OK;
}

static void learn_address(struct lp_http *http, int listener)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name = {0};
    socklen_t bytes = sizeof name;
    if (getsockname(listener, &name.any, &bytes) != 0) return;
    bool v6 = name.any.sa_family == AF_INET6;
    http->port = ntohs(v6 ? name.v6.sin6_port : name.v4.sin_port);
    http->local = v6 ? IN6_IS_ADDR_LOOPBACK(&name.v6.sin6_addr) : ntohl(name.v4.sin_addr.s_addr) >> 24 == 127;
}

static struct MHD_Daemon *start_daemon(struct lp_http *http, int listener)
{
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, listener,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)LP_HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)LP_HTTP_IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LP_HTTP_REQUEST_MAX_BYTES,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

enum lp_code lp_http_new(const char *listen, const char *token, const struct lp_http_handlers *handlers,
                         struct lp_http **ret_http, struct lp_error *err)
{
    int listener;
    LP_TRY(bind_address(listen, &listener, err));
    enum lp_code rc = LP_OK;
    struct lp_http *http = calloc(1, sizeof *http);
    if (http == NULL || (token != NULL && (http->token = strdup(token)) == NULL)) {
        rc = lp_fail_memory(err, sizeof *http);
        goto failed;
    }
    http->handlers = *handlers;
    learn_address(http, listener);
    http->daemon = start_daemon(http, listener);
    listener = -1; /* the daemon's now, and closed by it even when it fails to start */
    if (http->daemon == NULL) {
        rc = lp_fail(err, LP_E_IO, LP_FATAL, "%.200s: the HTTP thread does not start: %s", listen, strerror(errno));
        goto failed;
    }
    *ret_http = http;
    return LP_OK;
failed:
    if (listener >= 0) close(listener);
    lp_http_free(http);
    return rc;
}

uint16_t lp_http_port(const struct lp_http *http) { return http->port; }

bool lp_http_is_local(const struct lp_http *http) { return http->local; }

void lp_http_free(struct lp_http *http)
{
    if (http == NULL) return;
    if (http->daemon != NULL) MHD_stop_daemon(http->daemon);
    if (http->token != NULL) explicit_bzero(http->token, strlen(http->token));
    free(http->token);
    free(http);
}

const char *lp_http_version_text(void) { return MHD_get_version(); }
