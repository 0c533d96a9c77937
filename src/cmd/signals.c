#include "cmd/signals.h"

#include "cmd/command.h"

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int received;
static sem_t arrived;

/* Only what is async-signal-safe. */
static void on_signal(int number)
{
    static const char text[] = "lepton: second signal: ending at once\n";
    int none = 0;
    if (!atomic_compare_exchange_strong(&received, &none, number)) {
        if (write(STDERR_FILENO, text, sizeof text - 1) < 0) { /* nobody to tell */
        }
        _exit(LP_EXIT_FAILED);
    }
    sem_post(&arrived);
}

void lp_signals_install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sem_init(&arrived, 0, 0);
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int lp_signals_received(void) { return atomic_load(&received); }

int lp_signals_wait(int timeout_ms)
{
    struct timespec until;
    if (lp_signals_received() != 0) return lp_signals_received();
    /* Not sem_timedwait: a wall clock that is set back would prolong its wait, and who waits here watches the lanes. */
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    (void)sem_clockwait(&arrived, CLOCK_MONOTONIC,
                        &until); /* early returns are harmless: the caller's loop comes again */
    return lp_signals_received();
}

bool lp_signals_interrupted(void *context)
{
    (void)context;
    return lp_signals_received() != 0;
}
