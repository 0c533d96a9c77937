/* SHA-256 of a file that is not parsed here. */
#ifndef LP_MODEL_DIGEST_H
#define LP_MODEL_DIGEST_H

#include "model/bundle.h"

#include <stdbool.h>

/** Of what is left to read of an open file, as 64 hexadecimal digits; false when it cannot be read. */
bool lp_digest_file(int fd, char ret_text[LP_SHA256_TEXT_BYTES]);

#endif
