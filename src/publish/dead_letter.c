/* Header names are those of Kafka Connect's dead-letter reporter (KIP-298). */
#include "publish/dead_letter.h"

#include <inttypes.h>
#include <stdio.h>

enum { NAME_MAX_BYTES = 64 };

struct adder {
    void (*add)(void *context, const char *name, struct lp_span value);
    void *context;
};

const char *lp_stage_name(enum lp_stage stage)
{
    static const char *const names[LP_STAGE_COUNT] = {"decode", "clean", "infer", "publish"};
    return stage < LP_STAGE_COUNT ? names[stage] : "unknown";
}

static void add_text(const struct adder *adder, const char *name, const char *text)
{
    adder->add(adder->context, name, lp_span_text(text != NULL ? text : ""));
}

static void add_number(const struct adder *adder, const char *name, int64_t number)
{
    char text[NAME_MAX_BYTES];
    snprintf(text, sizeof text, "%" PRId64, number);
    add_text(adder, name, text);
}

/* Connect has class names here; ours are lepton.<stage> and lepton.<code>. */
static void add_class(const struct adder *adder, const char *name, const char *what)
{
    char text[NAME_MAX_BYTES];
    snprintf(text, sizeof text, "lepton.%s", what);
    add_text(adder, name, text);
}

void lp_dead_letter_headers(const struct lp_dead_letter *letter,
                            void (*add)(void *context, const char *name, struct lp_span value), void *context)
{
    const struct adder adder = {.add = add, .context = context};
    const struct lp_error *error = letter->error;
    add_text(&adder, "__connect.errors.topic", letter->topic);
    add_number(&adder, "__connect.errors.partition", letter->partition);
    add_number(&adder, "__connect.errors.offset", letter->offset);
    add_text(&adder, "__connect.errors.connector.name", letter->connector);
    add_number(&adder, "__connect.errors.task.id", letter->lane);
    add_text(&adder, "__connect.errors.stage", lp_stage_name(letter->stage));
    add_class(&adder, "__connect.errors.class.name", lp_stage_name(letter->stage));
    add_class(&adder, "__connect.errors.exception.class.name", lp_code_name(error->code));
    add_text(&adder, "__connect.errors.exception.message", error->text);
    if (error->field[0] != 0) add_text(&adder, "lepton.error.field", error->field);
    add_text(&adder, "lepton.error.code", lp_code_name(error->code));
}
