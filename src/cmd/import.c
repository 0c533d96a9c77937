/* lepton import: another library's model -> a bundle. */
#include "import/import.h"

#include "cmd/bundles.h"
#include "cmd/command.h"
#include "cmd/options.h"
#include "cmd/terminal.h"
#include "control/source.h"
#include "data/bytes.h"
#include "model/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(int argc, char **argv);

const struct lp_command lp_command_import = {
    .name = "import",
    .help = "make a bundle of an XGBoost, LightGBM or ONNX model",
    .usage =
        "usage: lepton import MODEL -o BUNDLE [--name NAME] [--version TEXT] [--from FEATURE=PATH]...\n"
        "                     [--features SPEC] [--golden FILE] [--all-iterations]\n"
        "                     [--backend onnxruntime]\n"
        "       lepton import MODEL --print-spec\n"
        "\n"
        "Reads XGBoost's JSON and UBJSON (save_model of 1.x to 3.x), LightGBM's text (save_model of 3.x and 4.x) and\n"
        "ONNX (opsets 9 to 21, with the data files beside it), told apart by content; `-` is stdin. The bundle scores "
        "as\n"
        "the library does; what cannot be served so is refused with its name. Features are read from the record's "
        "field\n"
        "of their name (f0, f1, ... where the model has none; an ONNX input of many numbers is an array).\n"
        "\n"
        "  -o FILE           where to write the bundle\n"
        "  --name NAME       the model's name; the file's, without its ending\n"
        "  --version TEXT    stamped on every prediction; 1\n"
        "  --from NAME=PATH  read feature NAME from this path of the record, as user.age\n"
        "  --features SPEC   a JSON file: name, version, labels, threshold, features as a bundle's manifest has them\n"
        "  --print-spec      print that file for this model, to edit, and write no bundle\n"
        "  --golden FILE     the library's own answers, verified at each load: lines of\n"
        "                    {\"record\":{...},\"margin\":[...],\"score\":[...]}\n"
        "  --backend NAME    onnxruntime: the ONNX model runs in ONNX Runtime, whatever ops it has; lepton must be "
        "built\n"
        "                    for it, and the library be where the loader finds it\n"
        "  --all-iterations  every tree, also behind XGBoost's best_iteration\n"
        "  --json            say what was written as JSON\n"
        "\n"
        "example: lepton import model.ubj --from f0=user.age --name ctr -o ctr.safetensors\n",
    .run = run,
};

#define MODEL_MAX_BYTES ((size_t)8 << 30)
enum { NAME_BYTES = 256 };

struct request {
    const char *path, *out, *name, *version, *features, *golden, *backend;
    bool print_spec, json;
    struct lp_import_options options;
    struct lp_pairs from;
};

static enum lp_code read_file(const char *path, struct lp_bytes *bytes, struct lp_span *ret_span, struct lp_error *err)
{
    LP_TRY(lp_bytes_open(bytes, path, MODEL_MAX_BYTES, err));
    LP_TRY(lp_bytes_fill(bytes, SIZE_MAX, err));
    *ret_span = lp_span_of(lp_bytes_at(bytes), lp_bytes_left(bytes));
    return LP_OK;
}

/* The file's name without folder and ending. */
static void name_after(const char *path, char *name)
{
    const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
    snprintf(name, NAME_BYTES, "%s", strcmp(path, "-") == 0 ? "model" : base);
    char *dot = strrchr(name, '.');
    if (dot != NULL && dot != name) *dot = '\0';
}

