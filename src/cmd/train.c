/* lepton train: a data file -> a bundle. */
#include "cmd/command.h"
#include "cmd/options.h"
#include "cmd/topic_input.h"
#include "cmd/train_options.h"
#include "cmd/train_peers.h"
#include "cmd/train_spec.h"
#include "cmd/train_view.h"
#include "core/clock.h"
#include "core/log.h"
#include "model/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run(int argc, char **argv);

const struct lp_command lp_command_train = {
    .name = "train",
    .help = "train a network on a data file and write a bundle",
    .usage =
        "usage: lepton train DATA --label NAME -o BUNDLE [OPTION]...\n"
        "       lepton train kafka:TOPIC[@FROM-TO] --config worker.properties [--set KEY=VALUE]... ...\n"
        "\n"
        "DATA is CSV with a header, JSON Lines or an Avro container file, told apart by content, or a folder of them;\n"
        "or the JSON values that stand in a topic (@FROM-TO: of these offsets of each partition), kept in $TMPDIR "
        "while\n"
        "it trains.\n"
        "Features are fitted first, as `lepton fit` does, unless --spec names a feature list. A label of two values\n"
        "makes a binary model, of few whole numbers or of words a multiclass one, else it is a regression. Without\n"
        "further options: two layers of 64 with relu, Adam, a tenth of the rows validates, and the epoch with the "
        "best\n"
        "validation loss is kept. The same data, options, seed and threads give the same bytes.\n"
        "\n"
        "what is learned\n"
        "  --label NAME            the column or path that is to be predicted\n"
        "  --spec FILE             {\"features\":[...]} of `lepton fit -o`; NAME of each is kept; target means are "
        "learned\n"
        "                          out of fold: five folds, by --seed\n"
        "  --task TASK             binary, multiclass, regression, ranking; guessed where absent\n"
        "  --loss LOSS             cross-entropy (classes), squared (half of the squared error), huber, poisson\n"
        "                          (regression), bpr (ranking: pairs within a --group)\n"
        "  --delta X               where huber turns linear, in deviations of the label (raw units with --raw-label); "
        "1\n"
        "  --raw-label             learn the label as it is, not scaled to mean 0 and deviation 1 (squared, huber)\n"
        "  --weight NAME           column with each row's weight\n"
        "  --balanced              every class weighs the same in all; --class-weight LABEL=WEIGHT sets one\n"
        "  --drop A,B              leave features out\n"
        "  --hash NAME=BUCKETS     learn a category by a hash of its text: no word of it gets into the bundle\n"
        "  --embed NAME=WIDTH      learn a category as a row of a table instead of one column a word\n"
        "\n"
        "network\n"
        "  --layers 64,64          widths; none: logistic or linear regression\n"
        "  --activation relu       leaky_relu, elu, tanh, sigmoid, gelu, gelu_tanh, silu, softplus, none\n"
        "  --dropout X             share of values left out in training\n"
        "  --batch-norm            normalize each layer over the batch; folded into the weights at the end\n"
        "  --init BUNDLE           first weights of a bundle with the same layers; not with --batch-norm\n"
        "\n"
        "optimizer\n"
        "  --optimizer adam        adamw, momentum, sgd\n"
        "  --rate X                0.001 (sgd, momentum: 0.01)\n"
        "  --momentum X            0.9\n"
        "  --decay X               adamw's, decoupled; 0.01\n"
        "  --l1 X, --l2 X          penalties x |w| and x w^2 / 2 on weights, not on biases\n"
        "  --clip X                largest norm of the gradient\n"
        "  --schedule S            constant, cosine, step:10:0.5, plateau:5:0.5 (epochs, factor)\n"
        "  --warmup N              steps over which the rate rises\n"
        "  --epochs N              at most; 100\n"
        "  --batch N               rows a step; 32 to 256 by the number of rows\n"
        "  --patience N            stop after N epochs without a better validation loss; 10, 0: never\n"
        "  --min-improvement X     what counts as better\n"
        "  --keep-last             keep the last epoch's weights, not the best one's\n"
        "  --seed N                1\n"
        "  --threads N             by the size of the network\n"
        "  --in-order              rows in the order of the file in every epoch\n"
        "  --checkpoint FILE       written behind each epoch; with --resume training goes on from it\n"
        "\n"
        "validation\n"
        "  --validate PART         0.1, a number of rows, last:100, time:0.2 (--time), group:0.2 (--group), none\n"
        "  --time NAME, --group NAME\n"
        "  --folds K               cross-validation first, mean and deviation of K folds\n"
        "  --calibrate platt       scale and shift of the margin, fitted on the validation rows; isotonic: a rising\n"
        "                          line of scores\n"
        "  --threshold X           of a binary label; best-f1: chosen on the validation rows; 0.5\n"
        "  --segment NAME          measures for each value of a column, and the gap between them\n"
        "\n"
        "output\n"
        "  -o FILE                 where to write the bundle\n"
        "  --name NAME, --version TEXT\n"
        "  --no-golden-data        golden rows that are made up, not the first rows of the data\n"
        "  --skip-bad              pass over records that cannot be read, and say how many\n"
        "  --html FILE             the curves as a page\n"
        "  --config FILE           of a worker: the topic's brokers\n"
        "  --json                  a JSON line for the start, each epoch, and the end\n"
        "\n"
        "example: lepton train clicks.csv --label clicked --layers 64,64 -o ctr.safetensors\n",
    .run = run,
};

