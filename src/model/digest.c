#include "model/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 18 };

static bool add_file(EVP_MD_CTX *context, int fd, unsigned char *piece)
{
    for (;;) {
        ssize_t got = read(fd, piece, PIECE_BYTES);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got == 0;
        if (EVP_DigestUpdate(context, piece, (size_t)got) != 1) return false;
    }
}

bool lp_digest_file(int fd, char ret_text[LP_SHA256_TEXT_BYTES])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char *piece = malloc(PIECE_BYTES), digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    bool good = context != NULL && piece != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                add_file(context, fd, piece) && EVP_DigestFinal_ex(context, digest, &size) == 1 &&
                size == LP_SHA256_BYTES;
    if (good) lp_sha256_text(digest, ret_text);
    EVP_MD_CTX_free(context);
    free(piece);
    return good;
}
