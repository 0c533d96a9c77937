// wrap: rd_kafka_committed rd_kafka_query_watermark_offsets rd_kafka_commit_queue
#include "support/kafka_member.h"

#include <librdkafka/rdkafka.h>

enum { PARTITIONS = 2, COUNT = 100 };

static struct bed bed;
static uint32_t committed_to_fail, watermarks_to_fail;
static bool commits_vanish;

rd_kafka_resp_err_t __real_rd_kafka_committed(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, int timeout);
rd_kafka_resp_err_t __wrap_rd_kafka_committed(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, int timeout);
rd_kafka_resp_err_t __wrap_rd_kafka_committed(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, int timeout)
{
    if (committed_to_fail == 0) return __real_rd_kafka_committed(client, list, timeout);
    committed_to_fail--;
    return RD_KAFKA_RESP_ERR__TIMED_OUT;
}

rd_kafka_resp_err_t __real_rd_kafka_query_watermark_offsets(rd_kafka_t *client, const char *topic, int32_t partition,
                                                            int64_t *low, int64_t *high, int timeout);
rd_kafka_resp_err_t __wrap_rd_kafka_query_watermark_offsets(rd_kafka_t *client, const char *topic, int32_t partition,
                                                            int64_t *low, int64_t *high, int timeout);
rd_kafka_resp_err_t __wrap_rd_kafka_query_watermark_offsets(rd_kafka_t *client, const char *topic, int32_t partition,
                                                            int64_t *low, int64_t *high, int timeout)
{
    if (watermarks_to_fail == 0)
        return __real_rd_kafka_query_watermark_offsets(client, topic, partition, low, high, timeout);
    watermarks_to_fail--;
    return RD_KAFKA_RESP_ERR__TIMED_OUT;
}

typedef void commit_callback(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *);
rd_kafka_resp_err_t __real_rd_kafka_commit_queue(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list,
                                                 rd_kafka_queue_t *queue, commit_callback *callback, void *opaque);
rd_kafka_resp_err_t __wrap_rd_kafka_commit_queue(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list,
                                                 rd_kafka_queue_t *queue, commit_callback *callback, void *opaque);
rd_kafka_resp_err_t __wrap_rd_kafka_commit_queue(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list,
                                                 rd_kafka_queue_t *queue, commit_callback *callback, void *opaque)
{
    if (commits_vanish) return RD_KAFKA_RESP_ERR_NO_ERROR; /* no answer will come */
    return __real_rd_kafka_commit_queue(client, list, queue, callback, opaque);
}

static bool poll_until_open(struct member *member)
{
    uint64_t deadline_ms = bed_ms() + 15000;
    while (member->open_count == 0 && bed_ms() < deadline_ms) member_poll(member, 50);
    return member->open_count > 0;
}

static void latest_starts_at_the_end_and_the_next_owner_there_too(void **state)
{
    struct tally tally;
    struct member member = {.name = "latest", .store_nothing = true};
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "latest", PARTITIONS);
    bed_produce(&bed, "latest", PARTITIONS, 0, COUNT);
    watermarks_to_fail = 3; /* the end is asked for again */
    member_join(&member, &bed, "latest", "g-latest", LP_START_LATEST, &tally);
    assert_true(poll_until_open(&member));
    for (int i = 0; i < 30; i++) member_poll(&member, 50);
    assert_int_equal(watermarks_to_fail, 0);
    assert_int_equal(member.records, 0);
    member_leave(&member);

    /* What is produced while nobody is there is not skipped: the start was committed. */
    bed_produce(&bed, "latest", PARTITIONS, COUNT, 10);
    struct member next = {.name = "latest2"};
    member_join(&next, &bed, "latest", "g-latest", LP_START_LATEST, &tally);
    assert_true(member_poll_until(&next, PARTITIONS * 10));
    assert_int_equal(next.records, PARTITIONS * 10);
    for (uint32_t slot = 0; slot < PARTITIONS; slot++) assert_int_equal(next.first_offset[slot], COUNT);
    member_leave(&next);
    tally_done(&tally);
}