enum { NAME_BYTES = 256, STEP_BYTES = 4096 };

struct request {
    struct lp_train_texts texts;
    struct lp_job_request job;
    const char *spec, *out, *html, *config;
    struct lp_overrides overrides;
    const char *data; /* as it was given */
    bool json;
};

/* The file's name without folder and ending. */
static void name_after(const char *path, char *name)
{
    const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
    snprintf(name, NAME_BYTES, "%.200s", strcmp(path, "-") == 0 || *base == '\0' ? "model" : base);
    char *dot = strrchr(name, '.');
    if (dot != NULL && dot != name) *dot = '\0';
}

/* What was typed and decides the weights, for the lineage; where files are is nobody's business. */
static json_t *make_steps(int argc, char **argv)
{
    static const char *const passed_over[] = {"-o", "--output", "--checkpoint", "--html", "--config", "--set"};
    char text[STEP_BYTES] = "lepton";
    size_t used = strlen(text);
    for (int i = 0; i < argc && used + 1 < sizeof text; i++) {
        const char *slash = strrchr(argv[i], '/');
        bool over = strcmp(argv[i], "--resume") == 0 || strcmp(argv[i], "--json") == 0;
        for (size_t k = 0; k < sizeof passed_over / sizeof *passed_over; k++) {
            size_t bytes = strlen(passed_over[k]);
            char behind = strncmp(argv[i], passed_over[k], bytes) == 0 ? argv[i][bytes] : ' ';
            if (behind != '\0' && behind != '=') continue; /* --set=KEY=VALUE may be a password */
            over = true;
            i += behind == '\0';
            break;
        }
        if (!over)
            used += (size_t)snprintf(text + used, sizeof text - used, " %s", slash != NULL ? slash + 1 : argv[i]);
    }
    json_t *steps = json_array(), *step = json_string(text);
    json_array_append_new(steps, step != NULL ? step : json_string("lepton train"));
    return steps;
}

static void set_callbacks(struct lp_job_request *job, struct lp_train_view *view)
{
    job->context = job->train.context = view;
    job->on_rows = lp_train_view_rows;
    job->on_start = lp_train_view_start;
    job->on_fold = lp_train_view_fold;
    job->train.on_epoch = lp_train_view_epoch;
    job->train.on_progress = lp_train_view_progress;
}

static enum lp_code train(struct request *r, const struct lp_train_peers *peers, struct lp_error *err)
{
    uint64_t begin = lp_clock_ns();
    struct lp_train_view view;
    struct lp_job_result result;
    json_t *spec = NULL;
    char sha256[LP_SHA256_TEXT_BYTES];
    lp_train_view_init(&view, r->data, r->json);
    view.silent = peers != NULL && peers->rank > 0;
    set_callbacks(&r->job, &view);
    r->job.train.peers = peers;
    if (lp_train_data_sha256(r->job.data, sha256)) r->job.data_sha256 = sha256;
    LP_TRY(lp_train_spec(&r->job, r->spec, &spec, err));
    r->job.spec = spec;
    r->job.fitted = r->spec == NULL;
    enum lp_code rc = lp_job_run(&r->job, &result, err);
    json_decref(spec);
    if (rc != LP_OK) return rc;
    if (!view.silent) rc = lp_bundle_save(r->out, lp_buffer_span(&result.bundle), err);
    if (rc == LP_OK && r->html != NULL && !view.silent) rc = lp_train_view_html(&result, r->data, r->html, err);
    if (rc == LP_OK) lp_train_view_done(&view, &result, r->out, (double)(lp_clock_ns() - begin) * 1e-9);
    lp_job_done(&result);
    return rc;
}

