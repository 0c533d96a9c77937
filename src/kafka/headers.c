/* struct lp_headers is librdkafka's header list under another name, so that a record's headers move without a copy. */
#include "kafka/client.h"
#include "kafka/sink.h"
#include "kafka/source.h"

enum { PAGE_BYTES = 4096, LENGTH_BYTES_MAX = 5, KEY_NULL = 1, KEY_EMPTY = 0 };

/* Length of `bytes` as the record format's zigzag varint, when exactly that stands before `end`; else 0. */
__attribute__((no_sanitize("address"))) static size_t length_before(const unsigned char *end, size_t bytes)
{
    uint64_t zigzag = (uint64_t)bytes << 1;
    size_t count = 1;
    if (zigzag <= 0x7f) return end[-1] == zigzag ? 1 : 0;
    if (zigzag <= 0x3fff) return end[-2] == ((zigzag & 0x7f) | 0x80) && end[-1] == zigzag >> 7 ? 2 : 0;
    for (uint64_t rest = zigzag; rest > 0x7f; rest >>= 7) count++;
    for (const unsigned char *at = end - count; at + 1 < end; at++, zigzag >>= 7)
        if (*at != ((zigzag & 0x7f) | 0x80)) return 0;
    return end[-1] == zigzag ? count : 0;
}

/*
 * rd_kafka_message_headers allocates and parses even where there are none (1,100 of the 6,700 instructions that a small
 * record costs its lane). A fetched value lies in the fetched bytes, where a record of format 2 is
 *   ... key length, key, value length, value, header count ...        (KIP-98; lengths and count are zigzag varints)
 * so the byte behind the value tells. It is believed only where the bytes before the value prove that this is such a
 * record: its length, and before that the key (or an empty or null key's length). Everything else asks the library. At
 * a page's border nothing is read: an old format's value may end where its buffer does.
 */
__attribute__((no_sanitize("address"))) static bool surely_none(const rd_kafka_message_t *message)
{
    const unsigned char *value = message->payload, *key = message->key;
    if (message->len == 0 || message->len > UINT32_MAX) return false; /* an empty value lies somewhere else */
    uintptr_t begins = (uintptr_t)value % PAGE_BYTES, ends = ((uintptr_t)value + message->len) % PAGE_BYTES;
    if (begins <= LENGTH_BYTES_MAX || ends == 0) return false;
    size_t before = length_before(value, message->len);
    if (before == 0) return false;
    const unsigned char *length = value - before;
    bool adjacent =
        message->key_len > 0 ? key + message->key_len == length : length[-1] == (key == NULL ? KEY_NULL : KEY_EMPTY);
    return adjacent && value[message->len] == 0;
}

struct lp_headers *lp_headers_take(void *message)
{
    rd_kafka_headers_t *list = NULL;
    if (surely_none(message)) return NULL;
    if (rd_kafka_message_detach_headers(message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return NULL;
    return (struct lp_headers *)list;
}

struct lp_headers *lp_headers_new(uint32_t expected_count)
{
    return (struct lp_headers *)rd_kafka_headers_new(expected_count);
}

struct lp_headers *lp_headers_copy(const struct lp_headers *headers)
{
    return (struct lp_headers *)rd_kafka_headers_copy((const rd_kafka_headers_t *)headers);
}

void lp_headers_free(struct lp_headers *headers)
{
    if (headers != NULL) rd_kafka_headers_destroy((rd_kafka_headers_t *)headers);
}

bool lp_headers_add(struct lp_headers *headers, const char *name, struct lp_span value)
{
    return rd_kafka_header_add((rd_kafka_headers_t *)headers, name, -1, value.data, (ssize_t)value.size) ==
           RD_KAFKA_RESP_ERR_NO_ERROR;
}

bool lp_headers_remove(struct lp_headers *headers, const char *name)
{
    return rd_kafka_header_remove((rd_kafka_headers_t *)headers, name) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

void lp_headers_each(const struct lp_headers *headers,
                     void (*fn)(void *context, const char *name, struct lp_span value), void *context)
{
    const rd_kafka_headers_t *list = (const rd_kafka_headers_t *)headers;
    const char *name;
    const void *value;
    size_t size;
    if (list == NULL) return;
    for (size_t i = 0; rd_kafka_header_get_all(list, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        fn(context, name, lp_span_of(value, size));
}

uint32_t lp_headers_count(const struct lp_headers *headers)
{
    return headers != NULL ? (uint32_t)rd_kafka_header_cnt((const rd_kafka_headers_t *)headers) : 0;
}

struct lp_span lp_headers_last(const struct lp_headers *headers, const char *name)
{
    const void *value;
    size_t size;
    if (rd_kafka_header_get_last((const rd_kafka_headers_t *)headers, name, &value, &size) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        return lp_span_of(NULL, 0);
    return lp_span_of(value, size);
}
