#include "support/kafka_member.h"

#include <unistd.h>

enum { PARTITIONS = 8, CHUNK = 50, CHUNKS = 100 };

static struct feed {
    struct bed *bed;
    const char *topic;
    atomic_bool quit;
    atomic_int produced; /* a partition */
} feed;

/* Records come all the while the group changes. */
static void *feed_main(void *argument)
{
    (void)argument;
    for (int i = 0; i < CHUNKS * 20 && !atomic_load(&feed.quit); i++) {
        bed_produce(feed.bed, feed.topic, PARTITIONS, i * CHUNK, CHUNK);
        atomic_store(&feed.produced, (i + 1) * CHUNK);
        usleep(50000);
    }
    return NULL;
}

static bool wait_open(struct member *members, uint32_t count, uint32_t each_at_least)
{
    uint64_t deadline_ms = bed_ms() + 60000;
    while (bed_ms() < deadline_ms) {
        uint32_t total = 0, least = PARTITIONS;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t open = atomic_load(&members[i].shared_open);
            total += open;
            least = open < least ? open : least;
        }
        if (total == PARTITIONS && least >= each_at_least) return true;
        usleep(20000);
    }
    return false;
}

static void check_group(const char *assignor, const char *topic, const char *group)
{
    static struct bed bed;
    struct tally tally;
    struct member *members = calloc(3, sizeof *members);
    struct lp_source_state state;
    pthread_t feeder;
    bed_start(&bed, assignor);
    bed_topic(&bed, topic, PARTITIONS);
    tally_init(&tally);
    feed.bed = &bed;
    feed.topic = topic;
    atomic_store(&feed.quit, false);
    for (int i = 0; i < 3; i++) members[i].name = (const char *[]){"a", "b", "c"}[i];

    pthread_create(&feeder, NULL, feed_main, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        member_join(&members[i], &bed, topic, group, LP_START_EARLIEST, &tally);
        member_start(&members[i]);
        assert_true(wait_open(members, i + 1, 2));
    }
    member_stop(&members[1]);
    uint64_t deadline_ms = bed_ms() + 60000;
    while (atomic_load(&members[0].shared_open) + atomic_load(&members[2].shared_open) < PARTITIONS &&
           bed_ms() < deadline_ms)
        usleep(20000);
    assert_int_equal(atomic_load(&members[0].shared_open) + atomic_load(&members[2].shared_open), PARTITIONS);
    atomic_store(&feed.quit, true);
    pthread_join(feeder, NULL);

    int count = atomic_load(&feed.produced);
    deadline_ms = bed_ms() + 60000;
    while (tally_count(&tally, PARTITIONS, count, 0) > 0 && bed_ms() < deadline_ms) usleep(50000);
    uint64_t failures = 0;
    for (uint32_t i = 0; i < 3; i++) failures += members[i].events[LP_SOURCE_COMMIT_FAILED] + members[i].lost_calls;
    lp_source_get_state(members[0].source, &state);
    print_message("%s: %d records, duplicates %llu, stale %llu, failed commits and lost assignments %llu\n", assignor,
                  PARTITIONS * count, (unsigned long long)tally.duplicates, (unsigned long long)state.stale_records,
                  (unsigned long long)failures);
    /* Nothing lost, and in order within each assignment, whatever happened. */
    assert_int_equal(tally_count(&tally, PARTITIONS, count, 0), 0);
    assert_int_equal(atomic_load(&tally.disorders), 0);
    /* The mock refuses commits while members join, so that what was done since the last one comes twice there. A real
     * broker takes them: then each record was processed exactly once. */
    if (failures == 0) assert_int_equal(atomic_load(&tally.duplicates), 0);
    if (failures == 0) assert_true(state.commits > 0);
    if (bed.cluster == NULL) assert_int_equal(failures, 0);
    assert_true(state.rebalances >= 3);
    member_stop(&members[0]);
    member_stop(&members[2]);
    free(members);
    tally_done(&tally);
    bed_stop(&bed);
}

static void range_members_share_without_loss_or_duplicates(void **state)
{
    (void)state;
    check_group("range", "group-range", "g-range");
}

static void cooperative_members_share_without_loss_or_duplicates(void **state)
{
    (void)state;
    check_group("cooperative-sticky", "group-coop", "g-coop");
}

static void more_members_than_partitions_all_count_as_joined(void **state)
{
    static const char *const assignors[] = {"range", "cooperative-sticky"};
    (void)state;
    for (size_t a = 0; a < 2; a++) {
        static struct bed bed;
        struct tally tally;
        struct member *members = calloc(2, sizeof *members);
        struct lp_source_state seen[2] = {{.joined = false}};
        bed_start(&bed, assignors[a]);
        bed_topic(&bed, "single", 1);
        tally_init(&tally);
        for (uint32_t i = 0; i < 2; i++) {
            members[i].name = "m";
            member_join(&members[i], &bed, "single", "g-single", LP_START_EARLIEST, &tally);
        }
        uint64_t deadline_ms = bed_ms() + 60000;
        while (!(seen[0].joined && seen[1].joined) && bed_ms() < deadline_ms)
            for (uint32_t i = 0; i < 2; i++) {
                member_poll(&members[i], 20);
                lp_source_get_state(members[i].source, &seen[i]);
            }
        assert_true(seen[0].joined && seen[1].joined);
        for (uint32_t i = 0; i < 2; i++) member_leave(&members[i]);
        free(members);
        tally_done(&tally);
        bed_stop(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_members_share_without_loss_or_duplicates),
        cmocka_unit_test(cooperative_members_share_without_loss_or_duplicates),
        cmocka_unit_test(more_members_than_partitions_all_count_as_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
