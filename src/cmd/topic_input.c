#include "cmd/topic_input.h"

#include "core/clock.h"
#include "core/span.h"
#include "kafka/reader.h"
#include "worker/kafka_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 200, FOLDER_BYTES = 4096, PARTS_MAX = 512, COPY_BYTES = 64 << 10 };
#define SILENCE_NS (UINT64_C(60) * 1000 * 1000 * 1000) /* brokers that say nothing for so long are not there */

static const char scheme[] = "kafka:";

struct lp_topic_input {
    char *topic; /* owned */
    int64_t from, to;
    struct lp_kafka_conf kafka;
    struct lp_reader *reader;
    int read_end, write_end;
    FILE **parts; /* owned, by partition: to be copied; NULL: none seen yet */
    uint32_t part_count;
    pthread_t thread;
    unsigned char *line; /* owned: the value being written */
    size_t line_capacity;
    bool given_up; /* nobody reads any more, or writing failed */
    uint64_t heard_ns;
    enum lp_code code;
    struct lp_error err;
};

bool lp_topic_input_is(const char *data) { return strncmp(data, scheme, sizeof scheme - 1) == 0; }

static enum lp_code take_name(struct lp_topic_input *input, const char *data, struct lp_error *err)
{
    const char *name = data + sizeof scheme - 1, *at = strrchr(name, '@');
    int used = 0;
    input->to = INT64_MAX;
    if (at != NULL && (sscanf(at, "@%" SCNd64 "-%" SCNd64 "%n", &input->from, &input->to, &used) != 2 ||
                       at[used] != '\0' || input->from < 0 || input->to <= input->from))
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: after @ two offsets are wanted, as in kafka:clicks@1000-2000",
                       data);
    input->topic = strndup(name, at != NULL ? (size_t)(at - name) : strlen(name));
    if (input->topic == NULL) return lp_fail_memory(err, strlen(name));
    return input->topic[0] != '\0' ? LP_OK : lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: no topic is named", data);
}

static void write_all(struct lp_topic_input *input, const unsigned char *from, size_t bytes)
{
    while (bytes > 0 && !input->given_up) {
        ssize_t done = write(input->write_end, from, bytes);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) input->given_up = true;
        from += done > 0 ? done : 0;
        bytes -= done > 0 ? (size_t)done : 0;
    }
}

/* One line: a newline in JSON is between its tokens, where a blank does as well. Its bytes; 0: nothing to write. */
static size_t take_line(struct lp_topic_input *input, const struct lp_reader_record *record)
{
    input->heard_ns = lp_clock_ns();
    struct lp_span value = record->value;
    if (value.data == NULL || record->offset < input->from || record->offset >= input->to) return 0;
    if (value.size + 1 > input->line_capacity) {
        unsigned char *grown = realloc(input->line, value.size + 1);
        if (grown == NULL) {
            input->given_up = true;
            input->code = lp_fail_memory(&input->err, value.size + 1);
            return 0;
        }
        input->line = grown;
        input->line_capacity = value.size + 1;
    }
    for (size_t i = 0; i < value.size; i++)
        input->line[i] = value.data[i] == '\n' || value.data[i] == '\r' ? ' ' : value.data[i];
    input->line[value.size] = '\n';
    return value.size + 1;
}

static void on_record(void *context, const struct lp_reader_record *record)
{
    struct lp_topic_input *input = context;
    write_all(input, input->line, take_line(input, record));
}

static enum lp_code read_topic(struct lp_topic_input *input, lp_reader_callback *callback, struct lp_error *err)
{
    input->heard_ns = lp_clock_ns();
    while (!lp_reader_caught_up(input->reader) && !input->given_up) {
        struct lp_error why;
        LP_TRY(lp_reader_poll(input->reader, POLL_MS, callback, input, err));
        bool known = lp_reader_trouble(input->reader, &why);
        bool refused = known && why.code == LP_E_REFUSED;
        if (refused || lp_clock_ns() - input->heard_ns > SILENCE_NS)
            return lp_fail(err, LP_E_TIMEOUT, LP_RETRY, "%s: not read to the end: %s", input->topic,
                           known ? why.text : "are the brokers up?");
    }
    return LP_OK;
}

