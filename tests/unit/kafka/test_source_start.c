// wrap: rd_kafka_committed rd_kafka_offsets_for_times
#include "support/kafka_member.h"

#include "support/kafka_bed_shared.h" /* after functions with a parameter of that name */

#include <librdkafka/rdkafka.h>

enum { PARTITIONS = 2, COUNT = 100 };

static uint32_t committed_to_fail, logs_to_fail;
static uint32_t committed_to_deny; /* so often the group says that it has nothing */
static int64_t log_end = -1;       /* what every log ends at; -1: where it does */

rd_kafka_resp_err_t __real_rd_kafka_committed(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, int timeout);
rd_kafka_resp_err_t __wrap_rd_kafka_committed(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, int timeout);
rd_kafka_resp_err_t __wrap_rd_kafka_committed(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, int timeout)
{
    if (committed_to_fail > 0) {
        committed_to_fail--;
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    rd_kafka_resp_err_t code = __real_rd_kafka_committed(client, list, timeout);
    if (committed_to_deny == 0) return code;
    committed_to_deny--;
    for (int i = 0; i < list->cnt; i++) list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
    return code;
}

rd_kafka_resp_err_t __real_rd_kafka_offsets_for_times(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
                                                      int timeout);
rd_kafka_resp_err_t __wrap_rd_kafka_offsets_for_times(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
                                                      int timeout);
rd_kafka_resp_err_t __wrap_rd_kafka_offsets_for_times(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
                                                      int timeout)
{
    if (logs_to_fail > 0) {
        logs_to_fail--;
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    rd_kafka_resp_err_t code = __real_rd_kafka_offsets_for_times(client, list, timeout);
    for (int i = 0; i < list->cnt && log_end >= 0; i++) list->elems[i].offset = log_end;
    return code;
}

static bool poll_until_open(struct member *member)
{
    uint64_t deadline_ms = bed_ms() + 30000;
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
    logs_to_fail = 3; /* the end is asked for again */
    member_join(&member, &bed, "latest", "g-latest", LP_START_LATEST, &tally);
    assert_true(poll_until_open(&member));
    for (int i = 0; i < 30; i++) member_poll(&member, 50);
    assert_int_equal(logs_to_fail, 0);
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

static void a_start_at_the_end_is_to_be_committed_again_after_an_aborted_transaction(void **state)
{
    struct tally tally;
    struct member member = {.name = "aborted", .store_nothing = true, .transactional = true};
    struct lp_source_offsets *offsets = NULL;
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "aborted", PARTITIONS);
    bed_produce(&bed, "aborted", PARTITIONS, 0, COUNT);
    member_join(&member, &bed, "aborted", "g-aborted", LP_START_LATEST, &tally);
    assert_true(poll_until_open(&member));
    assert_true(lp_source_has_offsets(member.source));
    BED_OK(lp_source_take_offsets(member.source, &offsets, &bed_err));
    assert_non_null(offsets);
    lp_source_offsets_free(offsets);
    assert_false(lp_source_has_offsets(member.source));

    lp_source_suspend(member.source);
    bed_produce(&bed, "aborted", PARTITIONS, COUNT, 10);
    lp_source_rewind(member.source);
    assert_true(member_poll_until(&member, PARTITIONS * 10));
    for (uint32_t slot = 0; slot < PARTITIONS; slot++) assert_int_equal(member.first_offset[slot], COUNT);
    assert_true(lp_source_has_offsets(member.source));
    member_leave(&member);
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
    uint64_t deadline_ms = bed_ms() + 30000;
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

/*
 * librdkafka takes an answer to "where does the log begin" for outdated when a pause or seek came first, and asks
 * again, whatever was sought: the partition began anew in the middle of being read. It must not be asked.
 */
static void a_late_answer_about_the_begin_of_a_log_sets_no_partition_back(void **state)
{
    enum { LIST_OFFSETS = 2, LATE_MS = 1500 };
    struct tally tally;
    struct member first = {.name = "first"}, second = {.name = "second"};
    (void)state;
    if (bed.cluster == NULL) return;
    tally_init(&tally);
    bed_topic(&bed, "late", 1);
    bed_produce(&bed, "late", 1, 0, COUNT);
    member_join(&first, &bed, "late", "g-late", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&first, COUNT));
    member_leave(&first);
    lp_embedded_push_delay(bed.cluster, LIST_OFFSETS, LATE_MS);
    committed_to_fail = 1;
    bed_produce(&bed, "late", 1, COUNT, 10);
    member_join(&second, &bed, "late", "g-late", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&second, COUNT + 10));
    for (uint64_t end_ms = bed_ms() + 2 * LATE_MS; bed_ms() < end_ms;) member_poll(&second, 50);
    assert_int_equal(second.records, 10);
    assert_int_equal(atomic_load(&tally.duplicates), 0);
    assert_int_equal(second.events[LP_SOURCE_REWOUND], 0);
    member_leave(&second);
    tally_done(&tally);
}

/* A member whose group has committed all but the last ten records of each partition; they were handed over, too. */
static void join_and_commit(struct member *member, const char *topic, const char *group, enum lp_input_start start,
                            struct tally *tally)
{
    struct lp_source_offsets *offsets = NULL;
    tally_init(tally);
    bed_topic(&bed, topic, PARTITIONS);
    member_join(member, &bed, topic, group, start, tally);
    assert_true(poll_until_open(member));
    for (uint32_t slot = 0; slot < PARTITIONS; slot++)
        while (lp_source_position(member->source, slot) < 0) member_poll(member, 20);
    bed_produce(&bed, topic, PARTITIONS, 0, COUNT);
    assert_true(member_poll_until(member, PARTITIONS * COUNT));
    for (uint32_t slot = 0; slot < PARTITIONS; slot++) lp_source_store(member->source, slot, COUNT - 10);
    BED_OK(lp_source_take_offsets(member->source, &offsets, &bed_err));
    assert_non_null(offsets);
    lp_source_offsets_free(offsets);
    lp_source_confirm(member->source); /* as if a transaction had committed them */
    lp_source_suspend(member->source);
    for (uint32_t slot = 0; slot < PARTITIONS; slot++) member->last_offset[slot] = -1;
    for (uint32_t slot = 0; slot < PARTITIONS; slot++) member->first_offset[slot] = -1;
}

static void a_group_that_denies_what_it_had_sets_no_partition_back(void **state)
{
    struct tally tally;
    struct member member = {.name = "denied", .store_nothing = true, .transactional = true};
    (void)state;
    join_and_commit(&member, "denied", "g-denied", LP_START_EARLIEST, &tally);
    committed_to_deny = UINT32_MAX;
    lp_source_rewind(member.source);
    assert_true(member_poll_until(&member, PARTITIONS * (COUNT + 10)));
    committed_to_deny = 0;
    for (uint32_t slot = 0; slot < PARTITIONS; slot++) assert_int_equal(member.first_offset[slot], COUNT - 10);
    assert_int_equal(member.events[LP_SOURCE_ALARM], PARTITIONS);
    assert_int_equal(member.events[LP_SOURCE_REWOUND], 0);
    assert_int_equal(tally_count(&tally, PARTITIONS, COUNT - 10, 1), PARTITIONS * (COUNT - 10));
    member_leave(&member);
    tally_done(&tally);
}

static void a_group_that_denies_what_it_had_for_a_moment_is_asked_again(void **state)
{
    struct tally tally;
    struct member member = {.name = "moment", .transactional = true, .store_nothing = true};
    (void)state;
    join_and_commit(&member, "moment", "g-moment", LP_START_EARLIEST, &tally);
    /* The group has another's offset by the time it is asked. */
    committed_to_deny = 2;
    lp_source_rewind(member.source);
    uint64_t deadline_ms = bed_ms() + 30000;
    while (committed_to_deny > 0 && bed_ms() < deadline_ms) member_poll(&member, 20);
    assert_int_equal(member.records, PARTITIONS * COUNT);
    assert_int_equal(member.events[LP_SOURCE_ALARM], 0);
    member_leave(&member);
    tally_done(&tally);
}

static void begin_a_shorter_log(const char *topic, const char *group, enum lp_input_start start)
{
    struct tally tally;
    struct member member = {.name = "shorter", .store_nothing = true, .transactional = true};
    join_and_commit(&member, topic, group, start, &tally);
    committed_to_deny = UINT32_MAX;
    log_end = 5; /* made anew: the mock cannot */
    lp_source_rewind(member.source);
    uint64_t deadline_ms = bed_ms() + 30000;
    while (member.events[LP_SOURCE_REWOUND] < PARTITIONS && bed_ms() < deadline_ms) member_poll(&member, 20);
    log_end = -1;
    assert_true(member_poll_until(&member, 2 * PARTITIONS * COUNT));
    committed_to_deny = 0;
    for (uint32_t slot = 0; slot < PARTITIONS; slot++) assert_int_equal(member.first_offset[slot], 0);
    assert_int_equal(member.events[LP_SOURCE_ALARM], 0);
    member_leave(&member);
    tally_done(&tally);
}

static void a_log_that_ends_before_what_the_group_had_is_begun_at_once(void **state)
{
    (void)state;
    begin_a_shorter_log("shorter", "g-shorter", LP_START_EARLIEST);
}

/* latest is about what stood in the topic when we first looked: a topic that was made anew came later. */
static void a_log_that_was_made_anew_is_read_whole_with_latest_too(void **state)
{
    (void)state;
    begin_a_shorter_log("renewed", "g-renewed", LP_START_LATEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latest_starts_at_the_end_and_the_next_owner_there_too),
        cmocka_unit_test(a_start_at_the_end_is_to_be_committed_again_after_an_aborted_transaction),
        cmocka_unit_test(fail_refuses_a_group_without_offsets_and_takes_one_with_them),
        cmocka_unit_test(a_late_answer_about_the_begin_of_a_log_sets_no_partition_back),
        cmocka_unit_test(a_group_that_denies_what_it_had_sets_no_partition_back),
        cmocka_unit_test(a_group_that_denies_what_it_had_for_a_moment_is_asked_again),
        cmocka_unit_test(a_log_that_ends_before_what_the_group_had_is_begun_at_once),
        cmocka_unit_test(a_log_that_was_made_anew_is_read_whole_with_latest_too),
        cmocka_unit_test(offsets_that_cannot_be_asked_for_hold_the_partition_until_they_can),
    };
    return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
