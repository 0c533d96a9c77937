/* Kafka clients whose destruction never ends (it happens in the field): the worker stops in time and nothing is lost.
 */
// wrap: rd_kafka_destroy_flags rd_kafka_consumer_close_queue
#include "support/worker_bed.h"

#include "worker/watchdog.h"

#include <signal.h>
#include <sys/wait.h>

enum { RECORDS = 200, SHUTDOWN_MS = 2000, BUSY_MS = 5000 };

static atomic_bool hang;
static atomic_int hung;
void __real_rd_kafka_destroy_flags(rd_kafka_t *client, int flags);
void __wrap_rd_kafka_destroy_flags(rd_kafka_t *client, int flags);
void __wrap_rd_kafka_destroy_flags(rd_kafka_t *client, int flags)
{
    if (atomic_load(&hang)) {
        atomic_fetch_add(&hung, 1);
        for (;;) pause();
    }
    __real_rd_kafka_destroy_flags(client, flags);
}

static atomic_bool hang_close;
rd_kafka_error_t *__real_rd_kafka_consumer_close_queue(rd_kafka_t *client, rd_kafka_queue_t *queue);
rd_kafka_error_t *__wrap_rd_kafka_consumer_close_queue(rd_kafka_t *client, rd_kafka_queue_t *queue);
rd_kafka_error_t *__wrap_rd_kafka_consumer_close_queue(rd_kafka_t *client, rd_kafka_queue_t *queue)
{
    while (atomic_load(&hang_close)) pause();
    return __real_rd_kafka_consumer_close_queue(client, queue);
}

static int64_t committed_sum(struct wb *wb, uint32_t partitions)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256];
    int64_t sum = 0;
    rd_kafka_conf_set(conf, "bootstrap.servers", wb->bed.settings[0].value, text, sizeof text);
    rd_kafka_conf_set(conf, "group.id", "g", text, sizeof text);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    assert_non_null(client);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)partitions);
    for (uint32_t p = 0; p < partitions; p++) rd_kafka_topic_partition_list_add(list, "in", (int32_t)p);
    assert_int_equal(rd_kafka_committed(client, list, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    for (int i = 0; i < list->cnt; i++) sum += list->elems[i].offset > 0 ? list->elems[i].offset : 0;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(client);
    return sum;
}

static void a_worker_whose_clients_hang_stops_in_time_with_everything_committed(void **state)
{
    static struct wb wb;
    static const char *const settings[] = {"shutdown.timeout_ms", "2000", NULL};
    (void)state;
    wb_start(&wb, 2);
    wb_deploy(&wb, 1, "a", "");
    wb_run(&wb, settings);
    for (int i = 0; i < RECORDS; i++) wb_send_case(&wb, i % 2, i, WB_CASES_COMPLETE);
    wb_flush(&wb);
    wb_wait_ready(&wb);
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (wb_totals(&wb).acknowledged < RECORDS) {
        assert_true(bed_ms() < deadline_ms);
        usleep(10000);
    }
    uint32_t before = lp_kafka_left_behind();
    uint64_t began_ms = bed_ms();
    atomic_store(&hang, true);
    wb_halt(&wb);
    uint64_t took_ms = bed_ms() - began_ms;
    atomic_store(&hang, false);
    assert_true(atomic_load(&hung) >= 3); /* consumer, producer, control */
    assert_int_equal(lp_kafka_left_behind() - before, atomic_load(&hung));
    if (took_ms > SHUTDOWN_MS + BUSY_MS) fail_msg("stopped after %llu ms", (unsigned long long)took_ms);
    assert_int_equal(committed_sum(&wb, 2), RECORDS);
    rd_kafka_destroy(wb.producer); /* the mock cluster stays for those that hang */
}

static bool yes(void *context)
{
    (void)context;
    return true;
}

static void the_watchdog_ends_a_process_that_does_not(void **state)
{
    int status;
    (void)state;
    uint64_t began_ms = bed_ms();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (lp_watchdog_new(100, yes, NULL) == NULL) _exit(2);
        for (;;) pause();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_true(bed_ms() - began_ms >= LP_WATCHDOG_MARGIN_MS);
}

/* A process of its own: as `lepton run` does, until a lane fails whose consumer never closes. Does not return; writes a
 * byte when the stop begins. */
static void run_until_a_lane_fails(int stopping)
{
    static struct wb wb;
    static const char *const settings[] = {"shutdown.timeout_ms", "1000", "dead_letter.topic", "", NULL};
    struct wb_message bad = {.topic = "in", .value = "no record", .value_size = 9};
    wb_start(&wb, 1);
    wb_deploy(&wb, 1, "a", "");
    wb_configure(&wb, settings);
    BED_OK(lp_worker_start(wb.config, NULL, NULL, &wb.worker, &bed_err));
    atomic_store(&hang_close, true);
    wb_send(&wb, &bad);
    wb_flush(&wb);
    while (lp_worker_tick(wb.worker, &bed_err) == LP_OK) usleep(10000);
    assert_int_equal(write(stopping, "s", 1), 1);
    lp_worker_stop(wb.worker);
    _exit(3);
}

static void a_lane_that_fails_and_hangs_does_not_keep_the_process(void **state)
{
    int status = 0, ends[2];
    char byte = 0;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork(), ended = 0;
    assert_true(child >= 0);
    if (child == 0) run_until_a_lane_fails(ends[1]);
    close(ends[1]);
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while ((ended = waitpid(child, &status, WNOHANG)) == 0 && bed_ms() < deadline_ms) usleep(20000);
    if (ended == 0) kill(child, SIGKILL);
    assert_int_equal(ended, child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1); /* the watchdog's */
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
}

static void a_watchdog_that_is_not_needed_goes(void **state)
{
    (void)state;
    struct lp_watchdog *watchdog = lp_watchdog_new(60000, NULL, NULL);
    assert_non_null(watchdog);
    uint64_t deadline_ns = lp_watchdog_arm(watchdog);
    assert_true(deadline_ns > lp_clock_ns());
    assert_true(lp_watchdog_arm(watchdog) == deadline_ns); /* counts from the first sign on */
    lp_watchdog_phase(watchdog, "a test");
    lp_watchdog_free(watchdog);
    lp_watchdog_free(NULL);
    assert_int_equal(lp_watchdog_arm(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_lane_that_fails_and_hangs_does_not_keep_the_process), /* first: forks before there are threads */
        cmocka_unit_test(a_watchdog_that_is_not_needed_goes),
        cmocka_unit_test(the_watchdog_ends_a_process_that_does_not),
        cmocka_unit_test(a_worker_whose_clients_hang_stops_in_time_with_everything_committed),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fflush(NULL);
    _exit(failed); /* as the program does: threads of what was left behind still run */
}
