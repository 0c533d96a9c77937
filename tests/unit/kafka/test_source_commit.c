/* A member that dies repeats what it did since the last commit, which must be little also when it catches up. */
#include "support/kafka_member.h"

#include "support/kafka_bed_shared.h" /* after functions with a parameter of that name */

#include <librdkafka/rdkafka.h>

enum {
    PARTITIONS = 4,
    COUNT = 25000,
    LEFT_MAX = 20000,
    API_OFFSET_COMMIT = 8,
    API_JOIN_GROUP = 11,
    FENCED_INSTANCE_ID = 82
};

/* What the group has committed of all partitions, asked for by a client outside the group. */
static int64_t committed_sum(rd_kafka_t *client, const char *topic)
{
    int64_t sum = 0;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++) rd_kafka_topic_partition_list_add(list, topic, p);
    if (rd_kafka_committed(client, list, 10000) == RD_KAFKA_RESP_ERR_NO_ERROR)
        for (int i = 0; i < list->cnt; i++) sum += list->elems[i].offset > 0 ? list->elems[i].offset : 0;
    rd_kafka_topic_partition_list_destroy(list);
    return sum;
}

static rd_kafka_t *observer(const char *group)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bed.settings[0].value, text, sizeof text);
    rd_kafka_conf_set(conf, "group.id", group, text, sizeof text);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    assert_non_null(client);
    return client;
}

static void a_backlog_is_committed_before_the_interval_is_over(void **state)
{
    struct tally tally;
    struct member member = {.name = "behind"};
    int64_t committed = 0;
    (void)state;
    bed.conf.commit_interval_ms = 600000;
    tally_init(&tally);
    bed_topic(&bed, "backlog", PARTITIONS);
    bed_produce(&bed, "backlog", PARTITIONS, 0, COUNT);
    rd_kafka_t *client = observer("g-backlog");
    member_join(&member, &bed, "backlog", "g-backlog", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&member, PARTITIONS * COUNT));
    uint64_t deadline_ms = bed_ms() + 60000;
    while (committed < PARTITIONS * COUNT - LEFT_MAX && bed_ms() < deadline_ms) {
        member_poll(&member, 50);
        committed = committed_sum(client, "backlog");
    }
    assert_in_range(committed, PARTITIONS * COUNT - LEFT_MAX, PARTITIONS * COUNT);
    rd_kafka_destroy(client);
    member_leave(&member);
    tally_done(&tally);
}

static void a_trickle_is_committed_by_the_clock(void **state)
{
    struct tally tally;
    struct member member = {.name = "trickle"};
    struct lp_source_state seen = {.joined = false};
    (void)state;
    bed.conf.commit_interval_ms = 600000;
    tally_init(&tally);
    bed_topic(&bed, "trickle", 1);
    bed_produce(&bed, "trickle", 1, 0, 10);
    member_join(&member, &bed, "trickle", "g-trickle", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&member, 10));
    bed_produce(&bed, "trickle", 1, 10, 100);
    assert_true(member_poll_until(&member, 110));
    for (int i = 0; i < 20; i++) member_poll(&member, 50);
    lp_source_get_state(member.source, &seen);
    assert_in_range(seen.commits, 0, 1); /* that of the first ten */
    member_leave(&member);
    tally_done(&tally);
}

/*
 * A static member that is met under its former id, by a commit that was under way while it joined again or by a join
 * whose answer was lost, looks to the group like a twin. librdkafka ends the client for both, so that no later commit
 * can mend it: the reason must name both, not only that the client has ended.
 */
static void check_fenced(const char *topic, int16_t api_key)
{
    struct tally tally;
    struct member member = {.name = "static", .instance_id = "static-0"};
    struct lp_error err = {.code = LP_OK};
    bed.conf.commit_interval_ms = 200;
    tally_init(&tally);
    bed_topic(&bed, topic, 1);
    bed_produce(&bed, topic, 1, 0, 10);
    lp_embedded_push_errors(bed.cluster, api_key, 1, FENCED_INSTANCE_ID);
    member_join(&member, &bed, topic, topic, LP_START_EARLIEST, &tally);
    uint64_t deadline_ms = bed_ms() + 30000;
    while (lp_source_poll(member.source, 50, true, &err) == LP_OK && bed_ms() < deadline_ms) member_store(&member);
    assert_int_equal(err.action, LP_FATAL);
    assert_non_null(strstr(err.text, "Static consumer fenced"));
    assert_non_null(strstr(err.text, "under its former id: restart"));
    member_leave(&member);
    tally_done(&tally);
}

static void a_fenced_commit_ends_a_static_member_with_the_reason(void **state)
{
    (void)state;
    check_fenced("fenced-commit", API_OFFSET_COMMIT);
}

static void a_fenced_join_ends_a_static_member_with_the_reason(void **state)
{
    (void)state;
    check_fenced("fenced-join", API_JOIN_GROUP);
}

/* The group has gone on without the member: its last offsets may not be taken, and what it did since comes again. */
static void a_last_commit_that_is_refused_is_counted(void **state)
{
    enum { ILLEGAL_GENERATION = 22 };
    struct tally tally;
    struct member member = {.name = "refused"};
    struct lp_source_state seen;
    (void)state;
    bed.conf.commit_interval_ms = 600000;
    tally_init(&tally);
    bed_topic(&bed, "refused", 1);
    bed_produce(&bed, "refused", 1, 0, 10);
    member_join(&member, &bed, "refused", "g-refused", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&member, 10));
    lp_embedded_push_errors(bed.cluster, API_OFFSET_COMMIT, 1, ILLEGAL_GENERATION);
    BED_OK(lp_source_close(member.source, member.close_timeout_ms, &bed_err));
    lp_source_get_state(member.source, &seen);
    assert_int_equal(seen.revoke_commits_failed, 1);
    assert_int_equal(member.events[LP_SOURCE_UNCOMMITTED], 1);
    lp_source_free(member.source);
    tally_done(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backlog_is_committed_before_the_interval_is_over),
        cmocka_unit_test(a_trickle_is_committed_by_the_clock),
        cmocka_unit_test(a_last_commit_that_is_refused_is_counted),
        cmocka_unit_test(a_fenced_commit_ends_a_static_member_with_the_reason),
        cmocka_unit_test(a_fenced_join_ends_a_static_member_with_the_reason),
    };
    return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
