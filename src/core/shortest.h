/* Numbers as the shortest decimal text that reads back the same number: the one form of the house. */
#ifndef LP_CORE_SHORTEST_H
#define LP_CORE_SHORTEST_H

#include <stddef.h>

enum { LP_SHORTEST_FLOAT_BYTES = 24, LP_SHORTEST_DOUBLE_BYTES = 40 };

/**
 * Write a finite float as a JSON number: the fewest digits that read back the same float and of those the closest,
 * laid out as Python lays out a double, but without a trailing ".0" (plain from 0.0001 to below 1e16, else d.ddde-05).
 *
 * @param text out, LP_SHORTEST_FLOAT_BYTES; not terminated
 * @return bytes written; nan, inf and -inf come as these words, which are not JSON
 * Cost: about 16 ns. Source: R. Giulietti, "The Schubfach way to render doubles", 2020, in its form for binary32.
 */
size_t lp_shortest_float(char *text, float value);

/**
 * The same for a double, by the C library's correctly rounded conversions.
 *
 * @param text out, LP_SHORTEST_DOUBLE_BYTES; not terminated
 * Cost: about half a microsecond, for a subnormal up to ten.
 */
size_t lp_shortest_double(char *text, double value);

#endif
