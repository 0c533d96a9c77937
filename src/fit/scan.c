/* All records, by several threads: each reads a chunk, takes it apart alone, and adds what it found in the order of the
 * chunks, so that the answer is the same whatever the threads. */
#include "core/clock.h"
#include "fit/private.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRESS_NS = 100 * 1000 * 1000 };

struct scan {
    struct lp_fit_pass *pass;
    pthread_mutex_t reading, merging;
    pthread_cond_t turned;
    uint64_t turn; /* index of the chunk that may merge */
    struct lp_chunk *first;
    bool failed;
    enum lp_code code;
    struct lp_error err; /* of the first chunk that failed */
    uint64_t shown_ns;
};

struct worker {
    struct scan *scan;
    struct lp_cursor *cursor;
    struct lp_fit_block *block;
    struct lp_chunk chunk;
    bool my_turn;
    uint64_t rejected;
    struct lp_fit_example examples[LP_FIT_EXAMPLES_MAX];
    uint64_t *refused; /* owned, by column: records of the chunk that were rejected for what stands there */
};

/* Until all chunks before this one are merged; false: one of them failed. */
static bool wait_for_turn(struct worker *worker)
{
    struct scan *scan = worker->scan;
    if (worker->my_turn) return true;
    pthread_mutex_lock(&scan->merging);
    while (!scan->failed && scan->turn != worker->chunk.index) pthread_cond_wait(&scan->turned, &scan->merging);
    bool good = !scan->failed;
    pthread_mutex_unlock(&scan->merging);
    worker->my_turn = good;
    return good;
}

static void pass_on(struct worker *worker)
{
    struct scan *scan = worker->scan;
    pthread_mutex_lock(&scan->merging);
    scan->turn++;
    pthread_cond_broadcast(&scan->turned);
    pthread_mutex_unlock(&scan->merging);
    worker->my_turn = false;
}

static void fail_scan(struct scan *scan, enum lp_code code, const struct lp_error *err)
{
    pthread_mutex_lock(&scan->merging);
    if (!scan->failed) {
        scan->failed = true;
        scan->code = code;
        scan->err = *err;
    }
    pthread_cond_broadcast(&scan->turned);
    pthread_mutex_unlock(&scan->merging);
}

static void note_rejected(struct worker *worker, const struct lp_error *why)
{
    const struct lp_fit_pass *pass = worker->scan->pass;
    for (uint32_t i = 0; why->field[0] != '\0' && i < pass->want_count; i++)
        if (strcmp(pass->wants[i].path, why->field) == 0) worker->refused[pass->column_of_want[i]]++;
    if (worker->rejected < LP_FIT_EXAMPLES_MAX) {
        struct lp_data_place place;
        char where[256];
        lp_cursor_place(worker->cursor, &place);
        lp_data_place_text(&place, where, sizeof where);
        snprintf(worker->examples[worker->rejected].text, LP_ERROR_TEXT_BYTES, "%s: %.200s", where, why->text);
    }
    worker->rejected++;
}

static enum lp_code flush(struct worker *worker, struct lp_error *err)
{
    lp_fit_block_finish(worker->block);
    enum lp_code rc = LP_OK;
    if (wait_for_turn(worker)) rc = lp_fit_block_merge(worker->block, worker->scan->pass, err);
    /* Else the scan has failed: nobody asks for this block any more. */
    lp_fit_block_clear(worker->block);
    return rc;
}

static void show_progress(struct scan *scan)
{
    const struct lp_fit_options *options = scan->pass->options;
    uint64_t now = lp_clock_ns();
    if (options->progress == NULL || now - scan->shown_ns < PROGRESS_NS) return;
    scan->shown_ns = now;
    struct lp_fit *fit = scan->pass->fit;
    const struct lp_fit_progress progress = {scan->pass->fit->bytes, lp_data_total_bytes(fit->data), fit->records};
    options->progress(options->context, &progress);
}

/* With the turn: what was rejected, and how far it is. */
static void close_chunk(struct worker *worker)
{
    struct lp_fit *fit = worker->scan->pass->fit;
    for (uint64_t i = 0; i < worker->rejected && i < LP_FIT_EXAMPLES_MAX; i++)
        if (fit->example_count < LP_FIT_EXAMPLES_MAX) fit->examples[fit->example_count++] = worker->examples[i];
    for (uint32_t i = 0; worker->rejected > 0 && i < fit->column_count; i++) {
        fit->columns[i].refused += worker->refused[i];
        worker->refused[i] = 0;
    }
    fit->rejected += worker->rejected;
    fit->bytes += worker->chunk.size - worker->chunk.begin;
    worker->rejected = 0;
    show_progress(worker->scan);
}

