/*
 * Nanoseconds a row of one net in every engine that can score it, one core, answers compared. run.py makes the files.
 *
 *     bench_rivals FOLDER NAME SECONDS ONNXRUNTIME_LIBRARY
 *
 * FOLDER/NAME.rows: float rows [256][columns]; NAME.want: the fp32 answers [256][outputs]; NAME.net (a chain of dense
 * layers): u32 layer count and widths, then weights and bias of each; NAME*.onnx, NAME*.bundle as rivals.h says.
 * Engines take turns in rounds of about half a millisecond until the seconds for a batch size are over; a round is
 * timed in CPU time of the thread, the best and the median of the rounds are printed: "engine|batch|best|median".
 */
#include "rivals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "infer/infer.h"
#include "kernels/peak/peak.h"

enum { ENGINES_MAX = 24, ROUNDS_MAX = 4096 };

static const uint32_t batches[] = {1, 8, 64, 256};
enum { BATCHES = sizeof batches / sizeof *batches };

void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_rivals: %s: %s\n", what, why);
    exit(1);
}

void *take(size_t bytes)
{
    size_t whole = (bytes + 63) / 64 * 64;
    void *p = aligned_alloc(64, whole > 0 ? whole : 64);
    if (p == NULL) fail("memory", "none left");
    memset(p, 0, whole);
    return p;
}

static void *read_file(const char *folder, const char *name, const char *suffix, size_t *ret_bytes)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix);
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    void *data = take((size_t)size);
    if (fread(data, 1, (size_t)size, file) != (size_t)size) fail(path, "cannot be read");
    fclose(file);
    *ret_bytes = (size_t)size;
    return data;
}

static void read_layers(struct net *net, const void *data)
{
    const uint32_t *head = data;
    net->layer_count = head[0];
    memcpy(net->widths, head + 1, (net->layer_count + 1) * sizeof *head);
    const float *at = (const float *)(const void *)(head + 2 + net->layer_count);
    for (uint32_t i = 0; i < net->layer_count; i++) {
        net->weights[i] = at;
        net->biases[i] = at += (size_t)net->widths[i] * net->widths[i + 1];
        at += net->widths[i + 1];
    }
}

/* The largest input of each layer over all rows, plainly. */
static void calibrate(struct net *net)
{
    float *x = take(sizeof(float) * ROWS_MAX * 4096), *y = take(sizeof(float) * ROWS_MAX * 4096);
    memcpy(x, net->rows, sizeof(float) * ROWS_MAX * net->columns);
    for (uint32_t i = 0; i < net->layer_count; i++) {
        uint32_t in = net->widths[i], out = net->widths[i + 1];
        float largest = 1e-20f;
        for (size_t k = 0; k < (size_t)ROWS_MAX * in; k++) largest = fmaxf(largest, fabsf(x[k]));
        net->scales[i] = largest / (i == 0 ? 127.0f : 255.0f);
        for (uint32_t r = 0; r < ROWS_MAX; r++) {
            float *to = y + (size_t)r * out;
            memcpy(to, net->biases[i], sizeof *to * out);
            for (uint32_t k = 0; k < in; k++)
                for (uint32_t n = 0; n < out; n++)
                    to[n] += x[(size_t)r * in + k] * net->weights[i][(size_t)k * out + n];
            for (uint32_t n = 0; n < out; n++) to[n] = fmaxf(to[n], 0.0f);
        }
        float *swap = x;
        x = y;
        y = swap;
    }
}

static double cpu_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static float *want, *got;

