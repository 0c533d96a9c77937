#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http.h"

#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct {
    bool ready, large;
} worker;

static void metrics(void *context, struct lp_buffer *out)
{
    assert_ptr_equal(context, &worker);
    if (!worker.large) lp_buffer_text(out, "lepton_records_total 3\n");
    else
        while (!out->failed) lp_buffer_format(out, "%01023d\n", 0);
}

static void status(void *context, struct lp_buffer *out)
{
    assert_ptr_equal(context, &worker);
    lp_buffer_text(out, "{\"state\":\"serving\"}");
}

static bool live(void *context, struct lp_buffer *out)
{
    assert_ptr_equal(context, &worker);
    (void)out;
    return true;
}

static bool ready(void *context, struct lp_buffer *out)
{
    assert_ptr_equal(context, &worker);
    if (!worker.ready) lp_buffer_text(out, "no model");
    return worker.ready;
}

static const struct lp_http_handlers handlers = {&worker, metrics, status, live, ready};

static struct lp_http *start(const char *token)
{
    struct lp_http *http = NULL;
    struct lp_error err = {0};
    worker.ready = true;
    worker.large = false;
    if (lp_http_new("127.0.0.1:0", token, &handlers, &http, &err) != LP_OK) fail_msg("%s", err.text);
    assert_int_not_equal(lp_http_port(http), 0);
    return http;
}

static int dial(uint16_t port)
{
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 20};
    assert_true(s >= 0);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(s, (struct sockaddr *)&to, sizeof to), 0);
    return s;
}

/* Everything until the server closes; a reset counts as the end. */
static size_t hear(int s, char *answer, size_t bytes)
{
    size_t used = 0;
    for (ssize_t got; used < bytes - 1 && (got = recv(s, answer + used, bytes - 1 - used, 0)) > 0;) used += (size_t)got;
    answer[used] = '\0';
    close(s);
    return used;
}

static char answer[1 << 16];

static int ask(const struct lp_http *http, const char *request)
{
    int s = dial(lp_http_port(http));
    assert_int_equal(send(s, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    hear(s, answer, sizeof answer);
    return strncmp(answer, "HTTP/1.", 7) == 0 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

static int get(const struct lp_http *http, const char *path, const char *headers)
{
    char request[1024];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", path, headers);
    return ask(http, request);
}

static const char *body(void)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end != NULL ? end + 4 : "";
}

static void every_page_answers_in_its_own_type(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL);
    assert_int_equal(get(http, "/metrics", ""), 200);
    assert_string_equal(body(), "lepton_records_total 3\n");
    assert_non_null(strcasestr(answer, "\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_int_equal(get(http, "/status?pretty=1", ""), 200);
    assert_string_equal(body(), "{\"state\":\"serving\"}");
    assert_non_null(strcasestr(answer, "\r\ncontent-type: application/json\r\n"));
    assert_int_equal(get(http, "/livez", ""), 200);
    assert_string_equal(body(), "ok\n");
    assert_int_equal(get(http, "/", ""), 200);
    assert_int_equal(get(http, "/metrics/", ""), 404);
    assert_int_equal(get(http, "/../etc/passwd", ""), 404);
    lp_http_free(http);
}

static void a_probe_that_says_no_is_503_with_its_reason(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL);
    worker.ready = false;
    assert_int_equal(get(http, "/readyz", ""), 503);
    assert_string_equal(body(), "no model\n");
    worker.ready = true;
    assert_int_equal(get(http, "/readyz", ""), 200);
    lp_http_free(http);
}

static void only_get_and_head_are_served(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL);
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "X"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "%s /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", methods[i]);
        assert_int_equal(ask(http, request), 405);
        assert_non_null(strcasestr(answer, "\r\nallow: GET, HEAD\r\n"));
    }
    assert_int_equal(ask(http, "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nabc"), 405);
    lp_http_free(http);
}

