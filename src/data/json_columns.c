/* What fields the JSON records at the front of a file have. */
#include "data/private.h"
#include "decode/path.h"

#include <jansson.h>
#include <string.h>

enum { SAMPLE_RECORDS = 1000, DEPTH_MAX = 16 };

/* One field, from all records seen. */
struct seen {
    bool number, boolean, text, other;
    uint32_t width; /* of its arrays; UINT32_MAX: they differ */
};

struct walk {
    struct lp_data *data;
    json_t *index;           /* path -> position in `fields` */
    struct lp_buffer fields; /* struct seen, in order of appearance */
    struct lp_buffer paths;  /* each terminated */
    char path[LP_PATH_BYTES_MAX];
};

static struct seen *find_field(struct walk *walk)
{
    json_t *at = json_object_get(walk->index, walk->path);
    if (at == NULL) {
        at = json_integer((json_int_t)(walk->fields.size / sizeof(struct seen)));
        if (json_object_set_new(walk->index, walk->path, at) != 0) return NULL;
        lp_buffer_append(&walk->fields, &(struct seen){0}, sizeof(struct seen));
        lp_buffer_append(&walk->paths, walk->path, strlen(walk->path) + 1);
        if (walk->fields.failed || walk->paths.failed) return NULL;
    }
    return (struct seen *)(void *)walk->fields.data + json_integer_value(at);
}

static void note_array(struct seen *field, const json_t *array)
{
    size_t index, count = json_array_size(array);
    const json_t *item;
    json_array_foreach(array, index, item) field->other |=
        !json_is_number(item) && !json_is_null(item) && !json_is_boolean(item);
    field->width = count == 0 || (field->width != 0 && field->width != count) ? UINT32_MAX : (uint32_t)count;
}

static enum lp_code note(struct walk *walk, const json_t *value, struct lp_error *err)
{
    struct seen *field = find_field(walk);
    if (field == NULL) return lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: too many fields", walk->data->bytes.name);
    if (json_is_number(value)) field->number = true;
    else if (json_is_boolean(value)) field->boolean = true;
    else if (json_is_string(value)) field->text = true;
    else if (json_is_array(value)) note_array(field, value);
    else if (!json_is_null(value)) field->other = true;
    return LP_OK;
}

/* Append a key as a step of the path; false: it cannot be one. */
static bool push_key(char *path, size_t *used, const char *key)
{
    size_t at = *used;
    if (*key == '\0') return false;
    if (at > 0) path[at++] = '.';
    for (; *key != '\0'; key++) {
        if (at + 3 >= LP_PATH_BYTES_MAX) return false;
        if (strchr(".[]\\", *key) != NULL) path[at++] = '\\';
        path[at++] = *key;
    }
    path[at] = '\0';
    *used = at;
    return true;
}

/* Objects are walked with a stack of their members; one deeper than that is a field that no want takes. */
static enum lp_code walk_record(struct walk *walk, json_t *record, struct lp_error *err)
{
    struct {
        json_t *object;
        void *member;
        size_t used;
    } stack[DEPTH_MAX] = {{record, json_object_iter(record), 0}};
    for (int depth = 0; depth >= 0;) {
        void *member = stack[depth].member;
        if (member == NULL) {
            depth--;
            continue;
        }
        stack[depth].member = json_object_iter_next(stack[depth].object, member);
        size_t used = stack[depth].used;
        if (!push_key(walk->path, &used, json_object_iter_key(member))) continue;
        json_t *value = json_object_iter_value(member);
        if (!json_is_object(value) || depth + 1 == DEPTH_MAX) {
            LP_TRY(note(walk, value, err));
            continue;
        }
        depth++;
        stack[depth].object = value;
        stack[depth].member = json_object_iter(value);
        stack[depth].used = used;
    }
    return LP_OK;
}

static enum lp_data_hint hint_of(const struct seen *field, uint32_t *ret_width)
{
    *ret_width = 1;
    if (field->other || field->width == UINT32_MAX) return LP_DATA_OTHER;
    if (field->width > 0) {
        if (field->number || field->boolean || field->text) return LP_DATA_OTHER;
        *ret_width = field->width;
        return LP_DATA_VECTOR;
    }
    if (field->text) return field->number || field->boolean ? LP_DATA_ANY : LP_DATA_TEXT;
    if (field->number) return LP_DATA_NUMBER;
    return field->boolean ? LP_DATA_BOOLEAN : LP_DATA_ANY;
}

static enum lp_code add_columns(struct walk *walk, struct lp_error *err)
{
    const struct seen *fields = (const void *)walk->fields.data;
    const char *path = (const char *)walk->paths.data;
    for (size_t i = 0; i < walk->fields.size / sizeof *fields; i++, path += strlen(path) + 1) {
        uint32_t width;
        enum lp_data_hint hint = hint_of(&fields[i], &width);
        LP_TRY(lp_data_add_column(walk->data, lp_span_text(path), hint, width, err));
    }
    return LP_OK;
}

enum lp_code lp_json_columns(struct lp_data *data, struct lp_error *err)
{
    struct lp_bytes *bytes = &data->bytes;
    struct walk walk = {.data = data, .index = json_object()};
    enum lp_code rc = LP_OK;
    size_t size;
    lp_buffer_init(&walk.fields, LP_DATA_RECORD_MAX_BYTES);
    lp_buffer_init(&walk.paths, LP_DATA_RECORD_MAX_BYTES);
    LP_GUARD(lp_data_whole_records(data, &size, err));
    const char *at = (const char *)lp_bytes_at(bytes), *end = at + size;
    for (int records = 0; at < end && records < SAMPLE_RECORDS; records++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline != NULL ? newline : end;
        /* A broken line is an error of the pass over all records, which knows its number. */
        json_t *record = json_loadb(at, (size_t)(stop - at), JSON_DECODE_INT_AS_REAL, NULL);
        if (json_is_object(record)) rc = walk_record(&walk, record, err);
        json_decref(record);
        if (rc != LP_OK) goto out;
        at = stop + 1;
    }
    rc = add_columns(&walk, err);
out:
    json_decref(walk.index);
    lp_buffer_done(&walk.fields);
    lp_buffer_done(&walk.paths);
    return rc;
}
