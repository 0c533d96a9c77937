#include "infer/onnxruntime.h"

#ifdef LEPTON_ONNXRUNTIME

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * The part of ONNX Runtime's C interface that is used, by place in its table of functions: the table only ever grows
 * (onnxruntime_c_api.h, version 1), so that places are as good as names.
 */
struct status;
struct handle;

enum {
    API_VERSION = 1,
    ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    SESSION_FROM_ARRAY = 8,
    RUN = 9,
    CREATE_OPTIONS = 10,
    SET_INTRA_THREADS = 24,
    SET_INTER_THREADS = 25,
    INPUT_COUNT = 30,
    TENSOR_WITH_DATA = 49,
    TENSOR_DATA = 51,
    ELEMENT_TYPE = 60,
    ELEMENT_COUNT = 64,
    TYPE_AND_SHAPE = 65,
    CPU_MEMORY_INFO = 69,
    RELEASE_STATUS = 93,
    RELEASE_MEMORY_INFO = 94,
    RELEASE_SESSION = 95,
    RELEASE_VALUE = 96,
    RELEASE_SHAPE = 99,
    RELEASE_OPTIONS = 100,
    API_ENTRIES = 101,
};

struct api {
    void *entries[API_ENTRIES];
};
struct api_base {
    const struct api *(*get)(uint32_t version);
    const char *(*version)(void);
};

enum { LOG_FATAL = 4, DEVICE_ALLOCATOR = 0, DEFAULT_MEMORY = 0, FLOAT_ELEMENTS = 1 };

/* A function of the table as its type. */
#define CALL(place, ...) ((struct status * (*)(__VA_ARGS__)) library.api->entries[place])
#define RELEASE(place, it) ((void (*)(struct handle *))library.api->entries[place])(it)

static struct {
    pthread_once_t once;
    const struct api *api;
    struct handle *environment, *memory;
    char why[LP_ERROR_TEXT_BYTES];
} library = {.once = PTHREAD_ONCE_INIT};

struct lp_onnxruntime {
    const struct lp_foreign *model;
    struct lp_span bytes;
    uint32_t outputs;
    struct handle *session;
};

static const int element_types[] = {
    [LP_FOREIGN_FLOAT] = 1, [LP_FOREIGN_DOUBLE] = 11, [LP_FOREIGN_INT32] = 6, [LP_FOREIGN_INT64] = 7};
static const size_t element_bytes[] = {
    [LP_FOREIGN_FLOAT] = 4, [LP_FOREIGN_DOUBLE] = 8, [LP_FOREIGN_INT32] = 4, [LP_FOREIGN_INT64] = 8};

static void keep(const char *text) { strncpy(library.why, text, sizeof library.why - 1); }

static const char *message_of(const struct status *status)
{
    return ((const char *(*)(const struct status *))library.api->entries[ERROR_MESSAGE])(status);
}

static void release_status(struct status *status)
{
    ((void (*)(struct status *))library.api->entries[RELEASE_STATUS])(status);
}

/* For the life of the process: a session may outlive every bundle but never the library. */
static void load_library(void)
{
    static const char *const names[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
    void *handle = NULL;
    for (size_t i = 0; handle == NULL && i < sizeof names / sizeof *names; i++)
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        keep(dlerror());
        return;
    }
    const struct api_base *(*base)(void) = NULL;
    *(void **)&base = dlsym(handle, "OrtGetApiBase");
    const struct api *api = base != NULL ? base()->get(API_VERSION) : NULL;
    if (api == NULL) {
        keep("it has no C interface of version 1");
        return;
    }
    library.api = api;
    struct status *status =
        CALL(CREATE_ENV, int, const char *, struct handle **)(LOG_FATAL, "lepton", &library.environment);
    if (status == NULL)
        status = CALL(CPU_MEMORY_INFO, int, int, struct handle **)(DEVICE_ALLOCATOR, DEFAULT_MEMORY, &library.memory);
    if (status == NULL) return;
    keep(message_of(status));
    release_status(status);
    library.api = NULL;
}

/* The library's words may hold a damaged file's names, in whatever bytes. */
static void make_plain(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < 0x20 || *text > 0x7e) *text = '?';
}

static enum lp_code check(struct status *status, const char *what, struct lp_error *err)
{
    if (status == NULL) return LP_OK;
    lp_error_fill(err, LP_E_INVALID, LP_FATAL, NULL, "ONNX Runtime: %s: %.400s", what, message_of(status));
    make_plain(err->text);
    release_status(status);
    return lp_failed(err->code);
}

