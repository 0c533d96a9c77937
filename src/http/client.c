#include "http/http.h"

#include "core/clock.h"
#include "http/address.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER_MAX_BYTES = 16384 };

struct call {
    const char *address;
    int socket;
    uint64_t deadline_ns;
};

static enum lp_code io_failure(const struct call *call, int failed, struct lp_error *err)
{
    return lp_fail(err, LP_E_IO, LP_RETRY, "%.200s: %s: is the worker running, and http.listen right?", call->address,
                   strerror(failed));
}

/* Wait until the socket may be read or written. */
static enum lp_code wait_for(const struct call *call, short events, struct lp_error *err)
{
    for (;;) {
        uint64_t now = lp_clock_ns();
        int left_ms = now < call->deadline_ns ? (int)((call->deadline_ns - now) / 1000000) + 1 : 0;
        struct pollfd poller = {.fd = call->socket, .events = events};
        int ready = poll(&poller, 1, left_ms);
        if (ready > 0) return LP_OK;
        if (ready < 0 && errno != EINTR) return io_failure(call, errno, err);
        if (ready == 0 && left_ms == 0)
            return lp_fail(err, LP_E_TIMEOUT, LP_RETRY, "%.200s: no answer in time: is the worker stuck?",
                           call->address);
    }
}

static enum lp_code connect_one(struct call *call, const struct addrinfo *to, struct lp_error *err)
{
    call->socket = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (call->socket < 0) return io_failure(call, errno, err);
    enum lp_code rc = LP_OK;
    int failed = connect(call->socket, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno;
    if (failed == EINPROGRESS) {
        socklen_t bytes = sizeof failed;
        LP_GUARD(wait_for(call, POLLOUT, err));
        if (getsockopt(call->socket, SOL_SOCKET, SO_ERROR, &failed, &bytes) != 0) failed = errno;
    }
    if (failed != 0) rc = io_failure(call, failed, err);
out:
    if (rc != LP_OK) {
        close(call->socket);
        call->socket = -1;
    }
    return rc;
}

static enum lp_code connect_any(struct call *call, struct lp_error *err)
{
    struct addrinfo *list;
    LP_TRY(lp_address_resolve(call->address, true, &list, err));
    enum lp_code rc = LP_E_IO;
    for (const struct addrinfo *at = list; at != NULL && rc != LP_OK; at = at->ai_next) rc = connect_one(call, at, err);
    freeaddrinfo(list);
    return rc;
}

static enum lp_code send_request(const struct call *call, const char *path, struct lp_error *err)
{
    char request[1024];
    /* HTTP/1.0: the answer ends with the connection and is never chunked. */
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, call->address);
    if (length < 0 || (size_t)length >= sizeof request)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%.200s: path or address too long", call->address);
    for (size_t sent = 0; sent < (size_t)length;) {
        LP_TRY(wait_for(call, POLLOUT, err));
        ssize_t count = send(call->socket, request + sent, (size_t)length - sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN && errno != EINTR) return io_failure(call, errno, err);
        if (count > 0) sent += (size_t)count;
    }
    return LP_OK;
}

static enum lp_code read_all(const struct call *call, struct lp_buffer *answer, struct lp_error *err)
{
    for (;;) {
        unsigned char bytes[4096];
        LP_TRY(wait_for(call, POLLIN, err));
        ssize_t count = recv(call->socket, bytes, sizeof bytes, 0);
        if (count == 0) return LP_OK;
        if (count < 0 && errno != EAGAIN && errno != EINTR) return io_failure(call, errno, err);
        if (count > 0) lp_buffer_append(answer, bytes, (size_t)count);
        LP_TRY(lp_buffer_check(answer, "the worker's answer", err));
    }
}

/* "HTTP/1.1 200 OK", headers, an empty line, the body. */
static enum lp_code parse_answer(const struct call *call, const struct lp_buffer *answer, int *ret_status,
                                 struct lp_buffer *body, struct lp_error *err)
{
    struct lp_span text = lp_buffer_span(answer);
    const unsigned char *end = text.size > 0 ? memmem(text.data, text.size, "\r\n\r\n", 4) : NULL;
    bool good = end != NULL && text.size > 12 && memcmp(text.data, "HTTP/1.", 7) == 0 && text.data[8] == ' ';
    int status = 0;
    for (int i = 9; good && i < 12; i++) {
        good = isdigit(text.data[i]) != 0;
        status = status * 10 + (text.data[i] - '0');
    }
    if (!good)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "%.200s: does not speak HTTP: is this the worker's http.listen?",
                       call->address);
    lp_buffer_append(body, end + 4, text.size - (size_t)(end + 4 - text.data));
    LP_TRY(lp_buffer_check(body, "the worker's answer", err));
    *ret_status = status;
    return LP_OK;
}

enum lp_code lp_http_get(const char *listen, const char *path, int timeout_ms, int *ret_status, struct lp_buffer *body,
                         struct lp_error *err)
{
    struct call call = {.address = listen,
                        .socket = -1,
                        .deadline_ns = lp_clock_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000};
    struct lp_buffer answer;
    lp_buffer_init(&answer, body->max + HEADER_MAX_BYTES);
    enum lp_code rc = LP_OK;
    LP_GUARD(connect_any(&call, err));
    LP_GUARD(send_request(&call, path, err));
    LP_GUARD(read_all(&call, &answer, err));
    LP_GUARD(parse_answer(&call, &answer, ret_status, body, err));
out:
    if (call.socket >= 0) close(call.socket);
    lp_buffer_done(&answer);
    return rc;
}
