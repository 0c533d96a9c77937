/*
 * C11 threads over POSIX threads, for programs under ThreadSanitizer only. Debian's librdkafka calls thrd_create, which
 * TSan does not intercept: its threads crash at their first access. Defined in the program, these take the place of
 * libc's, and TSan sees pthreads.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "a mutex fits");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "a condition fits");

struct start {
    thrd_start_t run;
    void *argument;
};

static int to_thrd(int rc)
{
    return rc == 0 ? thrd_success : rc == ETIMEDOUT ? thrd_timedout : rc == EBUSY ? thrd_busy : thrd_error;
}

static void *trampoline(void *context)
{
    struct start start = *(struct start *)context;
    free(context);
    return (void *)(intptr_t)start.run(start.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *argument)
{
    struct start *start = malloc(sizeof *start);
    if (start == NULL) return thrd_nomem;
    *start = (struct start){run, argument};
    int rc = pthread_create((pthread_t *)thread, NULL, trampoline, start);
    if (rc != 0) free(start);
    return to_thrd(rc);
}

int thrd_join(thrd_t thread, int *ret_result)
{
    void *result;
    int rc = pthread_join((pthread_t)thread, &result);
    if (rc == 0 && ret_result != NULL) *ret_result = (int)(intptr_t)result;
    return to_thrd(rc);
}

int thrd_detach(thrd_t thread) { return to_thrd(pthread_detach((pthread_t)thread)); }

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if (type & mtx_recursive) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    int rc = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return to_thrd(rc);
}

void mtx_destroy(mtx_t *mutex) { pthread_mutex_destroy((pthread_mutex_t *)mutex); }
int mtx_lock(mtx_t *mutex) { return to_thrd(pthread_mutex_lock((pthread_mutex_t *)mutex)); }
int mtx_trylock(mtx_t *mutex) { return to_thrd(pthread_mutex_trylock((pthread_mutex_t *)mutex)); }
int mtx_unlock(mtx_t *mutex) { return to_thrd(pthread_mutex_unlock((pthread_mutex_t *)mutex)); }

int cnd_init(cnd_t *condition) { return to_thrd(pthread_cond_init((pthread_cond_t *)condition, NULL)); }
void cnd_destroy(cnd_t *condition) { pthread_cond_destroy((pthread_cond_t *)condition); }
int cnd_signal(cnd_t *condition) { return to_thrd(pthread_cond_signal((pthread_cond_t *)condition)); }
int cnd_broadcast(cnd_t *condition) { return to_thrd(pthread_cond_broadcast((pthread_cond_t *)condition)); }

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return to_thrd(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *deadline)
{
    return to_thrd(pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, deadline));
}

/*
 * Our own frees (the linker's --wrap gives us those of our objects, not of librdkafka): tsan.supp has to leave reports
 * of free() out, so the block is written to first, and a thread of ours that still reads it is reported there.
 */
void __tsan_write_range(void *address, size_t bytes);
void __real_free(void *pointer);
void __wrap_free(void *pointer);
void __wrap_free(void *pointer)
{
    if (pointer != NULL) __tsan_write_range(pointer, malloc_usable_size(pointer));
    __real_free(pointer);
}
