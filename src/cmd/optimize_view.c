#include "cmd/optimize_view.h"

#include "cmd/terminal.h"
#include "core/cpu.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_WIDTH = 26 };

static const char *mark_of(const struct lp_variant *v, const struct lp_variant *pick)
{
    if (v == pick) return "picked";
    if (!v->candidate) return "only measured";
    return v->dominated ? "dominated" : "frontier";
}

static void print_interval(const struct lp_interval *d)
{
    char text[64] = "-";
    if (isfinite(d->low)) snprintf(text, sizeof text, "%+.2g (%+.2g to %+.2g)", d->difference, d->low, d->high);
    printf("  %32s", text);
}

static void print_variant(const struct lp_variant *v, const struct lp_variant *pick, bool binary, double price)
{
    char name[LP_VARIANT_NAME_BYTES];
    snprintf(name, sizeof name, "%s", v->name);
    lp_text_make_safe(name);
    printf("%-*.*s  %9.6g", NAME_WIDTH, NAME_WIDTH, name, v->judged.quality.loss);
    print_interval(&v->differences.loss);
    if (binary) print_interval(&v->differences.auc);
    printf("  %8.1f  %9.2f  %11.0f  %10llu", v->speed.ns, v->speed.p99_ns / 1e3, 1e9 / v->speed.ns,
           (unsigned long long)v->bytes);
    if (price > 0) printf("  %13.3g", lp_optimize_price(v, price));
    printf("  %s\n", mark_of(v, pick));
}

static void print_layers(const struct lp_optimized *o)
{
    bool any = false;
    for (uint32_t i = 0; i < o->variant_count; i++) {
        const struct lp_variant *v = &o->variants[i];
        if (v->kind != LP_VARIANT_LAYER) continue;
        if (!any) printf("\none layer alone in int8: %s and its difference\n", lp_optimize_loss_name(o->model->bundle));
        any = true;
        const struct lp_interval *d = &v->differences.loss;
        lp_print_safe(stdout, "  %-40s  %9.6g  %+.2g (%+.2g to %+.2g)\n", v->name, v->judged.quality.loss,
                      d->difference, d->low, d->high);
    }
}

void lp_optimize_print(const struct lp_optimized *o, const struct lp_variant *pick, double price)
{
    const struct lp_bundle *bundle = o->model->bundle;
    bool binary = bundle->task == LP_TASK_BINARY || bundle->task == LP_TASK_RANKING;
    lp_print_safe(stdout,
                  "%s %s: %u rows, batches of %u on one core, differences to the original with 95 %% intervals\n",
                  bundle->name, bundle->version, o->valid.row_count, o->batch);
    printf("\n%-*s  %9s  %32s", NAME_WIDTH, "variant", lp_optimize_loss_name(bundle), "difference");
    if (binary) printf("  %32s", "AUC difference");
    printf("  %8s  %9s  %11s  %10s%s\n", "ns/row", "p99 us", "rows/CPU s", "bytes", price > 0 ? "  price/million" : "");
    for (uint32_t i = 0; i < o->variant_count; i++)
        if (o->variants[i].kind != LP_VARIANT_LAYER) print_variant(&o->variants[i], pick, binary, price);
    print_layers(o);
    putchar('\n');
    for (uint32_t i = 0; i < o->verdict_count; i++) lp_print_safe(stdout, "%s\n", o->verdicts[i]);
    if (o->verdict_count == 0) puts("nothing in this graph has a smaller form");
    for (uint32_t i = 0; i < o->variant_count; i++)
        if (o->variants[i].detail[0] != '\0') printf("%s: %s\n", o->variants[i].name, o->variants[i].detail);
    if (pick != NULL) lp_print_safe(stdout, "picked: %s\n", pick->name);
}

static void put_number(json_t *object, const char *key, double value)
{
    if (isfinite(value)) json_object_set_new(object, key, json_real(value));
}

static void put_measure(json_t *object, const char *key, double value, const struct lp_interval *d)
{
    if (!isfinite(value)) return;
    json_t *measure = json_pack("{s:f}", "value", value);
    put_number(measure, "difference", d->difference);
    put_number(measure, "low", d->low);
    put_number(measure, "high", d->high);
    json_object_set_new(object, key, measure);
}

static json_t *variant_json(const struct lp_variant *v, double price)
{
    const struct lp_quality *q = &v->judged.quality;
    json_t *object = json_pack("{s:s, s:I, s:b, s:b}", "name", v->name, "bytes", (json_int_t)v->bytes, "candidate",
                               (int)v->candidate, "dominated", (int)v->dominated);
    put_measure(object, "loss", q->loss, &v->differences.loss);
    put_measure(object, "auc", q->auc, &v->differences.auc);
    put_measure(object, "accuracy", q->accuracy, &v->differences.accuracy);
    put_number(object, "ns_per_row", v->speed.ns);
    put_number(object, "p99_us", v->speed.p99_ns / 1e3);
    put_number(object, "rows_per_cpu_second", 1e9 / v->speed.ns);
    if (price > 0) put_number(object, "price_per_million", lp_optimize_price(v, price));
    if (v->tuned) json_object_set_new(object, "tuned", json_true());
    if (v->detail[0] != '\0') json_object_set_new(object, "detail", json_string(v->detail));
    return object;
}

enum lp_code lp_optimize_print_json(const struct lp_optimized *o, const struct lp_variant *pick, double price,
                                    struct lp_error *err)
{
    const struct lp_bundle *bundle = o->model->bundle;
    char sha256[LP_SHA256_TEXT_BYTES];
    lp_sha256_text(bundle->sha256, sha256);
    json_t *variants = json_array(), *verdicts = json_array();
    for (uint32_t i = 0; i < o->variant_count; i++)
        json_array_append_new(variants, variant_json(&o->variants[i], price));
    for (uint32_t i = 0; i < o->verdict_count; i++) json_array_append_new(verdicts, json_string(o->verdicts[i]));
    json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:s?}", "name", bundle->name, "version",
                            bundle->version, "sha256", sha256, "cpu", lp_cpu_level(), "loss",
                            lp_optimize_loss_name(bundle), "rows", (json_int_t)o->valid.row_count, "refused",
                            (json_int_t)o->valid.refused, "batch", (json_int_t)o->batch, "variants", variants,
                            "verdicts", verdicts, "picked", pick != NULL ? pick->name : NULL);
    char *text = all != NULL ? json_dumps(all, JSON_INDENT(1)) : NULL;
    bool printed = text != NULL;
    if (printed) puts(text);
    free(text);
    json_decref(all);
    return printed ? LP_OK : lp_fail_memory(err, 0);
}
