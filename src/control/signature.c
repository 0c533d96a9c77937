#include "control/signature.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SIGNATURE_BYTES = 64, BASE64_BYTES = 88, SHA256_DIGITS = 64, KEY_FILE_MAX_BYTES = 65536, PATH_BYTES = 4096 };

static const char PREFIX[] = "lepton-bundle-v1:";

/* --- text --- */

static bool decode(const char *text, unsigned char ret_signature[SIGNATURE_BYTES])
{
    if (strlen(text) != LP_SIGNATURE_TEXT_BYTES - 1 || text[LP_KEY_ID_DIGITS] != ':') return false;
    if (strspn(text, "0123456789abcdef") != LP_KEY_ID_DIGITS) return false;
    const char *base64 = text + LP_KEY_ID_DIGITS + 1;
    unsigned char bytes[SIGNATURE_BYTES + 3], again[BASE64_BYTES + 1];
    if (EVP_DecodeBlock(bytes, (const unsigned char *)base64, BASE64_BYTES) != SIGNATURE_BYTES + 2) return false;
    /* The decoder is lenient about white space and stray bits; one signature has one spelling. */
    EVP_EncodeBlock(again, bytes, SIGNATURE_BYTES);
    if (memcmp(again, base64, BASE64_BYTES) != 0) return false;
    memcpy(ret_signature, bytes, SIGNATURE_BYTES);
    return true;
}

bool lp_signature_is_valid(const char *text)
{
    unsigned char signature[SIGNATURE_BYTES];
    return decode(text, signature);
}

static size_t signed_text(const char *sha256, char text[sizeof PREFIX + SHA256_DIGITS])
{
    return (size_t)snprintf(text, sizeof PREFIX + SHA256_DIGITS, "%s%.64s", PREFIX, sha256);
}

/* --- keys --- */

static bool key_id(EVP_PKEY *key, char ret_id[LP_KEY_ID_DIGITS + 1])
{
    unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
    int bytes = i2d_PUBKEY(key, &der);
    bool good = bytes > 0 && EVP_Digest(der, (size_t)bytes, digest, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    for (int i = 0; good && i < LP_KEY_ID_DIGITS / 2; i++) snprintf(ret_id + 2 * i, 3, "%02x", digest[i]);
    return good;
}

/* What is asked of the trusted keys: their number, and the one with an id. */
struct search {
    const char *wanted; /* id; NULL: none */
    bool in_folder;     /* what is no PEM is nobody's key there, and stepped over */
    EVP_PKEY *found;
    uint32_t count;
};

static enum lp_code take_key(struct search *search, EVP_PKEY *key, const char *path, struct lp_error *err)
{
    char id[LP_KEY_ID_DIGITS + 1];
    enum lp_code rc = LP_OK;
    if (EVP_PKEY_get_id(key) != EVP_PKEY_ED25519)
        rc = lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: a key is not Ed25519: make one with openssl genpkey", path);
    else if (search->count == LP_TRUSTED_KEYS_MAX)
        rc = lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: more than %d trusted keys", path, LP_TRUSTED_KEYS_MAX);
    else if (!key_id(key, id)) rc = lp_fail(err, LP_E_IO, LP_FATAL, "%s: libcrypto cannot encode a key", path);
    if (rc == LP_OK) search->count++;
    bool wanted = rc == LP_OK && search->found == NULL && search->wanted != NULL &&
                  memcmp(id, search->wanted, LP_KEY_ID_DIGITS) == 0;
    if (wanted) search->found = key;
    else EVP_PKEY_free(key);
    return rc;
}

static enum lp_code open_key_file(const char *path, FILE **ret_file, struct lp_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return lp_fail(err, errno == ENOENT ? LP_E_NOT_FOUND : LP_E_IO, LP_FATAL, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode) || info.st_size > KEY_FILE_MAX_BYTES)
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: not a file of at most %d bytes: is it a PEM key?", path,
                       KEY_FILE_MAX_BYTES);
    *ret_file = fopen(path, "re");
    if (*ret_file != NULL) return LP_OK;
    return lp_fail(err, LP_E_IO, LP_FATAL, "%s: %s", path, strerror(errno));
}

static enum lp_code take_block(struct search *search, const char *name, const unsigned char *data, long bytes,
                               const char *path, struct lp_error *err)
{
    const unsigned char *at = data;
    EVP_PKEY *key = strcmp(name, "PUBLIC KEY") == 0 ? d2i_PUBKEY(NULL, &at, bytes) : NULL;
    if (key != NULL && at == data + bytes) return take_key(search, key, path, err);
    EVP_PKEY_free(key);
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: holds \"%.40s\" that is no public key: write openssl pkey -pubout",
                   path, name);
}

static enum lp_code take_file(struct search *search, const char *path, struct lp_error *err)
{
    FILE *file;
    uint32_t before = search->count;
    char *name, *header;
    unsigned char *data;
    long bytes;
    LP_TRY(open_key_file(path, &file, err));
    enum lp_code rc = LP_OK;
    while (rc == LP_OK && PEM_read(file, &name, &header, &data, &bytes) == 1) {
        rc = take_block(search, name, data, bytes, path, err);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
    }
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    fclose(file);
    bool stray = search->in_folder && ended;
    if (rc == LP_OK && (!ended || search->count == before) && !stray)
        rc = lp_fail(err, LP_E_INVALID, LP_FATAL, "%s: %s: write PEM (openssl pkey -pubout)", path,
                     ended ? "holds no public key" : "a block in it breaks off");
    return rc;
}

