// wrap: rd_kafka_conf_set_error_cb
#include "kafka/reader.h"

#include "kafka/admin.h"
#include "support/kafka_bed_shared.h"

#include <pthread.h>
#include <unistd.h>

/* librdkafka's error callback as the reader gave it: no test can make a process run out of threads. */
typedef void error_callback(rd_kafka_t *client, int code, const char *reason, void *opaque);
static error_callback *tell_error;
void __real_rd_kafka_conf_set_error_cb(rd_kafka_conf_t *conf, error_callback *callback);
void __wrap_rd_kafka_conf_set_error_cb(rd_kafka_conf_t *conf, error_callback *callback);
void __wrap_rd_kafka_conf_set_error_cb(rd_kafka_conf_t *conf, error_callback *callback)
{
    tell_error = callback;
    __real_rd_kafka_conf_set_error_cb(conf, callback);
}

static struct {
    uint32_t count, by_topic[4];
    int64_t next[4][16];
    bool disorder;
} seen;

static void on_record(void *context, const struct lp_reader_record *record)
{
    assert_ptr_equal(context, &seen);
    assert_true(record->topic_index < 4 && record->partition >= 0 && record->partition < 16);
    int64_t *next = &seen.next[record->topic_index][record->partition];
    if (record->offset != *next) seen.disorder = true;
    *next = record->offset + 1;
    seen.count++;
    seen.by_topic[record->topic_index]++;
}

static struct lp_reader *make_reader(const char *const *topics, uint32_t count)
{
    struct lp_reader *reader = NULL;
    memset(&seen, 0, sizeof seen);
    BED_OK(lp_reader_new(&bed.conf, "reader", topics, count, &reader, &bed_err));
    return reader;
}

static bool poll_until_caught_up(struct lp_reader *reader)
{
    uint64_t deadline_ms = bed_ms() + 15000;
    while (!lp_reader_caught_up(reader) && bed_ms() < deadline_ms)
        BED_OK(lp_reader_poll(reader, 50, on_record, &seen, &bed_err));
    return lp_reader_caught_up(reader);
}

static void all_partitions_of_all_topics_are_read_to_their_ends(void **state)
{
    static const char *const topics[] = {"control", "status", "empty"};
    (void)state;
    bed_topic(&bed, "control", 3);
    bed_topic(&bed, "status", 2);
    bed_topic(&bed, "empty", 4);
    bed_produce(&bed, "control", 3, 0, 5000);
    bed_produce(&bed, "status", 2, 0, 10);
    struct lp_reader *reader = make_reader(topics, 3);
    assert_false(lp_reader_caught_up(reader));
    assert_true(poll_until_caught_up(reader));
    /* Caught up means: all of it was handed over. */
    assert_int_equal(seen.by_topic[0], 15000);
    assert_int_equal(seen.by_topic[1], 20);
    assert_int_equal(seen.by_topic[2], 0);
    assert_false(seen.disorder);

    /* And it goes on with what comes. */
    bed_produce(&bed, "empty", 4, 0, 3);
    uint64_t deadline_ms = bed_ms() + 10000;
    while (seen.by_topic[2] < 12 && bed_ms() < deadline_ms)
        BED_OK(lp_reader_poll(reader, 50, on_record, &seen, &bed_err));
    assert_int_equal(seen.by_topic[2], 12);
    assert_true(lp_reader_caught_up(reader));
    lp_reader_free(reader);
}

static void a_second_reader_sees_everything_again(void **state)
{
    static const char *const topics[] = {"control"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct lp_reader *reader = make_reader(topics, 1);
        assert_true(poll_until_caught_up(reader));
        assert_int_equal(seen.count, 15000);
        lp_reader_free(reader);
    }
}

static void a_topic_that_appears_later_is_found_and_read_whole(void **state)
{
    static const char *const topics[] = {"later"};
    (void)state;
    if (bed.cluster != NULL) skip(); /* the mock creates what is asked for */
    struct lp_reader *reader = make_reader(topics, 1);
    assert_true(poll_until_caught_up(reader)); /* missing: empty, once the broker has said so */
    assert_int_equal(seen.count, 0);
    bed_topic(&bed, "later", 2);
    usleep(300000);
    bed_produce(&bed, "later", 2, 0, 50);
    uint64_t deadline_ms = bed_ms() + 10000;
    while (seen.count < 100 && bed_ms() < deadline_ms) BED_OK(lp_reader_poll(reader, 50, on_record, &seen, &bed_err));
    assert_int_equal(seen.count, 100);
    assert_false(seen.disorder);
    lp_reader_free(reader);
}