/* Where files that the model names would be; NULL: nowhere. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (strcmp(path, "-") == 0) return NULL;
    return slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
}

static enum lp_code apply_features(const char *path, json_t *spec, struct lp_error *err)
{
    struct lp_bytes bytes = {.file = -1};
    struct lp_span text;
    json_t *edited = NULL;
    json_error_t why;
    enum lp_code rc;
    LP_GUARD(read_file(path, &bytes, &text, err));
    edited = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &why);
    rc = edited != NULL ? lp_import_merge(spec, edited, err)
                        : lp_fail(err, LP_E_INVALID, LP_FATAL, "line %d: not JSON: %s", why.line, why.text);
    if (rc != LP_OK) lp_error_wrap(err, "%s", path);
out:
    json_decref(edited);
    lp_bytes_close(&bytes);
    return rc;
}

static enum lp_code make_spec(const struct request *request, const struct lp_draft *draft, json_t **ret_spec,
                              struct lp_error *err)
{
    char name[NAME_BYTES];
    name_after(request->path, name);
    json_t *spec = lp_import_spec(draft, name, "1");
    if (spec == NULL) return lp_fail_memory(err, 0);
    enum lp_code rc = LP_OK;
    if (request->features != NULL) rc = apply_features(request->features, spec, err);
    if (rc == LP_OK && request->name != NULL) json_object_set_new(spec, "name", json_string(request->name));
    if (rc == LP_OK && request->version != NULL) json_object_set_new(spec, "version", json_string(request->version));
    for (uint32_t i = 0; rc == LP_OK && i < request->from.count; i++) {
        const struct lp_import_mapping mapping = {request->from.items[i].name, request->from.items[i].value};
        rc = lp_import_map(spec, &mapping, 1, err);
    }
    if (rc == LP_OK) *ret_spec = spec;
    else json_decref(spec);
    return rc;
}

static enum lp_code read_golden(const struct request *request, const struct lp_draft *draft, json_t **ret_golden,
                                struct lp_error *err)
{
    struct lp_bytes bytes = {.file = -1};
    struct lp_span lines;
    if (request->golden == NULL) return LP_OK;
    enum lp_code rc = read_file(request->golden, &bytes, &lines, err);
    if (rc == LP_OK) rc = lp_import_golden(draft, lines, ret_golden, err);
    lp_bytes_close(&bytes);
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "%s", request->golden);
}

/* Prepared and verified as a worker will: a bundle that does not reproduce its golden rows is not written. */
static enum lp_code verify(struct lp_span bytes, char *sha256, struct lp_error *err)
{
    struct lp_bundle *bundle;
    struct lp_model *model;
    LP_TRY(lp_infer_setup(err));
    LP_TRY(lp_bundle_parse(bytes, &bundle, err));
    LP_TRY(lp_model_new(bundle, NULL, &model, err));
    enum lp_code rc = lp_model_verify(model, err);
    lp_sha256_text(bundle->sha256, sha256);
    lp_model_unref(model);
    return rc;
}

static uint64_t parameter_count(const struct lp_graph *graph)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < graph->count && graph->ops[i].kind != LP_GRAPH_FOREIGN; i++) {
        const struct lp_tensor *const tensors[] = {graph->ops[i].weight, graph->ops[i].bias, graph->ops[i].constant};
        for (size_t k = 0; k < sizeof tensors / sizeof *tensors; k++)
            count += tensors[k] != NULL ? tensors[k]->count : 0;
    }
    return count;
}

/* What the model is made of, in words. */
static void describe(const struct lp_draft *draft, char *text, size_t bytes)
{
    if (draft->is_network)
        snprintf(text, bytes, "%u ops, %llu parameters", draft->graph.count,
                 (unsigned long long)parameter_count(&draft->graph));
    else snprintf(text, bytes, "%u trees", lp_forest_tree_count(&draft->forest));
}

static void report_json(const struct request *request, const struct lp_draft *draft, const char *sha256, size_t bytes)
{
    json_t *line = json_pack("{s:s, s:s, s:I, s:s, s:I, s:I}", "bundle", request->out, "sha256", sha256, "bytes",
                             (json_int_t)bytes, "source", draft->source, "features", (json_int_t)draft->column_count,
                             "outputs", (json_int_t)draft->output_count);
    if (draft->is_network) {
        json_object_set_new(line, "ops", json_integer(draft->graph.count));
        json_object_set_new(line, "parameters", json_integer((json_int_t)parameter_count(&draft->graph)));
    } else json_object_set_new(line, "trees", json_integer(lp_forest_tree_count(&draft->forest)));
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
    puts(text != NULL ? text : "{}");
    free(text);
    json_decref(line);
}

static void report(const struct request *request, const struct lp_draft *draft, const char *sha256, size_t bytes)
{
    char made_of[NAME_BYTES];
    describe(draft, made_of, sizeof made_of);
    if (request->json) {
        report_json(request, draft, sha256, bytes);
        return;
    }
    lp_print_safe(stdout, "%s: %s, %s, %u features, %u outputs, %zu bytes, sha256 %.16s...\n", request->out,
                  draft->source, made_of, draft->column_count, draft->output_count, bytes, sha256);
}

