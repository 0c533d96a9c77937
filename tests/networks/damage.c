/*
 * Damaged networks: thousands of mutations of good ONNX files through the importer, the loader, the plan and a row.
 * Nothing may crash, take 2 s or, without a sanitizer, 100 MB.
 *
 *     networks_damage COUNT SEED MODEL...
 *
 * Most mutations are of the messages (names that make cycles, dimensions, attributes, types, other ops, doubled and
 * dropped parts, constants that double), so that they pass the syntax and meet the checks of meaning; the others are of
 * the bytes: lengths, bits, cuts, long runs. Batches run in a child of their own, which says by its exit which mutation
 * was the last.
 */
#include "import/import.h"
#include "onnx.pb-c.h"
#include "score/scorer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 50, SECONDS_MAX = 2, MEMORY_MAX_KB = 100 * 1000, MODELS_MAX = 64, FILE_MAX_BYTES = 1 << 20 };

#if defined(__SANITIZE_ADDRESS__)
enum { COUNTS_MEMORY = 0, SLOWER = 10 };
#else
enum { COUNTS_MEMORY = 1, SLOWER = 1 };
#endif

struct bytes {
    unsigned char *data;
    size_t size;
};

/* What the children say. */
struct shared {
    uint64_t current;  /* mutation */
    uint64_t imported; /* that became a bundle */
};

static uint64_t state;