static void fail_refuses_a_group_without_offsets_and_takes_one_with_them(void **state)
{
    struct tally tally;
    struct member member = {.name = "fail"};
    enum lp_code code = LP_OK;
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "fail", PARTITIONS);
    bed_produce(&bed, "fail", PARTITIONS, 0, COUNT);
    member_join(&member, &bed, "fail", "g-fail", LP_START_FAIL, &tally);
    uint64_t deadline_ms = bed_ms() + 15000;
    while (code == LP_OK && bed_ms() < deadline_ms) code = lp_source_poll(member.source, 50, true, &bed_err);
    assert_int_equal(code, LP_E_REFUSED);
    assert_int_equal(bed_err.action, LP_FATAL);
    assert_string_equal(bed_err.field, "input.start");
    assert_int_equal(member.records, 0);
    member_leave(&member);

    struct member first = {.name = "first"}, second = {.name = "second"};
    member_join(&first, &bed, "fail", "g-fail", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&first, PARTITIONS * COUNT));
    member_leave(&first);
    bed_produce(&bed, "fail", PARTITIONS, COUNT, 1);
    member_join(&second, &bed, "fail", "g-fail", LP_START_FAIL, &tally);
    assert_true(member_poll_until(&second, PARTITIONS * (COUNT + 1)));
    assert_int_equal(second.records, PARTITIONS);
    member_leave(&second);
    tally_done(&tally);
}

static void offsets_that_cannot_be_asked_for_hold_the_partition_until_they_can(void **state)
{
    struct tally tally;
    struct member first = {.name = "first"}, second = {.name = "second"};
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "asked", PARTITIONS);
    bed_produce(&bed, "asked", PARTITIONS, 0, COUNT);
    member_join(&first, &bed, "asked", "g-asked", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&first, PARTITIONS * COUNT));
    member_leave(&first);
    bed_produce(&bed, "asked", PARTITIONS, COUNT, 10);
    committed_to_fail = 4;
    member_join(&second, &bed, "asked", "g-asked", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&second, PARTITIONS * (COUNT + 10)));
    assert_int_equal(committed_to_fail, 0);
    assert_int_equal(second.records, PARTITIONS * 10);
    assert_int_equal(atomic_load(&tally.duplicates), 0);
    member_leave(&second);
    tally_done(&tally);
}

static enum lp_source_step count_record(void *context, const struct lp_source_record *record)
{
    struct member *member = context;
    if (member->first_offset[record->slot] < 0) member->first_offset[record->slot] = record->offset;
    member->next_offset[record->slot] = record->offset + 1;
    return LP_SOURCE_NEXT;
}

static void retention_that_overtakes_the_group_is_counted_with_its_gap(void **state)
{
    static char filler[100000];
    struct tally tally;
    struct member first = {.name = "first"}, second = {.name = "second"};
    struct lp_source_state seen;
    struct lp_sink *sink = NULL;
    struct lp_sink_topic *topic = NULL;
    (void)state;
    if (bed.cluster == NULL) skip();
    tally_init(&tally);
    bed_topic(&bed, "gap", 1);
    bed_produce(&bed, "gap", 1, 0, COUNT);
    member_join(&first, &bed, "gap", "g-gap", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&first, COUNT));
    member_leave(&first);
    /* The mock keeps 5 MiB a partition: 20 MB push everything out that stood there. */
    struct lp_sink_options options = {
        .conf = &bed.conf, .client_id = "fill", .queue_max = 1000, .queue_max_bytes = 1u << 26};
    BED_OK(lp_sink_new(&options, &sink, &bed_err));
    BED_OK(lp_sink_topic(sink, "gap", &topic, &bed_err));
    uint64_t random = 88172645463325252u; /* lz4 must find nothing in it */
    for (size_t i = 0; i < sizeof filler; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        filler[i] = (char)(random >> 32);
    }
    for (int i = 0; i < 200; i++) {
        struct lp_sink_message message = {.topic = topic, .value = lp_span_of(filler, sizeof filler)};
        BED_OK(lp_sink_send(sink, &message, &bed_err));
        BED_OK(lp_sink_flush(sink, 10000, &bed_err));
    }
    lp_sink_free(sink);
    /* What is left begins after the group's offset; the filler is no text of ours, so count it only. */
    struct lp_source_callbacks callbacks = {.context = &second,
                                            .record = count_record,
                                            .assigned = member_assigned,
                                            .revoking = member_revoking,
                                            .revoked = member_revoked,
                                            .event = member_event};
    static const char *const topics[] = {"gap"};
    struct lp_source_options source_options = {.conf = &bed.conf,
                                               .topics = topics,
                                               .topic_count = 1,
                                               .group_id = "g-gap",
                                               .client_id = "second",
                                               .partitions_max = 1};
    second.close_timeout_ms = 10000;
    BED_OK(lp_source_new(&source_options, &callbacks, &second.source, &bed_err));
    uint64_t deadline_ms = bed_ms() + 15000;
    while (second.next_offset[0] < COUNT + 200 && bed_ms() < deadline_ms)
        BED_OK(lp_source_poll(second.source, 50, true, &bed_err));
    assert_int_equal(second.next_offset[0], COUNT + 200);
    lp_source_get_state(second.source, &seen);
    assert_true(second.first_offset[0] > COUNT);
    assert_int_equal(seen.offset_resets, 1);
    assert_int_equal(seen.offset_gap_records, second.first_offset[0] - COUNT);
    assert_int_equal(second.events[LP_SOURCE_GAP], 1);
    member_leave(&second);
    tally_done(&tally);
}