static enum lp_code make_session(struct lp_onnxruntime *session, struct lp_error *err)
{
    struct handle *options = NULL;
    size_t inputs = 0;
    enum lp_code rc;
    LP_GUARD(check(CALL(CREATE_OPTIONS, struct handle **)(&options), "options", err));
    LP_GUARD(check(CALL(SET_INTRA_THREADS, struct handle *, int)(options, 1), "threads", err));
    LP_GUARD(check(CALL(SET_INTER_THREADS, struct handle *, int)(options, 1), "threads", err));
    LP_GUARD(
        check(CALL(SESSION_FROM_ARRAY, struct handle *, const void *, size_t, const struct handle *, struct handle **)(
                  library.environment, session->bytes.data, session->bytes.size, options, &session->session),
              "the model", err));
    LP_GUARD(check(CALL(INPUT_COUNT, const struct handle *, size_t *)(session->session, &inputs), "inputs", err));
    if (inputs != session->model->input_count)
        rc = lp_fail(err, LP_E_MISMATCH, LP_FATAL, "the model has %zu inputs, the bundle says %u", inputs,
                     session->model->input_count);
out:
    if (options != NULL) RELEASE(RELEASE_OPTIONS, options);
    return rc;
}

/* Columns of the rows as one input's tensor. Whole numbers are cut towards zero; what they cannot be is refused. */
static bool pack(const struct lp_foreign_input *input, const double *rows, size_t stride, uint32_t count, void *to)
{
    for (uint32_t r = 0; r < count; r++) {
        const double *row = rows + r * stride + input->column;
        size_t at = (size_t)r * input->width;
        for (uint32_t i = 0; i < input->width; i++) {
            double limit = input->type == LP_FOREIGN_INT32 ? 0x1p31 : 0x1p63;
            if (input->type >= LP_FOREIGN_INT32 && !(row[i] >= -limit && row[i] < limit)) return false;
            switch (input->type) {
            case LP_FOREIGN_FLOAT: ((float *)to)[at + i] = (float)row[i]; break;
            case LP_FOREIGN_DOUBLE: ((double *)to)[at + i] = row[i]; break;
            case LP_FOREIGN_INT32: ((int32_t *)to)[at + i] = (int32_t)row[i]; break;
            case LP_FOREIGN_INT64: ((int64_t *)to)[at + i] = (int64_t)row[i]; break;
            }
        }
    }
    return true;
}

static size_t input_bytes(const struct lp_foreign_input *input, uint32_t row_count)
{
    size_t bytes = element_bytes[input->type] * input->width * row_count;
    return (bytes + 63) & ~(size_t)63;
}

size_t lp_onnxruntime_scratch_bytes(const struct lp_onnxruntime *session, uint32_t row_count)
{
    size_t bytes = 64;
    for (uint32_t i = 0; i < session->model->input_count; i++)
        bytes += input_bytes(&session->model->inputs[i], row_count);
    return bytes;
}

/* A tensor over packed columns. */
static struct status *wrap(const struct lp_foreign_input *input, uint32_t row_count, void *data,
                           struct handle **ret_value)
{
    int64_t dims[LP_VALUE_RANK_MAX + 1] = {row_count};
    for (uint32_t i = 0; i < input->shape.rank; i++) dims[i + 1] = input->shape.dims[i];
    return CALL(TENSOR_WITH_DATA, const struct handle *, void *, size_t, const int64_t *, size_t, int,
                struct handle **)(library.memory, data, element_bytes[input->type] * input->width * row_count, dims,
                                  input->shape.rank + 1, element_types[input->type], ret_value);
}

/* Is the output so many floats? */
static bool is_as_told(struct handle *value, size_t count)
{
    struct handle *shape = NULL;
    int type = 0;
    size_t elements = 0;
    struct status *status = CALL(TYPE_AND_SHAPE, const struct handle *, struct handle **)(value, &shape);
    if (status == NULL) status = CALL(ELEMENT_TYPE, const struct handle *, int *)(shape, &type);
    if (status == NULL) status = CALL(ELEMENT_COUNT, const struct handle *, size_t *)(shape, &elements);
    if (shape != NULL) RELEASE(RELEASE_SHAPE, shape);
    if (status != NULL) release_status(status);
    return status == NULL && type == FLOAT_ELEMENTS && elements == count;
}

/* Inputs to outputs; NULL: done, else what is wrong. */
static struct status *infer(struct lp_onnxruntime *session, struct handle *const *inputs, struct handle **output)
{
    const char *names[LP_FOREIGN_INPUTS_MAX];
    for (uint32_t i = 0; i < session->model->input_count; i++) names[i] = session->model->inputs[i].name;
    return CALL(RUN, struct handle *, const void *, const char *const *, struct handle *const *, size_t,
                const char *const *, size_t, struct handle **)(
        session->session, NULL, names, inputs, session->model->input_count, &session->model->output, 1, output);
}