static uint64_t chance(uint64_t below)
{
    state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

static void die(const char *what)
{
    fprintf(stderr, "networks_damage: %s\n", what);
    exit(2);
}

static void *must(void *pointer)
{
    if (pointer == NULL) die("no memory");
    return pointer;
}

static struct bytes read_file(const char *path)
{
    struct bytes bytes = {.data = must(malloc(FILE_MAX_BYTES))};
    FILE *file = fopen(path, "rb");
    if (file == NULL) die(path);
    bytes.size = fread(bytes.data, 1, FILE_MAX_BYTES, file);
    fclose(file);
    return bytes;
}

/* --- of the messages; what they point to lives as long as the child --- */

static int64_t hostile_whole(void)
{
    static const int64_t wholes[] = {0,         1,         2,         3,         -1,        -2,        4,
                                     7,         64,        INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1 << 20,
                                     1ll << 32, 1ll << 31, 65536,     100000000, 4096,      1 << 24,   INT64_MIN + 7};
    return wholes[chance(sizeof wholes / sizeof *wholes)];
}

static double hostile_number(void)
{
    static const double numbers[] = {0, -0.0, 1, -1, 1e-40, 1e30, 3e38, 1e308, -1e308, 0.5, 1e-7, 1 / 0.0 * 0, 1 / 0.0};
    return numbers[chance(sizeof numbers / sizeof *numbers)];
}

static char *random_value(const Onnx__Graph *graph)
{
    const Onnx__Node *node = graph->n_node > 0 ? graph->node[chance(graph->n_node)] : NULL;
    if (node == NULL || chance(8) == 0) return strdup(chance(2) ? "" : "x");
    if (node->n_output > 0 && chance(2)) return strdup(node->output[chance(node->n_output)]);
    return strdup(node->n_input > 0 ? node->input[chance(node->n_input)] : "y");
}

static void damage_tensor(Onnx__Tensor *tensor)
{
    switch (chance(7)) {
    case 0:
        if (tensor->n_dims > 0) tensor->dims[chance(tensor->n_dims)] = hostile_whole();
        break;
    case 1:
        tensor->dims = must(realloc(tensor->dims, (tensor->n_dims + 1) * sizeof *tensor->dims));
        tensor->dims[tensor->n_dims++] = hostile_whole();
        break;
    case 2: tensor->n_dims -= tensor->n_dims > 0; break;
    case 3: tensor->data_type = (int32_t)chance(24); break;
    case 4: tensor->raw_data.len = tensor->raw_data.len > 0 ? chance(tensor->raw_data.len) : 0; break;
    case 5:
        if (tensor->raw_data.len >= 8) {
            int64_t whole = hostile_whole();
            memcpy(tensor->raw_data.data + chance(tensor->raw_data.len / 8) * 8, &whole, sizeof whole);
        }
        break;
    default:
        tensor->has_data_location = 1;
        tensor->data_location = 1;
        break;
    }
}

static void damage_attribute(Onnx__Node *node)
{
    if (node->n_attribute == 0) return;
    Onnx__Attribute *attribute = node->attribute[chance(node->n_attribute)];
    switch (chance(7)) {
    case 0:
        attribute->has_i = 1;
        attribute->i = hostile_whole();
        break;
    case 1:
        attribute->has_f = 1;
        attribute->f = (float)hostile_number();
        break;
    case 2:
        if (attribute->n_ints > 0) attribute->ints[chance(attribute->n_ints)] = hostile_whole();
        break;
    case 3: attribute->n_ints -= attribute->n_ints > 0; break;
    case 4:
        if (attribute->n_floats > 0) attribute->floats[chance(attribute->n_floats)] = (float)hostile_number();
        break;
    case 5:
        if (attribute->t != NULL) damage_tensor(attribute->t);
        break;
    default:
        node->attribute[chance(node->n_attribute)] = node->attribute[node->n_attribute - 1];
        node->n_attribute--;
        break;
    }
}

static void put_node(Onnx__Graph *graph, Onnx__Node *node)
{
    graph->node = must(realloc(graph->node, (graph->n_node + 1) * sizeof *graph->node));
    graph->node[graph->n_node++] = node;
}

/* Forty constants, each twice the one before it, or a row value made as wide, in place of an input. */
static void put_bomb(Onnx__Graph *graph, Onnx__Node *before)
{
    static const char *const ops[] = {"Concat", "Expand", "MatMul", "Add"};
    char name[32], *last = random_value(graph);
    const char *op = ops[chance(sizeof ops / sizeof *ops)];
    if (before->n_input == 0) return;
    for (uint64_t i = 0, count = 10 + chance(60); i < count; i++) {
        Onnx__Node *node = must(malloc(sizeof *node));
        onnx__node__init(node);
        node->op_type = strdup(op);
        node->input = must(malloc(2 * sizeof *node->input));
        node->n_input = 2;
        node->input[0] = node->input[1] = last;
        snprintf(name, sizeof name, "bomb%llu", (unsigned long long)(i + chance(1000) * 1000));
        node->output = must(malloc(sizeof *node->output));
        node->n_output = 1;
        node->output[0] = last = strdup(name);
        Onnx__Attribute *axis = must(malloc(sizeof *axis));
        onnx__attribute__init(axis);
        axis->name = strdup("axis");
        axis->has_i = 1;
        axis->i = (int64_t)chance(3);
        node->attribute = must(malloc(sizeof *node->attribute));
        node->n_attribute = 1;
        node->attribute[0] = axis;
        put_node(graph, node);
    }
    before->input[chance(before->n_input)] = last;
}

static void damage_type(Onnx__ValueInfo *info)
{
    Onnx__TensorType *type = info->type != NULL ? info->type->tensor_type : NULL;
    if (type == NULL) return;
    if (chance(3) == 0) type->elem_type = (int32_t)chance(24);
    else if (type->shape != NULL && type->shape->n_dim > 0 && chance(4) > 0) {
        Onnx__Dimension *dim = type->shape->dim[chance(type->shape->n_dim)];
        if (dim->value_case == ONNX__DIMENSION__VALUE_DIM_VALUE) dim->dim_value = hostile_whole();
    } else type->shape = NULL;
}

static void damage_node(Onnx__Graph *graph, Onnx__Node *node)
{
    const Onnx__Node *other = graph->node[chance(graph->n_node)];
    switch (chance(7)) {
    case 0:
        if (node->n_input > 0) node->input[chance(node->n_input)] = random_value(graph);
        break;
    case 1:
        if (node->n_output > 0) node->output[chance(node->n_output)] = random_value(graph);
        break;
    case 2:
        node->op_type = other->op_type;
        node->domain = other->domain;
        break;
    case 3: node->n_input -= node->n_input > 0; break;
    case 4:
        node->attribute = other->attribute;
        node->n_attribute = other->n_attribute;
        break;
    default: damage_attribute(node); break;
    }
}

static void damage_model(Onnx__Model *model)
{
    Onnx__Graph *graph = model->graph;
    if (graph == NULL || graph->n_node == 0) return;
    switch (chance(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: damage_node(graph, graph->node[chance(graph->n_node)]); break;
    case 5:
    case 6:
        if (graph->n_initializer > 0) damage_tensor(graph->initializer[chance(graph->n_initializer)]);
        break;
    case 7:
        if (graph->n_input > 0) damage_type(graph->input[chance(graph->n_input)]);
        break;
    case 8: put_node(graph, graph->node[chance(graph->n_node)]); break;
    case 9:
        graph->node[chance(graph->n_node)] = graph->node[graph->n_node - 1];
        graph->n_node--;
        break;
    case 10: put_bomb(graph, graph->node[chance(graph->n_node)]); break;
    default:
        if (model->n_opset_import > 0)
            model->opset_import[chance(model->n_opset_import)]->version =
                chance(4) ? (int64_t)chance(26) : hostile_whole();
        break;
    }
}

/* --- of the bytes --- */

static void splice(struct bytes *bytes, size_t begin, size_t end, const void *with, size_t size)
{
    unsigned char *made = must(malloc(bytes->size + size + 1));
    memcpy(made, bytes->data, begin);
    if (size > 0) memcpy(made + begin, with, size);
    memcpy(made + begin + size, bytes->data + end, bytes->size - end);
    bytes->size += size - (end - begin);
    free(bytes->data);
    bytes->data = made;
}

/* A thousand empty messages of one field, or one field split into as many parts. */
static void put_run(struct bytes *bytes)
{
    enum { RUN = 40000 };
    static const unsigned char tags[] = {0x3a, 0x0a, 0x2a, 0x42, 0x5a, 0x62};
    unsigned char *run = must(malloc(RUN)), tag = tags[chance(sizeof tags)];
    for (size_t i = 0; i + 1 < RUN; i += 2) {
        run[i] = tag;
        run[i + 1] = 0;
    }
    splice(bytes, chance(bytes->size), bytes->size, run, RUN);
    free(run);
}

static void damage_bytes(struct bytes *bytes)
{
    static const unsigned char lengths[] = {0xff, 0x00, 0x7f, 0x80, 0x01};
    size_t at = bytes->size > 0 ? chance(bytes->size) : 0, other = bytes->size > 0 ? chance(bytes->size) : 0;
    if (bytes->size == 0) return;
    switch (chance(8)) {
    case 0: bytes->size = at; break;
    case 1: bytes->data[at] ^= (unsigned char)(1u << chance(8)); break;
    case 2: bytes->data[at] = (unsigned char)chance(256); break;
    case 3: bytes->data[at] = lengths[chance(sizeof lengths)]; break;
    case 4: splice(bytes, at, at, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10); break;
    case 5: splice(bytes, at < other ? at : other, at < other ? other : at, NULL, 0); break;
    case 6: splice(bytes, at, at, bytes->data + other, (bytes->size - other) / 2); break;
    default: put_run(bytes); break;
    }
}

static struct bytes mutate(struct bytes from)
{
    struct bytes made = {.size = from.size};
    Onnx__Model *model = chance(4) > 0 ? onnx__model__unpack(NULL, from.size, from.data) : NULL;
    if (model != NULL) {
        for (uint64_t n = 1 + chance(3); n > 0; n--) damage_model(model);
        made.size = onnx__model__get_packed_size(model);
        made.data = must(malloc(made.size + 1));
        onnx__model__pack(model, made.data);
        return made;
    }
    made.data = must(malloc(from.size + 1));
    memcpy(made.data, from.data, from.size);
    for (uint64_t n = 1 + chance(3); n > 0; n--) damage_bytes(&made);
    return made;
}

/* --- the way of a model --- */

/* Did it become a bundle? */
static bool use(struct lp_span bytes)
{
    const struct lp_import_options options = {0};
    struct lp_draft draft;
    struct lp_error err;
    struct lp_buffer out;
    struct lp_bundle *bundle;
    struct lp_model *model;
    bool good = false;
    if (lp_import_read(bytes, &options, &draft, &err) != LP_OK) return false;
    json_t *spec = lp_import_spec(&draft, "m", "1");
    lp_buffer_init(&out, SIZE_MAX / 2);
    if (spec != NULL && lp_import_encode(&draft, spec, NULL, &out, &err) == LP_OK &&
        lp_bundle_parse(lp_buffer_span(&out), &bundle, &err) == LP_OK &&
        lp_model_new(bundle, NULL, &model, &err) == LP_OK) {
        good = true;
        if (lp_model_verify(model, &err) != LP_OK) fprintf(stderr, "networks_damage: %s\n", err.text);
        lp_model_unref(model);
    }
    lp_buffer_done(&out);
    json_decref(spec);
    lp_draft_done(&draft);
    return good;
}

/* Seconds of this child, and of the clock, which a loaded machine stretches. */
static void limit_time(int seconds)
{
    const struct itimerval cpu = {.it_value = {.tv_sec = seconds}};
    if (setitimer(ITIMER_PROF, &cpu, NULL) != 0) die("no timer");
    alarm((unsigned int)seconds * 10);
}

static void run_batch(const struct bytes *models, size_t model_count, uint64_t seed, uint64_t first, uint64_t count,
                      volatile struct shared *shared)
{
    for (uint64_t i = first; i < first + count; i++) {
        shared->current = i;
        state = seed * 1000003 + i;
        struct bytes copy = mutate(models[chance(model_count)]);
        limit_time(SECONDS_MAX * SLOWER);
        shared->imported += use(lp_span_of(copy.data, copy.size));
        limit_time(0);
        free(copy.data);
    }
}

int main(int argc, char **argv)
{
    static struct bytes models[MODELS_MAX];
    struct lp_error err;
    long largest_kb = 0;
    if (argc < 4 || argc - 3 > MODELS_MAX) die("networks_damage COUNT SEED MODEL...");
    uint64_t count = strtoull(argv[1], NULL, 10), seed = strtoull(argv[2], NULL, 10);
    size_t model_count = (size_t)argc - 3;
    if (lp_infer_setup(&err) != LP_OK) die(err.text);
    for (size_t i = 0; i < model_count; i++) models[i] = read_file(argv[3 + i]);
    volatile struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) die("no memory");
    for (uint64_t first = 0; first < count; first += BATCH) {
        pid_t child = fork();
        if (child == 0) {
            run_batch(models, model_count, seed, first, count - first < BATCH ? count - first : BATCH, shared);
            _exit(0); /* the messages that were damaged are not freed */
        }
        int status;
        struct rusage usage;
        if (child < 0 || wait4(child, &status, 0, &usage) != child) die("no child");
        int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fprintf(stderr, "networks_damage: seed %llu mutation %llu: %s\n", (unsigned long long)seed,
                    (unsigned long long)shared->current,
                    signal == SIGALRM || signal == SIGPROF ? "took too long" : "crashed");
            return 1;
        }
        if (usage.ru_maxrss > largest_kb) largest_kb = usage.ru_maxrss;
        if (COUNTS_MEMORY && usage.ru_maxrss > MEMORY_MAX_KB) {
            fprintf(stderr, "networks_damage: seed %llu mutations from %llu: %ld kB\n", (unsigned long long)seed,
                    (unsigned long long)first, usage.ru_maxrss);
            return 1;
        }
    }
    if (shared->imported * 50 < count) die("nearly none is imported: the mutations test nothing but the syntax");
    printf("%llu mutations of seed %llu, %llu imported: no crash, none slower than %d s, at most %ld kB\n",
           (unsigned long long)count, (unsigned long long)seed, (unsigned long long)shared->imported,
           SECONDS_MAX * SLOWER, largest_kb);
    return 0;
}
