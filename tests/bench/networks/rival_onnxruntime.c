/*
 * ONNX Runtime through its C API, loaded at run time from the wheel's shared library. The API is a table of functions
 * that only ever grows; the indices are those of onnxruntime_c_api.h. Input and output tensors lie over the bench's own
 * buffers and are made once for each batch size, so that a call is Run and nothing else. One thread, sequential.
 */
#include "rivals.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    ORT_GET_ERROR_MESSAGE = 2,
    ORT_CREATE_ENV = 3,
    ORT_CREATE_SESSION = 7,
    ORT_RUN = 9,
    ORT_CREATE_SESSION_OPTIONS = 10,
    ORT_SET_GRAPH_OPTIMIZATION_LEVEL = 23,
    ORT_SET_INTRA_OP_THREADS = 24,
    ORT_SET_INTER_OP_THREADS = 25,
    ORT_CREATE_TENSOR_WITH_DATA = 49,
    ORT_CREATE_CPU_MEMORY_INFO = 69,
};
enum { API_VERSION = 16, WARNING = 2, ALL_OPTIMIZATIONS = 99, ARENA_ALLOCATOR = 1, DEFAULT_MEMORY = 0, FLOAT = 1 };

typedef void function(void);
struct api_base {
    function *const *(*get_api)(uint32_t version);
    const char *(*version)(void);
};
typedef const char *get_message(const void *status);
typedef void *create_env(int level, const char *id, void **ret);
typedef void *create_options(void **ret);
typedef void *set_number(void *options, int value);
typedef void *create_session(void *env, const char *path, const void *options, void **ret);
typedef void *create_memory_info(int allocator, int memory, void **ret);
typedef void *create_tensor(const void *info, void *data, size_t bytes, const int64_t *shape, size_t rank, int type,
                            void **ret);
typedef void *run_session(void *session, const void *options, const char *const *input_names, const void *const *inputs,
                          size_t input_count, const char *const *output_names, size_t output_count, void **outputs);

struct session {
    function *const *api;
    void *handle, *memory;
    float *y; /* the answers of the last call */
    uint32_t rows;
    void *input, *output;
};

static void check(function *const *api, const void *status)
{
    if (status != NULL) fail("ONNX Runtime", ((get_message *)api[ORT_GET_ERROR_MESSAGE])(status));
}

/* Tensors for another batch size; those of the last one stay with the process. */
static void make_tensors(const struct engine *engine, struct session *s, uint32_t rows)
{
    const struct net *net = engine->net;
    const int64_t in[2] = {rows, net->columns}, out[2] = {rows, net->outputs};
    create_tensor *create = (create_tensor *)s->api[ORT_CREATE_TENSOR_WITH_DATA];
    float *x = take(sizeof *x * rows * net->columns);
    memcpy(x, net->rows, sizeof *x * rows * net->columns);
    check(s->api, create(s->memory, x, sizeof *x * rows * net->columns, in, 2, FLOAT, &s->input));
    check(s->api, create(s->memory, s->y, sizeof *s->y * rows * net->outputs, out, 2, FLOAT, &s->output));
    s->rows = rows;
}

static void run(struct engine *engine, uint32_t rows, float *y)
{
    struct session *s = engine->state;
    static const char *const inputs[] = {"x"}, *const outputs[] = {"y"};
    if (s->rows != rows) make_tensors(engine, s, rows);
    const void *const in[] = {s->input};
    check(s->api, ((run_session *)s->api[ORT_RUN])(s->handle, NULL, inputs, in, 1, outputs, 1, &s->output));
    memcpy(y, s->y, sizeof *y * rows * engine->net->outputs);
}

static function *const *load(const char *library)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) fail(library, dlerror());
    const struct api_base *(*get_base)(void) =
        (const struct api_base *(*)(void))(uintptr_t)dlsym(handle, "OrtGetApiBase");
    if (get_base == NULL) fail(library, dlerror());
    printf("ONNX Runtime %s\n", get_base()->version());
    return get_base()->get_api(API_VERSION);
}

static void open_session(function *const *api, void *env, const char *path, struct session *s)
{
    void *options;
    check(api, ((create_options *)api[ORT_CREATE_SESSION_OPTIONS])(&options));
    check(api, ((set_number *)api[ORT_SET_INTRA_OP_THREADS])(options, 1));
    check(api, ((set_number *)api[ORT_SET_INTER_OP_THREADS])(options, 1));
    check(api, ((set_number *)api[ORT_SET_GRAPH_OPTIMIZATION_LEVEL])(options, ALL_OPTIMIZATIONS));
    check(api, ((create_session *)api[ORT_CREATE_SESSION])(env, path, options, &s->handle));
    check(api, ((create_memory_info *)api[ORT_CREATE_CPU_MEMORY_INFO])(ARENA_ALLOCATOR, DEFAULT_MEMORY, &s->memory));
}

uint32_t add_onnxruntime(const struct net *net, const char *library, const char *folder, const char *name,
                         struct engine *engines)
{
    static const struct {
        const char *title, *suffix;
        double tolerance;
    } models[] = {{"ONNX Runtime fp32", "", 1e-4},
                  {"ONNX Runtime int8 dynamic", "-dynamic", 0.1},
                  {"ONNX Runtime int8 QDQ", "-qdq", 0.1}};
    static function *const *api;
    static void *env;
    uint32_t count = 0;
    if (api == NULL) {
        api = load(library);
        check(api, ((create_env *)api[ORT_CREATE_ENV])(WARNING, "bench", &env));
    }
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s%s.onnx", folder, name, models[i].suffix);
        if (access(path, R_OK) != 0) continue;
        struct session *s = take(sizeof *s);
        s->api = api;
        s->y = take(sizeof *s->y * ROWS_MAX * net->outputs);
        open_session(api, env, path, s);
        engines[count++] = (struct engine){models[i].title, models[i].tolerance, run, net, s, {0}, {0}};
    }
    return count;
}
