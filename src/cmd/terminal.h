/* Text for people that may hold what a file, a topic or a server said. */
#ifndef LP_CMD_TERMINAL_H
#define LP_CMD_TERMINAL_H

#include <stdio.h>

/** In place, `?` for each control character (below U+0020, U+007F to U+009F): it could steer the terminal or forge a
 * line. */
void lp_text_make_safe(char *text);

/** fprintf of a text made safe; only a newline at the format's own end stays. Memory that runs out prints nothing. */
void lp_print_safe(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
