/* A checkpoint: what an interrupted run needs to go on as if it had not been. Written aside and renamed. */
#include "train/trainer_private.h"

#include "core/hash.h"
#include "model/write.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Sizes and options that must be the same; the file is of this machine's byte order. */
struct header {
    char magic[8];
    uint64_t fingerprint, param_floats, running_floats, table_rows, history_count;
    struct lp_train_state state;
};
static const char magic[8] = "lpchk02";

static uint64_t add(uint64_t hash, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) hash = lp_fnv1a64_add(hash, ((const unsigned char *)bytes)[i]);
    return hash;
}

/* Eight bytes at a time: the features of a large set would cost a checkpoint more than its writing does. */
static uint64_t add_floats(uint64_t hash, const float *values, size_t count)
{
    for (size_t i = 0; i + 1 < count; i += 2) {
        uint64_t word;
        memcpy(&word, values + i, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return count % 2 == 1 ? add(hash, values + count - 1, sizeof *values) : hash;
}

/* What is learned. With ranks without the features, of which each has others. */
static uint64_t hash_rows(const struct lp_trainer *t, uint64_t hash)
{
    const struct lp_train_data *data = t->data;
    uint32_t rows = data->row_count;
    hash = add(hash, t->split.train, t->split.train_count * sizeof *t->split.train);
    hash = add_floats(hash, data->y, rows);
    if (data->weight != NULL) hash = add_floats(hash, data->weight, rows);
    if (data->group != NULL) hash = add(hash, data->group, rows * sizeof *data->group);
    for (uint32_t r = 0; t->options->class_weight != NULL && r < rows; r++)
        hash = add_floats(hash, &t->options->class_weight[(uint32_t)data->y[r]], 1);
    if (lp_team_ranks(&t->team) > 1) return hash;
    for (uint32_t r = 0; r < rows; r++) hash = add_floats(hash, lp_train_row(data, r), data->column_count);
    return hash;
}

/* Everything that decides the bytes of the next step. */
static uint64_t fingerprint(const struct lp_trainer *t)
{
    const struct lp_train_options *o = t->options;
    const double numbers[] = {
        o->rate, o->momentum,        o->beta1,       o->beta2,       o->epsilon,           o->decay, o->l1, o->l2,
        o->clip, o->schedule_factor, o->label_shift, o->label_scale, (double)o->loss.delta};
    const uint64_t wholes[] = {(uint64_t)o->loss.kind,
                               (uint64_t)o->optimizer,
                               (uint64_t)o->schedule,
                               o->schedule_epochs,
                               o->warmup_steps,
                               o->batch_rows,
                               o->in_order,
                               o->seed,
                               o->threads,
                               lp_team_ranks(&t->team),
                               t->split.train_count,
                               t->split.valid_count,
                               t->data->row_count,
                               t->data->column_count};
    uint64_t hash = add(add(LP_FNV1A64_START, numbers, sizeof numbers), wholes, sizeof wholes);
    if (o->schedule == LP_SCHEDULE_COSINE) hash = add(hash, &o->epochs, sizeof o->epochs);
    for (uint32_t i = 0; i < t->net.spec.layer_count; i++) {
        const struct lp_net_layer *layer = &t->net.spec.layers[i];
        const double parts[] = {layer->width, (double)layer->activation, (double)layer->alpha, (double)layer->dropout,
                                layer->batch_norm};
        hash = add(hash, parts, sizeof parts);
    }
    for (uint32_t e = 0; e < t->net.spec.embedding_count; e++)
        hash = add(hash, &t->net.embeddings[e], sizeof t->net.embeddings[e]);
    return hash_rows(t, hash);
}

static size_t table_rows(const struct lp_trainer *t)
{
    size_t rows = 0;
    for (uint32_t e = 0; e < t->net.spec.embedding_count; e++) rows += t->net.embeddings[e].rows;
    return rows;
}

/* The arrays behind the header, in this order; a count of 0 is skipped. */
struct part {
    void *data;
    size_t bytes;
};
enum { PARTS = 8, READ_PIECE = 1 << 20 };

static void list_parts(const struct lp_trainer *t, size_t history, struct part *parts)
{
    size_t params = t->net.param_floats * sizeof(float), running = t->net.running_floats * sizeof(float);
    const struct part all[PARTS] = {{t->net.params, params},
                                    {t->first, params},
                                    {t->second, t->second != NULL ? params : 0},
                                    {t->best_params, params},
                                    {t->net.running, running},
                                    {t->best_running, running},
                                    {t->table_steps, table_rows(t) * sizeof *t->table_steps},
                                    {t->history, history * sizeof *t->history}};
    memcpy(parts, all, sizeof all);
}

enum lp_code lp_train_checkpoint_write(const struct lp_trainer *t, struct lp_error *err)
{
    struct part parts[PARTS];
    struct lp_buffer out;
    struct header header;
    memset(&header, 0, sizeof header);
    memcpy(header.magic, magic, sizeof magic);
    header.fingerprint = fingerprint(t);
    header.param_floats = t->net.param_floats;
    header.running_floats = t->net.running_floats;
    header.table_rows = table_rows(t);
    header.history_count = t->state.epoch;
    header.state = t->state;
    lp_buffer_init(&out, SIZE_MAX / 2);
    lp_buffer_append(&out, &header, sizeof header);
    list_parts(t, t->state.epoch, parts);
    for (int i = 0; i < PARTS; i++)
        if (parts[i].bytes > 0) lp_buffer_append(&out, parts[i].data, parts[i].bytes);
    if (!out.failed) {
        uint64_t sum = lp_fnv1a64(lp_buffer_span(&out));
        lp_buffer_append(&out, &sum, sizeof sum);
    }
    enum lp_code rc = lp_buffer_check(&out, "the checkpoint", err);
    if (rc == LP_OK) rc = lp_bundle_save(t->options->checkpoint, lp_buffer_span(&out), err);
    lp_buffer_done(&out);
    return rc;
}

static enum lp_code take(struct lp_trainer *t, struct lp_span file, struct lp_error *err)
{
    struct header header;
    struct part parts[PARTS];
    uint64_t sum;
    size_t wanted = sizeof header + sizeof sum;
    if (file.size < wanted) return lp_fail(err, LP_E_INVALID, LP_FATAL, "is no checkpoint: only %zu bytes", file.size);
    memcpy(&header, file.data, sizeof header);
    memcpy(&sum, file.data + file.size - sizeof sum, sizeof sum);
    if (memcmp(header.magic, magic, sizeof magic) != 0)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "is no checkpoint of this version");
    if (sum != lp_fnv1a64(lp_span_of(file.data, file.size - sizeof sum)))
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "is damaged: its checksum does not fit");
    if (header.fingerprint != fingerprint(t) || header.param_floats != t->net.param_floats ||
        header.running_floats != t->net.running_floats || header.table_rows != table_rows(t))
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL,
                       "was made with other data or options: only --epochs and --patience may differ");
    if (header.history_count > t->options->epochs || header.state.epoch != header.history_count)
        return lp_fail(err, LP_E_MISMATCH, LP_FATAL, "has %llu epochs already, %u are asked for",
                       (unsigned long long)header.history_count, t->options->epochs);
    if (header.state.best_epoch > header.state.epoch ||
        header.state.step != (uint64_t)header.state.epoch * t->step_count)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "is damaged: its epochs and steps do not fit");
    list_parts(t, header.history_count, parts);
    for (int i = 0; i < PARTS; i++) wanted += parts[i].bytes;
    if (wanted != file.size) return lp_fail(err, LP_E_INVALID, LP_FATAL, "has %zu bytes, not %zu", file.size, wanted);
    const unsigned char *at = file.data + sizeof header;
    for (int i = 0; i < PARTS; at += parts[i++].bytes)
        if (parts[i].bytes > 0) memcpy(parts[i].data, at, parts[i].bytes);
    t->state = header.state;
    lp_net_turn_all(&t->net);
    return LP_OK;
}

