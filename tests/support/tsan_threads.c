/*
 * C11 threads over pthreads, for ThreadSanitizer builds only: its run time does not intercept thrd_create and its
 * kin, which the distribution's librdkafka calls, and crashes at the first such thread. Definitions in the program
 * come before the C library's. Include it or link it once into a test program.
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LP_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define LP_TSAN 1
#endif

#ifdef LP_TSAN
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "the C library keeps a pthread_mutex_t in a mtx_t");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "the C library keeps a pthread_cond_t in a cnd_t");
_Static_assert(sizeof(thrd_t) == sizeof(pthread_t), "a thrd_t is a pthread_t");

/* librdkafka is built with default visibility; these must be seen from it. */
#define LP_TSAN_EXPORT __attribute__((visibility("default")))

struct tsan_start {
    thrd_start_t function;
    void *argument;
};

static void *tsan_thread_main(void *argument)
{
    struct tsan_start start = *(struct tsan_start *)argument;
    free(argument);
    return (void *)(intptr_t)start.function(start.argument);
}

static int tsan_result(int error)
{
    return error == 0 ? thrd_success : error == EBUSY ? thrd_busy : error == ETIMEDOUT ? thrd_timedout : thrd_error;
}

LP_TSAN_EXPORT int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
    struct tsan_start *start = malloc(sizeof *start);
    if (start == NULL) return thrd_nomem;
    *start = (struct tsan_start){function, argument};
    int error = pthread_create((pthread_t *)thread, NULL, tsan_thread_main, start);
    if (error != 0) free(start);
    return tsan_result(error);
}

LP_TSAN_EXPORT int thrd_join(thrd_t thread, int *ret_result)
{
    void *result = NULL;
    int error = pthread_join((pthread_t)thread, &result);
    if (error == 0 && ret_result != NULL) *ret_result = (int)(intptr_t)result;
    return tsan_result(error);
}

LP_TSAN_EXPORT int thrd_detach(thrd_t thread) { return tsan_result(pthread_detach((pthread_t)thread)); }

LP_TSAN_EXPORT int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if (type & mtx_recursive) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    int error = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return tsan_result(error);
}

LP_TSAN_EXPORT void mtx_destroy(mtx_t *mutex) { pthread_mutex_destroy((pthread_mutex_t *)mutex); }
LP_TSAN_EXPORT int mtx_lock(mtx_t *mutex) { return tsan_result(pthread_mutex_lock((pthread_mutex_t *)mutex)); }
LP_TSAN_EXPORT int mtx_trylock(mtx_t *mutex) { return tsan_result(pthread_mutex_trylock((pthread_mutex_t *)mutex)); }
LP_TSAN_EXPORT int mtx_unlock(mtx_t *mutex) { return tsan_result(pthread_mutex_unlock((pthread_mutex_t *)mutex)); }

LP_TSAN_EXPORT int cnd_init(cnd_t *condition)
{
    return tsan_result(pthread_cond_init((pthread_cond_t *)condition, NULL));
}
LP_TSAN_EXPORT void cnd_destroy(cnd_t *condition) { pthread_cond_destroy((pthread_cond_t *)condition); }
LP_TSAN_EXPORT int cnd_signal(cnd_t *condition)
{
    return tsan_result(pthread_cond_signal((pthread_cond_t *)condition));
}
LP_TSAN_EXPORT int cnd_broadcast(cnd_t *condition)
{
    return tsan_result(pthread_cond_broadcast((pthread_cond_t *)condition));
}
LP_TSAN_EXPORT int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return tsan_result(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}
LP_TSAN_EXPORT int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict time)
{
    return tsan_result(pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, time));
}
#endif
