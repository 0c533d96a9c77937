/* HTTP is asked all the time while the worker starts, streams, swaps, retires and stops: answers stay well formed, and
 * nothing that they read is written without a lock (ThreadSanitizer looks on). */
#include "support/fake_http.h"
#include "support/worker_bed.h"

#include "http/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { PARTITIONS = 2 };

struct asker {
    char address[32];
    atomic_bool quit;
    atomic_ulong answers, ready_answers, bad;
    pthread_t thread;
};

static const char *const paths[] = {"/status", "/metrics", "/readyz", "/livez"};

static bool well_formed(size_t path, const struct lp_buffer *body)
{
    if (path == 0) {
        json_t *root = json_loadb((const char *)body->data, body->size, 0, NULL);
        bool good = json_is_object(root) && json_is_string(json_object_get(root, "replica"));
        json_decref(root);
        return good;
    }
    return body->size > 0 && body->data[body->size - 1] == '\n';
}

static void *ask(void *context)
{
    struct asker *asker = context;
    struct lp_buffer body;
    struct lp_error err;
    lp_buffer_init(&body, 1 << 24);
    for (size_t i = 0; !atomic_load(&asker->quit); i = (i + 1) % WB_COUNT(paths)) {
        int status = 0;
        lp_buffer_clear(&body);
        if (lp_http_get(asker->address, paths[i], 5000, &status, &body, &err) != LP_OK) {
            usleep(1000); /* before it listens, after it has stopped */
            continue;
        }
        atomic_fetch_add(&asker->answers, 1);
        if (i == 2 && status == 200) atomic_fetch_add(&asker->ready_answers, 1);
        if ((status != 200 && status != 503) || !well_formed(i, &body)) atomic_fetch_add(&asker->bad, 1);
    }
    lp_buffer_done(&body);
    return NULL;
}

static void free_address(char text[32])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    snprintf(text, 32, "127.0.0.1:%d", ntohs(address.sin_port));
}

static void http_answers_through_the_whole_life(void **state)
{
    (void)state;
    struct wb wb;
    struct asker askers[2] = {0};
    /* The registry is away at first, so that the start waits while HTTP answers. */
    struct fake_http *registry = fake_http_new();
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", registry->port);
    fake_http_route(registry, "POST", "/subjects/drift-value/versions", 503, "{}", 0, 2);
    fake_http_route(registry, "POST", "/subjects/drift-value/versions", 200, "{\"id\":7}", 0, -1);
    fake_http_route(registry, "POST", "/subjects/out-value/versions", 200, "{\"id\":8}", 0, -1);
    wb_start(&wb, PARTITIONS);
    free_address(askers[0].address);
    memcpy(askers[1].address, askers[0].address, sizeof askers[1].address);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    wb_deploy(&wb, 1, "a", "");
    wb_run(&wb, (const char *[]){"http.listen", askers[0].address, "registry.url", url, "lanes", "2", "drift.topic",
                                 "drift", "drift.window_s", "1", "drift.lateness_s", "0", "drift.min_rows", "10",
                                 "input.event_time", "f0", NULL});
    assert_true(atomic_load(&askers[0].answers) > 0);
    wb_wait_ready(&wb);
    for (int i = 0; i < 1500; i++) {
        for (int32_t p = 0; p < PARTITIONS; p++) {
            char key[16], value[256];
            snprintf(key, sizeof key, "%d", i);
            snprintf(value, sizeof value, "{\"f0\":%d,\"f1\":1,\"f2\":2,\"f3\":3}", i * 10);
            struct wb_message message = {
                .topic = "in", .partition = p, .key = key, .value = value, .value_size = strlen(value)};
            wb_send(&wb, &message);
        }
        if (i % 300 == 100) wb_deploy(&wb, (uint64_t)i, i % 600 == 100 ? "b" : "c", "");
        usleep(1500);
    }
    wb_flush(&wb);
    struct lp_drift_latest latest[8];
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (wb_totals(&wb).predictions < 1500 * PARTITIONS || lp_worker_drift(wb.worker, latest, 8) == 0) {
        if (bed_ms() > deadline_ms)
            fail_msg("%llu predictions, %u drift reports", (unsigned long long)wb_totals(&wb).predictions,
                     lp_worker_drift(wb.worker, latest, 8));
        usleep(20000);
    }
    wb_control(&wb, "default", NULL);
    while (!wb_taken(&wb)) usleep(1000);
    wb_halt(&wb);
    for (int i = 0; i < 2; i++) {
        atomic_store(&askers[i].quit, true);
        pthread_join(askers[i].thread, NULL);
        print_message("%lu answers, %lu ready, %lu bad\n", atomic_load(&askers[i].answers),
                      atomic_load(&askers[i].ready_answers), atomic_load(&askers[i].bad));
        assert_int_equal(atomic_load(&askers[i].bad), 0);
        assert_true(atomic_load(&askers[i].ready_answers) > 0);
    }
    wb_end(&wb);
    fake_http_free(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(http_answers_through_the_whole_life)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
