// stages: decode
/*
 * The first byte chooses a pair of schemas, the rest is a body. All wants together, reversed, none and each alone must
 * agree: a body that all wants accept is accepted by each other plan with the same values, texts lie in the body, the
 * scratch or the plan, and one byte less is refused.
 */
#include "decode/avro_plan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { WANTS_MAX = 16, NUMBERS = 64, SCRATCH_BYTES = 512 };

struct subject {
    const char *writer;
    const char *reader;
    struct lp_want wants[WANTS_MAX];
};

#define NUMBER(at)                                     \
    {                                                  \
        .path = at, .type = LP_WANT_NUMBER, .width = 1 \
    }
#define TEXT(at)                                     \
    {                                                \
        .path = at, .type = LP_WANT_TEXT, .width = 1 \
    }
#define TIME(at)                                        \
    {                                                   \
        .path = at, .type = LP_WANT_TIME_MS, .width = 1 \
    }
#define VECTOR(at, values)                                  \
    {                                                       \
        .path = at, .type = LP_WANT_VECTOR, .width = values \
    }

static const struct subject SUBJECTS[] = {
    {.writer = "{'type':'record','name':'R','fields':[{'name':'i','type':'int'},{'name':'l','type':'long'},"
               "{'name':'f','type':'float'},{'name':'b','type':'boolean'},{'name':'d','type':'double'},"
               "{'name':'g','type':'float'},{'name':'s','type':'string'},{'name':'y','type':'bytes'},"
               "{'name':'x','type':{'type':'fixed','name':'F','size':3}},"
               "{'name':'e','type':{'type':'enum','name':'E','symbols':['A','B','C']}}]}",
     .wants = {NUMBER("i"), NUMBER("l"), NUMBER("g"), NUMBER("b"), NUMBER("d"), NUMBER("f"), TEXT("s"), TEXT("y"),
               TEXT("x"), TEXT("e"), TEXT("l"), TEXT("d"), TIME("l")}},
    {.writer = "{'type':'record','name':'R','fields':[{'name':'v','type':{'type':'array','items':'float'}},"
               "{'name':'w','type':{'type':'array','items':['null','long']}},"
               "{'name':'m','type':{'type':'map','values':{'type':'array','items':'int'}}},"
               "{'name':'n','type':{'type':'array','items':'null'}},"
               "{'name':'a','type':{'type':'array','items':{'type':'record','name':'I','fields':["
               "{'name':'p','type':'string'},{'name':'q','type':['double','null']}]}}}]}",
     .wants = {VECTOR("v", 3), NUMBER("v[1]"), VECTOR("w", 2), NUMBER("w[0]"), VECTOR("m.k", 2), NUMBER("m.k[1]"),
               NUMBER("a[0].q"), TEXT("a[1].p"), NUMBER("m.z[0]")}},
    {.writer = "{'type':'record','name':'N','fields':[{'name':'v','type':'int'},{'name':'next','type':['null','N']},"
               "{'name':'kids','type':{'type':'array','items':'N'}}]}",
     .wants = {NUMBER("v"), NUMBER("next.v"), NUMBER("kids[1].v"), NUMBER("next.next.kids[0].v"), TEXT("kids[0].v")}},
    {.writer = "{'type':'record','name':'R','fields':[{'name':'u','type':['null','int','string',{'type':'record',"
               "'name':'A','fields':[{'name':'x','type':'int'}]},{'type':'map','values':'double'}]},"
               "{'name':'o','type':['null','float']},{'name':'q','type':['long','null']},{'name':'z','type':[]},"
               "{'name':'t','type':'int'}]}",
     .wants = {NUMBER("u"), TEXT("u"), NUMBER("u.x"), NUMBER("o"), NUMBER("q"), NUMBER("t")}},
    {.writer = "{'type':'record','name':'R','fields':[{'name':'a','type':'int'},{'name':'b','type':'long'},"
               "{'name':'e','type':{'type':'enum','name':'E','symbols':['A','B','C']}},{'name':'s','type':'string'},"
               "{'name':'in','type':{'type':'record','name':'I','fields':[{'name':'x','type':['int','float']}]}}]}",
     .reader = "{'type':'record','name':'R','fields':[{'name':'in','type':{'type':'record','name':'I','fields':["
               "{'name':'x','type':'double'},{'name':'y','type':'int','default':5}]}},{'name':'alpha','type':'float',"
               "'aliases':['a']},{'name':'b','type':['null','double']},{'name':'e','type':{'type':'enum','name':'E',"
               "'symbols':['C','Z'],'default':'Z'}},{'name':'s','type':'bytes'},{'name':'d','type':'string',"
               "'default':'dflt'}]}",
     .wants = {NUMBER("alpha"), NUMBER("b"), TEXT("e"), TEXT("s"), NUMBER("in.x"), NUMBER("in.y"), TEXT("d"),
               TEXT("alpha")}},
    {.writer =
         "{'type':'record','name':'R','fields':[{'name':'d','type':{'type':'bytes','logicalType':'decimal',"
         "'precision':9,'scale':2}},{'name':'t','type':['null',{'type':'long','logicalType':'timestamp-micros'}]},"
         "{'name':'n','type':{'type':'long','logicalType':'timestamp-nanos'}},{'name':'u','type':{'type':'fixed',"
         "'name':'U','size':16,'logicalType':'uuid'}},{'name':'y','type':{'type':'int','logicalType':'date'}},"
         "{'name':'k','type':{'type':'fixed','name':'K','size':9,'logicalType':'decimal','precision':20}}]}",
     .wants = {NUMBER("d"), TIME("t"), TIME("n"), TEXT("u"), TIME("y"), NUMBER("k"), NUMBER("t")}},
    {.writer = "{'type':'record','name':'R','fields':[{'name':'f0','type':['null','float']},{'name':'f1','type':["
               "'null','float']},{'name':'f2','type':['null','float']},{'name':'g0','type':'double'},"
               "{'name':'g1','type':'double'},{'name':'h0','type':'int'},{'name':'h1','type':'int'},"
               "{'name':'h2','type':'int'},{'name':'j0','type':['int','null']},{'name':'j1','type':['int','null']}]}",
     .wants = {NUMBER("f0"), NUMBER("f1"), NUMBER("f2"), NUMBER("g0"), NUMBER("g1"), NUMBER("h0"), NUMBER("h1"),
               NUMBER("h2"), NUMBER("j0"), NUMBER("j1")}},
    {.writer = "{'type':'array','items':['null','double',{'type':'map','values':'string'}]}",
     .wants = {NUMBER("[0]"), TEXT("[1].k"), NUMBER("[2]")}},
};

