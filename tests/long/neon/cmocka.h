/* As much of cmocka as the kernels' tests use, for a cross build without its library: the first failure ends the run.
 */
#ifndef NEON_CMOCKA_H
#define NEON_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*test)(void **state);
};

#define cmocka_unit_test(f) \
    {                       \
#f, f               \
    }
#define fail_msg(...) (fprintf(stderr, __VA_ARGS__), fprintf(stderr, "\n"), exit(1))
#define assert_true(x) ((x) ? (void)0 : (void)fail_msg("%s:%d: %s", __FILE__, __LINE__, #x))
#define assert_int_equal(a, b) assert_true((a) == (b))
#define assert_ptr_equal(a, b) assert_true((a) == (b))
#define assert_non_null(a) assert_true((a) != NULL)
#define assert_string_equal(a, b) assert_true(strcmp((a), (b)) == 0)
#define assert_memory_equal(a, b, n) assert_true(memcmp((a), (b), (n)) == 0)

static inline int run_all(const struct CMUnitTest *tests, size_t count, int (*begin)(void **), int (*end)(void **))
{
    void *state = NULL;
    if (begin != NULL && begin(&state) != 0) return 1;
    for (size_t i = 0; i < count; i++) {
        tests[i].test(&state);
        printf("ok %s\n", tests[i].name);
    }
    return end != NULL ? end(&state) : 0;
}
#define cmocka_run_group_tests(tests, begin, end) run_all((tests), sizeof(tests) / sizeof *(tests), (begin), (end))

#endif
