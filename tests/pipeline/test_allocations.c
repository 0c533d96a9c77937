/*
 * The steady path of the whole worker allocates nothing of ours. The linker sends the calls of malloc and its kin that
 * are made from lepton's own objects (and this program's) here; librdkafka, jansson and the C library call the
 * allocator directly and are not counted. Calls are counted by thread: what a lane allocates is the steady path.
 */
// wrap: malloc calloc realloc aligned_alloc posix_memalign strdup strndup
#include "support/worker_bed.h"

enum { PARTITIONS = 2, WARM_UP = 3000, MEASURED = 20000 /* a partition */ };

static atomic_ulong lane_calls, lane_bytes;

/* Lanes name their threads before they do anything else. */
static void count(size_t bytes)
{
    static __thread int lane = -1;
    if (lane < 0) {
        char name[16] = "";
        lane = pthread_getname_np(pthread_self(), name, sizeof name) == 0 && strncmp(name, "lane-", 5) == 0;
    }
    if (!lane) return;
    atomic_fetch_add(&lane_calls, 1);
    atomic_fetch_add(&lane_bytes, bytes);
}

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void *__real_aligned_alloc(size_t, size_t);
int __real_posix_memalign(void **, size_t, size_t);
char *__real_strdup(const char *);
char *__real_strndup(const char *, size_t);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count_of, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **ret, size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    count(bytes);
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count_of, size_t bytes)
{
    count(count_of * bytes);
    return __real_calloc(count_of, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    count(bytes);
    return __real_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    count(bytes);
    return __real_aligned_alloc(alignment, bytes);
}

int __wrap_posix_memalign(void **ret, size_t alignment, size_t bytes)
{
    count(bytes);
    return __real_posix_memalign(ret, alignment, bytes);
}

char *__wrap_strdup(const char *text)
{
    count(strlen(text) + 1);
    return __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t bytes)
{
    count(bytes);
    return __real_strndup(text, bytes);
}

/* Four doubles, little-endian, as row.avsc has them. */
static void send_avro(struct wb *wb, int32_t partition, int index)
{
    unsigned char body[32];
    memcpy(body, wb_cases[index % WB_CASES_COMPLETE].field, sizeof body);
    char key[16];
    snprintf(key, sizeof key, "%d", index);
    struct wb_message message = {.topic = "in",
                                 .partition = partition,
                                 .key = key,
                                 .value = body,
                                 .value_size = sizeof body,
                                 .timestamp_ms = 1700000000000 + index};
    wb_send(wb, &message);
}

/* Paced, so that batches of all sizes close by deadline and by rows. */
static void send_all(struct wb *wb, int first, int count_of)
{
    for (int i = first; i < first + count_of; i++) {
        for (int32_t p = 0; p < PARTITIONS; p++) send_avro(wb, p, i);
        if (i % 100 == 99) usleep((unsigned)(i % 1000));
    }
    wb_flush(wb);
}

static void wait_predictions(struct wb *wb, uint64_t wanted)
{
    uint64_t deadline_ms = bed_ms() + WB_WAIT_MS;
    while (wb_totals(wb).acknowledged < wanted) {
        if (bed_ms() > deadline_ms) fail_msg("%llu acknowledged", (unsigned long long)wb_totals(wb).acknowledged);
        usleep(10000);
    }
}

static void measure(const char *what, const char *const *overrides)
{
    struct wb wb;
    struct wb_log out;
    wb_start(&wb, PARTITIONS);
    wb_deploy(&wb, 1, "a", "");
    wb_run(&wb, overrides);
    wb_wait_ready(&wb);
    assert_true(atomic_load(&lane_calls) > 0); /* the counter works: making the consumer allocates */
    send_all(&wb, 0, WARM_UP);
    wait_predictions(&wb, WARM_UP * PARTITIONS);
    usleep(1100000); /* snapshots and drift merges have run */
    unsigned long calls = atomic_load(&lane_calls), bytes = atomic_load(&lane_bytes);
    uint64_t batches = wb_totals(&wb).batches;
    send_all(&wb, WARM_UP, MEASURED);
    wait_predictions(&wb, (WARM_UP + MEASURED) * PARTITIONS);
    calls = atomic_load(&lane_calls) - calls;
    bytes = atomic_load(&lane_bytes) - bytes;
    print_message("%s: %lu allocations (%lu bytes) of ours in the lane over %d records in %llu batches\n", what, calls,
                  bytes, MEASURED * PARTITIONS, (unsigned long long)(wb_totals(&wb).batches - batches));
    assert_int_equal(calls, 0);
    assert_int_equal(wb_totals(&wb).dead_letters, 0);
    wb_log_open(&out, &wb, "out", PARTITIONS);
    assert_true(wb_log_wait(&out, (WARM_UP + MEASURED) * PARTITIONS));
    wb_log_close(&out);
    wb_end(&wb);
}

static void clean_avro_records_allocate_nothing(void **state)
{
    (void)state;
    measure("Avro to Avro", (const char *[]){"input.format", "avro", "input.schema.path", WB_FOLDER "/row.avsc",
                                             "output.format", "avro", "output.framing", "none", NULL});
}

static void clean_avro_records_allocate_nothing_as_json_predictions(void **state)
{
    (void)state;
    measure("Avro to JSON", (const char *[]){"input.format", "avro", "input.schema.path", WB_FOLDER "/row.avsc",
                                             "output.copy", "f0,f1:double", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_avro_records_allocate_nothing),
        cmocka_unit_test(clean_avro_records_allocate_nothing_as_json_predictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