static void head_is_get_without_the_body(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL);
    assert_int_equal(ask(http, "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 200);
    assert_string_equal(body(), "");
    assert_non_null(strcasestr(answer, "\r\ncontent-length: 23\r\n"));
    lp_http_free(http);
}

static void the_token_guards_all_but_the_probes(void **state)
{
    (void)state;
    struct lp_http *http = start("s3cret");
    assert_int_equal(get(http, "/livez", ""), 200);
    assert_int_equal(get(http, "/readyz", ""), 200);
    static const char *const wrong[] = {"",
                                        "Authorization: Bearer\r\n",
                                        "Authorization: Bearer \r\n",
                                        "Authorization: Bearer s3cre\r\n",
                                        "Authorization: Bearer s3crets3cret\r\n",
                                        "Authorization: Bearer S3cret\r\n",
                                        "Authorization: Basic s3cret\r\n",
                                        "Authorization: s3cret\r\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(get(http, "/metrics", wrong[i]), 401);
        assert_non_null(strcasestr(answer, "\r\nwww-authenticate: Bearer"));
        assert_null(strstr(answer, "lepton_records_total"));
    }
    assert_int_equal(get(http, "/status", ""), 401);
    assert_int_equal(get(http, "/", ""), 401);
    assert_int_equal(get(http, "/nothing", ""), 401); /* nor is it said what exists */
    assert_int_equal(get(http, "/metrics", "Authorization: Bearer s3cret\r\n"), 200);
    assert_int_equal(get(http, "/status", "authorization: bearer s3cret\r\n"), 200);
    lp_http_free(http);
}

static void a_header_past_the_limit_is_refused_and_the_next_client_served(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL);
    size_t bytes = 1 << 20;
    char *request = malloc(bytes + 1);
    assert_non_null(request);
    memset(request, 'a', bytes);
    memcpy(request, "GET /livez HTTP/1.1\r\nX: ", 24);
    int s = dial(lp_http_port(http));
    for (size_t sent = 0; sent < bytes;) {
        ssize_t count = send(s, request + sent, bytes - sent, MSG_NOSIGNAL);
        if (count <= 0) break; /* refused while we still send */
        sent += (size_t)count;
    }
    hear(s, answer, sizeof answer);
    free(request);
    assert_null(strstr(answer, " 200 "));
    assert_int_equal(get(http, "/livez", ""), 200);
    lp_http_free(http);
}

static void bytes_that_are_not_http_are_refused(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL);
    static const char *const requests[] = {"\x16\x03\x01\x02\x01\x01\xfc\x03\x03\r\n\r\n", "GET\r\n\r\n",
                                           "\r\n\r\n\r\n", "GET /livez\r\n"};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        int s = dial(lp_http_port(http));
        assert_int_equal(send(s, requests[i], strlen(requests[i]), MSG_NOSIGNAL), strlen(requests[i]));
        shutdown(s, SHUT_WR); /* else the server would wait for more until its time-out */
        hear(s, answer, sizeof answer);
        assert_null(strstr(answer, " 200 "));
    }
    assert_int_equal(get(http, "/livez", ""), 200);
    lp_http_free(http);
}

static void an_answer_past_the_limit_is_an_error(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL);
    worker.large = true;
    assert_int_equal(get(http, "/metrics", ""), 500);
    worker.large = false;
    assert_int_equal(get(http, "/metrics", ""), 200);
    lp_http_free(http);
}

/* Clients that never finish their request hold places; the probe must get through all the same. */
static void slow_clients_cannot_lock_the_probe_out(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL);
    int slow[200];
    for (size_t i = 0; i < 200; i++) {
        slow[i] = dial(lp_http_port(http));
        assert_int_equal(send(slow[i], "GET /livez HT", 13, MSG_NOSIGNAL), 13);
        if (i % 20 == 0) assert_int_equal(get(http, "/livez", ""), 200);
    }
    assert_int_equal(get(http, "/livez", ""), 200);
    /* The first of them are gone, the last still open. */
    struct pollfd first = {.fd = slow[0], .events = POLLIN}, last = {.fd = slow[199], .events = POLLIN};
    assert_int_equal(poll(&first, 1, 2000), 1);
    assert_int_equal(poll(&last, 1, 0), 0);
    for (size_t i = 0; i < 200; i++) close(slow[i]);
    lp_http_free(http);
}

