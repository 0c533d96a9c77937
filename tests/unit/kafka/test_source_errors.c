/*
 * Every error that a broker can answer a commit or a fetch with, and every one that librdkafka hands to a consumer,
 * against its row of core/actions.inc. Oracle: the Kafka protocol's error numbers, answered by librdkafka's mock.
 */
#include "support/kafka_member.h"

#include "core/actions.h"
#include "kafka/source_private.h"

#include "support/kafka_bed_shared.h" /* after functions with a parameter of that name */

enum { FETCH = 1, OFFSET_COMMIT = 8, LAST = 97, WAIT_MS = 20000, COUNT = 5 };

static struct tally tally;

/* What came of an error: of these one, or the client mended it by itself. */
struct outcome {
    bool fatal;
    uint32_t alarms, others;
};

static struct outcome outcome_of(const struct member *member, const struct outcome *before)
{
    return (struct outcome){.fatal = member->source->state.fatal,
                            .alarms = member->events[LP_SOURCE_ALARM] - before->alarms,
                            .others = member->events[LP_SOURCE_ERROR] + member->events[LP_SOURCE_COMMIT_FAILED] -
                                      before->others};
}

static struct outcome outcome_now(const struct member *member)
{
    static const struct outcome none;
    return outcome_of(member, &none);
}

static void check_row(const struct outcome *seen, const struct lp_kafka_action *row, enum lp_side side)
{
    enum lp_action action = row->actions[side];
    if (seen->fatal != (action == LP_FATAL))
        fail_msg("%s: the client %s", row->name, seen->fatal ? "ended" : "goes on");
    if (action == LP_PAUSE && seen->alarms == 0) fail_msg("%s: no alarm", row->name);
    if (action == LP_RETRY && (seen->alarms != 0 || seen->others == 0))
        fail_msg("%s: not told, or as an alarm", row->name);
}

static void join(struct member *member, const char *topic, const char *group)
{
    *member = (struct member){.name = "errors"};
    member_join(member, &bed, topic, group, LP_START_EARLIEST, &tally);
    uint64_t deadline_ms = bed_ms() + WAIT_MS;
    while (member->open_count == 0 && bed_ms() < deadline_ms) member_poll(member, 20);
    assert_int_equal(member->open_count, 1);
}

static void leave(struct member *member)
{
    struct lp_error err;
    if (lp_source_close(member->source, 3000, &err) != LP_OK) print_message("%s\n", err.text);
    lp_source_free(member->source);
}

/* As librdkafka tells it: by its commit callback, and by a message that is an error. No broker has a part in it. */
static void every_error_of_the_client_has_the_action_of_its_row(void **state)
{
    struct member member;
    int fatal[LP_SIDE_COUNT] = {0}, walked = 0;
    (void)state;
    bed_topic(&bed, "told", 1);
    join(&member, "told", "g-told");
    for (int number = -190; number <= 140; number++) {
        const struct lp_kafka_action *row = lp_action_of_kafka(number);
        if (row->name[0] == '\0' || number == RD_KAFKA_RESP_ERR__FATAL) continue; /* asks the client for the reason */
        for (enum lp_side side = LP_SIDE_CONSUME; side <= LP_SIDE_COMMIT; side++) {
            if (side == LP_SIDE_COMMIT && number == RD_KAFKA_RESP_ERR__NO_OFFSET) continue; /* nothing was to be done */
            struct outcome before = outcome_now(&member);
            rd_kafka_message_t message = {.rkt = member.source->topics[0].handle, .err = (rd_kafka_resp_err_t)number};
            if (side == LP_SIDE_CONSUME) source_on_message(&message, member.source);
            else source_on_commit(member.source->client, (rd_kafka_resp_err_t)number, NULL, member.source);
            struct outcome seen = outcome_of(&member, &before);
            check_row(&seen, row, side);
            fatal[side] += seen.fatal;
            member.source->state.fatal = false;
            walked++;
        }
    }
    assert_true(walked > 250 && fatal[LP_SIDE_CONSUME] > 10 && fatal[LP_SIDE_COMMIT] > 10);
    leave(&member);
}

/* Was this error told, and not what came of one before? */
static bool is_told(const struct member *member, int number)
{
    return strstr(member->event_text, rd_kafka_err2str((rd_kafka_resp_err_t)number)) != NULL;
}

/* The table's verdict is set aside, so that the next error meets the same client; one that has ended itself is replaced
 * by a member of another group. */
