/* A log that is not what the group remembers. */
#include "support/kafka_member.h"

#include "support/kafka_bed_shared.h" /* after functions with a parameter of that name */

enum { COUNT = 100 };

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
    uint64_t deadline_ms = bed_ms() + 30000;
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
    assert_non_null(strstr(second.event_text, "offset 5000 was next, past the log's end, which is 100 now"));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retention_that_overtakes_the_group_is_counted_with_its_gap),
        cmocka_unit_test(a_log_that_ends_before_the_groups_offset_is_read_from_its_beginning),
    };
    return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