static void *run(void *context)
{
    struct lp_topic_input *input = context;
    sigset_t pipe_signal;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL); /* a reader that has gone is EPIPE here */
    struct lp_error err;
    enum lp_code rc = read_topic(input, on_record, &err);
    if (rc != LP_OK && input->code == LP_OK) {
        input->code = rc;
        input->err = err;
    }
    close(input->write_end);
    input->write_end = -1;
    return NULL;
}

static void free_input(struct lp_topic_input *input)
{
    if (input->read_end >= 0) close(input->read_end);
    if (input->write_end >= 0) close(input->write_end);
    lp_reader_free(input->reader);
    for (uint32_t i = 0; i < input->part_count; i++)
        if (input->parts[i] != NULL) fclose(input->parts[i]);
    free(input->parts);
    free(input->topic);
    free(input->line);
    free(input);
}

static enum lp_code new_input(const char *data, const struct lp_config *config, struct lp_topic_input **ret_input,
                              struct lp_error *err)
{
    enum lp_code rc;
    struct lp_topic_input *input = calloc(1, sizeof *input);
    if (input == NULL) return lp_fail_memory(err, sizeof *input);
    input->read_end = input->write_end = -1;
    LP_GUARD(take_name(input, data, err));
    const char *const topics[] = {input->topic};
    LP_GUARD(lp_kafka_conf_from_config(config, &input->kafka, err));
    LP_GUARD(lp_reader_new(&input->kafka, "lepton-data", topics, 1, &input->reader, err));
    *ret_input = input;
    return LP_OK;
out:
    free_input(input);
    return rc;
}

/* --- as a file --- */

static int open_nameless(struct lp_error *err)
{
    char path[FOLDER_BYTES];
    const char *folder = getenv("TMPDIR");
    if (folder == NULL || folder[0] == '\0') folder = "/tmp";
    int length = snprintf(path, sizeof path, "%s/lepton-topic-XXXXXX", folder);
    int file = length > 0 && (size_t)length < sizeof path ? mkostemp(path, O_CLOEXEC) : -1;
    if (file >= 0) unlink(path);
    else lp_fail(err, LP_E_IO, LP_FATAL, "no file in %.200s to keep the topic in: %s", folder, strerror(errno));
    return file;
}

/* The file of a partition, made when its first record comes; NULL: input->err says why there is none. */
static FILE *part_of(struct lp_topic_input *input, uint32_t partition)
{
    if (partition >= PARTS_MAX) {
        input->code = lp_fail(&input->err, LP_E_LIMIT, LP_FATAL, "%s: %d partitions at most can be read at once",
                              input->topic, PARTS_MAX);
        return NULL;
    }
    if (partition >= input->part_count) {
        FILE **grown = realloc(input->parts, (partition + 1) * sizeof *grown);
        if (grown == NULL) {
            input->code = lp_fail_memory(&input->err, (partition + 1) * sizeof *grown);
            return NULL;
        }
        memset(grown + input->part_count, 0, (partition + 1 - input->part_count) * sizeof(FILE *));
        input->parts = grown;
        input->part_count = partition + 1;
    }
    if (input->parts[partition] != NULL) return input->parts[partition];
    int file = open_nameless(&input->err);
    if (file >= 0) input->parts[partition] = fdopen(file, "w+");
    if (input->parts[partition] != NULL) return input->parts[partition];
    if (file >= 0) close(file);
    input->code = LP_E_IO;
    return NULL;
}

static void on_saved_record(void *context, const struct lp_reader_record *record)
{
    struct lp_topic_input *input = context;
    size_t bytes = input->given_up ? 0 : take_line(input, record);
    if (bytes == 0) return;
    FILE *part = part_of(input, (uint32_t)record->partition);
    input->given_up = part == NULL;
    if (part == NULL || fwrite(input->line, 1, bytes, part) == bytes) return;
    input->given_up = true;
    input->code = lp_fail(&input->err, LP_E_IO, LP_FATAL, "%s: no room to keep it: %s", input->topic, strerror(errno));
}

