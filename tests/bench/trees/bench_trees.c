/*
 * Times one engine on one model over batch sizes, and writes the margins of what was timed for run.py to compare.
 *
 *   bench_trees ENGINE LIBRARY MODEL ROWS SECONDS OUT
 *
 * ENGINE  lepton, lepton:KERNEL, xgboost, lightgbm, lleaves, tl2cgen, tl2cgen64 (doubles)
 * LIBRARY its shared object (- for lepton); MODEL a .flat file for lepton, else the library's own
 * ROWS    floats [n][28]; SECONDS for each batch size; OUT doubles [n]
 * Prints "batch ns_a_row" a line: the best of the measured rounds, on one thread.
 */
#include "kernels/trees/trees.h"
#include "rivals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { COLUMNS = 28 };

static struct lp_trees_model *model;
static void *scratch;

static void die(const char *what)
{
    fprintf(stderr, "bench_trees: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *read_array(FILE *file, size_t size, size_t *ret_count)
{
    uint64_t count;
    if (fread(&count, sizeof count, 1, file) != 1) die("the .flat file is too short");
    void *array = calloc(count + 1, size);
    if (array == NULL || fread(array, size, count, file) != count) die("the .flat file is too short");
    *ret_count = count;
    return array;
}

static void open_lepton(const char *path, const char *kernel)
{
    static struct lp_trees trees;
    FILE *file = fopen(path, "rb");
    size_t count;
    if (file == NULL) die(path);
    const uint32_t *head = read_array(file, 4, &count);
    trees.compare = head[0] == 0 ? LP_TREES_XGBOOST : LP_TREES_LIGHTGBM;
    trees.column_count = head[1];
    trees.output_count = trees.leaf_width = 1;
    trees.base = read_array(file, 8, &count);
    trees.root = read_array(file, 4, &count);
    trees.tree_count = (uint32_t)count;
    trees.output = calloc(count, 4);
    trees.column = read_array(file, 4, &count);
    trees.node_count = (uint32_t)count;
    trees.threshold = read_array(file, 8, &count);
    trees.left = read_array(file, 4, &count);
    trees.right = read_array(file, 4, &count);
    trees.flags = read_array(file, 1, &count);
    trees.index = read_array(file, 4, &count);
    trees.leaf_value = read_array(file, 8, &count);
    trees.leaf_count = (uint32_t)count;
    trees.divisor = 1.0;
    fclose(file);
    struct lp_error err;
    if (lp_trees_new(&trees, lp_cpu_get(), kernel, &model, &err) != LP_OK) die(err.text);
    scratch = aligned_alloc(64, (lp_trees_scratch_bytes(model) + 63) / 64 * 64);
    fprintf(stderr, "%s, %zu bytes\n", lp_trees_describe(model), lp_trees_bytes(model));
}

static void run_lepton(struct rival *rival, uint32_t first_row, uint32_t count, double *ret_margins)
{
    lp_trees_run(model, rival->rows + (size_t)first_row * COLUMNS, count, COLUMNS, ret_margins, scratch);
}

/* Rounds over the rows until the time is up; the best round counts: others share the machine. */
static double measure(struct rival *rival, uint32_t row_count, uint32_t batch, double seconds, double *margins)
{
    double best = INFINITY, begin = now_s();
    uint32_t round_rows = batch < 16 ? 256 : 2048, at = 0;
    do {
        double start = now_s();
        uint32_t done = 0;
        for (; done < round_rows; done += batch) {
            rival->run(rival, at, batch, margins + at);
            at = at + 2 * batch <= row_count ? at + batch : 0;
        }
        double ns = (now_s() - start) * 1e9 / done;
        if (ns < best) best = ns;
    } while (now_s() - begin < seconds);
    return best;
}

int main(int argc, char **argv)
{
    static const uint32_t batches[] = {1, 16, 256, 1024};
    if (argc != 7) die("usage: bench_trees ENGINE LIBRARY MODEL ROWS SECONDS OUT");
    struct stat status;
    FILE *file = fopen(argv[4], "rb");
    if (file == NULL || fstat(fileno(file), &status) != 0) die(argv[4]);
    size_t values = (size_t)status.st_size / sizeof(float);
    uint32_t row_count = (uint32_t)(values / COLUMNS);
    float *float_rows = aligned_alloc(64, (values * sizeof(float) + 63) / 64 * 64);
    double *rows = aligned_alloc(64, (values * sizeof(double) + 63) / 64 * 64);
    double *margins = calloc(row_count, sizeof *margins);
    if (float_rows == NULL || rows == NULL || margins == NULL || fread(float_rows, 4, values, file) != values)
        die("can't read the rows");
    fclose(file);
    for (size_t i = 0; i < values; i++) rows[i] = (double)float_rows[i];
    struct rival rival = {.float_rows = float_rows, .rows = rows, .columns = COLUMNS, .run = run_lepton};
    if (strncmp(argv[1], "lepton", 6) == 0) open_lepton(argv[3], argv[1][6] == ':' ? argv[1] + 7 : NULL);
    else rival_open(&rival, argv[1], argv[2], argv[3]);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
        printf("%u %.1f\n", batches[i], measure(&rival, row_count, batches[i], strtod(argv[5], NULL), margins));
    /* All rows once, in calls as large as the last ones timed. */
    for (uint32_t at = 0; at + 1024 <= row_count; at += 1024) rival.run(&rival, at, 1024, margins + at);
    file = fopen(argv[6], "wb");
    if (file == NULL || fwrite(margins, sizeof *margins, row_count, file) != row_count || fclose(file) != 0)
        die("can't write the margins");
    return 0;
}