static enum lp_code write_bundle(const struct request *request, const struct lp_draft *draft, const json_t *spec,
                                 const json_t *golden, struct lp_error *err)
{
    struct lp_buffer out;
    char sha256[LP_SHA256_TEXT_BYTES];
    enum lp_code rc;
    lp_buffer_init(&out, SIZE_MAX / 2);
    LP_GUARD(lp_import_encode(draft, spec, golden, &out, err));
    LP_GUARD(verify(lp_buffer_span(&out), sha256, err));
    LP_GUARD(lp_bundle_save(request->out, lp_buffer_span(&out), err));
    report(request, draft, sha256, out.size);
out:
    lp_buffer_done(&out);
    return rc;
}

static enum lp_code print_spec(const json_t *spec, struct lp_error *err)
{
    char *text = json_dumps(spec, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    if (text == NULL) return lp_fail_memory(err, 0);
    puts(text);
    free(text);
    return LP_OK;
}

static enum lp_code import(const struct request *request, struct lp_error *err)
{
    struct lp_bytes bytes = {.file = -1};
    struct lp_span model;
    struct lp_draft draft;
    json_t *spec = NULL, *golden = NULL;
    enum lp_code rc = read_file(request->path, &bytes, &model, err);
    if (rc == LP_OK) {
        struct lp_import_options options = request->options;
        char *folder = folder_of(request->path);
        options.folder = folder;
        rc = lp_import_read(model, &options, &draft, err);
        free(folder);
        if (rc != LP_OK) lp_error_wrap(err, "%s", request->path);
    }
    lp_bytes_close(&bytes);
    if (rc != LP_OK) return rc;
    if (draft.notes.size > 0)
        lp_print_safe(stderr, "lepton: import: %s: %.*s\n", request->path, (int)draft.notes.size - 1,
                      (const char *)draft.notes.data);
    LP_GUARD(make_spec(request, &draft, &spec, err));
    LP_GUARD(read_golden(request, &draft, &golden, err));
    rc = request->print_spec ? print_spec(spec, err) : write_bundle(request, &draft, spec, golden, err);
out:
    json_decref(golden);
    json_decref(spec);
    lp_draft_done(&draft);
    return rc;
}

static int run(int argc, char **argv)
{
    struct request request = {0};
    const struct lp_option options[] = {
        {.name = "output", .type = LP_OPTION_TEXT, .value = &request.out, .letter = 'o'},
        {.name = "name", .type = LP_OPTION_TEXT, .value = &request.name},
        {.name = "version", .type = LP_OPTION_TEXT, .value = &request.version},
        {.name = "from", .type = LP_OPTION_PAIR, .value = &request.from},
        {.name = "features", .type = LP_OPTION_TEXT, .value = &request.features},
        {.name = "golden", .type = LP_OPTION_TEXT, .value = &request.golden},
        {.name = "print-spec", .type = LP_OPTION_FLAG, .value = &request.print_spec},
        {.name = "backend", .type = LP_OPTION_TEXT, .value = &request.backend},
        {.name = "all-iterations", .type = LP_OPTION_FLAG, .value = &request.options.all_iterations},
        {.name = "json", .type = LP_OPTION_FLAG, .value = &request.json},
    };
    struct lp_operands operands;
    struct lp_error err;
    request.from.items = calloc((size_t)argc + 1, sizeof *request.from.items);
    if (request.from.items == NULL) {
        lp_fail_memory(&err, (size_t)argc * sizeof *request.from.items);
        return lp_command_fail(&lp_command_import, &err);
    }
    int code =
        lp_options_parse(&lp_command_import, argc, argv, options, sizeof options / sizeof *options, 1, 1, &operands);
    if (code < 0 && !request.print_spec && request.out == NULL)
        code = lp_command_misuse(&lp_command_import, "-o FILE is missing: where to write the bundle");
    if (code < 0 && request.backend != NULL && strcmp(request.backend, "onnxruntime") != 0)
        code = lp_command_misuse(&lp_command_import, "--backend: onnxruntime is the one there is");
    request.options.onnxruntime = request.backend != NULL;
    if (code < 0) {
        request.path = operands.items[0];
        code = import(&request, &err) == LP_OK ? lp_command_finish(&lp_command_import, LP_EXIT_OK)
                                               : lp_command_fail(&lp_command_import, &err);
    }
    free(request.from.items);
    return code;
}
