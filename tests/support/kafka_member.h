/* A group member that processes records of bed_produce() and checks their order. */
#ifndef LP_TESTS_KAFKA_MEMBER_H
#define LP_TESTS_KAFKA_MEMBER_H

#include "support/kafka_bed.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MEMBER_PARTITIONS = 64, MEMBER_SLOTS = 64, MEMBER_INDEX_MAX = 200000 };

/* What the members of one group have seen together; index is the number in the value. */
struct tally {
    _Atomic unsigned char *seen; /* [MEMBER_PARTITIONS][MEMBER_INDEX_MAX] times handed over */
    atomic_uint_fast64_t taken, duplicates, disorders;
};

struct member {
    struct lp_source *source;
    struct tally *tally;
    const char *name, *instance_id; /* NULL: no static member */
    /* by slot */
    int64_t next_offset[MEMBER_SLOTS], last_offset[MEMBER_SLOTS], first_offset[MEMBER_SLOTS];
    int32_t partition[MEMBER_SLOTS];
    bool open[MEMBER_SLOTS];
    uint32_t open_count, assigned_calls, revoked_calls, lost_calls;
    /* behaviour */
    uint32_t stop_every, hold_every; /* 0: never */
    uint32_t records, holds;
    int64_t held_offset[MEMBER_SLOTS]; /* -1: none */
    bool store_nothing, transactional;
    uint32_t events[8];
    char event_text[512];
    /* thread */
    pthread_t thread;
    atomic_bool quit;
    atomic_uint shared_open;
    int close_timeout_ms;
};

static BED_UNUSED void tally_init(struct tally *tally)
{
    memset(tally, 0, sizeof *tally);
    tally->seen = calloc((size_t)MEMBER_PARTITIONS * MEMBER_INDEX_MAX, 1);
    assert_non_null(tally->seen);
}

static BED_UNUSED void tally_done(struct tally *tally) { free((void *)tally->seen); }

/* How many of the first `count` of each partition were handed over `times` times. */
static BED_UNUSED uint64_t tally_count(const struct tally *tally, int32_t partitions, int count, unsigned times)
{
    uint64_t found = 0;
    for (int32_t p = 0; p < partitions; p++)
        for (int i = 0; i < count; i++) found += atomic_load(&tally->seen[p * MEMBER_INDEX_MAX + i]) == times;
    return found;
}

static enum lp_source_step member_record(void *context, const struct lp_source_record *record)
{
    struct member *member = context;
    uint32_t slot = record->slot;
    int partition = -1, index = -1;
    char text[32] = "";
    assert_true(slot < MEMBER_SLOTS && member->open[slot] && member->partition[slot] == record->partition);
    assert_true(record->value.size < sizeof text);
    memcpy(text, record->value.data, record->value.size);
    assert_int_equal(sscanf(text, "%d:%d", &partition, &index), 2);
    assert_int_equal(partition, record->partition);
    assert_int_equal(record->timestamp_ms, 1000 + index);
    if (member->held_offset[slot] >= 0) {
        /* What was not taken comes again, and nothing before it. */
        assert_int_equal(record->offset, member->held_offset[slot]);
        member->held_offset[slot] = -1;
    } else if (member->hold_every != 0 && (index + partition) % (int)member->hold_every == 0) {
        member->held_offset[slot] = record->offset;
        member->holds++;
        return LP_SOURCE_HOLD;
    }
    if (member->last_offset[slot] >= 0 && record->offset != member->last_offset[slot] + 1)
        atomic_fetch_add(&member->tally->disorders, 1);
    if (member->first_offset[slot] < 0) member->first_offset[slot] = record->offset;
    member->last_offset[slot] = record->offset;
    member->next_offset[slot] = record->offset + 1;
    member->records++;
    if (atomic_fetch_add(&member->tally->seen[partition * MEMBER_INDEX_MAX + index], 1) != 0)
        atomic_fetch_add(&member->tally->duplicates, 1);
    atomic_fetch_add(&member->tally->taken, 1);
    return member->stop_every != 0 && member->records % member->stop_every == 0 ? LP_SOURCE_STOP : LP_SOURCE_NEXT;
}

static void member_assigned(void *context, uint32_t slot, uint32_t topic_index, int32_t partition)
{
    struct member *member = context;
    (void)topic_index;
    assert_true(slot < MEMBER_SLOTS && !member->open[slot]);
    member->open[slot] = true;
    member->partition[slot] = partition;
    member->next_offset[slot] = member->last_offset[slot] = member->first_offset[slot] = -1;
    member->held_offset[slot] = -1;
    member->assigned_calls++;
    atomic_store(&member->shared_open, ++member->open_count);
}

