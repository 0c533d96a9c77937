/* JSON has no schema to hold a model against: a feature that no record has is found in the rows. */
#include "support/worker_bed.h"

enum { ROWS = 12000 };

/* f1 is in none of them, f2 in one; f1 and f2 may be missing. */
static void send_rows(struct wb *wb)
{
    for (int i = 0; i < ROWS; i++) {
        const char *json = i == 7 ? "{\"f0\":1,\"f2\":1,\"f3\":1}" : "{\"f0\":1,\"f3\":1}";
        struct wb_message message = {
            .topic = "in", .value = json, .value_size = strlen(json), .timestamp_ms = 1700000000000 + i};
        wb_send(wb, &message);
    }
    wb_flush(wb);
}

static bool metrics_say(struct wb *wb, const char *line)
{
    struct lp_buffer out;
    lp_buffer_init(&out, 1u << 24);
    lp_worker_render_metrics(wb->worker, &out);
    lp_buffer_append(&out, "", 1);
    BED_OK(lp_buffer_check(&out, "metrics", &bed_err));
    bool said = strstr((const char *)out.data, line) != NULL;
    lp_buffer_done(&out);
    return said;
}

static void wait_metrics(struct wb *wb, const char *line)
{
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (!metrics_say(wb, line)) {
        if (bed_ms() > deadline_ms) fail_msg("/metrics never said %s", line);
        usleep(50000);
    }
}

static void a_feature_that_no_row_has_is_told_and_one_seen_once_is_not(void **state)
{
    (void)state;
    struct wb wb;
    wb_start(&wb, 1);
    wb_deploy(&wb, 1, "a", "");
    wb_run(&wb, NULL);
    wb_wait_ready(&wb);
    assert_true(metrics_say(&wb, "\nlepton_features_absent 0\n"));
    send_rows(&wb);
    wait_metrics(&wb, "\nlepton_features_absent 1\n");

    /* The next model is judged by its own rows. */
    wb_deploy(&wb, 2, "b", "");
    wb_wait_state(&wb, LP_SLOT_LIVE, 2);
    wait_metrics(&wb, "\nlepton_features_absent 0\n");
    wb_halt(&wb);
    wb_end(&wb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_feature_that_no_row_has_is_told_and_one_seen_once_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