/* Folders, devices, what is too large to be a key. One that cannot be looked at is left to who opens it. */
static bool is_stray(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && (!S_ISREG(info.st_mode) || info.st_size > KEY_FILE_MAX_BYTES);
}

static enum lp_code take_folder(struct search *search, const char *path, struct lp_error *err)
{
    DIR *folder = opendir(path);
    search->in_folder = true;
    if (folder == NULL) return lp_fail(err, LP_E_IO, LP_FATAL, "%s: %s", path, strerror(errno));
    enum lp_code rc = LP_OK;
    for (const struct dirent *entry; rc == LP_OK && (entry = readdir(folder)) != NULL;) {
        char file[PATH_BYTES];
        if (entry->d_name[0] == '.') continue; /* also what Kubernetes keeps beside a mounted secret's files */
        int length = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof file)
            rc = lp_fail(err, LP_E_LIMIT, LP_FATAL, "%s: a path over %d bytes", path, PATH_BYTES);
        else if (!is_stray(file)) rc = take_file(search, file, err);
    }
    closedir(folder);
    return rc;
}

/* On success the caller owns search->found. */
static enum lp_code find_key(struct search *search, const char *path, struct lp_error *err)
{
    struct stat info;
    enum lp_code rc;
    if (stat(path, &info) != 0)
        rc = lp_fail(err, errno == ENOENT ? LP_E_NOT_FOUND : LP_E_IO, LP_FATAL, "%s: %s", path, strerror(errno));
    else rc = S_ISDIR(info.st_mode) ? take_folder(search, path, err) : take_file(search, path, err);
    if (rc == LP_OK && search->count == 0)
        rc = lp_fail(err, LP_E_NOT_FOUND, LP_FATAL, "%s: holds no key: put PEM public keys there", path);
    if (rc == LP_OK) return LP_OK;
    EVP_PKEY_free(search->found);
    search->found = NULL;
    return lp_error_wrap(err, "model.trusted_keys.path");
}

enum lp_code lp_signature_count_keys(const char *keys_path, uint32_t *ret_count, struct lp_error *err)
{
    struct search search = {0};
    LP_TRY(find_key(&search, keys_path, err));
    *ret_count = search.count;
    return LP_OK;
}

/* --- verify and sign --- */

enum lp_code lp_signature_verify(const char *keys_path, const char *sha256, const char *signature, struct lp_error *err)
{
    unsigned char bytes[SIGNATURE_BYTES];
    char text[sizeof PREFIX + SHA256_DIGITS];
    if (signature[0] == '\0')
        return lp_fail(err, LP_E_REFUSED, LP_FATAL,
                       "the model is not signed and model.trusted_keys.path is set: lepton deploy --sign KEY.pem");
    if (!decode(signature, bytes))
        return lp_fail(err, LP_E_INVALID, LP_FATAL,
                       "the model's signature is not KEYID:BASE64 of an Ed25519 signature");
    struct search search = {.wanted = signature};
    LP_TRY(find_key(&search, keys_path, err));
    if (search.found == NULL)
        return lp_fail(err, LP_E_REFUSED, LP_FATAL, "the model is signed by key %.16s, which is none of the %u trusted",
                       signature, search.count);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t length = signed_text(sha256, text);
    bool good = context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, search.found) == 1 &&
                EVP_DigestVerify(context, bytes, sizeof bytes, (const unsigned char *)text, length) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(search.found);
    ERR_clear_error();
    if (good) return LP_OK;
    return lp_fail(err, LP_E_REFUSED, LP_FATAL, "the model's signature by key %.16s is wrong: it is over another file",
                   signature);
}

/* No prompt: an encrypted key is refused instead. */
static int no_passphrase(char *to, int bytes, int writing, void *context)
{
    (void)to, (void)bytes, (void)writing, (void)context;
    return -1;
}

static enum lp_code read_private_key(const char *path, EVP_PKEY **ret_key, struct lp_error *err)
{
    FILE *file;
    LP_TRY(open_key_file(path, &file, err));
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
    fclose(file);
    ERR_clear_error();
    if (key != NULL && EVP_PKEY_get_id(key) == EVP_PKEY_ED25519) {
        *ret_key = key;
        return LP_OK;
    }
    EVP_PKEY_free(key);
    return lp_fail(err, LP_E_INVALID, LP_FATAL,
                   "%s: not an Ed25519 private key in PEM without a passphrase: openssl genpkey -algorithm ed25519",
                   path);
}

enum lp_code lp_signature_make(const char *key_path, const char *sha256, char ret_signature[LP_SIGNATURE_TEXT_BYTES],
                               struct lp_error *err)
{
    EVP_PKEY *key;
    unsigned char bytes[SIGNATURE_BYTES], base64[BASE64_BYTES + 1];
    char text[sizeof PREFIX + SHA256_DIGITS], id[LP_KEY_ID_DIGITS + 1];
    size_t size = sizeof bytes, length = signed_text(sha256, text);
    LP_TRY(read_private_key(key_path, &key, err));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && key_id(key, id) && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(context, bytes, &size, (const unsigned char *)text, length) == 1 && size == sizeof bytes;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (!good) return lp_fail(err, LP_E_IO, LP_FATAL, "%s: libcrypto cannot sign with it", key_path);
    EVP_EncodeBlock(base64, bytes, SIGNATURE_BYTES);
    snprintf(ret_signature, LP_SIGNATURE_TEXT_BYTES, "%s:%s", id, (const char *)base64);
    return LP_OK;
}
