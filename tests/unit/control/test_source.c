/* file: URIs against a root: what is inside passes, nothing else does, and nobody learns what lies outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/source.h"

static char base[PATH_MAX], root[PATH_MAX + 16];
static struct lp_error err;

/* base/root/{m, sub/n, in -> sub/n, out -> base/secret, outdir -> base/other}, base/{secret, other/f, root-evil/f} */
static const char *const folders[] = {"root", "root/sub", "other", "root-evil", "root/a b"};
static const char *const files[] = {"root/m", "root/sub/n", "secret", "other/f", "root-evil/f", "root/a b/%41"};
static const char *const links[][2] = {
    {"sub/n", "root/in"}, {"../secret", "root/out"}, {"../other", "root/outdir"}, {"loop", "root/loop"}};

static void at_base(const char *name, char *path) { snprintf(path, PATH_MAX + 64, "%s/%s", base, name); }

static int set_up(void **state)
{
    (void)state;
    char path[PATH_MAX + 64];
    char template[] = "/tmp/lepton-source-XXXXXX";
    if (mkdtemp(template) == NULL || realpath(template, base) == NULL) return -1;
    snprintf(root, sizeof root, "%s/root", base);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        at_base(folders[i], path);
        if (mkdir(path, 0700) != 0) return -1;
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        at_base(files[i], path);
        FILE *file = fopen(path, "w");
        if (file == NULL) return -1;
        fclose(file);
    }
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        at_base(links[i][1], path);
        if (symlink(links[i][0], path) != 0) return -1;
    }
    return 0;
}

static int take_down(void **state)
{
    (void)state;
    char path[PATH_MAX + 64];
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        at_base(links[i][1], path);
        unlink(path);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        at_base(files[i], path);
        unlink(path);
    }
    for (size_t i = sizeof folders / sizeof *folders; i > 0; i--) {
        at_base(folders[i - 1], path);
        rmdir(path);
    }
    static const size_t parents_last[] = {1, 0};
    for (size_t i = 0; i < 2; i++) {
        at_base(folders[parents_last[i]], path);
        rmdir(path);
    }
    return rmdir(base);
}

/* @ in `format` stands for the base folder. */
static enum lp_code resolve(const char *format, const char *in, char path[LP_PATH_MAX_BYTES])
{
    char uri[2 * PATH_MAX + 64];
    const char *at = strchr(format, '@');
    if (at == NULL) snprintf(uri, sizeof uri, "%s", format);
    else snprintf(uri, sizeof uri, "%.*s%s%s", (int)(at - format), format, base, at + 1);
    memset(&err, 0, sizeof err);
    return lp_source_uri_path(uri, in, path, &err);
}

static void what_is_in_the_root_passes(void **state)
{
    (void)state;
    static const char *const uris[][2] = {
        {"file://@/root/m", "root/m"},
        {"file:@/root/m", "root/m"},
        {"file://localhost@/root/m", "root/m"},
        {"file:m", "root/m"},
        {"file:sub/n", "root/sub/n"},
        {"file:./sub/../m", "root/m"},
        {"file://@/root/sub/../m", "root/m"},
        {"file://@/root//m", "root/m"},
        {"file:%6d", "root/m"},
        {"file:sub%2Fn", "root/sub/n"},
        {"file://@/root/in", "root/sub/n"},
        {"file://@/root/a%20b/%2541", "root/a b/%41"},
        {"file:../root/m", "root/m"},
        {"file://@/other/../root/m", "root/m"},
    };
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        char path[LP_PATH_MAX_BYTES], want[PATH_MAX + 64];
        if (resolve(uris[i][0], root, path) != LP_OK) fail_msg("%s: %s", uris[i][0], err.text);
        at_base(uris[i][1], want);
        assert_string_equal(path, want);
    }
}

static void what_is_outside_is_refused_whether_it_exists_or_not(void **state)
{
    (void)state;
    static const char *const uris[] = {
        "file:../secret",
        "file:../nobody",
        "file://@/secret",
        "file://@/nobody",
        "file://@/root/../secret",
        "file://@/root/../nobody",
        "file:sub/../../secret",
        "file:%2e%2e/secret",
        "file:%2e%2e%2fsecret",
        "file:out",
        "file:outdir/f",
        "file:outdir/nobody",
        "file:outdir/a/b",
        "file://@/root-evil/f",
        "file://@/root-evil/none",
        "file:///etc/passwd",
        "file:///etc/nobody",
        "file:///proc/self/environ",
        "file:///",
        "file:..",
    };
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        char path[LP_PATH_MAX_BYTES];
        enum lp_code rc = resolve(uris[i], root, path);
        if (rc != LP_E_REFUSED) fail_msg("%s: code %d: %s", uris[i], (int)rc, err.text);
        assert_non_null(strstr(err.text, "outside"));
    }
}

