#include "core/clock.h"
#include "decode/registry_client.h"

#include <stdlib.h>

static struct lp_registry_entry **bucket_of(const struct lp_registry *registry, uint64_t id)
{
    return &registry->buckets[(id * 0x9e3779b97f4a7c15u >> 32) & registry->bucket_mask];
}

struct lp_registry_entry *lp_registry_find(const struct lp_registry *registry, uint64_t id)
{
    struct lp_registry_entry *entry = *bucket_of(registry, id);
    while (entry != NULL && entry->id != id) entry = entry->next;
    return entry;
}

struct lp_registry_entry *lp_registry_add(struct lp_registry *registry, uint64_t id)
{
    struct lp_registry_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) return NULL;
    struct lp_registry_entry **bucket = bucket_of(registry, id);
    entry->id = id;
    entry->next = *bucket;
    *bucket = entry;
    registry->pending_count++;
    return entry;
}

static void remove_entry(struct lp_registry *registry, struct lp_registry_entry *entry)
{
    struct lp_registry_entry **at = bucket_of(registry, entry->id);
    while (*at != entry) at = &(*at)->next;
    *at = entry->next;
    lp_avro_schema_free(entry->schema);
    free(entry);
}

/* Failures are remembered for a while, and no more of them than schemas: the one that ends first goes. */
static void drop_failure(struct lp_registry *registry)
{
    struct lp_registry_entry *first = NULL;
    for (uint32_t i = 0; i <= registry->bucket_mask; i++)
        for (struct lp_registry_entry *entry = registry->buckets[i]; entry != NULL; entry = entry->next)
            if (entry->state == LP_REGISTRY_FAILED && (first == NULL || entry->expires_ns < first->expires_ns))
                first = entry;
    if (first == NULL) return;
    remove_entry(registry, first);
    registry->failed_count--;
}

void lp_registry_settle(struct lp_registry *registry, struct lp_registry_entry *entry, struct lp_avro_schema *schema,
                        const struct lp_error *error)
{
    registry->pending_count--;
    if (schema != NULL && registry->ready_count < registry->cache_max) {
        entry->state = LP_REGISTRY_READY;
        entry->schema = schema;
        registry->ready_count++;
        return;
    }
    if (schema != NULL) {
        lp_fail(&entry->error, LP_E_LIMIT, LP_SKIP_RECORD,
                "schema id %llu: %u schemas are kept already, and that is the limit: fewer schemas in one topic, or a "
                "larger cache",
                (unsigned long long)entry->id, registry->cache_max);
        lp_avro_schema_free(schema);
    } else {
        entry->error = *error;
    }
    /* The new one is not counted yet, so that it cannot be the one that goes. */
    if (registry->failed_count >= registry->cache_max) drop_failure(registry);
    entry->state = LP_REGISTRY_FAILED;
    entry->expires_ns = lp_clock_ns() + (uint64_t)registry->negative_ttl_ms * 1000000u;
    registry->failed_count++;
}

void lp_registry_cache_free(struct lp_registry *registry)
{
    if (registry->buckets == NULL) return;
    for (uint32_t i = 0; i <= registry->bucket_mask; i++)
        while (registry->buckets[i] != NULL) remove_entry(registry, registry->buckets[i]);
    free(registry->buckets);
}
