#include "core/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

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

#if defined(__x86_64__)
enum cpuid_word { WORD_EAX, WORD_EBX, WORD_ECX, WORD_EDX };

/* A bit of leaf 7 that not every compiler's __builtin_cpu_supports names. */
static bool leaf7(unsigned subleaf, enum cpuid_word word, unsigned bit)
{
    unsigned words[4];
    if (!__get_cpuid_count(7, subleaf, &words[0], &words[1], &words[2], &words[3])) return false;
    return (words[word] >> bit & 1) != 0;
}

#if defined(LEPTON_AMX)
/* The system saves the tiles (XCR0 17 and 18) and grants them only to a process that asks: 8 KB a thread. */
static bool amx_granted(void)
{
    enum { TILES = 3u << 17, REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return (low & TILES) == TILES && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

/* avx512 was found: xgetbv is there. */
static void detect_amx(void)
{
    enum { AMX_BF16 = 22, AMX_TILE = 24, AMX_INT8 = 25 };
    if (!detected.avx512 || disabled("amx") || !leaf7(0, WORD_EDX, AMX_TILE) || !amx_granted()) return;
    detected.amx_int8 = leaf7(0, WORD_EDX, AMX_INT8);
    detected.amx_bf16 = leaf7(0, WORD_EDX, AMX_BF16);
}
#endif

static bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
}
#endif

static void detect(void)
{
#if defined(__x86_64__)
    /* libgcc's check reads CPUID and XCR0: a feature whose registers the system does not save is absent. */
    __builtin_cpu_init();
    bool no_avx2 = disabled("avx2"), no_avx512 = no_avx2 || disabled("avx512");
    detected.avx2 = !no_avx2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2") && has_f16c();
    detected.avx512 = !no_avx512 && detected.avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
    detected.vnni = detected.avx512 && !disabled("vnni") && __builtin_cpu_supports("avx512vnni");
    detected.vbmi = detected.avx512 && !disabled("vbmi") && __builtin_cpu_supports("avx512vbmi");
    detected.bf16 = detected.avx512 && !disabled("bf16") && leaf7(1, WORD_EAX, 5);
    detected.avxvnni = detected.avx2 && !disabled("avxvnni") && leaf7(1, WORD_EAX, 4);
#if defined(LEPTON_AMX)
    detect_amx();
#endif
#elif defined(__aarch64__)
    detected.neon = !disabled("neon");
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
    return cpu->avx512 ? "avx512" : cpu->avx2 ? "avx2" : cpu->neon ? "neon" : "baseline";
}