static int check(struct engine *engine, uint32_t rows)
{
    double largest = 0, apart = 0;
    size_t count = (size_t)rows * engine->net->outputs;
    engine->run(engine, rows, got);
    for (size_t i = 0; i < (size_t)ROWS_MAX * engine->net->outputs; i++) largest = fmax(largest, fabs((double)want[i]));
    for (size_t i = 0; i < count; i++) apart = fmax(apart, fabs((double)got[i] - (double)want[i]));
    if (apart <= engine->tolerance * largest) return 0;
    fprintf(stderr, "%s, batch %u: answers differ by %g of %g\n", engine->title, rows, apart, largest);
    return 1;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct engine *engines, uint32_t count, uint32_t b, double seconds)
{
    static double rounds[ENGINES_MAX][ROUNDS_MAX];
    const uint32_t rows = batches[b];
    uint32_t calls[ENGINES_MAX], done = 0;
    for (uint32_t i = 0; i < count; i++) {
        double best = 1e18;
        for (int k = 0; k < 5; k++) {
            double start = cpu_now_ns();
            engines[i].run(&engines[i], rows, got);
            best = fmin(best, cpu_now_ns() - start);
        }
        calls[i] = (uint32_t)(5e5 / best) + 1;
    }
    for (double begin = cpu_now_ns(); done < ROUNDS_MAX && (cpu_now_ns() - begin < seconds * 1e9 || done < 3); done++) {
        for (uint32_t i = 0; i < count; i++) {
            engines[i].run(&engines[i], rows, got); /* its weights and code back into the caches */
            double start = cpu_now_ns();
            for (uint32_t k = 0; k < calls[i]; k++) engines[i].run(&engines[i], rows, got);
            rounds[i][done] = (cpu_now_ns() - start) / calls[i] / rows;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        qsort(rounds[i], done, sizeof **rounds, ascending);
        printf("%s|%u|%.1f|%.1f\n", engines[i].title, rows, rounds[i][0], rounds[i][done / 2]);
    }
}

int main(int argc, char **argv)
{
    struct engine engines[ENGINES_MAX];
    struct net net = {0};
    struct lp_error err;
    size_t bytes, want_bytes;
    uint32_t count = 0;
    int failed = 0;
    if (argc != 5) fail("usage", "bench_rivals FOLDER NAME SECONDS ONNXRUNTIME_LIBRARY");
    if (lp_infer_setup(&err) != LP_OK) fail("OpenBLAS", err.text);
    const char *folder = argv[1], *name = argv[2];
    net.rows = read_file(folder, name, ".rows", &bytes);
    want = read_file(folder, name, ".want", &want_bytes);
    if (net.rows == NULL || want == NULL) fail(name, "no .rows or .want");
    net.columns = (uint32_t)(bytes / sizeof(float) / ROWS_MAX);
    net.outputs = (uint32_t)(want_bytes / sizeof(float) / ROWS_MAX);
    double *doubles = take(2 * bytes);
    for (size_t i = 0; i < bytes / sizeof(float); i++) doubles[i] = (double)net.rows[i];
    net.double_rows = doubles;
    void *layers = read_file(folder, name, ".net", &bytes);
    if (layers != NULL) read_layers(&net, layers);
    if (layers != NULL) calibrate(&net);
    got = take(want_bytes);
    count += add_lepton(&net, folder, name, engines + count);
    count += add_openblas(&net, engines + count);
    count += add_onednn(&net, engines + count);
    count += add_onnxruntime(&net, argv[4], folder, name, engines + count);
    for (uint32_t b = 0; b < BATCHES; b++) {
        for (uint32_t i = 0; i < count; i++) failed |= check(&engines[i], batches[b]);
        measure(engines, count, b, strtod(argv[3], NULL));
    }
    printf("peak|%.1f GFLOP/s", lp_peak_gflops(lp_cpu_get(), 20000000));
    printf("|int8 %.1f GOP/s", lp_peak_int8_gops(lp_cpu_get(), 20000000));
    for (size_t kb = 16; kb <= 16384; kb *= 4)
        printf("|%zu KiB %.1f GB/s", kb, lp_peak_read_gbytes(lp_cpu_get(), kb << 10, 20000000));
    printf("\n");
    return failed;
}
