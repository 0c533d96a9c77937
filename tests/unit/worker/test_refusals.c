/* exactly_once: which record a refusal is about, and what becomes of it. */
#include "worker/lane_private.h"

#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct lp_config config;
static struct lp_shared shared = {.config = &config};
static struct lp_error refused;

static struct lp_lane *make_lane(void)
{
    struct lp_lane *lane = calloc(1, sizeof *lane);
    assert_non_null(lane);
    config.inflight_max_records = 10000;
    lane->shared = &shared;
    lane->txn.on = true;
    lane->txn.refusals = calloc(LP_LANE_PARTITIONS_MAX, sizeof *lane->txn.refusals);
    assert_non_null(lane->txn.refusals);
    lane->partitions = calloc(LP_LANE_PARTITIONS_MAX, sizeof *lane->partitions);
    assert_non_null(lane->partitions);
    for (uint32_t slot = 0; slot < LP_LANE_PARTITIONS_MAX; slot++) lane->partitions[slot].cut_offset = -1;
    lp_fail(&refused, LP_E_LIMIT, LP_SKIP_RECORD, "too large");
    return lane;
}

static void free_lane(struct lp_lane *lane)
{
    free(lane->txn.refusals);
    free(lane->partitions);
    free(lane);
}

/* A transaction of at most `ready` records is refused for one of them; returns how many it had. */
static uint32_t refuse(struct lp_lane *lane, uint32_t ready, uint64_t ticket)
{
    uint32_t records = lane->txn.limit > 0 && lane->txn.limit < ready ? lane->txn.limit : ready;
    lane->txn.taken = records;
    lp_lane_txn_on_refused(lane, ticket, &refused);
    lane->txn.taken = 0;
    return records;
}

static void commit(struct lp_lane *lane, uint32_t slot, int64_t next_offset)
{
    lane->partitions[slot].cut_offset = next_offset;
    lp_lane_txn_relax(lane);
}

static void nothing_is_said_of_a_record_before_it_is_alone(void **state)
{
    struct lp_lane *lane = make_lane();
    uint64_t ticket = lp_lane_txn_ticket(3, 70), innocent = lp_lane_txn_ticket(3, 71);
    (void)state;
    lane->txn.taken = 4000;
    lp_lane_txn_on_refused(lane, innocent, &refused); /* of the same batch */
    for (int tries = 1; refuse(lane, 4000, ticket) > 1; tries++) {
        assert_int_equal(lane->txn.refusal_count, 0);
        assert_true(tries < 10);
    }
    assert_non_null(lp_lane_txn_refusal(lane, ticket));
    assert_null(lp_lane_txn_refusal(lane, innocent));
    assert_int_equal(lp_lane_txn_refusal(lane, ticket)->times, 1);
    lane->txn.taken = 1;
    assert_true(lp_lane_txn_at_limit(lane));

    /* Commits of others neither forget it nor hurry. */
    commit(lane, 4, 1000);
    commit(lane, 3, 70);
    assert_non_null(lp_lane_txn_refusal(lane, ticket));
    commit(lane, 3, 71);
    assert_null(lp_lane_txn_refusal(lane, ticket));
    for (int i = 0; i < 100 && lane->txn.limit > 0; i++) commit(lane, 4, 1000);
    assert_int_equal(lane->txn.limit, 0);
    assert_false(lp_lane_txn_at_limit(lane));
    free_lane(lane);
}

static void a_record_becomes_a_dead_letter_then_one_without_value_then_the_end(void **state)
{
    struct lp_lane *lane = make_lane();
    uint64_t ticket = lp_lane_txn_ticket(0, 0);
    (void)state;
    lp_fail_field(&refused, LP_E_INVALID, LP_SKIP_RECORD, "timestamp", "too old");
    refuse(lane, 1, ticket);
    assert_true(lp_lane_txn_refusal(lane, ticket)->retimed);
    assert_int_equal(lp_lane_txn_refusal(lane, ticket)->times, 0);
    for (uint32_t times = 1; times <= 2; times++) {
        refuse(lane, 1, ticket);
        assert_true(lp_lane_txn_refusal(lane, ticket)->retimed);
        assert_int_equal(lp_lane_txn_refusal(lane, ticket)->times, times);
        assert_false(lane->failed);
    }
    refuse(lane, 1, ticket);
    assert_true(lane->failed);
    free_lane(lane);
}

static void a_slot_that_goes_takes_its_refusals_along(void **state)
{
    struct lp_lane *lane = make_lane();
    (void)state;
    for (uint32_t slot = 0; slot < 3; slot++)
        for (int64_t offset = 0; offset < 5; offset++) refuse(lane, 1, lp_lane_txn_ticket(slot, offset));
    lp_lane_txn_forget_refusals(lane, 1);
    for (uint32_t slot = 0; slot < 3; slot++)
        for (int64_t offset = 0; offset < 5; offset++)
            assert_int_equal(lp_lane_txn_refusal(lane, lp_lane_txn_ticket(slot, offset)) != NULL, slot != 1);
    free_lane(lane);
}

/* After each refusal any partition's record may come first: none may be refused again and again. */
static void each_partition_may_have_a_refused_record(void **state)
{
    struct lp_lane *lane = make_lane();
    (void)state;
    for (uint32_t slot = 0; slot < LP_LANE_PARTITIONS_MAX; slot++) {
        refuse(lane, 1, lp_lane_txn_ticket(slot, 7));
        assert_non_null(lp_lane_txn_refusal(lane, lp_lane_txn_ticket(slot, 7)));
    }
    assert_false(lane->failed);
    for (uint32_t slot = 0; slot < LP_LANE_PARTITIONS_MAX; slot++) commit(lane, slot, 8);
    assert_int_equal(lane->txn.refusal_count, 0);
    free_lane(lane);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_of_a_record_before_it_is_alone),
        cmocka_unit_test(a_record_becomes_a_dead_letter_then_one_without_value_then_the_end),
        cmocka_unit_test(a_slot_that_goes_takes_its_refusals_along),
        cmocka_unit_test(each_partition_may_have_a_refused_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
