/* lepton score: offline, with the code that `run` uses. */
#include "cmd/bundles.h"
#include "cmd/command.h"
#include "cmd/options.h"
#include "cmd/scorebook.h"
#include "cmd/terminal.h"
#include "data/records.h"

#include <stdio.h>

static int run(int argc, char **argv);

const struct lp_command lp_command_score = {
    .name = "score",
    .help = "score the records of a file",
    .usage =
        "usage: lepton score BUNDLE FILE [--raw] [--csv] [--explain] [--strict]\n"
        "\n"
        "Reads CSV with a header, JSON Lines or an Avro container file, told apart by content; `-` is stdin. Prints "
        "one\n"
        "JSON line a record, in the order of the input: {\"scores\":[...],\"label\":...}. A record that is rejected "
        "gives\n"
        "{\"error\":{\"stage\":...,\"field\":...,\"message\":...}} in its place, and their number on stderr.\n"
        "In CSV an empty field is missing, but \"\" in quotes is the empty category; a vector's columns are NAME.0,\n"
        "NAME.1, ..., all of them. In JSON null and an absent key are missing.\n"
        "\n"
        "  --raw      the margin, before the link, in the score's place\n"
        "  --csv      columns instead of JSON\n"
        "  --explain  each feature raw, cleaned, normalized, and why\n"
        "  --strict   fail at the first rejected record\n"
        "\n"
        "example: lepton score ctr.safetensors clicks.csv --csv > scores.csv\n",
    .run = run,
};

/* The reader shows what is done before it waits for more. */
struct pending {
    struct lp_scorebook *book;
    struct lp_error err;
    enum lp_code rc;
};

static void show(void *context)
{
    struct pending *pending = context;
    if (pending->rc == LP_OK) pending->rc = lp_scorebook_flush(pending->book, &pending->err);
    fflush(stdout);
}

static enum lp_code score_all(struct lp_records *records, struct lp_scorebook *book, struct lp_error *err)
{
    struct pending pending = {.book = book};
    lp_records_on_idle(records, show, &pending);
    for (;;) {
        struct lp_record *record = NULL;
        struct lp_error why;
        enum lp_code rc = lp_records_next(records, &record, &why);
        if (pending.rc != LP_OK) {
            *err = pending.err;
            return pending.rc;
        }
        if (rc == LP_OK && record == NULL) return lp_scorebook_flush(book, err);
        if (rc == LP_OK) {
            LP_TRY(lp_scorebook_add(book, record, err));
        } else if (why.action == LP_SKIP_RECORD) {
            LP_TRY(lp_scorebook_reject(book, "decode", &why, err));
        } else {
            /* What was read before the damage is still an answer. */
            LP_TRY(lp_scorebook_flush(book, err));
            *err = why;
            return rc;
        }
        if (ferror(stdout)) return LP_OK; /* lp_command_finish says so */
    }
}

static enum lp_code warn_of_absent(const struct lp_records *records, const char *name, bool strict,
                                   struct lp_error *err)
{
    const char *first;
    uint32_t count = lp_records_absent(records, &first);
    if (count == 0) return LP_OK;
    if (strict)
        return lp_fail_field(err, LP_E_NOT_FOUND, LP_FATAL, first, "%s: %u of the features have no column: %.200s%s",
                             name, count, first, count > 1 ? ", ..." : "");
    lp_print_safe(stderr,
                  "lepton: score: %s: %u of the features have no column and are missing in every record: %s%s\n", name,
                  count, first, count > 1 ? ", ..." : "");
    return LP_OK;
}

static enum lp_code score_file(const struct lp_model *model, const char *path,
                               const struct lp_scorebook_options *options, uint64_t *ret_rejected,
                               uint64_t *ret_records, struct lp_error *err)
{
    struct lp_records *records = NULL;
    struct lp_scorebook *book = NULL;
    const char *format;
    enum lp_code rc;
    LP_GUARD(lp_scorebook_new(model, options, &book, err));
    LP_GUARD(lp_records_open(path, model->wants, model->want_count, &records, &format, err));
    LP_GUARD(warn_of_absent(records, path, options->strict, err));
    rc = score_all(records, book, err);
    *ret_rejected = lp_scorebook_rejected(book);
    *ret_records = lp_scorebook_records(book);
out:
    lp_records_close(records);
    lp_scorebook_free(book);
    return rc;
}

static int run(int argc, char **argv)
{
    struct lp_scorebook_options book = {.out = stdout};
    bool csv = false;
    const struct lp_option options[] = {{.name = "raw", .type = LP_OPTION_FLAG, .value = &book.raw},
                                        {.name = "csv", .type = LP_OPTION_FLAG, .value = &csv},
                                        {.name = "json", .type = LP_OPTION_FLAG, .value = &(bool){false}},
                                        {.name = "explain", .type = LP_OPTION_FLAG, .value = &book.explain},
                                        {.name = "strict", .type = LP_OPTION_FLAG, .value = &book.strict}};
    struct lp_operands operands;
    int code =
        lp_options_parse(&lp_command_score, argc, argv, options, sizeof options / sizeof *options, 2, 2, &operands);
    if (code >= 0) return code;
    if (csv && book.explain) return lp_command_misuse(&lp_command_score, "--explain is JSON: leave --csv out");
    book.style = csv ? LP_SCOREBOOK_CSV : LP_SCOREBOOK_JSON;
    struct lp_model *model = NULL;
    struct lp_error err;
    uint64_t rejected = 0, records = 0;
    enum lp_code rc = lp_bundles_open(operands.items[0], &model, &err);
    if (rc == LP_OK) rc = score_file(model, operands.items[1], &book, &rejected, &records, &err);
    lp_model_unref(model);
    if (rc != LP_OK) return lp_command_fail(&lp_command_score, &err);
    if (rejected > 0)
        fprintf(stderr, "lepton: score: %s: %llu of %llu records were rejected: their lines say why\n",
                operands.items[1], (unsigned long long)rejected, (unsigned long long)records);
    return lp_command_finish(&lp_command_score, LP_EXIT_OK);
}
