/*
 * Each allocation of ours fails in turn, through start, load, swap and shutdown of a whole worker: it goes on, or it
 * ends with a reason; it never crashes (nor leaks, in the sanitized build) and never hangs; the next life is whole. The
 * linker sends the calls that are made from lepton's own objects here; librdkafka, jansson and the C library call the
 * allocator directly.
 */
// wrap: malloc calloc realloc aligned_alloc posix_memalign strdup strndup
#include "support/worker_bed.h"

#include <errno.h>

enum { LIFE_MS = 20000 };

static atomic_bool armed;
static atomic_long calls, failing; /* counted from 1; which one fails */

static bool fails(void)
{
    if (!atomic_load_explicit(&armed, memory_order_relaxed)) return false;
    return atomic_fetch_add(&calls, 1) + 1 == atomic_load(&failing);
}

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__real_aligned_alloc(size_t, size_t);
int __real_posix_memalign(void **, size_t, size_t);
char *__real_strdup(const char *);
char *__real_strndup(const char *, size_t);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count_of, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **ret, size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);

void *__wrap_malloc(size_t bytes) { return fails() ? NULL : __real_malloc(bytes); }
void *__wrap_calloc(size_t count_of, size_t bytes) { return fails() ? NULL : __real_calloc(count_of, bytes); }
void *__wrap_realloc(void *old, size_t bytes) { return fails() ? NULL : __real_realloc(old, bytes); }
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}
int __wrap_posix_memalign(void **ret, size_t alignment, size_t bytes)
{
    return fails() ? ENOMEM : __real_posix_memalign(ret, alignment, bytes);
}
char *__wrap_strdup(const char *text) { return fails() ? NULL : __real_strdup(text); }
char *__wrap_strndup(const char *text, size_t bytes) { return fails() ? NULL : __real_strndup(text, bytes); }

static struct wb wb;

static void fail_at(long which)
{
    atomic_store(&calls, 0);
    atomic_store(&failing, which);
    atomic_store(&armed, true);
}

/* Not while the harness allocates. */
static void rest(void) { atomic_store(&armed, false); }

/* Until the slot has an answer to this generation, whatever it is, or the worker has ended. */
static void wait_answer(uint64_t generation)
{
    struct lp_status_record status;
    struct lp_control_event events[LP_CONTROL_EVENTS_MAX];
    struct lp_error err;
    uint64_t deadline_ms = bed_ms() + LIFE_MS;
    for (;;) {
        lp_worker_control(wb.worker, &status, events);
        bool answered = lp_control_replayed(wb.worker->control) && status.generation == generation &&
                        (status.state == LP_SLOT_LIVE || status.state == LP_SLOT_REFUSED);
        if (answered || lp_worker_tick(wb.worker, &err) != LP_OK) return;
        if (bed_ms() > deadline_ms) fail_msg("generation %llu is not answered", (unsigned long long)generation);
        usleep(2000);
    }
}

/* Start, load `a`, swap to `b`, stop. Returns how many allocations there were. */
static long life(long which, uint64_t generation)
{
    static const char *const settings[] = {"shutdown.timeout_ms", "4000", NULL};
    struct lp_error err = {0};
    wb_deploy(&wb, generation, "a", "");
    wb_configure(&wb, settings);
    fail_at(which);
    enum lp_code rc = lp_worker_start(wb.config, NULL, NULL, &wb.worker, &err);
    if (rc != LP_OK) {
        rest();
        assert_string_not_equal(err.text, "");
        assert_true(which > 0);
    } else {
        wait_answer(generation);
        rest();
        wb_deploy(&wb, generation + 1, "b", "");
        atomic_store(&armed, true);
        wait_answer(generation + 1);
        lp_worker_stop(wb.worker);
        rest();
        lp_worker_free(wb.worker);
    }
    wb.worker = NULL;
    lp_config_free(wb.config);
    wb.config = NULL;
    return atomic_load(&calls);
}

/* All in the long form; a third of them, another one each time, in a quick one. */
static void a_worker_survives_or_ends_with_a_reason(void **state)
{
    (void)state;
    uint64_t generation = 1;
    long total = life(0, generation), lives = 0;
    bool all = getenv("LEPTON_TEST_LONG") != NULL;
    long step = all ? 1 : 3, first = all ? 1 : 1 + (long)(lp_clock_ns() / 1000 % 3);
    printf("%ld allocations, every %ld. fails, from number %ld on\n", total, step, first);
    assert_true(total > 100);
    for (long which = first; which <= total; which += step, lives++) life(which, generation += 2);
    assert_true(lives > total / 4);
    life(0, generation + 2); /* nothing of it is left */
}

static int setup(void **state)
{
    (void)state;
    wb_start(&wb, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wb_end(&wb);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_worker_survives_or_ends_with_a_reason)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