enum { SUBJECT_COUNT = sizeof SUBJECTS / sizeof SUBJECTS[0] };

/* Wants with their slots, and the plan of them. */
struct view {
    struct lp_want wants[WANTS_MAX];
    uint32_t count;
    struct lp_avro_plan *plan;
};

struct compiled {
    struct view all, reversed, none, alone[WANTS_MAX];
};

struct result {
    double numbers[NUMBERS];
    struct lp_span texts[WANTS_MAX];
    unsigned char scratch[SCRATCH_BYTES];
    struct lp_record record;
    enum lp_code code;
};

static struct lp_avro_schema *parse(const char *quoted)
{
    char text[4096];
    struct lp_avro_schema *schema = NULL;
    struct lp_error err;
    size_t bytes = strlen(quoted);
    if (bytes >= sizeof text) abort();
    for (size_t i = 0; i < bytes; i++) text[i] = (char)(quoted[i] == '\'' ? '"' : quoted[i]);
    if (lp_avro_schema_parse(lp_span_of(text, bytes), &schema, &err) != LP_OK) abort();
    return schema;
}

static void plan(struct view *view, const struct lp_avro_schema *writer, const struct lp_avro_schema *reader)
{
    struct lp_error err;
    uint32_t numbers, texts;
    lp_want_assign_slots(view->wants, view->count, &numbers, &texts);
    if (numbers > NUMBERS || texts > WANTS_MAX) abort();
    if (lp_avro_plan_new(writer, reader, view->wants, view->count, &view->plan, &err) != LP_OK) abort();
}