static void a_log_that_ends_before_the_groups_offset_is_read_from_its_beginning(void **state)
{
    struct tally tally;
    struct member first = {.name = "first", .store_nothing = true}, second = {.name = "second"};
    struct lp_source_state seen;
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "rewound", 1);
    bed_produce(&bed, "rewound", 1, 0, COUNT);
    member_join(&first, &bed, "rewound", "g-rewound", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&first, COUNT));
    lp_source_store(first.source, 0, 5000); /* as if the topic had been longer once */
    lp_source_store(first.source, 0, 4000); /* not back */
    member_leave(&first);
    member_join(&second, &bed, "rewound", "g-rewound", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&second, 2 * COUNT));
    lp_source_get_state(second.source, &seen);
    assert_int_equal(seen.offset_resets, 1);
    assert_int_equal(second.events[LP_SOURCE_REWOUND], 1);
    assert_non_null(strstr(second.event_text, "offset 5000 is past the log's end 100"));
    assert_int_equal(second.assigned_calls, 2); /* handed back and begun anew */
    assert_int_equal(second.revoked_calls, 1);
    assert_int_equal(second.records, COUNT);
    assert_int_equal(second.first_offset[0], 0);
    member_leave(&second);

    /* The lower offset was committed over the higher one. */
    struct member third = {.name = "third"};
    bed_produce(&bed, "rewound", 1, COUNT, 5);
    member_join(&third, &bed, "rewound", "g-rewound", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&third, 2 * COUNT + 5));
    assert_int_equal(third.records, 5);
    member_leave(&third);
    tally_done(&tally);
}

static void close_is_bounded_when_the_final_commit_is_never_answered(void **state)
{
    struct tally tally;
    struct member member = {.name = "mute", .close_timeout_ms = 3000};
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "mute", PARTITIONS);
    bed_produce(&bed, "mute", PARTITIONS, 0, COUNT);
    member_join(&member, &bed, "mute", "g-mute", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&member, PARTITIONS * COUNT));
    commits_vanish = true;
    uint64_t began_ms = bed_ms();
    enum lp_code code = lp_source_close(member.source, member.close_timeout_ms, &bed_err);
    assert_true(code == LP_OK || code == LP_E_TIMEOUT);
    lp_source_free(member.source);
    commits_vanish = false;
    assert_in_range(bed_ms() - began_ms, 0, 20000);
    assert_int_equal(member.open_count, 0);
    assert_int_equal(member.events[LP_SOURCE_COMMIT_FAILED], 1);
    tally_done(&tally);
}

static void close_is_bounded_when_the_broker_is_gone(void **state)
{
    static struct bed lonely;
    struct tally tally;
    struct member member = {.name = "lonely", .close_timeout_ms = 2000};
    (void)state;
    if (bed.cluster == NULL) skip();
    bed_start(&lonely, NULL);
    tally_init(&tally);
    bed_topic(&lonely, "lonely", PARTITIONS);
    bed_produce(&lonely, "lonely", PARTITIONS, 0, COUNT);
    member_join(&member, &lonely, "lonely", "g-lonely", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&member, PARTITIONS * COUNT));
    bed_stop(&lonely);
    for (int i = 0; i < 5; i++) member_poll(&member, 50); /* goes on, not fatal */
    uint64_t began_ms = bed_ms();
    enum lp_code code = lp_source_close(member.source, member.close_timeout_ms, &bed_err);
    assert_true(code == LP_OK || code == LP_E_TIMEOUT);
    assert_in_range(bed_ms() - began_ms, 0, 20000);
    assert_int_equal(member.open_count, 0);
    lp_source_free(member.source);
    assert_in_range(bed_ms() - began_ms, 0, 30000);
    assert_true(member.events[LP_SOURCE_ERROR] > 0);
    tally_done(&tally);
}

static int setup(void **state)
{
    (void)state;
    bed_start(&bed, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bed_stop(&bed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latest_starts_at_the_end_and_the_next_owner_there_too),
        cmocka_unit_test(fail_refuses_a_group_without_offsets_and_takes_one_with_them),
        cmocka_unit_test(offsets_that_cannot_be_asked_for_hold_the_partition_until_they_can),
        cmocka_unit_test(retention_that_overtakes_the_group_is_counted_with_its_gap),
        cmocka_unit_test(a_log_that_ends_before_the_groups_offset_is_read_from_its_beginning),
        cmocka_unit_test(close_is_bounded_when_the_final_commit_is_never_answered),
        cmocka_unit_test(close_is_bounded_when_the_broker_is_gone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
