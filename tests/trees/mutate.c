/*
 * Damaged models: thousands of structure-aware mutations of good ones through the importer, the loader, the plan and a
 * row. Nothing may crash, take 2 s or, without a sanitizer, 100 MB.
 *
 *     mutate COUNT SEED MODEL...
 *
 * A mutation replaces, swaps, doubles or drops whole tokens (a number, a key, a container's head), so that most of them
 * pass the syntax and meet the checks of meaning; some flip bits, cut the file or nest it. Batches run in a child of
 * their own, which says by its exit which mutation was the last.
 */
#include "import/document.h"
#include "import/import.h"
#include "import/lines.h"
#include "score/scorer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 50, SECONDS_MAX = 2, MEMORY_MAX_KB = 100 * 1000, MODELS_MAX = 64, FILE_MAX_BYTES = 1 << 20 };

#if defined(__SANITIZE_ADDRESS__)
enum { COUNTS_MEMORY = 0, SLOWER = 10 };
#else
enum { COUNTS_MEMORY = 1, SLOWER = 1 };
#endif

struct token {
    size_t begin, end;
};

struct model {
    const char *path;
    unsigned char *bytes;
    size_t size;
    struct token *tokens;
    size_t token_count;
    bool is_text, is_binary;
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
    fprintf(stderr, "mutate: %s\n", what);
    exit(2);
}

static void find_tokens(struct model *model)
{
    struct lp_error err;
    model->tokens = calloc(model->size + 1, sizeof *model->tokens);
    if (model->tokens == NULL) die("no memory");
    if (model->is_text) {
        for (size_t at = 0; at < model->size;) {
            size_t end = at;
            while (end < model->size && strchr(" \n=", model->bytes[end]) == NULL) end++;
            if (end > at) model->tokens[model->token_count++] = (struct token){at, end};
            at = end + 1;
        }
        return;
    }
    struct lp_document document;
    struct lp_token token;
    lp_document_init(&document, lp_span_of(model->bytes, model->size), model->is_binary);
    do {
        size_t begin = document.at;
        if (lp_document_next(&document, &token, &err) != LP_OK) die(err.text);
        if (document.at > begin) model->tokens[model->token_count++] = (struct token){begin, document.at};
    } while (token.kind != LP_TOKEN_END);
    lp_document_done(&document);
}

static void read_model(struct model *model, const char *path)
{
    FILE *file = fopen(path, "rb");
    model->path = path;
    model->bytes = malloc(FILE_MAX_BYTES);
    if (file == NULL || model->bytes == NULL) die(path);
    model->size = fread(model->bytes, 1, FILE_MAX_BYTES, file);
    fclose(file);
    model->is_text = model->bytes[0] == 't';
    model->is_binary = model->bytes[0] == '{' && model->bytes[1] == 'L';
    find_tokens(model);
}

/* --- mutations --- */

struct copy {
    unsigned char *bytes;
    size_t size;
};

static void splice(struct copy *copy, size_t begin, size_t end, const void *with, size_t size)
{
    unsigned char *bytes = malloc(copy->size + size + 1);
    if (bytes == NULL) die("no memory");
    memcpy(bytes, copy->bytes, begin);
    if (size > 0) memcpy(bytes + begin, with, size);
    memcpy(bytes + begin + size, copy->bytes + end, copy->size - end);
    copy->size += size - (end - begin);
    free(copy->bytes);
    copy->bytes = bytes;
}

static void put_hostile_number(struct copy *copy, const struct model *model, struct token token)
{
    static const char *const texts[] = {"-1",
                                        "0",
                                        "1",
                                        "2",
                                        "7",
                                        "2147483647",
                                        "-2147483648",
                                        "NaN",
                                        "1e999",
                                        "4294967297",
                                        "4294967295",
                                        "-0.0",
                                        "1e-40",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "99999999999999999999",
                                        "16777216",
                                        "Infinity"};
    if (!model->is_binary) {
        const char *text = texts[chance(sizeof texts / sizeof *texts)];
        char with[64];
        bool comma = !model->is_text && copy->bytes[token.begin] == ',';
        int size = snprintf(with, sizeof with, "%s%s", comma ? "," : "", text);
        splice(copy, token.begin, token.end, with, (size_t)size);
        return;
    }
    static const unsigned char fills[] = {0xff, 0x00, 0x7f, 0x80, 0x01};
    unsigned char fill = fills[chance(sizeof fills)];
    size_t keep = token.end - token.begin > 1 ? chance(2) : 0;
    for (size_t i = token.begin + keep; i < token.end && i < token.begin + 12; i++)
        copy->bytes[i] = i == token.begin + keep && fill == 0xff ? 0x7f : fill;
}

static void put_nest(struct copy *copy, const struct model *model, size_t at)
{
    enum { DEEP = 20000 };
    char *nest = malloc(DEEP);
    if (nest == NULL) die("no memory");
    memset(nest, model->is_binary || chance(2) ? '[' : '{', DEEP);
    splice(copy, at, at, nest, DEEP);
    free(nest);
}

static void put_numbers(struct lp_buffer *to, const char *key, uint32_t count, uint32_t value)
{
    lp_buffer_format(to, "\"%s\":[", key);
    for (uint32_t i = 0; i < count; i++) lp_buffer_format(to, "%s%u", i > 0 ? "," : "", value);
    lp_buffer_text(to, "]");
}