static enum lp_code take_chunk(struct worker *worker, struct lp_error *err)
{
    lp_fit_block_clear(worker->block);
    LP_TRY(lp_cursor_start(worker->cursor, &worker->chunk, err));
    for (;;) {
        struct lp_record *record;
        enum lp_code rc = lp_cursor_next(worker->cursor, &record, err);
        if (rc == LP_OK && record == NULL) break;
        if (rc == LP_OK) rc = lp_fit_block_add(worker->block, record, err);
        if (rc != LP_OK && err->action != LP_SKIP_RECORD) return rc;
        if (rc != LP_OK) note_rejected(worker, err);
        if (lp_fit_block_is_full(worker->block)) LP_TRY(flush(worker, err));
    }
    LP_TRY(flush(worker, err));
    if (!worker->my_turn) return LP_OK;
    close_chunk(worker);
    return LP_OK;
}

static enum lp_code next_chunk(struct worker *worker, struct lp_error *err)
{
    struct scan *scan = worker->scan;
    pthread_mutex_lock(&scan->reading);
    enum lp_code rc = LP_OK;
    if (scan->first->size > 0) {
        struct lp_chunk mine = worker->chunk;
        worker->chunk = *scan->first;
        *scan->first = mine;
        scan->first->size = 0;
    } else {
        rc = lp_data_next(scan->pass->fit->data, &worker->chunk, err);
    }
    pthread_mutex_unlock(&scan->reading);
    return rc;
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct lp_error err;
    for (;;) {
        pthread_mutex_lock(&worker->scan->merging);
        bool failed = worker->scan->failed;
        pthread_mutex_unlock(&worker->scan->merging);
        if (failed) return NULL;
        enum lp_code rc = next_chunk(worker, &err);
        if (rc == LP_OK && worker->chunk.size == 0) return NULL;
        if (rc == LP_OK) rc = take_chunk(worker, &err);
        if (rc != LP_OK) {
            fail_scan(worker->scan, rc, &err);
            return NULL;
        }
        if (worker->my_turn) pass_on(worker);
    }
}

static enum lp_code make_worker(struct scan *scan, struct worker *worker, struct lp_error *err)
{
    worker->scan = scan;
    uint32_t columns = scan->pass->fit->column_count;
    worker->refused = calloc(columns, sizeof *worker->refused);
    if (worker->refused == NULL) return lp_fail_memory(err, columns * sizeof *worker->refused);
    LP_TRY(lp_cursor_new(scan->pass->fit->data, &worker->cursor, err));
    return lp_fit_block_new(scan->pass, &worker->block, err);
}

static enum lp_code run(struct scan *scan, struct worker *workers, uint32_t count, struct lp_error *err)
{
    pthread_t threads[LP_FIT_THREADS_MAX];
    uint32_t started = 0;
    for (uint32_t i = 0; i < count; i++) LP_TRY(make_worker(scan, &workers[i], err));
    while (started + 1 < count && pthread_create(&threads[started], NULL, work, &workers[started + 1]) == 0) started++;
    work(&workers[0]);
    for (uint32_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
    if (!scan->failed) return LP_OK;
    *err = scan->err;
    return scan->code;
}

enum lp_code lp_fit_scan(struct lp_fit_pass *pass, struct lp_chunk *first, struct lp_error *err)
{
    struct scan scan = {.pass = pass, .first = first, .turn = first->size > 0 ? first->index : 0};
    struct worker *workers = calloc(pass->fit->threads, sizeof *workers);
    if (workers == NULL) return lp_fail_memory(err, pass->fit->threads * sizeof *workers);
    pthread_mutex_init(&scan.reading, NULL);
    pthread_mutex_init(&scan.merging, NULL);
    pthread_cond_init(&scan.turned, NULL);
    scan.shown_ns = lp_clock_ns();
    enum lp_code rc = run(&scan, workers, pass->fit->threads, err);
    for (uint32_t i = 0; i < pass->fit->threads; i++) {
        lp_cursor_free(workers[i].cursor);
        lp_fit_block_free(workers[i].block);
        lp_chunk_done(&workers[i].chunk);
        free(workers[i].refused);
    }
    free(workers);
    pthread_cond_destroy(&scan.turned);
    pthread_mutex_destroy(&scan.merging);
    pthread_mutex_destroy(&scan.reading);
    return rc;
}
