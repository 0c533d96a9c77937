#include "train/record.h"

#include "decode/path.h"
#include "train/net.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Containers on the way are made where they are missing; arrays are filled with null. Takes the value. */
static bool put(json_t *root, const struct lp_path *path, json_t *value)
{
    json_t *at = root;
    for (uint32_t i = 0; i < path->step_count; i++) {
        const struct lp_path_step *step = &path->steps[i];
        bool last = i + 1 == path->step_count;
        json_t *next = last ? value : path->steps[i + 1].is_index ? json_array() : json_object();
        if (step->is_index) {
            while (json_is_array(at) && json_array_size(at) <= step->index) json_array_append_new(at, json_null());
            json_t *here = json_array_get(at, step->index);
            if (!last && here != NULL && !json_is_null(here)) json_decref(next);
            else if (json_array_set_new(at, step->index, next) != 0) return false;
            at = json_array_get(at, step->index);
        } else {
            const char *key = (const char *)step->key.data;
            json_t *here = json_object_getn(at, key, step->key.size);
            if (!last && here != NULL) json_decref(next);
            else if (json_object_setn_new(at, key, step->key.size, next) != 0) return false;
            at = json_object_getn(at, key, step->key.size);
        }
    }
    return at != NULL;
}

/* JSON has no word for infinities and NaN: an infinite value is left out like a missing one. */
static json_t *number(double value)
{
    if (!isfinite(value)) return json_null();
    return fabs(value) < 0x1p53 && value == floor(value) ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *value_of(const struct lp_feature *feature, uint32_t slot, const struct lp_record *record)
{
    if (feature->kind == LP_FEATURE_NUMBER || feature->kind == LP_FEATURE_TIME) return number(record->numbers[slot]);
    if (feature->kind == LP_FEATURE_VECTOR) {
        json_t *array = json_array();
        for (uint32_t i = 0; i < feature->width; i++) json_array_append_new(array, number(record->numbers[slot + i]));
        return array;
    }
    struct lp_span text = record->texts[slot];
    /* A hash keeps the words out of the bundle: a golden row must not bring them back. */
    if (text.data != NULL && feature->kind == LP_FEATURE_CATEGORY && feature->encoding == LP_ENCODING_HASH)
        return json_string("made-up");
    return text.data != NULL ? json_stringn((const char *)text.data, text.size) : json_null();
}

static enum lp_code finish(json_t *root, struct lp_buffer *out, struct lp_error *err)
{
    char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (text == NULL) return lp_fail_memory(err, 0);
    lp_buffer_append(out, text, strlen(text) + 1);
    free(text);
    return lp_buffer_check(out, "the golden rows", err);
}

static enum lp_code add_feature(json_t *root, const struct lp_feature *feature, json_t *value, struct lp_error *err)
{
    struct lp_path path;
    if (value == NULL) return lp_fail(err, LP_E_INVALID, LP_FATAL, "`%.64s` is not UTF-8", feature->name);
    if (json_is_null(value)) return LP_OK;
    enum lp_code rc = lp_path_split(feature->from, &path, err);
    if (rc != LP_OK) {
        json_decref(value);
        return rc;
    }
    return put(root, &path, value) ? LP_OK : lp_fail_memory(err, 0);
}

enum lp_code lp_record_write(const struct lp_bundle *features, const uint32_t *slots, const struct lp_record *record,
                             struct lp_buffer *out, struct lp_error *err)
{
    json_t *root = json_object();
    enum lp_code rc = root != NULL ? LP_OK : lp_fail_memory(err, 0);
    for (uint32_t i = 0; rc == LP_OK && i < features->feature_count; i++)
        rc = add_feature(root, &features->features[i], value_of(&features->features[i], slots[i], record), err);
    if (rc == LP_OK) rc = finish(root, out, err);
    json_decref(root);
    return rc;
}

/* About the center, some way along the scale, inside the bounds. */
static double invent_number(const struct lp_feature *feature, uint64_t *random)
{
    double center = feature->center, scale = feature->scale, value;
    if (feature->normalize == LP_NORMALIZE_NONE || feature->normalize == LP_NORMALIZE_LOG1P) {
        center = isfinite(feature->missing_value) ? feature->missing_value : 0;
        scale = fabs(center) > 0 ? fabs(center) : 1;
    }
    value = center + (2 * lp_train_uniform(random) - 1) * scale;
    if (feature->normalize == LP_NORMALIZE_MINMAX) value = center + lp_train_uniform(random) * scale;
    if (feature->normalize == LP_NORMALIZE_LOG1P) value = fabs(value);
    value = round(value * 1024) / 1024;
    return fmin(fmax(value, feature->low), feature->high);
}

static json_t *invent_value(const struct lp_feature *feature, uint64_t *random)
{
    if (feature->kind == LP_FEATURE_NUMBER) return number(invent_number(feature, random));
    if (feature->kind == LP_FEATURE_VECTOR) {
        json_t *array = json_array();
        for (uint32_t i = 0; i < feature->width; i++)
            json_array_append_new(array, number(invent_number(feature, random)));
        return array;
    }
    if (feature->kind == LP_FEATURE_TIME) return json_integer((json_int_t)lp_train_below(random, 50 * 365) * 86400000);
    if (feature->kind == LP_FEATURE_TEXT) return json_sprintf("made up text %u", lp_train_below(random, 1000));
    if (feature->vocabulary == NULL) return json_sprintf("made-up-%u", lp_train_below(random, 1000));
    return json_string(feature->vocabulary[lp_train_below(random, feature->vocabulary_count)]);
}

enum lp_code lp_record_invent(const struct lp_bundle *features, uint64_t seed, struct lp_buffer *out,
                              struct lp_error *err)
{
    json_t *root = json_object();
    enum lp_code rc = root != NULL ? LP_OK : lp_fail_memory(err, 0);
    for (uint32_t i = 0; rc == LP_OK && i < features->feature_count; i++)
        rc = add_feature(root, &features->features[i], invent_value(&features->features[i], &seed), err);
    if (rc == LP_OK) rc = finish(root, out, err);
    json_decref(root);
    return rc;
}