/* Every rank would read the topic at a time of its own, and have other rows. */
static enum lp_code train_topic(struct request *r, const struct lp_train_peers *peers, struct lp_error *err)
{
    struct lp_config *config = NULL;
    char path[LP_TOPIC_INPUT_PATH_BYTES];
    int file;
    if (peers != NULL && peers->count > 1)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "%s: several processes learn from a file that all can read, not from a topic", r->data);
    LP_TRY(lp_options_load(r->config, &r->overrides, &config, err));
    lp_log_setup(LP_LOG_ERROR, LP_LOG_LOGFMT);
    enum lp_code rc = lp_topic_input_save(r->data, config, path, &file, err);
    if (rc == LP_OK) {
        r->job.data = path;
        r->job.data_name = r->data;
        rc = train(r, peers, err);
        r->job.data = r->data;
        close(file);
        if (rc != LP_OK && strncmp(err->text, path, strlen(path)) == 0) /* told by the name that was given */
            rc = lp_error_wrap(err, "%s", r->data);
    }
    lp_config_free(config);
    return rc;
}

static int check(const struct request *r)
{
    const struct lp_command *c = &lp_command_train;
    if (r->job.label == NULL) return lp_command_misuse(c, "--label NAME is missing: what is to be predicted");
    if (r->out == NULL) return lp_command_misuse(c, "-o FILE is missing: where to write the bundle");
    if (r->job.train.resume && r->job.train.checkpoint == NULL)
        return lp_command_misuse(c, "--resume needs --checkpoint FILE");
    if (r->job.train.checkpoint != NULL && r->texts.folds > 0)
        return lp_command_misuse(c, "--folds and --checkpoint do not go together");
    return -1;
}

static int start(struct request *r, int argc, char **argv)
{
    struct lp_error err;
    struct lp_peers_handle peers;
    char name[NAME_BYTES];
    int code = check(r);
    if (code >= 0) return code;
    if (lp_train_options_read(&r->texts, &r->job, &err) != LP_OK) {
        lp_train_options_done(&r->job);
        return lp_command_misuse(&lp_command_train, "%s", err.text);
    }
    name_after(r->out, name);
    if (r->job.name == NULL) r->job.name = name;
    json_t *steps = make_steps(argc, argv);
    r->job.steps = steps;
    enum lp_code rc = lp_peers_join(&peers, &err);
    if (rc == LP_OK) {
        rc = lp_topic_input_is(r->data) ? train_topic(r, peers.peers, &err) : train(r, peers.peers, &err);
        lp_peers_leave(&peers, rc != LP_OK ? &err : NULL);
    }
    code = rc == LP_OK ? lp_command_finish(&lp_command_train, LP_EXIT_OK) : lp_command_fail(&lp_command_train, &err);
    json_decref(steps);
    lp_train_options_done(&r->job);
    return code;
}

