/* Oracle: librdkafka's own list of its errors, and the Kafka protocol's meaning of the ones named here. */
#include "core/actions.h"

#include <librdkafka/rdkafka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void every_error_of_the_linked_version_has_a_row_under_its_own_name(void **state)
{
    const struct rd_kafka_err_desc *descs;
    size_t count, walked = 0;
    (void)state;
    rd_kafka_get_err_descs(&descs, &count);
    for (size_t i = 0; i < count; i++) {
        int code = descs[i].code;
        if (descs[i].name == NULL || code == 0 || descs[i].desc == NULL) continue; /* holes, success, the ends */
        const struct lp_kafka_action *row = lp_action_of_kafka(code);
        if (row->number != code) fail_msg("%d %s has no row", code, descs[i].name);
        assert_string_equal(row->name, descs[i].name);
        walked++;
    }
    assert_true(walked > 150);
}

static void rows_stand_in_the_order_of_their_numbers_once_each(void **state)
{
    int found = 0, before = -1000;
    (void)state;
    for (int number = -500; number < 500; number++) {
        const struct lp_kafka_action *row = lp_action_of_kafka(number);
        if (row->name[0] == '\0') continue;
        assert_int_equal(row->number, number);
        assert_true(number > before);
        before = number;
        found++;
    }
    int rows = 0;
#define KAFKA(number, name, produce, consume, commit, code, cure) rows++;
#define KAFKA_UNKNOWN(produce, consume, commit, code, cure)
#define STAGE(stage, code, action, example)
#define STAGE_UNKNOWN(action, example)
#include "core/actions.inc"
    assert_int_equal(found, rows); /* a row out of order is not found */
}

static void newer_errors_are_known_and_unknown_ones_raise_an_alarm_and_lose_nothing(void **state)
{
    static const struct {
        int number;
        const char *name;
    } newer[] = {{-139, "_LOG_TRUNCATION"},     {-138, "_INVALID_DIFFERENT_RECORD"}, {-137, "_DESTROY_BROKER"},
                 {100, "UNKNOWN_TOPIC_ID"},     {110, "FENCED_MEMBER_EPOCH"},        {111, "UNRELEASED_INSTANCE_ID"},
                 {112, "UNSUPPORTED_ASSIGNOR"}, {113, "STALE_MEMBER_EPOCH"},         {117, "UNKNOWN_SUBSCRIPTION_ID"},
                 {118, "TELEMETRY_TOO_LARGE"},  {120, "TRANSACTION_ABORTABLE"},      {129, "REBOOTSTRAP_REQUIRED"}};
    (void)state;
    for (size_t i = 0; i < sizeof newer / sizeof newer[0]; i++)
        assert_string_equal(lp_action_of_kafka(newer[i].number)->name, newer[i].name);
    for (int number = 1000; number < 1003; number++)
        for (int side = 0; side < LP_SIDE_COUNT; side++)
            assert_int_equal(lp_action_of_kafka(number)->actions[side], LP_PAUSE);
}

/* What each side must never do. */
static void no_error_of_a_client_drops_what_was_consumed(void **state)
{
    (void)state;
    for (int number = -300; number < 300; number++) {
        const struct lp_kafka_action *row = lp_action_of_kafka(number);
        assert_int_not_equal(row->actions[LP_SIDE_COMMIT], LP_SKIP_RECORD);
        /* Only what is about the one record may take it away. */
        static const int about_the_record[] = {4, 10, 18, 32, 87, -162, -161, -160, -159};
        bool may = false;
        for (size_t i = 0; i < sizeof about_the_record / sizeof *about_the_record; i++)
            may = may || about_the_record[i] == number;
        assert_int_equal(row->actions[LP_SIDE_PRODUCE] == LP_SKIP_RECORD, may);
    }
}

static void the_errors_that_operators_meet_have_the_documented_actions(void **state)
{
    static const struct {
        int number;
        enum lp_action produce, consume, commit;
    } cases[] = {
        {10, LP_SKIP_RECORD, LP_RETRY, LP_RETRY}, /* MSG_SIZE_TOO_LARGE */
        {29, LP_PAUSE, LP_PAUSE, LP_PAUSE},       /* TOPIC_AUTHORIZATION_FAILED */
        {3, LP_PAUSE, LP_PAUSE, LP_PAUSE},        /* UNKNOWN_TOPIC_OR_PART */
        {56, LP_PAUSE, LP_PAUSE, LP_PAUSE},       /* KAFKA_STORAGE_ERROR: a read-only disk */
        {6, LP_RETRY, LP_RETRY, LP_RETRY},        /* NOT_LEADER_FOR_PARTITION */
        {22, LP_RETRY, LP_RETRY, LP_RETRY},       /* ILLEGAL_GENERATION */
        {82, LP_FATAL, LP_FATAL, LP_FATAL},       /* FENCED_INSTANCE_ID */
        {-150, LP_FATAL, LP_FATAL, LP_FATAL},     /* _FATAL */
        {-184, LP_RETRY, LP_RETRY, LP_RETRY},     /* _QUEUE_FULL */
        {-199, LP_RETRY, LP_FATAL, LP_RETRY},     /* _BAD_MSG: a batch that nobody can read */
        {-195, LP_RETRY, LP_RETRY, LP_RETRY},     /* _TRANSPORT */
        {-169, LP_PAUSE, LP_PAUSE, LP_PAUSE},     /* _AUTHENTICATION */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct lp_kafka_action *row = lp_action_of_kafka(cases[i].number);
        assert_int_equal(row->actions[LP_SIDE_PRODUCE], cases[i].produce);
        assert_int_equal(row->actions[LP_SIDE_CONSUME], cases[i].consume);
        assert_int_equal(row->actions[LP_SIDE_COMMIT], cases[i].commit);
    }
}

static void a_record_of_good_bytes_is_never_skipped(void **state)
{
    static const char *const stages[] = {"decode", "clean", "infer", "publish"};
    static const enum lp_code innocent[] = {LP_E_MEMORY, LP_E_IO, LP_E_PENDING, LP_E_TIMEOUT};
    (void)state;
    for (size_t s = 0; s < sizeof stages / sizeof *stages; s++)
        for (size_t i = 0; i < sizeof innocent / sizeof *innocent; i++)
            assert_int_not_equal(lp_action_of_stage(stages[s], innocent[i]), LP_SKIP_RECORD);
    assert_int_equal(lp_action_of_stage("decode", LP_E_INVALID), LP_SKIP_RECORD);
    assert_int_equal(lp_action_of_stage("decode", LP_E_PENDING), LP_RETRY);
    assert_int_equal(lp_action_of_stage("clean", LP_E_REFUSED), LP_SKIP_RECORD);
    assert_int_equal(lp_action_of_stage("infer", LP_E_REFUSED), LP_SKIP_RECORD);
    assert_int_equal(lp_action_of_stage("publish", LP_E_LIMIT), LP_SKIP_RECORD);
    assert_int_equal(lp_action_of_stage("publish", LP_E_MEMORY), LP_FATAL);
    assert_int_equal(lp_action_of_stage("elsewhere", LP_E_INVALID), LP_FATAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_of_the_linked_version_has_a_row_under_its_own_name),
        cmocka_unit_test(rows_stand_in_the_order_of_their_numbers_once_each),
        cmocka_unit_test(newer_errors_are_known_and_unknown_ones_raise_an_alarm_and_lose_nothing),
        cmocka_unit_test(no_error_of_a_client_drops_what_was_consumed),
        cmocka_unit_test(the_errors_that_operators_meet_have_the_documented_actions),
        cmocka_unit_test(a_record_of_good_bytes_is_never_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
