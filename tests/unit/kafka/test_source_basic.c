#include "support/kafka_member.h"

#include "support/kafka_bed_shared.h" /* after functions with a parameter of that name */

#include <time.h>
#include <unistd.h>

enum { PARTITIONS = 4, COUNT = 25000 };

static void a_hundred_thousand_records_come_once_and_in_order(void **state)
{
    struct tally tally;
    struct member member = {.name = "basic"};
    struct lp_source_state seen;
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "basic", PARTITIONS);
    bed_produce(&bed, "basic", PARTITIONS, 0, COUNT);
    member_join(&member, &bed, "basic", "g-basic", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&member, PARTITIONS * COUNT));
    assert_int_equal(tally_count(&tally, PARTITIONS, COUNT, 1), PARTITIONS * COUNT);
    assert_int_equal(atomic_load(&tally.disorders), 0);
    lp_source_get_state(member.source, &seen);
    assert_true(seen.joined);
    assert_int_equal(seen.assigned_count, PARTITIONS);
    assert_int_equal(seen.stale_records, 0);
    for (uint32_t slot = 0; slot < PARTITIONS; slot++) {
        assert_int_equal(lp_source_lag(member.source, slot, COUNT), 0);
        assert_int_equal(lp_source_lag(member.source, slot, COUNT - 10), 10);
    }
    assert_int_equal(lp_source_lag(member.source, PARTITIONS, 0), -1);
    member_leave(&member);

    /* The group's offsets were committed at the end: the next member sees only what is new. */
    struct member next = {.name = "next"};
    bed_produce(&bed, "basic", PARTITIONS, COUNT, 10);
    member_join(&next, &bed, "basic", "g-basic", LP_START_EARLIEST, &tally);
    assert_true(member_poll_until(&next, PARTITIONS * (COUNT + 10)));
    assert_int_equal(atomic_load(&tally.duplicates), 0);
    assert_int_equal(next.records, PARTITIONS * 10);
    member_leave(&next);
    tally_done(&tally);
}

static void stop_after_each_record_loses_none(void **state)
{
    struct tally tally;
    struct member member = {.name = "stop", .stop_every = 1};
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "stop", PARTITIONS);
    bed_produce(&bed, "stop", PARTITIONS, 0, 500);
    member_join(&member, &bed, "stop", "g-stop", LP_START_EARLIEST, &tally);
    while (member.records == 0) member_poll(&member, 100);
    for (int i = 0; i < 20; i++) {
        uint32_t before = member.records;
        member_poll(&member, 100);
        assert_int_equal(member.records, before + 1);
    }
    assert_true(member_poll_until(&member, PARTITIONS * 500));
    assert_int_equal(tally_count(&tally, PARTITIONS, 500, 1), PARTITIONS * 500);
    assert_int_equal(atomic_load(&tally.disorders), 0);
    member_leave(&member);
    tally_done(&tally);
}

static void without_records_wanted_none_comes_and_the_member_stays(void **state)
{
    struct tally tally;
    struct member member = {.name = "quiet"};
    struct lp_source_state seen;
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "quiet", 1);
    bed_produce(&bed, "quiet", 1, 0, 100);
    member_join(&member, &bed, "quiet", "g-quiet", LP_START_EARLIEST, &tally);
    uint64_t deadline_ms = bed_ms() + 30000;
    do {
        BED_OK(lp_source_poll(member.source, 50, false, &bed_err));
        lp_source_get_state(member.source, &seen);
    } while (seen.assigned_count == 0 && bed_ms() < deadline_ms);
    for (int i = 0; i < 10; i++) BED_OK(lp_source_poll(member.source, 50, false, &bed_err));
    assert_int_equal(member.records, 0);
    assert_true(member_poll_until(&member, 100));
    assert_int_equal(atomic_load(&tally.duplicates), 0);
    member_leave(&member);
    tally_done(&tally);
}

/* --- a relay with headers, keys and nulls --- */

static struct relay {
    struct lp_source *source;
    struct lp_sink *sink;
    struct lp_sink_topic *to;
    uint32_t records;
    char last_header[16];
    bool key_null, value_null, value_empty;
    uint32_t headers_left;
} relay;

static enum lp_source_step relay_record(void *context, const struct lp_source_record *record)
{
    (void)context;
    struct lp_headers *headers = lp_headers_take(record->message);
    struct lp_span header = headers != NULL ? lp_headers_last(headers, "trace") : (struct lp_span){0};
    if (headers != NULL) assert_null(lp_headers_last(headers, "absent").data);
    assert_true(header.size < sizeof relay.last_header);
    if (header.data != NULL) memcpy(relay.last_header, header.data, header.size);
    relay.last_header[header.size] = '\0';
    relay.key_null = record->key.data == NULL;
    relay.value_null = record->value.data == NULL;
    relay.value_empty = record->value.data != NULL && record->value.size == 0;
    relay.headers_left = lp_headers_count(headers);
    relay.records++;
    if (relay.to == NULL) {
        lp_headers_free(headers);
        return LP_SOURCE_NEXT;
    }
    struct lp_sink_message message = {.topic = relay.to,
                                      .key = record->key,
                                      .value = record->value,
                                      .timestamp_ms = record->timestamp_ms,
                                      .headers = headers};
    BED_OK(lp_sink_send(relay.sink, &message, &bed_err));
    return LP_SOURCE_NEXT;
}

