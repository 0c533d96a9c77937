#include "demo/assets.h"

/* The build names the folder; .incbin keeps the bytes out of the compiler's way. */
#define ASSET(symbol, path)                                                                                       \
    __asm__(".section .rodata\n.balign 16\n" #symbol "_begin:\n.incbin \"" path "\"\n" #symbol "_end:\n.byte 0\n" \
            ".previous\n");                                                                                       \
    extern const unsigned char symbol##_begin[], symbol##_end[];

ASSET(lp_demo_flights, LEPTON_SOURCE_DIR "/src/demo/data/flights.csv.gz")
ASSET(lp_demo_schema, LEPTON_SOURCE_DIR "/schemas/flights.avsc")

#define SPAN(symbol) lp_span_of(symbol##_begin, (size_t)(symbol##_end - symbol##_begin))

struct lp_span lp_asset_flights_csv_gz(void) { return SPAN(lp_demo_flights); }
struct lp_span lp_asset_flights_schema(void) { return SPAN(lp_demo_schema); }