static void brokers_that_are_away_are_counted_and_not_an_error(void **state)
{
    static const char *const topics[] = {"control"};
    struct lp_kafka_setting nowhere[] = {{"bootstrap.servers", "127.0.0.1:1", LP_KAFKA_BOTH}};
    struct lp_kafka_conf conf = {.settings = nowhere, .setting_count = 1};
    struct lp_reader *reader = NULL;
    (void)state;
    BED_OK(lp_reader_new(&conf, "reader", topics, 1, &reader, &bed_err));
    for (int i = 0; i < 5; i++) BED_OK(lp_reader_poll(reader, 50, on_record, &seen, &bed_err));
    assert_false(lp_reader_caught_up(reader));
    assert_true(lp_reader_retries(reader) > 0);
    lp_reader_free(reader);
}

static void *wake_later(void *argument)
{
    usleep(200000);
    lp_reader_wake(argument);
    return NULL;
}

static void a_waiting_poll_is_woken(void **state)
{
    static const char *const topics[] = {"status"};
    pthread_t thread;
    (void)state;
    struct lp_reader *reader = make_reader(topics, 1);
    assert_true(poll_until_caught_up(reader));
    uint64_t began_ms;
    do { /* until nothing but the time-out ends a poll */
        began_ms = bed_ms();
        BED_OK(lp_reader_poll(reader, 100, on_record, &seen, &bed_err));
    } while (bed_ms() - began_ms < 90);
    pthread_create(&thread, NULL, wake_later, reader);
    began_ms = bed_ms();
    BED_OK(lp_reader_poll(reader, 1000, on_record, &seen, &bed_err));
    assert_in_range(bed_ms() - began_ms, 150, 5000);
    pthread_join(thread, NULL);
    lp_reader_free(reader);
}

static void a_client_without_a_thread_ends_the_reader(void **state)
{
    static const char *const topics[] = {"status"};
    (void)state;
    struct lp_reader *reader = make_reader(topics, 1);
    assert_true(poll_until_caught_up(reader));
    tell_error(NULL, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "Unable to create broker thread", reader);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lp_reader_poll(reader, 50, on_record, &seen, &bed_err), LP_E_IO);
        assert_int_equal(bed_err.action, LP_FATAL);
        assert_non_null(strstr(bed_err.text, "limit on processes"));
    }
    lp_reader_free(reader);
}

static void partition_counts_are_told_and_missing_topics_named(void **state)
{
    uint32_t count = 0;
    (void)state;
    bed_topic(&bed, "counted", 7);
    BED_OK(lp_admin_partition_count(&bed.conf, "counted", 5000, &count, &bed_err));
    assert_int_equal(count, 7);
    if (bed.cluster == NULL) {
        assert_int_equal(lp_admin_partition_count(&bed.conf, "nowhere", 5000, &count, &bed_err), LP_E_NOT_FOUND);
        assert_int_equal(bed_err.action, LP_FATAL);
        assert_non_null(strstr(bed_err.text, "nowhere"));
    }
    struct lp_kafka_setting nowhere[] = {{"bootstrap.servers", "127.0.0.1:1", LP_KAFKA_BOTH}};
    struct lp_kafka_conf conf = {.settings = nowhere, .setting_count = 1};
    uint64_t began_ms = bed_ms();
    assert_int_not_equal(lp_admin_partition_count(&conf, "counted", 500, &count, &bed_err), LP_OK);
    assert_int_equal(bed_err.action, LP_RETRY);
    assert_in_range(bed_ms() - began_ms, 0, 15000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_partitions_of_all_topics_are_read_to_their_ends),
        cmocka_unit_test(a_second_reader_sees_everything_again),
        cmocka_unit_test(a_topic_that_appears_later_is_found_and_read_whole),
        cmocka_unit_test(brokers_that_are_away_are_counted_and_not_an_error),
        cmocka_unit_test(a_waiting_poll_is_woken),
        cmocka_unit_test(a_client_without_a_thread_ends_the_reader),
        cmocka_unit_test(partition_counts_are_told_and_missing_topics_named),
    };
    return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
