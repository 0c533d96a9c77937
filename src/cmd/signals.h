/*
 * SIGTERM and SIGINT for long-running verbs. Real handlers, not a blocked mask: libraries start threads before main
 * runs (OpenBLAS does when it is loaded), and a signal that one of those takes with its default action ends the
 * process.
 */
#ifndef LP_CMD_SIGNALS_H
#define LP_CMD_SIGNALS_H

#include <stdbool.h>

/** Install the handlers. A second signal ends the process at once with status 1. SIGPIPE is ignored. */
void lp_signals_install(void);

/** The signal that came, 0: none yet. */
int lp_signals_received(void);

/** Wait for a signal, at most timeout_ms; returns as lp_signals_received. */
int lp_signals_wait(int timeout_ms);

/** lp_worker_interrupted and the demo's question; `context` is not used. */
bool lp_signals_interrupted(void *context);

#endif
