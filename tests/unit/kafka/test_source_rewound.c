// wrap: rd_kafka_get_watermark_offsets
/*
 * A record from before our offset: librdkafka has set the partition back, or the topic was made anew under the
 * consumer. By the time its first record is here a new log may be longer than our offset, so its end tells nothing; the
 * last record that was read does. The mock cannot make a topic anew: the first record is planted, and what is
 * remembered of the log is made another's.
 */
#include "support/kafka_member.h"

#include "kafka/source_private.h"

#include "support/kafka_bed_shared.h" /* after functions with a parameter of that name */

enum { COUNT = 50 };

static int64_t log_begin = -1; /* where every log begins; -1: where it does */

rd_kafka_resp_err_t __real_rd_kafka_get_watermark_offsets(rd_kafka_t *client, const char *topic, int32_t partition,
                                                          int64_t *low, int64_t *high);
rd_kafka_resp_err_t __wrap_rd_kafka_get_watermark_offsets(rd_kafka_t *client, const char *topic, int32_t partition,
                                                          int64_t *low, int64_t *high);
rd_kafka_resp_err_t __wrap_rd_kafka_get_watermark_offsets(rd_kafka_t *client, const char *topic, int32_t partition,
                                                          int64_t *low, int64_t *high)
{
    rd_kafka_resp_err_t code = __real_rd_kafka_get_watermark_offsets(client, topic, partition, low, high);
    if (log_begin >= 0) *low = log_begin;
    return code;
}

static void plant(struct member *member, int64_t offset)
{
    rd_kafka_message_t message = {
        .rkt = member->source->topics[0].handle, .payload = (void *)(uintptr_t) "0:0", .len = 3, .offset = offset};
    source_on_message(&message, member->source);
}

static void become_another_log(struct member *member) { member->source->slots[0].known.print ^= 1; }

static void a_partition_that_the_client_sets_back_goes_on_where_it_was(void **state)
{
    struct tally tally;
    struct member member = {.name = "back"};
    struct lp_source_state seen;
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "back", 1);
    bed_produce(&bed, "back", 1, 0, COUNT);
    member_join(&member, &bed, "back", "g-back", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&member, COUNT));
    rd_kafka_topic_partition_list_t *list = source_list_one(member.source, &member.source->slots[0], 0);
    rd_kafka_error_t *error = rd_kafka_seek_partitions(member.source->client, list, 2000 * 1000);
    assert_null(error);
    rd_kafka_topic_partition_list_destroy(list);
    bed_produce(&bed, "back", 1, COUNT, 10);
    assert_true(member_poll_until(&member, COUNT + 10));
    for (int i = 0; i < 5; i++) member_poll(&member, 50);
    assert_int_equal(member.events[LP_SOURCE_REWOUND], 0);
    assert_int_equal(member.records, COUNT + 10);
    assert_int_equal(tally_count(&tally, 1, COUNT + 10, 1), COUNT + 10);
    lp_source_get_state(member.source, &seen);
    assert_int_equal(seen.offset_resets, 0);
    assert_true(seen.stale_records > 0);
    member_leave(&member);
    tally_done(&tally);
}

static void a_log_that_begins_anew_is_read_from_there_although_it_is_longer_than_the_offset(void **state)
{
    struct tally tally;
    struct member member = {.name = "rewound"};
    struct lp_source_state seen;
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "rewound", 1);
    bed_produce(&bed, "rewound", 1, 0, COUNT);
    member_join(&member, &bed, "rewound", "g-rewound", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&member, COUNT));
    become_another_log(&member);
    plant(&member, 0); /* its offset is below ours, the log's end is not */
    assert_true(member_poll_until(&member, 2 * COUNT));
    assert_int_equal(member.events[LP_SOURCE_REWOUND], 1);
    assert_int_equal(tally_count(&tally, 1, COUNT, 2), COUNT);
    lp_source_get_state(member.source, &seen);
    assert_int_equal(seen.offset_resets, 1);
    member_leave(&member);
    tally_done(&tally);
}

static void what_a_seek_left_over_is_still_dropped(void **state)
{
    struct tally tally;
    struct member member = {.name = "stale"};
    struct lp_source_state seen;
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "stale", 1);
    bed_produce(&bed, "stale", 1, 0, COUNT);
    member_join(&member, &bed, "stale", "g-stale", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&member, COUNT));
    assert_int_equal(lp_source_again(member.source, 0, COUNT - 10), COUNT);
    plant(&member, 3); /* fetched before the seek */
    assert_int_equal(member.events[LP_SOURCE_REWOUND], 0);
    member.last_offset[0] = COUNT - 11;
    assert_true(member_poll_until(&member, COUNT + 10));
    assert_int_equal(tally_count(&tally, 1, COUNT, 2), 10);
    assert_int_equal(lp_source_position(member.source, 0), COUNT);
    lp_source_get_state(member.source, &seen);
    assert_int_equal(seen.stale_records, 1);
    member_leave(&member);
    tally_done(&tally);
}