/* What the largest checkpoint of this training has, and some more to see that there is more. */
static size_t most_bytes(const struct lp_trainer *t)
{
    struct part parts[PARTS];
    size_t bytes = sizeof(struct header) + sizeof(uint64_t) + 2 * (size_t)READ_PIECE;
    list_parts(t, t->options->epochs, parts);
    for (int i = 0; i < PARTS; i++) bytes += parts[i].bytes;
    return bytes;
}

static enum lp_code read_all(int fd, struct lp_buffer *buffer, struct lp_error *err)
{
    for (;;) {
        unsigned char *room = lp_buffer_reserve(buffer, READ_PIECE);
        if (room == NULL) return lp_buffer_check(buffer, "the checkpoint", err);
        ssize_t got = read(fd, room, READ_PIECE);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return lp_fail(err, LP_E_IO, LP_FATAL, "cannot read it: %s", strerror(errno));
        if (got == 0) return LP_OK;
        buffer->size += (size_t)got;
    }
}

enum lp_code lp_train_checkpoint_read(struct lp_trainer *t, bool *ret_found, struct lp_error *err)
{
    struct lp_buffer file;
    const char *path = t->options->checkpoint;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *ret_found = false;
    if (fd < 0 && errno == ENOENT) return LP_OK;
    if (fd < 0) return lp_fail(err, LP_E_IO, LP_FATAL, "%s: cannot open it: %s", path, strerror(errno));
    lp_buffer_init(&file, most_bytes(t));
    enum lp_code rc = read_all(fd, &file, err);
    close(fd);
    if (rc == LP_OK) rc = take(t, lp_buffer_span(&file), err);
    lp_buffer_done(&file);
    *ret_found = rc == LP_OK;
    return rc == LP_OK ? LP_OK : lp_error_wrap(err, "%s", path);
}