/* Behind what the file has; the part is gone then. */
static enum lp_code append_part(struct lp_topic_input *input, FILE **part, FILE *to, struct lp_error *err)
{
    char some[COPY_BYTES];
    size_t bytes;
    bool good = fseek(*part, 0, SEEK_SET) == 0; /* rewind would forget that the last of it found no room */
    while (good && (bytes = fread(some, 1, sizeof some, *part)) > 0) good = fwrite(some, 1, bytes, to) == bytes;
    good = good && ferror(*part) == 0;
    fclose(*part);
    *part = NULL;
    return good ? LP_OK : lp_fail(err, LP_E_IO, LP_FATAL, "%s: no room to keep it: %s", input->topic, strerror(errno));
}

static enum lp_code join_parts(struct lp_topic_input *input, int *ret_file, struct lp_error *err)
{
    int file = open_nameless(err);
    if (file < 0) return LP_E_IO;
    int again = fcntl(file, F_DUPFD_CLOEXEC, 0);
    FILE *to = again >= 0 ? fdopen(again, "w") : NULL;
    enum lp_code rc = to != NULL ? LP_OK : lp_fail(err, LP_E_IO, LP_FATAL, "no file: %s", strerror(errno));
    for (uint32_t i = 0; rc == LP_OK && i < input->part_count; i++)
        if (input->parts[i] != NULL) rc = append_part(input, &input->parts[i], to, err);
    if (to != NULL && fclose(to) != 0 && rc == LP_OK)
        rc = lp_fail(err, LP_E_IO, LP_FATAL, "%s: no room to keep it: %s", input->topic, strerror(errno));
    if (to == NULL && again >= 0) close(again);
    if (rc == LP_OK) *ret_file = file;
    else close(file);
    return rc;
}

enum lp_code lp_topic_input_save(const char *data, const struct lp_config *config,
                                 char ret_path[LP_TOPIC_INPUT_PATH_BYTES], int *ret_file, struct lp_error *err)
{
    struct lp_topic_input *input;
    LP_TRY(new_input(data, config, &input, err));
    enum lp_code rc = read_topic(input, on_saved_record, err);
    if (input->code != LP_OK) {
        rc = input->code;
        *err = input->err;
    }
    if (rc == LP_OK) rc = join_parts(input, ret_file, err);
    if (rc == LP_OK) snprintf(ret_path, LP_TOPIC_INPUT_PATH_BYTES, "/dev/fd/%d", *ret_file);
    free_input(input);
    return rc;
}

/* --- as a pipe --- */

enum lp_code lp_topic_input_open(const char *data, const struct lp_config *config, struct lp_topic_input **ret_input,
                                 char ret_path[LP_TOPIC_INPUT_PATH_BYTES], struct lp_error *err)
{
    int ends[2];
    enum lp_code rc;
    struct lp_topic_input *input;
    LP_TRY(new_input(data, config, &input, err));
    if (pipe2(ends, O_CLOEXEC) != 0)
        LP_GUARD(lp_fail(err, LP_E_IO, LP_FATAL, "no pipe to read the topic through: %s", strerror(errno)));
    input->read_end = ends[0];
    input->write_end = ends[1];
    if (pthread_create(&input->thread, NULL, run, input) != 0)
        LP_GUARD(lp_fail(err, LP_E_MEMORY, LP_FATAL, "no thread to read the topic"));
    snprintf(ret_path, LP_TOPIC_INPUT_PATH_BYTES, "/dev/fd/%d", input->read_end);
    *ret_input = input;
    return LP_OK;
out:
    free_input(input);
    return rc;
}

enum lp_code lp_topic_input_close(struct lp_topic_input *input, struct lp_error *err)
{
    if (input == NULL) return LP_OK;
    /* A writer that still waits for room learns that nobody reads. */
    close(input->read_end);
    input->read_end = -1;
    pthread_join(input->thread, NULL);
    enum lp_code rc = input->code;
    if (rc != LP_OK) *err = input->err;
    free_input(input);
    return rc;
}
