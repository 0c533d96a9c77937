/* A thousand deployments under load: nothing is lost, and old models are freed when their last batch is done. */
#include "support/worker_bed.h"

#include <malloc.h>

enum { PARTITIONS = 4, SWAPS = 1000, LANES = 2, WARM_UP = 50, HEAP_GROWTH_MAX_BYTES = 8 << 20, SENT_MAX = 2500 };
enum { UNSEEN_MAX = 500 }; /* records sent whose prediction was not read yet */

struct load {
    struct wb *wb;
    atomic_bool quit;
    atomic_size_t seen; /* predictions read */
    int sent;           /* a partition */
};

/*
 * 500 records a second, or what the mock gets through: it answers a fetch with one produced batch a partition, so that
 * on a busy machine a backlog would only grow, and the swaps wait behind it. SENT_MAX: it keeps all of them in this
 * process's memory, which is measured.
 */
static void *load_main(void *context)
{
    struct load *load = context;
    while (!atomic_load(&load->quit)) {
        size_t unseen = (size_t)load->sent * PARTITIONS - atomic_load(&load->seen);
        if (load->sent < SENT_MAX && unseen < UNSEEN_MAX) {
            for (int32_t p = 0; p < PARTITIONS; p++) wb_send_case(load->wb, p, load->sent, WB_CASES);
            load->sent++;
        }
        usleep(8000);
    }
    return NULL;
}

/* Bytes the process has from malloc, in use; 0 under sanitizers, whose allocators say nothing. */
static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static uint64_t serving_generation(struct wb *wb)
{
    struct lp_status_record status;
    struct lp_control_event events[LP_CONTROL_EVENTS_MAX];
    lp_worker_control(wb->worker, &status, events);
    return status.serving ? status.serving_generation : 0;
}

/* One after the other, each taken by every lane before the next. */
static void deploy(struct wb *wb, struct load *load, struct wb_log *out, uint64_t first, uint64_t last)
{
    char sources[2][1024], text[4096];
    wb_source("a", sources[0], sizeof sources[0]);
    wb_source("b", sources[1], sizeof sources[1]);
    for (uint64_t g = first; g <= last; g++) {
        snprintf(text, sizeof text, "{\"format\":1,\"generation\":%llu,\"active\":%s}", (unsigned long long)g,
                 sources[g % 2]);
        struct wb_message message = {.topic = "control", .key = "default", .value = text, .value_size = strlen(text)};
        wb_send(wb, &message);
        uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
        while (serving_generation(wb) < g || !wb_taken(wb)) {
            if (bed_ms() > deadline_ms) fail_msg("generation %llu does not serve", (unsigned long long)g);
            wb_log_poll(out, 1);
            atomic_store(&load->seen, out->count);
        }
    }
}

/* When the lanes have let go of the models before and housekeeping has freed them. */
static void settle(uint64_t *ret_count, uint64_t *ret_bytes)
{
    uint64_t deadline_ms = bed_ms() + 5000;
    do {
        usleep(50000);
        lp_model_totals(ret_count, ret_bytes);
    } while (*ret_count > 1 && bed_ms() < deadline_ms);
}

static void a_thousand_swaps_leave_one_model_behind(void **state)
{
    (void)state;
    struct wb wb;
    struct wb_log out;
    pthread_t thread;
    uint64_t count, bytes, count_after, bytes_after;
    wb_start(&wb, PARTITIONS);
    wb_log_open(&out, &wb, "out", PARTITIONS);
    wb_deploy(&wb, 1, "a", "");
    wb_run(&wb, (const char *[]){"lanes", "2", "drift.topic", "drift", "control.max_loads_per_minute", "0", NULL});
    wb_wait_ready(&wb);
    struct load load = {.wb = &wb};
    assert_int_equal(pthread_create(&thread, NULL, load_main, &load), 0);
    deploy(&wb, &load, &out, 2, WARM_UP);
    settle(&count, &bytes);
    assert_int_equal(count, 1);
    size_t heap_before = heap_bytes(), log_before = out.count;
    uint64_t begin_ms = bed_ms();
    deploy(&wb, &load, &out, WARM_UP + 1, WARM_UP + SWAPS);
    uint64_t took_ms = bed_ms() - begin_ms;
    settle(&count_after, &bytes_after);
    size_t heap_after = heap_bytes();
    /* What the test itself keeps of the output: a key, a value, a record, each with the allocator's header. */
    size_t own = (out.count - log_before) * (sizeof(struct wb_record) * 2 + 160);
    atomic_store(&load.quit, true);
    pthread_join(thread, NULL);
    wb_flush(&wb);

    assert_int_equal(count_after, 1);
    assert_int_equal(bytes_after, bytes); /* generation 50 is b, as generation 1050 */
    struct lp_lane_stats stats = wb_totals(&wb);
    print_message("%d swaps in %llu ms, %llu taken by %d lanes; models: %llu with %llu bytes before, %llu with %llu "
                  "after; heap %zu KiB before, %zu after, of which the test's own %zu\n",
                  SWAPS, (unsigned long long)took_ms, (unsigned long long)stats.swaps, LANES, (unsigned long long)count,
                  (unsigned long long)bytes, (unsigned long long)count_after, (unsigned long long)bytes_after,
                  heap_before / 1024, heap_after / 1024, own / 1024);
    if (heap_before > 0) assert_true(heap_after < heap_before + own + HEAP_GROWTH_MAX_BYTES);

    assert_true(wb_log_wait(&out, (size_t)load.sent * PARTITIONS));
    int next[PARTITIONS] = {0};
    for (size_t i = 0; i < out.count; i++) {
        struct wb_prediction prediction = wb_parse(&out.records[i]);
        assert_int_equal(bed_whole(out.records[i].key), next[out.records[i].partition]++);
        wb_check_score(&out.records[i], &prediction, WB_CASES);
    }
    assert_int_equal(wb_totals(&wb).swaps, (WARM_UP - 1 + SWAPS) * LANES);
    assert_int_equal(wb_totals(&wb).dead_letters, 0);
    wb_halt(&wb);
    lp_model_totals(&count, &bytes);
    assert_int_equal(count, 0);
    assert_int_equal(bytes, 0);
    wb_log_close(&out);
    wb_end(&wb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_thousand_swaps_leave_one_model_behind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
