#include "core/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct lp_cpu detected;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool disabled(const char *name)
{
    const char *list = getenv("LEPTON_CPU_DISABLE");
    size_t length = strlen(name);
    while (list != NULL && *list != '\0') {
        size_t item = strcspn(list, ",");
        if (item == length && strncmp(list, name, length) == 0) return true;
        list += item + (list[item] == ',');
    }
    return false;
}

static void detect(void)
{
#if defined(__x86_64__)
    /* libgcc's check reads CPUID and XCR0: a feature whose registers the system does not save is absent. */
    __builtin_cpu_init();
    bool no_avx2 = disabled("avx2"), no_avx512 = no_avx2 || disabled("avx512");
    detected.avx2 =
        !no_avx2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    detected.avx512 = !no_avx512 && detected.avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
    detected.vnni = detected.avx512 && !disabled("vnni") && __builtin_cpu_supports("avx512vnni");
    detected.vbmi = detected.avx512 && !disabled("vbmi") && __builtin_cpu_supports("avx512vbmi");
#endif
}

const struct lp_cpu *lp_cpu_get(void)
{
    pthread_once(&once, detect);
    return &detected;
}

const char *lp_cpu_level(void)
{
    const struct lp_cpu *cpu = lp_cpu_get();
    return cpu->avx512 ? "avx512" : cpu->avx2 ? "avx2" : "baseline";
}
