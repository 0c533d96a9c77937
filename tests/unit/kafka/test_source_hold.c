// wrap: rd_kafka_queue_get_partition rd_kafka_seek_partitions
#include "support/kafka_member.h"

#include "support/kafka_bed_shared.h" /* after functions with a parameter of that name */

#include <librdkafka/rdkafka.h>

enum { PARTITIONS = 3, COUNT = 2000 };

static bool no_partition_queues;
static uint32_t seeks, seeks_to_fail;

rd_kafka_queue_t *__real_rd_kafka_queue_get_partition(rd_kafka_t *client, const char *topic, int32_t partition);
rd_kafka_queue_t *__wrap_rd_kafka_queue_get_partition(rd_kafka_t *client, const char *topic, int32_t partition);
rd_kafka_queue_t *__wrap_rd_kafka_queue_get_partition(rd_kafka_t *client, const char *topic, int32_t partition)
{
    return no_partition_queues ? NULL : __real_rd_kafka_queue_get_partition(client, topic, partition);
}

rd_kafka_error_t *__real_rd_kafka_seek_partitions(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
                                                  int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_seek_partitions(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
                                                  int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_seek_partitions(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
                                                  int timeout_ms)
{
    seeks++;
    if (seeks_to_fail == 0) return __real_rd_kafka_seek_partitions(client, list, timeout_ms);
    seeks_to_fail--;
    return rd_kafka_error_new(RD_KAFKA_RESP_ERR__TIMED_OUT, "planted");
}

static void process_all(const char *topic, const char *group, uint32_t hold_every, uint32_t stop_every)
{
    struct tally tally;
    struct member member = {.name = group, .hold_every = hold_every, .stop_every = stop_every};
    tally_init(&tally);
    bed_topic(&bed, topic, PARTITIONS);
    bed_produce(&bed, topic, PARTITIONS, 0, COUNT);
    member_join(&member, &bed, topic, group, LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&member, PARTITIONS * COUNT));
    assert_int_equal(tally_count(&tally, PARTITIONS, COUNT, 1), PARTITIONS * COUNT);
    assert_int_equal(atomic_load(&tally.disorders), 0);
    if (hold_every != 0) assert_int_equal(member.holds, PARTITIONS * COUNT / hold_every);
    member_leave(&member);
    tally_done(&tally);
}

static void held_records_come_again_and_none_is_lost_or_doubled(void **state)
{
    (void)state;
    process_all("hold", "g-hold", 50, 0);
}

static void holding_and_stopping_together_keep_the_order(void **state)
{
    (void)state;
    process_all("holdstop", "g-holdstop", 100, 7);
}

static void a_seek_that_fails_is_tried_again(void **state)
{
    (void)state;
    seeks_to_fail = 5;
    seeks = 0;
    process_all("seekfail", "g-seekfail", 1000, 0);
    assert_int_equal(seeks_to_fail, 0);
    assert_int_equal(seeks, PARTITIONS * COUNT / 1000 + 5);
}

static void a_held_partition_does_not_stop_the_others(void **state)
{
    struct tally tally;
    struct member member = {.name = "others", .hold_every = 1};
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "others", PARTITIONS);
    bed_produce(&bed, "others", PARTITIONS, 0, COUNT);
    member_join(&member, &bed, "others", "g-others", LP_START_EARLIEST, &tally);
    uint64_t deadline_ms = bed_ms() + 30000;
    /* Every partition's first record is held; then only partitions 1 and 2 are resumed. */
    while (member.holds < PARTITIONS && bed_ms() < deadline_ms)
        BED_OK(lp_source_poll(member.source, 100, true, &bed_err));
    member.hold_every = 0;
    for (uint32_t slot = 0; slot < PARTITIONS; slot++)
        if (member.partition[slot] != 0) lp_source_resume(member.source, slot);
    while (member.records < (PARTITIONS - 1) * COUNT && bed_ms() < deadline_ms)
        BED_OK(lp_source_poll(member.source, 100, true, &bed_err));
    assert_int_equal(member.records, (PARTITIONS - 1) * COUNT);
    for (int i = 0; i < 5; i++) BED_OK(lp_source_poll(member.source, 50, true, &bed_err));
    assert_int_equal(member.records, (PARTITIONS - 1) * COUNT);
    member_leave(&member);

    /* Left while partition 0 was held: nothing of it was committed, and the next owner gets all of it. */
    struct member next = {.name = "next"};
    member_join(&next, &bed, "others", "g-others", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&next, PARTITIONS * COUNT));
    assert_int_equal(tally_count(&tally, PARTITIONS, COUNT, 1), PARTITIONS * COUNT);
    member_leave(&next);
    tally_done(&tally);
}

static void records_of_the_event_queue_are_taken_in_order_too(void **state)
{
    (void)state;
    no_partition_queues = true;
    process_all("unforwarded", "g-unforwarded", 200, 13);
    no_partition_queues = false;
}

static void records_of_the_event_queue_wait_while_none_are_wanted(void **state)
{
    struct tally tally;
    struct member member = {.name = "waiting"};
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "waiting", PARTITIONS);
    bed_produce(&bed, "waiting", PARTITIONS, 0, COUNT);
    no_partition_queues = true;
    member_join(&member, &bed, "waiting", "g-waiting", LP_START_EARLIEST, &tally);
    uint64_t deadline_ms = bed_ms() + 30000;
    while (member.open_count == 0 && bed_ms() < deadline_ms) BED_OK(lp_source_poll(member.source, 50, false, &bed_err));
    for (int i = 0; i < 20; i++) {
        uint32_t before = member.records;
        for (int j = 0; j < 3; j++) BED_OK(lp_source_poll(member.source, 20, false, &bed_err));
        assert_int_equal(member.records, before);
        member.stop_every = 10;
        member_poll(&member, 50);
    }
    member.stop_every = 0;
    assert_true(member_poll_until(&member, PARTITIONS * COUNT));
    assert_int_equal(tally_count(&tally, PARTITIONS, COUNT, 1), PARTITIONS * COUNT);
    assert_int_equal(atomic_load(&tally.disorders), 0);
    no_partition_queues = false;
    member_leave(&member);
    tally_done(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_records_come_again_and_none_is_lost_or_doubled),
        cmocka_unit_test(holding_and_stopping_together_keep_the_order),
        cmocka_unit_test(a_seek_that_fails_is_tried_again),
        cmocka_unit_test(a_held_partition_does_not_stop_the_others),
        cmocka_unit_test(records_of_the_event_queue_are_taken_in_order_too),
        cmocka_unit_test(records_of_the_event_queue_wait_while_none_are_wanted),
    };
    return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
