#include "core/actions.h"

#include <stdbool.h>
#include <string.h>

#define SKIP LP_SKIP_RECORD
#define RETRY LP_RETRY
#define PAUSE LP_PAUSE
#define STOP LP_FATAL

#define KAFKA_UNKNOWN(produce, consume, commit, code, cure)
#define STAGE(stage, code, action, example)
#define STAGE_UNKNOWN(action, example)
#define KAFKA(number, name, produce, consume, commit, code, cure) \
    {number, name, {produce, consume, commit}, LP_E_##code, cure},
static const struct lp_kafka_action kafka_actions[] = {
#include "core/actions.inc"
};
#undef KAFKA
#undef KAFKA_UNKNOWN
#define KAFKA(number, name, produce, consume, commit, code, cure)
#define KAFKA_UNKNOWN(produce, consume, commit, code, cure)  \
    {                                                        \
        0, "", {produce, consume, commit}, LP_E_##code, cure \
    }
static const struct lp_kafka_action kafka_unknown =
#include "core/actions.inc"
    ;
#undef KAFKA_UNKNOWN
#undef STAGE
#undef STAGE_UNKNOWN
#define KAFKA_UNKNOWN(produce, consume, commit, code, cure)
#define STAGE(stage, code, action, example) {#stage, LP_E_##code, action, example},
#define STAGE_UNKNOWN(action, example) {"", LP_OK, action, example},
static const struct stage_action {
    const char *stage; /* in capitals; "": the row of what has none, the last */
    enum lp_code code;
    enum lp_action action;
    const char *example;
} stage_actions[] = {
#include "core/actions.inc"
};

enum {
    KAFKA_COUNT = sizeof kafka_actions / sizeof kafka_actions[0],
    STAGE_COUNT = sizeof stage_actions / sizeof stage_actions[0]
};

const struct lp_kafka_action *lp_action_of_kafka(int number)
{
    size_t low = 0, high = KAFKA_COUNT; /* sorted by number: a test says so */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (kafka_actions[middle].number == number) return &kafka_actions[middle];
        if (kafka_actions[middle].number < number) low = middle + 1;
        else high = middle;
    }
    return &kafka_unknown;
}

static bool is_stage(const char *capitals, const char *stage)
{
    size_t i = 0;
    for (; capitals[i] != '\0' && (capitals[i] | 0x20) == stage[i]; i++) {
    }
    return capitals[i] == '\0' && stage[i] == '\0';
}

enum lp_action lp_action_of_stage(const char *stage, enum lp_code code)
{
    for (int i = 0; i < STAGE_COUNT - 1; i++)
        if (stage_actions[i].code == code && is_stage(stage_actions[i].stage, stage)) return stage_actions[i].action;
    return stage_actions[STAGE_COUNT - 1].action;
}

const char *lp_action_name(enum lp_action action)
{
    static const char *const names[] = {
        [LP_SKIP_RECORD] = "skip", [LP_RETRY] = "retry", [LP_FATAL] = "stop", [LP_PAUSE] = "pause"};
    return (unsigned)action < sizeof names / sizeof names[0] ? names[action] : "unknown";
}

/* --- as documentation --- */

static bool same_actions(const struct lp_kafka_action *a, const struct lp_kafka_action *b)
{
    return memcmp(a->actions, b->actions, sizeof a->actions) == 0;
}

static void print_row(FILE *out, const struct lp_kafka_action *row)
{
    fprintf(out, "| %s | %s | %s |", lp_action_name(row->actions[LP_SIDE_PRODUCE]),
            lp_action_name(row->actions[LP_SIDE_CONSUME]), lp_action_name(row->actions[LP_SIDE_COMMIT]));
}

/* Rows with the same three actions as one, in the order of their first. */
static void print_kafka(FILE *out)
{
    fprintf(out, "| produce | consume | commit | librdkafka's errors |\n|---|---|---|---|\n");
    for (int i = 0; i < KAFKA_COUNT; i++) {
        int before = 0;
        while (before < i && !same_actions(&kafka_actions[before], &kafka_actions[i])) before++;
        if (before < i) continue;
        print_row(out, &kafka_actions[i]);
        const char *separator = " ";
        for (int j = i; j < KAFKA_COUNT; j++) {
            if (!same_actions(&kafka_actions[i], &kafka_actions[j])) continue;
            fprintf(out, "%s`%s`", separator, kafka_actions[j].name);
            separator = ", ";
        }
        fprintf(out, " |\n");
    }
    print_row(out, &kafka_unknown);
    fprintf(out, " %s |\n", kafka_unknown.cure);
}

void lp_actions_print(FILE *out)
{
    print_kafka(out);
    fprintf(out, "\n| stage | error | action | for example |\n|---|---|---|---|\n");
    for (int i = 0; i < STAGE_COUNT; i++) {
        const struct stage_action *row = &stage_actions[i];
        bool last = i == STAGE_COUNT - 1;
        fprintf(out, "| ");
        for (const char *c = last ? "any" : row->stage; *c != '\0'; c++) fputc(*c | 0x20, out);
        fprintf(out, " | %s | %s | %s |\n", last ? "any" : lp_code_name(row->code), lp_action_name(row->action),
                row->example);
    }
}