static void an_idle_connection_is_closed(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL);
    int s = dial(lp_http_port(http));
    assert_int_equal(send(s, "GET ", 4, MSG_NOSIGNAL), 4);
    struct pollfd poller = {.fd = s, .events = POLLIN};
    assert_int_equal(poll(&poller, 1, (LP_HTTP_IDLE_SECONDS + 5) * 1000), 1);
    hear(s, answer, sizeof answer);
    assert_null(strstr(answer, " 200 "));
    lp_http_free(http);
}

static void one_connection_serves_several_requests(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL);
    assert_int_equal(
        ask(http, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        200);
    assert_non_null(strstr(answer, "ok\n"));
    assert_non_null(strstr(answer, "serving"));
    lp_http_free(http);
}

static void the_thread_takes_no_signals(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL);
    assert_int_equal(get(http, "/livez", ""), 200);
    DIR *tasks = opendir("/proc/self/task");
    int others = 0, blocking = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char name[300], line[256];
        if (entry->d_name[0] == '.' || strtol(entry->d_name, NULL, 10) == getpid()) continue;
        snprintf(name, sizeof name, "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(name, "r");
        if (file == NULL) continue;
        unsigned long long blocked = 0;
        while (fgets(line, sizeof line, file) != NULL)
            if (sscanf(line, "SigBlk: %llx", &blocked) == 1) break;
        fclose(file);
        others++;
        blocking += (int)(blocked >> (SIGTERM - 1) & 1);
    }
    closedir(tasks);
    /* Sanitizers have a thread of their own, which blocks signals as well. */
    assert_true(others >= 1);
    assert_int_equal(blocking, others);
    lp_http_free(http);
}

static void addresses_that_cannot_be_bound_are_named(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL), *second = NULL;
    struct lp_error err;
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%u", lp_http_port(http));
    assert_int_equal(lp_http_new(address, NULL, &handlers, &second, &err), LP_E_IO);
    assert_non_null(strstr(err.text, address));
    assert_non_null(strstr(err.text, "in use"));
    assert_null(second);
    lp_http_free(http);
    static const char *const bad[] = {"",       ":80",   "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
                                      "::1:80", "[]:80", "[::1:80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(lp_http_new(bad[i], NULL, &handlers, &second, &err), LP_E_INVALID);
}

static void what_other_machines_can_reach_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *listen;
        bool local;
    } cases[] = {{"127.0.0.1:0", true}, {"127.9.9.9:0", true}, {"localhost:0", true}, {"0.0.0.0:0", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lp_http *http = NULL;
        struct lp_error err;
        assert_int_equal(lp_http_new(cases[i].listen, NULL, &handlers, &http, &err), LP_OK);
        assert_int_equal(lp_http_is_local(http), cases[i].local);
        lp_http_free(http);
    }
}

/* --- the client --- */

static int fake_server(uint16_t *ret_port)
{
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof name;
    assert_int_equal(bind(s, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(s, 4), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)&name, &bytes), 0);
    *ret_port = ntohs(name.sin_port);
    return s;
}

static enum lp_code client_get(uint16_t port, int *ret_status, struct lp_buffer *text, struct lp_error *err)
{
    char address[64];
    snprintf(address, sizeof address, "0.0.0.0:%u", port);
    return lp_http_get(address, "/readyz", 300, ret_status, text, err);
}