/* @param failure NULL, or where the library's words go: owned */
static bool run(struct lp_onnxruntime *session, const double *rows, size_t row_stride, uint32_t row_count,
                float *outputs, size_t output_stride, void *scratch, struct status **failure)
{
    const struct lp_foreign *model = session->model;
    struct handle *values[LP_FOREIGN_INPUTS_MAX] = {NULL}, *output = NULL;
    struct status *status = NULL;
    unsigned char *at = scratch;
    float *numbers = NULL;
    bool good = true;
    for (uint32_t i = 0; good && status == NULL && i < model->input_count; i++) {
        good = pack(&model->inputs[i], rows, row_stride, row_count, at);
        if (good) status = wrap(&model->inputs[i], row_count, at, &values[i]);
        at += input_bytes(&model->inputs[i], row_count);
    }
    if (good && status == NULL) status = infer(session, values, &output);
    good = good && status == NULL && is_as_told(output, (size_t)row_count * session->outputs);
    if (good) status = CALL(TENSOR_DATA, struct handle *, float **)(output, &numbers);
    good = good && status == NULL;
    for (uint32_t r = 0; good && r < row_count; r++)
        memcpy(outputs + r * output_stride, numbers + (size_t)r * session->outputs, session->outputs * sizeof *outputs);
    if (output != NULL) RELEASE(RELEASE_VALUE, output);
    for (uint32_t i = 0; i < model->input_count; i++)
        if (values[i] != NULL) RELEASE(RELEASE_VALUE, values[i]);
    if (failure != NULL) *failure = status;
    else if (status != NULL) release_status(status);
    return good;
}

void lp_onnxruntime_run(struct lp_onnxruntime *session, const double *rows, size_t row_stride_doubles,
                        uint32_t row_count, float *outputs, size_t output_stride_floats, void *scratch)
{
    if (run(session, rows, row_stride_doubles, row_count, outputs, output_stride_floats, scratch, NULL)) return;
    if (row_count > 1) { /* one row may be to blame: the others have their answers */
        for (uint32_t r = 0; r < row_count; r++)
            lp_onnxruntime_run(session, rows + r * row_stride_doubles, row_stride_doubles, 1,
                               outputs + r * output_stride_floats, output_stride_floats, scratch);
        return;
    }
    for (uint32_t i = 0; i < session->outputs; i++) outputs[i] = NAN;
}

/* A row of zeros: are inputs and output as the bundle says? */
static enum lp_code try_row(struct lp_onnxruntime *session, struct lp_error *err)
{
    const struct lp_foreign *model = session->model;
    struct status *failure = NULL;
    size_t columns = 1, bytes = lp_onnxruntime_scratch_bytes(session, 1);
    for (uint32_t i = 0; i < model->input_count; i++)
        if (model->inputs[i].column + model->inputs[i].width > columns)
            columns = model->inputs[i].column + model->inputs[i].width;
    double *row = calloc(columns, sizeof *row);
    float *outputs = calloc(session->outputs, sizeof *outputs);
    void *scratch = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    enum lp_code rc = LP_OK;
    if (row == NULL || outputs == NULL || scratch == NULL) rc = lp_fail_memory(err, bytes);
    else if (!run(session, row, columns, 1, outputs, session->outputs, scratch, &failure) && failure == NULL)
        rc = lp_fail(err, LP_E_MISMATCH, LP_FATAL, "ONNX Runtime: output `%.64s` is not %u floats a row", model->output,
                     session->outputs);
    if (rc == LP_OK) rc = check(failure, "a row of zeros", err);
    free(row);
    free(outputs);
    free(scratch);
    return rc;
}

enum lp_code lp_onnxruntime_new(const struct lp_foreign *model, struct lp_span bytes, uint32_t outputs,
                                struct lp_onnxruntime **ret_session, struct lp_error *err)
{
    pthread_once(&library.once, load_library);
    if (library.api == NULL)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "the bundle runs in ONNX Runtime, which cannot be loaded: %.300s: install libonnxruntime.so.1 "
                       "where the loader finds it",
                       library.why);
    struct lp_onnxruntime *session = calloc(1, sizeof *session);
    if (session == NULL) return lp_fail_memory(err, sizeof *session);
    *session = (struct lp_onnxruntime){.model = model, .bytes = bytes, .outputs = outputs};
    enum lp_code rc = make_session(session, err);
    if (rc == LP_OK) rc = try_row(session, err);
    if (rc == LP_OK) *ret_session = session;
    else lp_onnxruntime_free(session);
    return rc;
}

void lp_onnxruntime_free(struct lp_onnxruntime *session)
{
    if (session == NULL) return;
    if (session->session != NULL) RELEASE(RELEASE_SESSION, session->session);
    free(session);
}

#else

enum lp_code lp_onnxruntime_new(const struct lp_foreign *model, struct lp_span bytes, uint32_t outputs,
                                struct lp_onnxruntime **ret_session, struct lp_error *err)
{
    (void)model;
    (void)bytes;
    (void)outputs;
    (void)ret_session;
    return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                   "the bundle runs in ONNX Runtime, and this lepton was built without it: build with "
                   "-DLEPTON_ONNXRUNTIME=ON");
}

void lp_onnxruntime_free(struct lp_onnxruntime *session) { (void)session; }

size_t lp_onnxruntime_scratch_bytes(const struct lp_onnxruntime *session, uint32_t row_count)
{
    (void)session;
    (void)row_count;
    return 1;
}

void lp_onnxruntime_run(struct lp_onnxruntime *session, const double *rows, size_t row_stride_doubles,
                        uint32_t row_count, float *outputs, size_t output_stride_floats, void *scratch)
{
    (void)session;
    (void)rows;
    (void)row_stride_doubles;
    (void)row_count;
    (void)outputs;
    (void)output_stride_floats;
    (void)scratch;
}

#endif