static struct compiled *compile(const struct subject *subject)
{
    struct compiled *compiled = calloc(1, sizeof *compiled);
    struct lp_avro_schema *writer = parse(subject->writer);
    struct lp_avro_schema *reader = subject->reader != NULL ? parse(subject->reader) : NULL;
    uint32_t count = 0;
    while (count < WANTS_MAX && subject->wants[count].path != NULL) count++;
    compiled->all.count = compiled->reversed.count = count;
    for (uint32_t i = 0; i < count; i++) {
        compiled->all.wants[i] = subject->wants[i];
        compiled->reversed.wants[i] = subject->wants[count - 1 - i];
        compiled->alone[i].wants[0] = subject->wants[i];
        compiled->alone[i].count = 1;
        plan(&compiled->alone[i], writer, reader);
    }
    plan(&compiled->all, writer, reader);
    plan(&compiled->reversed, writer, reader);
    plan(&compiled->none, writer, reader);
    lp_avro_schema_free(writer);
    lp_avro_schema_free(reader);
    return compiled;
}

static void run(const struct view *view, const uint8_t *data, size_t size, struct result *result)
{
    struct lp_error err = {0};
    memset(result->numbers, 0x5a, sizeof result->numbers);
    result->record = (struct lp_record){
        .numbers = result->numbers, .texts = result->texts, .scratch = result->scratch, .scratch_bytes = SCRATCH_BYTES};
    result->code = lp_avro_plan_run(view->plan, lp_span_of(data, size), &result->record, &err);
    if (result->code != LP_OK && (err.action != LP_SKIP_RECORD || err.code != result->code)) abort();
}

static void same(const struct view *a, uint32_t want_a, const struct result *from_a, const struct view *b,
                 uint32_t want_b, const struct result *from_b)
{
    const struct lp_want *x = &a->wants[want_a], *y = &b->wants[want_b];
    if (x->type == LP_WANT_TEXT) {
        struct lp_span s = from_a->texts[x->slot], t = from_b->texts[y->slot];
        if ((s.data == NULL) != (t.data == NULL) || !lp_span_equal(s, t)) abort();
    } else if (memcmp(from_a->numbers + x->slot, from_b->numbers + y->slot, x->width * sizeof(double)) != 0) {
        abort();
    }
}

static void check_texts(const struct view *view, const struct result *result, const uint8_t *data, size_t size)
{
    for (uint32_t i = 0; i < view->count; i++) {
        if (view->wants[i].type != LP_WANT_TEXT) continue;
        struct lp_span text = result->texts[view->wants[i].slot];
        if (text.data == NULL || text.size == 0) continue;
        const unsigned char *used = result->scratch + result->record.scratch_used;
        int in_body = text.data >= data && text.data + text.size <= data + size;
        int in_scratch = text.data >= result->scratch && text.data + text.size <= used;
        const struct lp_avro_list *chars = &view->plan->chars;
        const unsigned char *plan_text = chars->data;
        int in_plan = text.data >= plan_text && text.data + text.size <= plan_text + chars->count;
        if (!in_body && !in_scratch && !in_plan) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct compiled *all[SUBJECT_COUNT];
    static struct result together, other;
    if (size == 0) return 0;
    struct compiled **compiled = &all[data[0] % SUBJECT_COUNT];
    if (*compiled == NULL) *compiled = compile(&SUBJECTS[data[0] % SUBJECT_COUNT]);
    data++;
    size--;
    const struct view *view = &(*compiled)->all;
    run(view, data, size, &together);
    run(&(*compiled)->none, data, size, &other);
    if (together.code != LP_OK) return 0;
    if (other.code != LP_OK) abort();
    check_texts(view, &together, data, size);
    run(&(*compiled)->reversed, data, size, &other);
    if (other.code != LP_OK) abort();
    for (uint32_t i = 0; i < view->count; i++)
        same(view, i, &together, &(*compiled)->reversed, view->count - 1 - i, &other);
    for (uint32_t i = 0; i < view->count; i++) {
        run(&(*compiled)->alone[i], data, size, &other);
        if (other.code != LP_OK) abort();
        same(view, i, &together, &(*compiled)->alone[i], 0, &other);
    }
    if (size > 0) {
        run(view, data, size - 1, &other);
        if (other.code == LP_OK) abort();
    }
    return 0;
}
