/* Signatures made by the openssl program (make_signatures.py) are accepted, all others are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/limiter.h"
#include "control/signature.h"

#include "unit/control/signature_cases.inc"

static struct lp_error err;
static char folder[64];

static const char *at(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *put(const char *name, const char *first, const char *second)
{
    FILE *file = fopen(at(name), "w");
    assert_non_null(file);
    assert_true(fputs(first, file) >= 0 && fputs(second, file) >= 0);
    fclose(file);
    return at(name);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/lepton-keys-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int take_down(void **state)
{
    (void)state;
    static const char *const names[] = {"a.pem", "b.pem", "private.pem", ".hidden", "bad"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(at(names[i]));
    return rmdir(folder);
}

static void openssls_signatures_are_accepted_and_ours_are_the_same(void **state)
{
    (void)state;
    const char *const privates[] = {private_0, private_1}, *const publics[] = {public_0, public_1};
    const char *const signatures[2][2] = {{signature_0_0, signature_0_1}, {signature_1_0, signature_1_1}};
    for (int key = 0; key < 2; key++)
        for (int digest = 0; digest < 2; digest++) {
            char made[LP_SIGNATURE_TEXT_BYTES];
            assert_true(lp_signature_is_valid(signatures[key][digest]));
            put("a.pem", publics[key], "");
            assert_int_equal(lp_signature_verify(at("a.pem"), digests[digest], signatures[key][digest], &err), LP_OK);
            /* Ed25519 signs without chance: the same key and text give the same bytes. */
            put("private.pem", privates[key], "");
            assert_int_equal(lp_signature_make(at("private.pem"), digests[digest], made, &err), LP_OK);
            assert_string_equal(made, signatures[key][digest]);
        }
}

static void refused(const char *keys, const char *digest, const char *signature, enum lp_code code, const char *text)
{
    assert_int_equal(lp_signature_verify(keys, digest, signature, &err), code);
    if (strstr(err.text, text) == NULL) fail_msg("\"%s\" does not hold \"%s\"", err.text, text);
}

static void what_is_not_signed_by_a_trusted_key_over_this_file_is_refused(void **state)
{
    (void)state;
    char altered[LP_SIGNATURE_TEXT_BYTES], claimed[LP_SIGNATURE_TEXT_BYTES];
    put("a.pem", public_0, "");
    refused(at("a.pem"), digests[0], "", LP_E_REFUSED, "not signed");
    refused(at("a.pem"), digests[1], signature_0_0, LP_E_REFUSED, "another file");
    refused(at("a.pem"), digests[0], signature_1_0, LP_E_REFUSED, "none of the 1 trusted");
    /* Another's signature under a trusted key's name. */
    snprintf(claimed, sizeof claimed, "%.17s%s", signature_0_0, signature_1_0 + 17);
    refused(at("a.pem"), digests[0], claimed, LP_E_REFUSED, "wrong");
    for (size_t i = 17; i < sizeof altered - 3; i++) {
        memcpy(altered, signature_0_0, sizeof altered);
        altered[i] = altered[i] == 'A' ? 'B' : 'A';
        assert_int_not_equal(lp_signature_verify(at("a.pem"), digests[0], altered, &err), LP_OK);
    }
    assert_int_equal(lp_signature_verify(at("a.pem"), digests[0], signature_0_0, &err), LP_OK);
}

static void a_signature_has_one_spelling(void **state)
{
    (void)state;
    char text[2 * LP_SIGNATURE_TEXT_BYTES];
    const size_t bytes = LP_SIGNATURE_TEXT_BYTES - 1;
    assert_int_equal(strlen(signature_0_0), bytes);
    for (size_t i = 0; i < bytes; i++) {
        memcpy(text, signature_0_0, bytes + 1);
        text[i] = '\0';
        assert_false(lp_signature_is_valid(text));
        text[i] = ' ';
        assert_false(lp_signature_is_valid(text));
        text[i] = '\n';
        assert_false(lp_signature_is_valid(text));
        text[i] = (char)0xc3;
        assert_false(lp_signature_is_valid(text));
    }
    memcpy(text, signature_0_0, bytes + 1);
    text[bytes - 3]++; /* the last digit has four bits that must be zero */
    assert_false(lp_signature_is_valid(text));
    snprintf(text, sizeof text, "%s=", signature_0_0);
    assert_false(lp_signature_is_valid(text));
    assert_false(lp_signature_is_valid(""));
    put("a.pem", public_0, "");
    refused(at("a.pem"), digests[0], "x", LP_E_INVALID, "KEYID:BASE64");
}