static void relay_assigned(void *context, uint32_t slot, uint32_t topic_index, int32_t partition)
{
    (void)context;
    (void)slot;
    (void)topic_index;
    (void)partition;
}

static void relay_revoking(void *context, const uint32_t *slots, uint32_t count, bool lost)
{
    (void)context;
    (void)slots;
    (void)count;
    (void)lost;
}

static void relay_revoked(void *context, const uint32_t *slots, uint32_t count)
{
    relay_revoking(context, slots, count, false);
}

static void relay_run(const char *from, const char *group, uint32_t count)
{
    const char *const topics[] = {from};
    struct lp_source_options options = {.conf = &bed.conf,
                                        .topics = topics,
                                        .topic_count = 1,
                                        .group_id = group,
                                        .client_id = "relay",
                                        .partitions_max = 4};
    struct lp_source_callbacks callbacks = {
        .record = relay_record, .assigned = relay_assigned, .revoking = relay_revoking, .revoked = relay_revoked};
    relay.records = 0;
    BED_OK(lp_source_new(&options, &callbacks, &relay.source, &bed_err));
    uint64_t deadline_ms = bed_ms() + 30000;
    while (relay.records < count && bed_ms() < deadline_ms) BED_OK(lp_source_poll(relay.source, 50, true, &bed_err));
    assert_int_equal(relay.records, count);
    BED_OK(lp_sink_flush(relay.sink, 10000, &bed_err));
    BED_OK(lp_source_close(relay.source, 10000, &bed_err));
    lp_source_free(relay.source);
}

static void headers_nulls_and_empties_travel_through_source_and_sink(void **state)
{
    struct lp_sink_topic *from = NULL;
    struct lp_sink_options options = {
        .conf = &bed.conf, .client_id = "relay", .queue_max = 100, .queue_max_bytes = 1u << 20};
    (void)state;
    bed_topic(&bed, "relay-in", 1);
    bed_topic(&bed, "relay-out", 1);
    BED_OK(lp_sink_new(&options, &relay.sink, &bed_err));
    BED_OK(lp_sink_topic(relay.sink, "relay-in", &from, &bed_err));
    BED_OK(lp_sink_topic(relay.sink, "relay-out", &relay.to, &bed_err));
    struct lp_sink_message message = {.topic = from, .key = lp_span_of("", 0), .headers = lp_headers_new(3)};
    assert_true(lp_headers_add(message.headers, "trace", lp_span_text("first")));
    assert_true(lp_headers_add(message.headers, "other", lp_span_of(NULL, 0)));
    assert_true(lp_headers_add(message.headers, "trace", lp_span_text("last")));
    BED_OK(lp_sink_send(relay.sink, &message, &bed_err));
    BED_OK(lp_sink_flush(relay.sink, 10000, &bed_err));

    relay_run("relay-in", "g-relay-in", 1);
    relay.to = NULL; /* the far end only looks */
    relay_run("relay-out", "g-relay-out", 1);
    assert_string_equal(relay.last_header, "last");
    assert_int_equal(relay.headers_left, 3);
    assert_false(relay.key_null);
    assert_true(relay.value_null);

    message = (struct lp_sink_message){.topic = from, .value = lp_span_of("", 0)};
    BED_OK(lp_sink_send(relay.sink, &message, &bed_err));
    BED_OK(lp_sink_flush(relay.sink, 10000, &bed_err));
    relay_run("relay-in", "g-relay-again", 2);
    assert_int_equal(relay.headers_left, 0);
    assert_true(relay.key_null && relay.value_empty);
    lp_sink_free(relay.sink);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *wake_later(void *argument)
{
    usleep(200000);
    lp_source_wake(argument);
    return NULL;
}

static void an_idle_member_sleeps_and_wakes_when_called(void **state)
{
    struct tally tally;
    struct member member = {.name = "idle"};
    struct lp_source_state seen;
    pthread_t thread;
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "idle", 1);
    member_join(&member, &bed, "idle", "g-idle", LP_START_EARLIEST, &tally);
    do {
        member_poll(&member, 1000);
        lp_source_get_state(member.source, &seen);
    } while (!seen.joined);
    for (int i = 0; i < 5; i++) member_poll(&member, 100);
    for (int records = 0; records < 2; records++) {
        pthread_create(&thread, NULL, wake_later, member.source);
        uint64_t began_ms = bed_ms();
        /* A group event may end a poll as well; the wake comes after 200 ms and before the poll's own second. */
        BED_OK(lp_source_poll(member.source, 1000, records == 1, &bed_err));
        if (bed_ms() - began_ms < 190) BED_OK(lp_source_poll(member.source, 1000, records == 1, &bed_err));
        uint64_t took_ms = bed_ms() - began_ms;
        pthread_join(thread, NULL);
        assert_in_range(took_ms, 190, 5000);
    }
    /* Three seconds without a record: sanitizers apart, a few milliseconds of CPU with the cluster in this process. */
    double began_cpu = cpu_seconds();
    uint64_t began_ms = bed_ms(), polls = 0;
    while (bed_ms() - began_ms < 3000) {
        member_poll(&member, 1000);
        polls++;
    }
    assert_true(polls < 30);
    assert_true(cpu_seconds() - began_cpu < 0.5);
    member_leave(&member);
    tally_done(&tally);
}