static void begin_again(struct member *member, const char *topic, int number)
{
    char group[32], text[256];
    member->source->state.fatal = false;
    if (rd_kafka_fatal_error(member->source->client, text, sizeof text) == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    leave(member);
    snprintf(group, sizeof group, "g-%s-%d", topic, number);
    join(member, topic, group);
}

static void every_answer_to_a_commit_has_the_action_of_its_row(void **state)
{
    struct member member;
    int64_t offset = COUNT;
    int told = 0;
    (void)state;
    bed_topic(&bed, "commits", 1);
    bed_produce(&bed, "commits", 1, 0, COUNT);
    join(&member, "commits", "g-commits");
    for (int number = 1; number <= LAST; number++) {
        const struct lp_kafka_action *row = lp_action_of_kafka(number);
        struct lp_source_state seen = {.commits = 0}, start;
        struct lp_error err;
        struct outcome before = outcome_now(&member);
        enum lp_code code = LP_OK;
        lp_source_get_state(member.source, &start);
        member.event_text[0] = '\0';
        lp_embedded_push_errors(bed.cluster, OFFSET_COMMIT, 1, number);
        for (uint64_t deadline_ms = bed_ms() + WAIT_MS; code == LP_OK && bed_ms() < deadline_ms;) {
            if (member.open_count > 0) lp_source_store(member.source, 0, ++offset);
            code = lp_source_poll(member.source, 20, true, &err);
            lp_source_get_state(member.source, &seen);
            if (is_told(&member, number) || seen.commits > start.commits) break;
        }
        struct outcome came = outcome_of(&member, &before);
        if (is_told(&member, number)) {
            check_row(&came, row, LP_SIDE_COMMIT);
            told++;
        } else if (seen.commits == start.commits) {
            fail_msg("%s: neither told nor mended: %s", row->name, member.event_text);
        }
        if (came.fatal) begin_again(&member, "commits", number);
    }
    print_message("commit: %d errors told\n", told);
    assert_true(told > 60);
    leave(&member);
}

/* librdkafka hands out only some; whatever it does, records come again and none is passed over. */
static void every_answer_to_a_fetch_loses_nothing_and_what_is_told_has_the_action_of_its_row(void **state)
{
    struct member member;
    int told = 0;
    (void)state;
    bed_topic(&bed, "fetches", 1);
    bed_produce(&bed, "fetches", 1, 0, 1);
    join(&member, "fetches", "g-fetches");
    for (int number = 1; number <= LAST; number++) {
        const struct lp_kafka_action *row = lp_action_of_kafka(number);
        struct lp_error err;
        struct outcome before = outcome_now(&member);
        enum lp_code code = LP_OK;
        member.event_text[0] = '\0';
        lp_embedded_push_errors(bed.cluster, FETCH, 1, number);
        bed_produce(&bed, "fetches", 1, number, 1);
        for (uint64_t deadline_ms = bed_ms() + WAIT_MS; code == LP_OK && bed_ms() < deadline_ms;) {
            code = lp_source_poll(member.source, 20, true, &err);
            member_store(&member);
            if (member.last_offset[0] >= number) break;
        }
        struct outcome came = outcome_of(&member, &before);
        if (is_told(&member, number)) {
            check_row(&came, row, LP_SIDE_CONSUME);
            told++;
        }
        if (came.fatal) begin_again(&member, "fetches", number);
        for (uint64_t deadline_ms = bed_ms() + WAIT_MS; member.last_offset[0] < number && bed_ms() < deadline_ms;)
            member_poll(&member, 20);
        if (member.last_offset[0] < number) fail_msg("%s: nothing comes any more", row->name);
    }
    print_message("fetch: %d errors told\n", told);
    assert_true(told > 20);
    assert_int_equal(atomic_load(&tally.disorders), 0);
    leave(&member);
}

static int setup(void **state)
{
    tally_init(&tally);
    if (bed_setup(state) != 0) return 1;
    bed.settings[bed.conf.setting_count++] =
        (struct lp_kafka_setting){"fetch.error.backoff.ms", "10", LP_KAFKA_CONSUMER};
    bed.conf.commit_interval_ms = 10;
    return 0;
}

static int teardown(void **state)
{
    tally_done(&tally);
    return bed_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_of_the_client_has_the_action_of_its_row),
        cmocka_unit_test(every_answer_to_a_commit_has_the_action_of_its_row),
        cmocka_unit_test(every_answer_to_a_fetch_loses_nothing_and_what_is_told_has_the_action_of_its_row),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