static void keys_may_be_many_in_a_file_or_a_folder(void **state)
{
    (void)state;
    uint32_t count = 0;
    put("a.pem", public_0, public_1);
    assert_int_equal(lp_signature_count_keys(at("a.pem"), &count, &err), LP_OK);
    assert_int_equal(count, 2);
    assert_int_equal(lp_signature_verify(at("a.pem"), digests[0], signature_1_0, &err), LP_OK);
    put("a.pem", "comments stay\n", public_0);
    put("b.pem", public_1, "");
    put(".hidden", "not a key", "");
    assert_int_equal(lp_signature_count_keys(folder, &count, &err), LP_OK);
    assert_int_equal(count, 2);
    assert_int_equal(lp_signature_verify(folder, digests[1], signature_1_1, &err), LP_OK);
    /* A key that is taken away counts no more. */
    unlink(at("b.pem"));
    refused(folder, digests[1], signature_1_1, LP_E_REFUSED, "none of the 1 trusted");
}

static void keys_that_cannot_be_used_are_named(void **state)
{
    (void)state;
    static const char p256[] = "-----BEGIN PUBLIC KEY-----\n"
                               "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYZaf4zDXak99T/SSvO5WFR3B8dPF\n"
                               "WLoPPfIrk4h0txXPFvxHLezRDABCgIImrt757Ufzf0I9X77vH0ii3MJZGA==\n"
                               "-----END PUBLIC KEY-----\n";
    uint32_t count = 0;
    refused(at("none"), digests[0], signature_0_0, LP_E_NOT_FOUND, "model.trusted_keys.path");
    assert_int_equal(lp_signature_count_keys(folder, &count, &err), LP_E_NOT_FOUND);
    const char *const bad[][2] = {{private_0, ""},
                                  {p256, ""},
                                  {public_0, p256},
                                  {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", ""},
                                  {public_0, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"},
                                  {public_0, "-----BEGIN PUBLIC KEY-----\nMCow"}};
    put("a.pem", public_0, "");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put("bad", bad[i][0], bad[i][1]);
        assert_int_equal(lp_signature_count_keys(folder, &count, &err), LP_E_INVALID);
        assert_non_null(strstr(err.text, "/bad: "));
    }
    /* In a folder what is no PEM is passed over; named itself it is an error. */
    for (size_t i = 0; i < 2; i++) {
        put("bad", i == 0 ? "" : "not a key", "");
        assert_int_equal(lp_signature_count_keys(folder, &count, &err), LP_OK);
        assert_int_equal(count, 1);
        assert_int_equal(lp_signature_count_keys(at("bad"), &count, &err), LP_E_INVALID);
        assert_non_null(strstr(err.text, "/bad: "));
    }
    unlink(at("bad"));
    assert_int_equal(mkdir(at("bad"), 0700), 0);
    assert_int_equal(lp_signature_count_keys(folder, &count, &err), LP_OK);
    assert_int_equal(lp_signature_verify(folder, digests[0], signature_0_0, &err), LP_OK);
    assert_int_equal(rmdir(at("bad")), 0);
    char made[LP_SIGNATURE_TEXT_BYTES];
    assert_int_equal(lp_signature_make(at("a.pem"), digests[0], made, &err), LP_E_INVALID); /* public */
    assert_int_equal(lp_signature_make(at("none"), digests[0], made, &err), LP_E_NOT_FOUND);
}

static void a_minute_has_no_more_than_the_maximum(void **state)
{
    (void)state;
    const uint64_t second_ns = 1000000000, start_ns = 5 * second_ns;
    struct lp_limiter limiter;
    assert_int_equal(lp_limiter_init(&limiter, 3, &err), LP_OK);
    assert_true(lp_limiter_take(&limiter, start_ns));
    assert_true(lp_limiter_take(&limiter, start_ns + 10 * second_ns));
    assert_true(lp_limiter_take(&limiter, start_ns + 20 * second_ns));
    assert_false(lp_limiter_take(&limiter, start_ns + 59 * second_ns));
    assert_true(lp_limiter_take(&limiter, start_ns + 60 * second_ns));
    assert_false(lp_limiter_take(&limiter, start_ns + 69 * second_ns));
    assert_true(lp_limiter_take(&limiter, start_ns + 70 * second_ns));
    assert_false(lp_limiter_take(&limiter, start_ns + 70 * second_ns));
    lp_limiter_done(&limiter);
    assert_int_equal(lp_limiter_init(&limiter, 0, &err), LP_OK);
    for (int i = 0; i < 1000; i++) assert_true(lp_limiter_take(&limiter, start_ns));
    lp_limiter_done(&limiter);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, take_down)
    const struct CMUnitTest tests[] = {
        TEST(openssls_signatures_are_accepted_and_ours_are_the_same),
        TEST(what_is_not_signed_by_a_trusted_key_over_this_file_is_refused),
        TEST(a_signature_has_one_spelling),
        TEST(keys_may_be_many_in_a_file_or_a_folder),
        TEST(keys_that_cannot_be_used_are_named),
        cmocka_unit_test(a_minute_has_no_more_than_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