static void a_pattern_or_a_repeated_topic_is_refused(void **state)
{
    static const char *const pattern[] = {"^in.*"}, *const twice[] = {"a", "a"};
    struct lp_source *source = NULL;
    struct lp_source_callbacks callbacks = {.context = NULL};
    struct lp_source_options options = {
        .conf = &bed.conf, .topics = pattern, .topic_count = 1, .group_id = "g", .client_id = "c", .partitions_max = 1};
    (void)state;
    assert_int_equal(lp_source_new(&options, &callbacks, &source, &bed_err), LP_E_INVALID);
    assert_string_equal(bed_err.field, "input.topics");
    options.topics = twice;
    options.topic_count = 2;
    assert_int_equal(lp_source_new(&options, &callbacks, &source, &bed_err), LP_E_INVALID);
    options.topic_count = 1;
    options.partitions_max = 0;
    assert_int_equal(lp_source_new(&options, &callbacks, &source, &bed_err), LP_E_INVALID);
    assert_null(source);
}

static void more_partitions_than_slots_is_fatal_with_a_cure(void **state)
{
    static const char *const topics[] = {"many"};
    struct tally tally;
    struct member member = {.name = "many", .tally = &tally, .store_nothing = true, .close_timeout_ms = 10000};
    (void)state;
    tally_init(&tally);
    bed_topic(&bed, "many", 8);
    struct lp_source_options options = {.conf = &bed.conf,
                                        .topics = topics,
                                        .topic_count = 1,
                                        .group_id = "g-many",
                                        .client_id = "many",
                                        .partitions_max = 7};
    struct lp_source_callbacks callbacks = {.context = &member,
                                            .record = member_record,
                                            .assigned = member_assigned,
                                            .revoking = member_revoking,
                                            .revoked = member_revoked};
    BED_OK(lp_source_new(&options, &callbacks, &member.source, &bed_err));
    enum lp_code code = LP_OK;
    uint64_t deadline_ms = bed_ms() + 30000;
    while (code == LP_OK && bed_ms() < deadline_ms) code = lp_source_poll(member.source, 100, true, &bed_err);
    assert_int_equal(code, LP_E_LIMIT);
    assert_int_equal(bed_err.action, LP_FATAL);
    member_leave(&member);
    tally_done(&tally);
}

/* librdkafka before 2.3.0 asserts when such a member is destroyed between its join and its first assignment. */
static void a_cooperative_member_without_an_assignment_is_left_to_the_end(void **state)
{
    static const char *const topics[] = {"basic"};
    struct lp_kafka_setting settings[] = {{"bootstrap.servers", "127.0.0.1:1", LP_KAFKA_BOTH},
                                          {"partition.assignment.strategy", "cooperative-sticky", LP_KAFKA_CONSUMER}};
    struct lp_kafka_conf conf = {.settings = settings, .setting_count = 2, .commit_interval_ms = 200};
    struct lp_source_options options = {.conf = &conf,
                                        .topics = topics,
                                        .topic_count = 1,
                                        .group_id = "g-early",
                                        .client_id = "early",
                                        .partitions_max = 4};
    struct lp_source_callbacks callbacks = {
        .record = relay_record, .assigned = relay_assigned, .revoking = relay_revoking, .revoked = relay_revoked};
    struct lp_source *source = NULL;
    uint32_t before = lp_kafka_left_behind();
    (void)state;
    BED_OK(lp_source_new(&options, &callbacks, &source, &bed_err));
    lp_source_free(source);
    assert_int_equal(lp_kafka_left_behind() - before, rd_kafka_version() < 0x02030000 ? 1 : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_thousand_records_come_once_and_in_order),
        cmocka_unit_test(stop_after_each_record_loses_none),
        cmocka_unit_test(without_records_wanted_none_comes_and_the_member_stays),
        cmocka_unit_test(headers_nulls_and_empties_travel_through_source_and_sink),
        cmocka_unit_test(an_idle_member_sleeps_and_wakes_when_called),
        cmocka_unit_test(a_pattern_or_a_repeated_topic_is_refused),
        cmocka_unit_test(more_partitions_than_slots_is_fatal_with_a_cure),
        cmocka_unit_test(a_cooperative_member_without_an_assignment_is_left_to_the_end),
    };
    return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
