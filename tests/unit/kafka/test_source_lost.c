#include "support/kafka_member.h"

#include <unistd.h>

enum { PARTITIONS = 4, COUNT = 500 };

/* Both members' polls in turn, without resuming what they hold. */
static void poll_both(struct member *a, struct member *b)
{
    BED_OK(lp_source_poll(a->source, 20, true, &bed_err));
    if (b->source != NULL) BED_OK(lp_source_poll(b->source, 20, true, &bed_err));
    member_store(a);
    if (b->source != NULL) member_store(b);
}

/* Partitions that are held when they are revoked flow again for their next owner, also when that is the same member. */
static void check_held_over_rebalance(const char *assignor)
{
    static struct bed bed;
    struct tally tally;
    struct member *a = calloc(2, sizeof *a), *b = a + 1;
    bed_start(&bed, assignor);
    tally_init(&tally);
    bed_topic(&bed, "held", PARTITIONS);
    bed_produce(&bed, "held", PARTITIONS, 0, COUNT);
    *a = (struct member){.name = "a", .hold_every = 1};
    *b = (struct member){.name = "b"};
    member_join(a, &bed, "held", "g-held", LP_START_EARLIEST, &tally);
    uint64_t deadline_ms = bed_ms() + 30000;
    while (a->holds < PARTITIONS && bed_ms() < deadline_ms) poll_both(a, b);
    assert_int_equal(a->holds, PARTITIONS);

    member_join(b, &bed, "held", "g-held", LP_START_EARLIEST, &tally);
    deadline_ms = bed_ms() + 30000;
    while (b->records < PARTITIONS / 2 * COUNT && bed_ms() < deadline_ms) poll_both(a, b);
    assert_int_equal(b->records, PARTITIONS / 2 * COUNT);
    member_leave(b);

    bed_produce(&bed, "held", PARTITIONS, COUNT, 10);
    a->hold_every = 0;
    deadline_ms = bed_ms() + 30000;
    while (tally_count(&tally, PARTITIONS, COUNT + 10, 0) > 0 && bed_ms() < deadline_ms) {
        for (uint32_t slot = 0; slot < PARTITIONS; slot++) lp_source_resume(a->source, slot);
        poll_both(a, b);
    }
    assert_int_equal(tally_count(&tally, PARTITIONS, COUNT + 10, 0), 0);
    assert_int_equal(atomic_load(&tally.disorders), 0);
    member_leave(a);
    free(a);
    tally_done(&tally);
    bed_stop(&bed);
}

static void held_partitions_flow_again_after_a_range_rebalance(void **state)
{
    (void)state;
    check_held_over_rebalance("range");
}

static void held_partitions_flow_again_after_a_cooperative_rebalance(void **state)
{
    (void)state;
    check_held_over_rebalance("cooperative-sticky");
}

static void a_member_that_polls_too_late_is_told_of_the_loss_and_comes_back(void **state)
{
    static struct bed bed;
    struct tally tally;
    struct member member = {.name = "late", .stop_every = 50};
    struct lp_source_state seen;
    (void)state;
    bed_start(&bed, NULL);
    bed.settings[bed.conf.setting_count++] =
        (struct lp_kafka_setting){"max.poll.interval.ms", "6000", LP_KAFKA_CONSUMER};
    tally_init(&tally);
    bed_topic(&bed, "late", PARTITIONS);
    bed_produce(&bed, "late", PARTITIONS, 0, COUNT);
    member_join(&member, &bed, "late", "g-late", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&member, 100)); /* and many more wait in the queue */
    sleep(8);
    member.stop_every = 0;
    uint64_t deadline_ms = bed_ms() + 30000;
    while (tally_count(&tally, PARTITIONS, COUNT, 0) > 0 && bed_ms() < deadline_ms) member_poll(&member, 100);
    assert_int_equal(tally_count(&tally, PARTITIONS, COUNT, 0), 0);
    assert_int_equal(atomic_load(&tally.disorders), 0);
    lp_source_get_state(member.source, &seen);
    assert_int_equal(seen.lost_assignments, 1);
    assert_int_equal(member.lost_calls, 1);
    assert_int_equal(member.events[LP_SOURCE_LOST], 1);
    assert_false(seen.fatal);
    member_leave(&member);
    tally_done(&tally);
    bed_stop(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_partitions_flow_again_after_a_range_rebalance),
        cmocka_unit_test(held_partitions_flow_again_after_a_cooperative_rebalance),
        cmocka_unit_test(a_member_that_polls_too_late_is_told_of_the_loss_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
