#include "kafka/client_log.h"

#include "core/clock.h"
#include "core/hash.h"
#include "core/log.h"

#include <pthread.h>
#include <string.h>

enum { KINDS = 64, SYSLOG_ERROR = 3, SYSLOG_WARNING = 4, SYSLOG_INFO = 6 };

/* A small direct-mapped table: two kinds that share a place only thin each other less. */
static struct {
    uint64_t hash, last_ns;
    uint32_t suppressed;
} kinds[KINDS];
static pthread_mutex_t kinds_lock = PTHREAD_MUTEX_INITIALIZER;

/* FNV-1a over everything but digits, up to "(after 3ms in state CONNECT, 7 identical error(s) suppressed)". */
static uint64_t kind_hash(const char *facility, const char *text)
{
    uint64_t hash = LP_FNV1A64_START;
    const char *const parts[] = {facility, text};
    for (int part = 0; part < 2; part++)
        for (const char *c = parts[part]; *c != '\0' && strncmp(c, "(after ", 7) != 0; c++)
            if (*c < '0' || *c > '9') hash = lp_fnv1a64_add(hash, (unsigned char)*c);
    return hash | 1;
}

bool lp_client_log_admit(const char *facility, const char *text, uint64_t now_ns, uint32_t *ret_suppressed)
{
    uint64_t hash = kind_hash(facility, text);
    bool admit = true;
    pthread_mutex_lock(&kinds_lock);
    unsigned place = (unsigned)(hash >> 32) % KINDS;
    if (kinds[place].hash == hash && now_ns - kinds[place].last_ns < LP_CLIENT_LOG_PERIOD_MS * UINT64_C(1000000)) {
        kinds[place].suppressed++;
        admit = false;
    } else {
        *ret_suppressed = kinds[place].hash == hash ? kinds[place].suppressed : 0;
        kinds[place].hash = hash;
        kinds[place].last_ns = now_ns;
        kinds[place].suppressed = 0;
    }
    pthread_mutex_unlock(&kinds_lock);
    return admit;
}

void lp_client_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    enum lp_log_level ours = level <= SYSLOG_ERROR     ? LP_LOG_ERROR
                             : level <= SYSLOG_WARNING ? LP_LOG_WARN
                             : level <= SYSLOG_INFO    ? LP_LOG_INFO
                                                       : LP_LOG_DEBUG;
    uint32_t suppressed = 0;
    if (!lp_log_enabled(ours)) return;
    if (!lp_client_log_admit(facility, text, lp_clock_ns(), &suppressed)) return;
    LP_LOG(ours, "kafka_client", lp_kv("client", client != NULL ? rd_kafka_name(client) : ""),
           lp_kv("facility", facility), lp_kv("text", text), lp_kv_int("suppressed", suppressed));
}