static void what_is_not_there_is_said_to_be_so(void **state)
{
    (void)state;
    char path[LP_PATH_MAX_BYTES];
    assert_int_equal(resolve("file:nobody", root, path), LP_E_NOT_FOUND);
    assert_int_equal(resolve("file:sub/nobody", root, path), LP_E_NOT_FOUND);
    assert_int_equal(resolve("file://@/root/no/body", root, path), LP_E_NOT_FOUND);
    /* Nothing beyond a folder that is not there is looked at. */
    assert_int_equal(resolve("file:no/../../secret", root, path), LP_E_NOT_FOUND);
    assert_int_equal(resolve("file:loop", root, path), LP_E_IO);
    assert_int_equal(resolve("file://@/secret", NULL, path), LP_OK); /* our own configuration's URI */
    assert_int_equal(resolve("file://@/nobody", NULL, path), LP_E_NOT_FOUND);
    assert_int_equal(resolve("file:m", "/nonexistent/root", path), LP_E_NOT_FOUND);
}

static void a_root_may_be_written_in_many_ways(void **state)
{
    (void)state;
    char path[LP_PATH_MAX_BYTES], other[PATH_MAX + 64];
    static const char *const ways[] = {"%s/root/", "%s/other/../root", "%s/./root//", "%s/outdir/../root"};
    for (size_t i = 0; i < 3; i++) {
        int length = snprintf(other, sizeof other, "%s", base);
        snprintf(other + length, sizeof other - (size_t)length, "%s", ways[i] + 2);
        assert_int_equal(resolve("file:m", other, path), LP_OK);
        assert_int_equal(resolve("file:nobody", other, path), LP_E_NOT_FOUND);
        assert_int_equal(resolve("file://@/root/nobody", other, path), LP_E_NOT_FOUND);
        assert_int_equal(resolve("file:out", other, path), LP_E_REFUSED);
    }
    assert_int_equal(resolve("file://@/secret", "/", path), LP_OK);
}

static void other_schemes_and_bad_escapes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        enum lp_code code;
    } uris[] = {
        {"http://host/m", LP_E_UNSUPPORTED}, {"https://host/m", LP_E_UNSUPPORTED}, {"kafka:models/m", LP_E_UNSUPPORTED},
        {"s3://bucket/m", LP_E_UNSUPPORTED}, {"/models/m", LP_E_UNSUPPORTED},      {"", LP_E_UNSUPPORTED},
        {"file", LP_E_UNSUPPORTED},          {"file://host/m", LP_E_INVALID},      {"file://", LP_E_INVALID},
        {"file:///m%00", LP_E_INVALID},      {"file:///m%0", LP_E_INVALID},        {"file:///m%", LP_E_INVALID},
        {"file:///m%zz", LP_E_INVALID},      {"file:///m%g0", LP_E_INVALID},       {"file://localhost", LP_E_INVALID},
    };
    char path[LP_PATH_MAX_BYTES];
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        enum lp_code rc = resolve(uris[i].uri, root, path);
        if (rc != uris[i].code) fail_msg("%s: code %d: %s", uris[i].uri, (int)rc, err.text);
    }
    char longest[LP_PATH_MAX_BYTES + 64] = "file:";
    memset(longest + 5, 'a', LP_PATH_MAX_BYTES);
    assert_int_equal(resolve(longest, root, path), LP_E_LIMIT);
    longest[LP_PATH_MAX_BYTES - 1] = '\0'; /* fits alone, not behind the root */
    assert_int_equal(resolve(longest, root, path), LP_E_LIMIT);
}

static void a_digest_is_written_as_people_do(void **state)
{
    (void)state;
    unsigned char digest[LP_SHA256_BYTES];
    char text[LP_SHA256_TEXT_BYTES];
    for (int i = 0; i < LP_SHA256_BYTES; i++) digest[i] = (unsigned char)(i * 8 + 7);
    lp_sha256_text(digest, text);
    assert_string_equal(text, "070f171f272f373f474f575f676f777f878f979fa7afb7bfc7cfd7dfe7eff7ff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_the_root_passes),
        cmocka_unit_test(what_is_outside_is_refused_whether_it_exists_or_not),
        cmocka_unit_test(what_is_not_there_is_said_to_be_so),
        cmocka_unit_test(a_root_may_be_written_in_many_ways),
        cmocka_unit_test(other_schemes_and_bad_escapes_are_refused),
        cmocka_unit_test(a_digest_is_written_as_people_do),
    };
    return cmocka_run_group_tests(tests, set_up, take_down);
}
