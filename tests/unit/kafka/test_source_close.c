// wrap: rd_kafka_commit_queue
#include "support/kafka_member.h"

#include "support/kafka_bed_shared.h" /* after functions with a parameter of that name */

#include <librdkafka/rdkafka.h>

enum { PARTITIONS = 2, COUNT = 100 };

static bool commits_vanish;

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_is_bounded_when_the_final_commit_is_never_answered),
        cmocka_unit_test(close_is_bounded_when_the_broker_is_gone),
    };
    return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
