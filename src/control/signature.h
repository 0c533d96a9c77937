/*
 * Signed bundles: Ed25519 (RFC 8032) over a text that names the bundle's SHA-256, detached, in the desired state.
 *
 * The signed text is "lepton-bundle-v1:" and the 64 lower-case hexadecimal digits, no newline: the prefix keeps a
 * signature from being taken for one over anything else. A signature is written KEYID:BASE64, where KEYID is the first
 * 16 hexadecimal digits of the SHA-256 of the public key's SubjectPublicKeyInfo (RFC 8410) and BASE64 the 64 bytes.
 */
#ifndef LP_CONTROL_SIGNATURE_H
#define LP_CONTROL_SIGNATURE_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LP_KEY_ID_DIGITS = 16,
    LP_SIGNATURE_TEXT_BYTES = LP_KEY_ID_DIGITS + 1 + 88 + 1, /* with its zero */
    LP_TRUSTED_KEYS_MAX = 64,
};

/** Has the text the form KEYID:BASE64, in the one spelling that we write? */
bool lp_signature_is_valid(const char *text);

/**
 * Did one of the trusted keys sign this SHA-256? The keys are read anew, so that one that is taken away counts no more.
 *
 * @param keys_path a PEM file with public keys, or a folder of such files (names with a leading dot, folders and files
 *                  without a PEM block are left out; a block that is no usable public key is an error)
 * @param sha256    64 lower-case hexadecimal digits
 * @param signature empty: none
 * @return LP_E_REFUSED (unsigned, unknown key, wrong signature), LP_E_INVALID (form, a key that is not Ed25519),
 * LP_E_NOT_FOUND, LP_E_IO, LP_E_LIMIT (keys)
 */
LP_MUST_USE enum lp_code lp_signature_verify(const char *keys_path, const char *sha256, const char *signature,
                                             struct lp_error *err);

/** Are there keys, all of them usable? Errors as above. */
LP_MUST_USE enum lp_code lp_signature_count_keys(const char *keys_path, uint32_t *ret_count, struct lp_error *err);

/** Sign with a private key (PEM, PKCS#8, not encrypted). LP_E_INVALID, LP_E_NOT_FOUND, LP_E_IO. */
LP_MUST_USE enum lp_code lp_signature_make(const char *key_path, const char *sha256,
                                           char ret_signature[LP_SIGNATURE_TEXT_BYTES], struct lp_error *err);

#endif
