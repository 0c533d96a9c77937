#include "train/team.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINS = 4000 };

enum lp_code lp_team_init(struct lp_team *team, uint32_t threads, const struct lp_train_peers *peers, size_t sum_max,
                          struct lp_error *err)
{
    *team = (struct lp_team){.threads = threads, .peers = peers, .slot_count = sum_max};
    team->slots = calloc((size_t)threads * sum_max + 1, sizeof *team->slots);
    return team->slots != NULL ? LP_OK : lp_fail_memory(err, threads * sum_max * sizeof *team->slots);
}

void lp_team_done(struct lp_team *team)
{
    free(team->slots);
    team->slots = NULL;
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Sleeps while *turn is `before`; may wake for nothing. */
static void sleep_on(atomic_uint *turn, unsigned before)
{
    syscall(SYS_futex, turn, FUTEX_WAIT_PRIVATE, before, NULL, NULL, 0);
}

void lp_team_wait(struct lp_team *team)
{
    if (team->threads == 1) return;
    unsigned turn = atomic_load_explicit(&team->turn, memory_order_acquire);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 == team->threads) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        atomic_store(&team->turn, turn + 1);
        if (atomic_load(&team->sleepers) > 0)
            syscall(SYS_futex, &team->turn, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
        return;
    }
    /* A batch is some ten microseconds: spinning costs less than sleeping, unless there are fewer processors. */
    for (unsigned spins = 0; spins < SPINS; spins++) {
        if (atomic_load_explicit(&team->turn, memory_order_acquire) != turn) return;
        relax();
    }
    atomic_fetch_add(&team->sleepers, 1);
    while (atomic_load(&team->turn) == turn) sleep_on(&team->turn, turn);
    atomic_fetch_sub(&team->sleepers, 1);
}

void lp_team_sum_threads(struct lp_team *team, uint32_t thread, double *values, size_t count)
{
    if (team->threads == 1) return;
    memcpy(team->slots + thread * team->slot_count, values, count * sizeof *values);
    lp_team_wait(team);
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (uint32_t t = 0; t < team->threads; t++) sum += team->slots[t * team->slot_count + i];
        values[i] = sum;
    }
    lp_team_wait(team);
}

void lp_team_sum(struct lp_team *team, uint32_t thread, double *values, size_t count)
{
    lp_team_sum_threads(team, thread, values, count);
    if (team->peers == NULL) return;
    if (thread == 0) {
        team->peers->sum_doubles(team->peers->context, values, count);
        memcpy(team->slots, values, count * sizeof *values);
    }
    lp_team_wait(team);
    if (thread != 0) memcpy(values, team->slots, count * sizeof *values);
    lp_team_wait(team);
}