static void the_client_reads_status_and_body(void **state)
{
    (void)state;
    struct lp_http *http = start(NULL);
    struct lp_buffer text;
    struct lp_error err;
    int code = 0;
    lp_buffer_init(&text, 1024);
    assert_int_equal(client_get(lp_http_port(http), &code, &text, &err), LP_OK);
    assert_int_equal(code, 200);
    assert_true(lp_span_is(lp_buffer_span(&text), "ok\n"));
    lp_buffer_clear(&text);
    worker.ready = false;
    assert_int_equal(client_get(lp_http_port(http), &code, &text, &err), LP_OK);
    assert_int_equal(code, 503);
    assert_true(lp_span_is(lp_buffer_span(&text), "no model\n"));
    lp_buffer_done(&text);
    lp_http_free(http);
}

static void the_client_gives_up_in_time(void **state)
{
    (void)state;
    uint16_t port;
    int s = fake_server(&port), code;
    struct lp_buffer text;
    struct lp_error err;
    lp_buffer_init(&text, 1024);
    assert_int_equal(client_get(port, &code, &text, &err), LP_E_TIMEOUT);
    close(s);
    assert_int_equal(client_get(port, &code, &text, &err), LP_E_IO);
    assert_non_null(strstr(err.text, "refused"));
    lp_buffer_done(&text);
}

static void answered(const char *bytes, size_t count, enum lp_code expected)
{
    uint16_t port;
    int s = fake_server(&port), code = 0;
    struct lp_buffer text;
    struct lp_error err;
    char address[64];
    /* The kernel completes the connection before accept, so one thread can play both sides of a small exchange. */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int peer = accept(s, NULL, NULL);
        char request[1024];
        ssize_t got = recv(peer, request, sizeof request, 0);
        for (size_t sent = 0; got > 0 && sent < count;) {
            ssize_t more = send(peer, bytes + sent, count - sent, MSG_NOSIGNAL);
            if (more <= 0) break;
            sent += (size_t)more;
        }
        close(peer);
        _exit(0);
    }
    close(s);
    lp_buffer_init(&text, 1024);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    assert_int_equal(lp_http_get(address, "/", 2000, &code, &text, &err), expected);
    lp_buffer_done(&text);
}

static void the_client_refuses_what_is_not_http_or_too_long(void **state)
{
    (void)state;
    answered("", 0, LP_E_INVALID);
    answered("HTTP/1.1 200 OK\r\n", 17, LP_E_INVALID);
    answered("HTTP/1.1 2x0 OK\r\n\r\n", 19, LP_E_INVALID);
    answered("SSH-2.0-OpenSSH\r\n\r\n", 19, LP_E_INVALID);
    answered("HTTP/1.0 204 No\r\n\r\n", 19, LP_OK);
    static char large[100000];
    memset(large, 'x', sizeof large);
    memcpy(large, "HTTP/1.1 200 OK\r\n\r\n", 19);
    answered(large, sizeof large, LP_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_answers_in_its_own_type),
        cmocka_unit_test(a_probe_that_says_no_is_503_with_its_reason),
        cmocka_unit_test(only_get_and_head_are_served),
        cmocka_unit_test(head_is_get_without_the_body),
        cmocka_unit_test(the_token_guards_all_but_the_probes),
        cmocka_unit_test(a_header_past_the_limit_is_refused_and_the_next_client_served),
        cmocka_unit_test(bytes_that_are_not_http_are_refused),
        cmocka_unit_test(an_answer_past_the_limit_is_an_error),
        cmocka_unit_test(slow_clients_cannot_lock_the_probe_out),
        cmocka_unit_test(an_idle_connection_is_closed),
        cmocka_unit_test(one_connection_serves_several_requests),
        cmocka_unit_test(the_thread_takes_no_signals),
        cmocka_unit_test(addresses_that_cannot_be_bound_are_named),
        cmocka_unit_test(what_other_machines_can_reach_is_known),
        cmocka_unit_test(the_client_reads_status_and_body),
        cmocka_unit_test(the_client_gives_up_in_time),
        cmocka_unit_test(the_client_refuses_what_is_not_http_or_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