static void member_store(struct member *member)
{
    for (uint32_t slot = 0; slot < MEMBER_SLOTS && !member->store_nothing; slot++)
        if (member->open[slot] && member->next_offset[slot] >= 0)
            lp_source_store(member->source, slot, member->next_offset[slot]);
}

static void member_revoking(void *context, const uint32_t *slots, uint32_t count, bool lost)
{
    struct member *member = context;
    for (uint32_t i = 0; i < count; i++) assert_true(slots[i] < MEMBER_SLOTS && member->open[slots[i]]);
    member->lost_calls += lost;
    member_store(member);
}

static void member_revoked(void *context, const uint32_t *slots, uint32_t count)
{
    struct member *member = context;
    for (uint32_t i = 0; i < count; i++) member->open[slots[i]] = false;
    member->revoked_calls++;
    member->open_count -= count;
    atomic_store(&member->shared_open, member->open_count);
}

static void member_event(void *context, enum lp_source_event event, const char *text)
{
    struct member *member = context;
    member->events[event]++;
    snprintf(member->event_text, sizeof member->event_text, "%s", text);
    if (getenv("LEPTON_TEST_VERBOSE") != NULL) print_message("%s: event %d: %s\n", member->name, (int)event, text);
}

static BED_UNUSED void member_join(struct member *member, struct bed *bed, const char *topic, const char *group,
                                   enum lp_input_start start, struct tally *tally)
{
    static const char *topics[1];
    topics[0] = topic;
    member->tally = tally;
    for (uint32_t i = 0; i < MEMBER_SLOTS; i++) member->held_offset[i] = -1;
    if (member->close_timeout_ms == 0) member->close_timeout_ms = 30000;
    struct lp_source_options options = {.conf = &bed->conf,
                                        .topics = topics,
                                        .topic_count = 1,
                                        .group_id = group,
                                        .group_instance_id = member->instance_id,
                                        .client_id = member->name,
                                        .start = start,
                                        .partitions_max = MEMBER_SLOTS,
                                        .transactional = member->transactional};
    struct lp_source_callbacks callbacks = {.context = member,
                                            .record = member_record,
                                            .assigned = member_assigned,
                                            .revoking = member_revoking,
                                            .revoked = member_revoked,
                                            .event = member_event};
    BED_OK(lp_source_new(&options, &callbacks, &member->source, &bed_err));
}

/* One poll; what is held comes back at once. */
static BED_UNUSED void member_poll(struct member *member, int timeout_ms)
{
    struct lp_error err;
    enum lp_code code = lp_source_poll(member->source, timeout_ms, true, &err);
    if (code != LP_OK) fail_msg("%s: %s", member->name, err.text);
    for (uint32_t slot = 0; slot < MEMBER_SLOTS; slot++)
        if (member->open[slot] && member->held_offset[slot] >= 0) lp_source_resume(member->source, slot);
    member_store(member);
}

/* Poll until the tally has `taken` records; false: not within 30 s. */
static BED_UNUSED bool member_poll_until(struct member *member, uint64_t taken)
{
    uint64_t deadline_ms = bed_ms() + 30000;
    while (atomic_load(&member->tally->taken) < taken && bed_ms() < deadline_ms) member_poll(member, 100);
    return atomic_load(&member->tally->taken) >= taken;
}

static BED_UNUSED void member_leave(struct member *member)
{
    struct lp_error err;
    enum lp_code code = lp_source_close(member->source, member->close_timeout_ms, &err);
    if (code != LP_OK) fail_msg("%s: close: %s", member->name, err.text);
    lp_source_free(member->source);
    member->source = NULL;
    assert_int_equal(member->open_count, 0);
}

static BED_UNUSED void *member_main(void *argument)
{
    struct member *member = argument;
    while (!atomic_load(&member->quit)) member_poll(member, 100);
    return NULL;
}

static BED_UNUSED void member_start(struct member *member)
{
    atomic_store(&member->quit, false);
    assert_int_equal(pthread_create(&member->thread, NULL, member_main, member), 0);
}

static BED_UNUSED void member_stop(struct member *member)
{
    atomic_store(&member->quit, true);
    lp_source_wake(member->source);
    pthread_join(member->thread, NULL);
    member_leave(member);
}

#endif
