/* The clock that stands still for one thread, and that librdkafka reads this one: what it was built against must not
 * matter. */
#include "kafka/still.h"

#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct timespec then = {.tv_sec = 12, .tv_nsec = 345};

static struct timespec now(clockid_t clock)
{
    struct timespec time = {0};
    assert_int_equal(clock_gettime(clock, &time), 0);
    return time;
}

static bool is_then(struct timespec time) { return time.tv_sec == then.tv_sec && time.tv_nsec == then.tv_nsec; }

static void the_clock_stands_between_begin_and_end(void **state)
{
    (void)state;
    struct timespec before = now(CLOCK_MONOTONIC);
    lp_still_begin(then);
    assert_true(is_then(now(CLOCK_MONOTONIC)));
    assert_true(is_then(now(CLOCK_MONOTONIC)));
    lp_still_end();
    struct timespec after = now(CLOCK_MONOTONIC);
    assert_false(is_then(after));
    assert_true(after.tv_sec > before.tv_sec || (after.tv_sec == before.tv_sec && after.tv_nsec >= before.tv_nsec));
}

static void a_time_of_zero_lets_it_run(void **state)
{
    (void)state;
    lp_still_begin((struct timespec){0});
    struct timespec time = now(CLOCK_MONOTONIC);
    lp_still_end();
    assert_true(time.tv_sec > 0 || time.tv_nsec > 0);
}

static void other_clocks_run(void **state)
{
    (void)state;
    struct timespec time;
    lp_still_begin(then);
    assert_true(now(CLOCK_REALTIME).tv_sec > 1700000000);
    int refused = clock_gettime((clockid_t)12345, &time);
    lp_still_end();
    assert_int_equal(refused, -1);
}

static void *look(void *context)
{
    struct timespec *time = context;
    *time = now(CLOCK_MONOTONIC);
    return NULL;
}

static void other_threads_see_it_run(void **state)
{
    (void)state;
    struct timespec time;
    pthread_t thread;
    lp_still_begin(then);
    assert_int_equal(pthread_create(&thread, NULL, look, &time), 0);
    pthread_join(thread, NULL);
    lp_still_end();
    assert_false(is_then(time));
}

/* What a library's reference finds is what a search from the program's beginning finds first. */
static void libraries_find_this_clock(void **state)
{
    (void)state;
    int (*found)(clockid_t, struct timespec *);
    *(void **)&found = dlsym(RTLD_DEFAULT, "clock_gettime");
    struct timespec time = {0};
    assert_non_null(found);
    lp_still_begin(then);
    found(CLOCK_MONOTONIC, &time);
    lp_still_end();
    assert_true(is_then(time));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_stands_between_begin_and_end),
        cmocka_unit_test(a_time_of_zero_lets_it_run),
        cmocka_unit_test(other_clocks_run),
        cmocka_unit_test(other_threads_see_it_run),
        cmocka_unit_test(libraries_find_this_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