/* Category sets of one tree of XGBoost's JSON: many for one node, each of all categories. */
static void put_sets(struct copy *copy, const struct model *model)
{
    enum { MANY = 60000 };
    static const char first[] = "\"categories\":[", last[] = "\"categories_sizes\":[";
    const unsigned char *begin = memmem(copy->bytes, copy->size, first, sizeof first - 1), *end = NULL;
    if (model->is_text || model->is_binary || begin == NULL) return;
    size_t at = (size_t)(begin - copy->bytes);
    begin = memmem(begin, copy->size - at, last, sizeof last - 1);
    if (begin != NULL) end = memchr(begin, ']', copy->size - (size_t)(begin - copy->bytes));
    if (end == NULL) return;
    struct lp_buffer sets;
    lp_buffer_init(&sets, FILE_MAX_BYTES * 4);
    put_numbers(&sets, "categories", MANY, 1);
    lp_buffer_text(&sets, ",");
    put_numbers(&sets, "categories_nodes", MANY, 0);
    lp_buffer_text(&sets, ",");
    put_numbers(&sets, "categories_segments", MANY, 0);
    lp_buffer_text(&sets, ",");
    put_numbers(&sets, "categories_sizes", MANY, MANY);
    splice(copy, at, (size_t)(end - copy->bytes) + 1, sets.data, sets.size);
    lp_buffer_done(&sets);
}

static void mutate(struct copy *copy, const struct model *model)
{
    struct token a = model->tokens[chance(model->token_count)], b = model->tokens[chance(model->token_count)];
    size_t at = copy->size > 0 ? chance(copy->size) : 0;
    if (a.end > copy->size || b.end > copy->size || copy->size == 0) return;
    switch (chance(12)) {
    case 0: copy->size = at; break;
    case 1: copy->bytes[at] ^= (unsigned char)(1u << chance(8)); break;
    case 2: copy->bytes[at] = (unsigned char)chance(256); break;
    case 3: splice(copy, a.begin, a.end, NULL, 0); break;
    case 4: splice(copy, a.begin, a.begin, model->bytes + a.begin, a.end - a.begin); break;
    case 5:
        if (chance(12) > 0) put_nest(copy, model, a.begin);
        else put_sets(copy, model);
        break;
    case 6:
    case 7: splice(copy, a.begin, a.end, model->bytes + b.begin, b.end - b.begin); break;
    default: put_hostile_number(copy, model, a); break;
    }
}

/* --- the way of a model --- */

static void use(struct lp_span bytes)
{
    const struct lp_import_options options = {0};
    struct lp_draft draft;
    struct lp_error err;
    struct lp_buffer out;
    struct lp_bundle *bundle;
    struct lp_model *model;
    if (lp_import_read(bytes, &options, &draft, &err) != LP_OK) return;
    json_t *spec = lp_import_spec(&draft, "m", "1");
    lp_buffer_init(&out, SIZE_MAX / 2);
    if (spec != NULL && lp_import_encode(&draft, spec, NULL, &out, &err) == LP_OK &&
        lp_bundle_parse(lp_buffer_span(&out), &bundle, &err) == LP_OK &&
        lp_model_new(bundle, NULL, &model, &err) == LP_OK) {
        if (lp_model_verify(model, &err) != LP_OK) fprintf(stderr, "mutate: %s\n", err.text);
        lp_model_unref(model);
    }
    lp_buffer_done(&out);
    json_decref(spec);
    lp_draft_done(&draft);
}

static void run_batch(const struct model *models, size_t model_count, uint64_t seed, uint64_t first, uint64_t count,
                      volatile uint64_t *current)
{
    for (uint64_t i = first; i < first + count; i++) {
        *current = i;
        state = seed * 1000003 + i;
        const struct model *model = &models[chance(model_count)];
        struct copy copy = {.bytes = malloc(model->size + 1), .size = model->size};
        if (copy.bytes == NULL) die("no memory");
        memcpy(copy.bytes, model->bytes, model->size);
        for (uint64_t n = 1 + chance(3); n > 0; n--) mutate(&copy, model);
        alarm(SECONDS_MAX * SLOWER);
        use(lp_span_of(copy.bytes, copy.size));
        alarm(0);
        free(copy.bytes);
    }
}

int main(int argc, char **argv)
{
    static struct model models[MODELS_MAX];
    struct lp_error err;
    long largest_kb = 0;
    if (argc < 4 || argc - 3 > MODELS_MAX) die("mutate COUNT SEED MODEL...");
    uint64_t count = strtoull(argv[1], NULL, 10), seed = strtoull(argv[2], NULL, 10);
    size_t model_count = (size_t)argc - 3;
    if (lp_infer_setup(&err) != LP_OK) die(err.text);
    for (size_t i = 0; i < model_count; i++) read_model(&models[i], argv[3 + i]);
    volatile uint64_t *current = mmap(NULL, sizeof *current, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (current == MAP_FAILED) die("no memory");
    for (uint64_t first = 0; first < count; first += BATCH) {
        pid_t child = fork();
        if (child == 0) {
            run_batch(models, model_count, seed, first, count - first < BATCH ? count - first : BATCH, current);
            exit(0);
        }
        int status;
        struct rusage usage;
        if (child < 0 || wait4(child, &status, 0, &usage) != child) die("no child");
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fprintf(stderr, "mutate: seed %llu mutation %llu: %s\n", (unsigned long long)seed,
                    (unsigned long long)*current,
                    WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "took too long" : "crashed");
            return 1;
        }
        if (usage.ru_maxrss > largest_kb) largest_kb = usage.ru_maxrss;
        if (COUNTS_MEMORY && usage.ru_maxrss > MEMORY_MAX_KB) {
            fprintf(stderr, "mutate: seed %llu mutations from %llu: %ld kB\n", (unsigned long long)seed,
                    (unsigned long long)first, usage.ru_maxrss);
            return 1;
        }
    }
    printf("%llu mutations of seed %llu: no crash, none slower than %d s, at most %ld kB\n", (unsigned long long)count,
           (unsigned long long)seed, SECONDS_MAX * SLOWER, largest_kb);
    return 0;
}
