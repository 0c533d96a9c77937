/* A small HTTP/1.1 server on 127.0.0.1 for tests: fixed answers by method and path, delays, counts, the last request.
 * One thread a connection; every answer closes its connection. */
#ifndef TEST_FAKE_HTTP_H
#define TEST_FAKE_HTTP_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FAKE_ROUTES_MAX = 64, FAKE_CONNECTIONS_MAX = 256, FAKE_REQUEST_BYTES = 65536 };

struct fake_route {
    const char *method, *path; /* borrowed; path with query, as it is in the request line */
    int status;
    const char *body; /* borrowed */
    int delay_ms;     /* before the answer */
    int times;        /* left to serve; -1: for ever */
    int count;        /* served */
};

struct fake_http {
    int fd;
    int port;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t stop;
    bool stopping;
    struct fake_route routes[FAKE_ROUTES_MAX];
    int route_count;
    int request_count; /* of all paths */
    int active, active_max;
    int sockets[FAKE_CONNECTIONS_MAX];
    pthread_t threads[FAKE_CONNECTIONS_MAX];
    int connection_count;
    char last[FAKE_REQUEST_BYTES]; /* the last request, head and body */
};

struct fake_connection {
    struct fake_http *server;
    int fd;
};

/* Adds an answer; among those for one path the first with times left is served. Returns its index. */
static inline int fake_http_route(struct fake_http *server, const char *method, const char *path, int status,
                                  const char *body, int delay_ms, int times)
{
    pthread_mutex_lock(&server->mutex);
    if (server->route_count == FAKE_ROUTES_MAX) abort();
    server->routes[server->route_count] = (struct fake_route){
        .method = method, .path = path, .status = status, .body = body, .delay_ms = delay_ms, .times = times};
    int index = server->route_count++;
    pthread_mutex_unlock(&server->mutex);
    return index;
}

static inline int fake_http_count(struct fake_http *server, int route)
{
    pthread_mutex_lock(&server->mutex);
    int count = route < 0 ? server->request_count : server->routes[route].count;
    pthread_mutex_unlock(&server->mutex);
    return count;
}

/* Copies the last request: a later one may come at any time. */
static inline void fake_http_last(struct fake_http *server, char *ret, size_t bytes)
{
    pthread_mutex_lock(&server->mutex);
    size_t size = strnlen(server->last, bytes - 1);
    memcpy(ret, server->last, size);
    ret[size] = '\0';
    pthread_mutex_unlock(&server->mutex);
}

/* Head and body (by Content-Length) of one request; false when the peer went away. */
static inline bool fake_http_read(int fd, char *request)
{
    size_t used = 0;
    for (;;) {
        ssize_t got = read(fd, request + used, FAKE_REQUEST_BYTES - 1 - used);
        if (got <= 0) return false;
        used += (size_t)got;
        request[used] = '\0';
        char *end = strstr(request, "\r\n\r\n");
        if (end == NULL) continue;
        const char *length = strstr(request, "Content-Length: ");
        size_t body = length != NULL && length < end ? (size_t)strtoul(length + 16, NULL, 10) : 0;
        if (used >= (size_t)(end + 4 - request) + body) return true;
    }
}

static inline struct fake_route fake_http_choose(struct fake_http *server, const char *request)
{
    struct fake_route answer = {.status = 404, .body = "{\"error_code\":404,\"message\":\"no such route\"}"};
    for (int i = 0; i < server->route_count; i++) {
        struct fake_route *route = &server->routes[i];
        char line[1024];
        snprintf(line, sizeof line, "%s %s HTTP/1.1\r\n", route->method, route->path);
        if (route->times == 0 || strncmp(request, line, strlen(line)) != 0) continue;
        if (route->times > 0) route->times--;
        route->count++;
        return *route;
    }
    return answer;
}

static inline void fake_http_wait(struct fake_http *server, int delay_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += delay_ms / 1000;
    until.tv_nsec += delay_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    int waited = 0;
    while (!server->stopping && waited == 0) waited = pthread_cond_timedwait(&server->stop, &server->mutex, &until);
}

static inline void *fake_http_serve(void *context)
{
    struct fake_connection connection = *(struct fake_connection *)context;
    struct fake_http *server = connection.server;
    free(context);
    char *request = malloc(FAKE_REQUEST_BYTES);
    if (request != NULL && fake_http_read(connection.fd, request)) {
        pthread_mutex_lock(&server->mutex);
        snprintf(server->last, sizeof server->last, "%s", request);
        server->request_count++;
        if (++server->active > server->active_max) server->active_max = server->active;
        struct fake_route answer = fake_http_choose(server, request);
        if (answer.delay_ms > 0) fake_http_wait(server, answer.delay_ms);
        server->active--;
        pthread_mutex_unlock(&server->mutex);
        char head[256];
        int size = snprintf(head, sizeof head,
                            "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\nLocation: /elsewhere\r\n\r\n",
                            answer.status, strlen(answer.body));
        if (send(connection.fd, head, (size_t)size, MSG_NOSIGNAL) > 0)
            for (size_t at = 0, left = strlen(answer.body); left > 0;) {
                ssize_t sent = send(connection.fd, answer.body + at, left, MSG_NOSIGNAL);
                if (sent <= 0) break;
                at += (size_t)sent;
                left -= (size_t)sent;
            }
    }
    free(request);
    shutdown(connection.fd, SHUT_RDWR);
    return NULL;
}

static inline void *fake_http_accept(void *context)
{
    struct fake_http *server = context;
    for (;;) {
        int fd = accept(server->fd, NULL, NULL);
        pthread_mutex_lock(&server->mutex);
        bool stopping = server->stopping || fd < 0 || server->connection_count == FAKE_CONNECTIONS_MAX;
        struct fake_connection *connection = stopping ? NULL : malloc(sizeof *connection);
        if (connection != NULL) {
            *connection = (struct fake_connection){.server = server, .fd = fd};
            server->sockets[server->connection_count] = fd;
            pthread_create(&server->threads[server->connection_count++], NULL, fake_http_serve, connection);
        }
        pthread_mutex_unlock(&server->mutex);
        if (connection != NULL) continue;
        if (fd >= 0) close(fd);
        return NULL;
    }
}

static inline struct fake_http *fake_http_new(void)
{
    struct fake_http *server = calloc(1, sizeof *server);
    if (server == NULL) abort();
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->stop, NULL);
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (server->fd < 0 || bind(server->fd, (struct sockaddr *)&address, size) != 0 || listen(server->fd, 64) != 0 ||
        getsockname(server->fd, (struct sockaddr *)&address, &size) != 0)
        abort();
    server->port = ntohs(address.sin_port);
    if (pthread_create(&server->thread, NULL, fake_http_accept, server) != 0) abort();
    return server;
}

static inline void fake_http_free(struct fake_http *server)
{
    if (server == NULL) return;
    pthread_mutex_lock(&server->mutex);
    server->stopping = true;
    pthread_cond_broadcast(&server->stop);
    pthread_mutex_unlock(&server->mutex);
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    for (int i = 0; i < server->connection_count; i++) {
        shutdown(server->sockets[i], SHUT_RDWR);
        pthread_join(server->threads[i], NULL);
        close(server->sockets[i]);
    }
    close(server->fd);
    pthread_cond_destroy(&server->stop);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}

#endif