static void an_assignment_that_the_client_begins_at_its_second_record_is_asked_for_the_first(void **state)
{
    struct tally tally;
    struct member first = {.name = "first"}, member = {.name = "second"};
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "second", 1);
    bed_produce(&bed, "second", 1, 0, COUNT);
    member_join(&first, &bed, "second", "g-second", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&first, COUNT));
    member_leave(&first);
    member_join(&member, &bed, "second", "g-second", LP_START_EARLIEST, &tally);
    for (int i = 0; i < 500 && member.open_count == 0; i++) member_poll(&member, 20);
    assert_int_equal(lp_source_position(member.source, 0), COUNT);
    assert_false(member.source->slots[0].held); /* it had its start at once: no seek */
    plant(&member, COUNT + 1);
    assert_int_equal(member.records, 0);
    bed_produce(&bed, "second", 1, COUNT, 10);
    assert_true(member_poll_until(&member, COUNT + 10));
    assert_int_equal(tally_count(&tally, 1, COUNT + 10, 1), COUNT + 10);
    member_leave(&member);
    tally_done(&tally);
}

/* Retention has removed what was asked for, and the client begins behind what is left. */
static void what_retention_has_left_is_not_passed_over(void **state)
{
    enum { BEGIN = 3 };
    struct tally tally;
    struct member member = {.name = "left"};
    struct lp_source_state seen;
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "left", 1);
    member_join(&member, &bed, "left", "g-left", LP_START_EARLIEST, &tally);
    for (int i = 0; i < 500 && member.open_count == 0; i++) member_poll(&member, 20);
    assert_int_equal(member.open_count, 1);
    log_begin = BEGIN;
    plant(&member, BEGIN + 2);
    assert_int_equal(member.records, 0);
    bed_produce(&bed, "left", 1, 0, COUNT);
    member.last_offset[0] = BEGIN - 1;
    for (int i = 0; i < 500 && member.records < COUNT - BEGIN; i++) member_poll(&member, 20);
    log_begin = -1;
    assert_int_equal(member.records, COUNT - BEGIN);
    assert_int_equal(member.first_offset[0], BEGIN);
    lp_source_get_state(member.source, &seen);
    assert_int_equal(seen.offset_gap_records, BEGIN);
    assert_int_equal(member.events[LP_SOURCE_GAP], 1);
    member_leave(&member);
    tally_done(&tally);
}

static void nothing_is_read_while_a_transaction_is_ended_although_its_log_begins_anew(void **state)
{
    struct tally tally;
    struct member member = {.name = "ended"};
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "ended", 1);
    bed_produce(&bed, "ended", 1, 0, COUNT);
    member_join(&member, &bed, "ended", "g-ended", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&member, COUNT));
    become_another_log(&member);
    plant(&member, 0);
    for (int i = 0; i < 500 && member.events[LP_SOURCE_REWOUND] == 0; i++) member_poll(&member, 20);
    assert_int_equal(member.events[LP_SOURCE_REWOUND], 1);
    lp_source_suspend(member.source);
    for (int i = 0; i < 10; i++) member_poll(&member, 50);
    assert_int_equal(member.records, COUNT);
    assert_int_equal(member.revoked_calls, 1); /* begun anew all the same */
    lp_source_rewind(member.source);
    assert_true(member_poll_until(&member, 2 * COUNT));
    assert_int_equal(tally_count(&tally, 1, COUNT, 2), COUNT);
    member_leave(&member);
    tally_done(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partition_that_the_client_sets_back_goes_on_where_it_was),
        cmocka_unit_test(a_log_that_begins_anew_is_read_from_there_although_it_is_longer_than_the_offset),
        cmocka_unit_test(an_assignment_that_the_client_begins_at_its_second_record_is_asked_for_the_first),
        cmocka_unit_test(what_retention_has_left_is_not_passed_over),
        cmocka_unit_test(nothing_is_read_while_a_transaction_is_ended_although_its_log_begins_anew),
        cmocka_unit_test(what_a_seek_left_over_is_still_dropped),
    };
    return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