static int parse(struct request *r, int argc, char **argv)
{
    struct lp_train_texts *t = &r->texts;
    struct lp_job_request *j = &r->job;
    const struct lp_option options[] = {
        {.name = "label", .type = LP_OPTION_TEXT, .value = &j->label},
        {.name = "spec", .type = LP_OPTION_TEXT, .value = &r->spec},
        {.name = "output", .type = LP_OPTION_TEXT, .value = &r->out, .letter = 'o'},
        {.name = "task", .type = LP_OPTION_TEXT, .value = &t->task},
        {.name = "loss", .type = LP_OPTION_TEXT, .value = &t->loss},
        {.name = "delta", .type = LP_OPTION_TEXT, .value = &t->delta},
        {.name = "raw-label", .type = LP_OPTION_FLAG, .value = &j->raw_label},
        {.name = "weight", .type = LP_OPTION_TEXT, .value = &j->weight},
        {.name = "class-weight", .type = LP_OPTION_PAIR, .value = &t->class_weight},
        {.name = "balanced", .type = LP_OPTION_FLAG, .value = &j->balanced},
        {.name = "drop", .type = LP_OPTION_TEXT, .value = &t->drop},
        {.name = "hash", .type = LP_OPTION_PAIR, .value = &t->hash},
        {.name = "embed", .type = LP_OPTION_PAIR, .value = &t->embed},
        {.name = "layers", .type = LP_OPTION_TEXT, .value = &t->layers},
        {.name = "activation", .type = LP_OPTION_TEXT, .value = &t->activation},
        {.name = "dropout", .type = LP_OPTION_TEXT, .value = &t->dropout},
        {.name = "batch-norm", .type = LP_OPTION_FLAG, .value = &t->batch_norm},
        {.name = "init", .type = LP_OPTION_TEXT, .value = &j->init},
        {.name = "optimizer", .type = LP_OPTION_TEXT, .value = &t->optimizer},
        {.name = "rate", .type = LP_OPTION_TEXT, .value = &t->rate},
        {.name = "momentum", .type = LP_OPTION_TEXT, .value = &t->momentum},
        {.name = "decay", .type = LP_OPTION_TEXT, .value = &t->decay},
        {.name = "l1", .type = LP_OPTION_TEXT, .value = &t->l1},
        {.name = "l2", .type = LP_OPTION_TEXT, .value = &t->l2},
        {.name = "clip", .type = LP_OPTION_TEXT, .value = &t->clip},
        {.name = "schedule", .type = LP_OPTION_TEXT, .value = &t->schedule},
        {.name = "warmup", .type = LP_OPTION_INTEGER, .value = &t->warmup, .low = 0, .high = INT32_MAX},
        {.name = "epochs", .type = LP_OPTION_INTEGER, .value = &t->epochs, .low = 0, .high = LP_TRAIN_EPOCHS_MAX},
        {.name = "batch", .type = LP_OPTION_INTEGER, .value = &t->batch, .low = 1, .high = LP_TRAIN_BATCH_MAX},
        {.name = "patience", .type = LP_OPTION_INTEGER, .value = &t->patience, .low = 0, .high = LP_TRAIN_EPOCHS_MAX},
        {.name = "min-improvement", .type = LP_OPTION_TEXT, .value = &t->improvement},
        {.name = "keep-last", .type = LP_OPTION_FLAG, .value = &j->train.keep_last},
        {.name = "seed", .type = LP_OPTION_INTEGER, .value = &t->seed, .low = 0, .high = INT64_MAX},
        {.name = "threads", .type = LP_OPTION_INTEGER, .value = &t->threads, .low = 1, .high = LP_TEAM_THREADS_MAX},
        {.name = "in-order", .type = LP_OPTION_FLAG, .value = &t->in_order},
        {.name = "checkpoint", .type = LP_OPTION_TEXT, .value = &j->train.checkpoint},
        {.name = "resume", .type = LP_OPTION_FLAG, .value = &j->train.resume},
        {.name = "validate", .type = LP_OPTION_TEXT, .value = &t->validate},
        {.name = "time", .type = LP_OPTION_TEXT, .value = &j->time},
        {.name = "group", .type = LP_OPTION_TEXT, .value = &j->group},
        {.name = "folds", .type = LP_OPTION_INTEGER, .value = &t->folds, .low = 2, .high = LP_JOB_FOLDS_MAX},
        {.name = "calibrate", .type = LP_OPTION_TEXT, .value = &t->calibrate},
        {.name = "threshold", .type = LP_OPTION_TEXT, .value = &t->threshold},
        {.name = "segment", .type = LP_OPTION_TEXT, .value = &j->segment},
        {.name = "name", .type = LP_OPTION_TEXT, .value = &j->name},
        {.name = "version", .type = LP_OPTION_TEXT, .value = &j->version},
        {.name = "no-golden-data", .type = LP_OPTION_FLAG, .value = &j->no_golden_data},
        {.name = "skip-bad", .type = LP_OPTION_FLAG, .value = &j->skip_bad},
        {.name = "html", .type = LP_OPTION_TEXT, .value = &r->html},
        {.name = "json", .type = LP_OPTION_FLAG, .value = &r->json},
        {.name = "config", .type = LP_OPTION_TEXT, .value = &r->config},
        {.name = "set", .type = LP_OPTION_SET, .value = &r->overrides},
    };
    struct lp_operands operands;
    int code =
        lp_options_parse(&lp_command_train, argc, argv, options, sizeof options / sizeof *options, 1, 1, &operands);
    if (code >= 0) return code;
    r->data = j->data = operands.items[0];
    return -1;
}

static int run(int argc, char **argv)
{
    struct request r = {.job = {.version = "1"}, .texts = {.epochs = 100, .patience = 10, .seed = 1}};
    struct lp_error err;
    struct lp_pair *pairs = calloc(3 * ((size_t)argc + 1), sizeof *pairs);
    char **typed = calloc((size_t)argc + 1, sizeof *typed);
    int code = LP_EXIT_FAILED;
    for (int i = 0; typed != NULL && i < argc; i++) typed[i] = strdup(argv[i]);
    if (pairs == NULL || typed == NULL) {
        lp_fail_memory(&err, (size_t)argc * sizeof *pairs);
        lp_command_fail(&lp_command_train, &err);
    } else {
        r.texts.hash.items = pairs;
        r.texts.embed.items = pairs + argc + 1;
        r.texts.class_weight.items = pairs + 2 * ((size_t)argc + 1);
        code = parse(&r, argc, argv);
        if (code < 0) code = start(&r, argc, typed);
    }
    for (int i = 0; typed != NULL && i < argc; i++) free(typed[i]);
    free(typed);
    free(pairs);
    return code;
}
