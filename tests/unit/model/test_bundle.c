/* Files: the committed bundles, limits, sizes and what is no bundle at all. */
#include "support.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIXED TEST_DATA_DIR "/bundles/mixed.safetensors"
#define MIXED_TENSORS TEST_DATA_DIR "/bundles/mixed_tensors.safetensors"

static struct lp_bundle *load(const char *path)
{
    struct lp_bundle *bundle = NULL;
    struct lp_error err;
    test_expect(lp_bundle_load(path, 1 << 20, &bundle, &err), &err, LP_OK, "");
    return bundle;
}

static void stamps_the_sha256_of_the_file(void **state)
{
    (void)state;
    struct lp_bundle *bundle = load(MIXED);
    char hex[LP_SHA256_BYTES * 2 + 1];
    for (size_t i = 0; i < LP_SHA256_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", bundle->sha256[i]);
    FILE *tool = popen("sha256sum " MIXED, "r");
    assert_non_null(tool);
    char want[LP_SHA256_BYTES * 2 + 1];
    assert_non_null(fgets(want, sizeof want, tool));
    pclose(tool);
    assert_string_equal(hex, want);
    struct stat info;
    assert_int_equal(stat(MIXED, &info), 0);
    assert_int_equal(bundle->file_bytes, info.st_size);
    lp_bundle_free(bundle);
}

/* Expectations: mixed_features() of tests/support/bundle.py. */
static void reads_every_kind_and_policy(void **state)
{
    (void)state;
    struct lp_bundle *bundle = load(MIXED);
    static const struct {
        const char *name, *from;
        uint32_t column, columns, vocabulary;
        double missing_value;
    } want[] = {
        {"age", "user.age", 0, 1, 0, 38.5},
        {"price", "item.price", 1, 2, 0, 10},
        {"rating", "item.ratings[1]", 3, 1, 0, 3},
        {"speed", "m\\.speed", 4, 1, 0, 0},
        {"constant", "constant", 5, 1, 0, 0},
        {"colour", "colour", 6, 6, 4, 0},
        {"size", "size", 12, 3, 3, 1},
        {"city", "user.city", 15, 1, 1500, 7},
        {"word", "word", 16, 2, 16, 0},
        {"vector", "vector", 18, 4, 0, 0.5},
    };
    assert_int_equal(bundle->feature_count, sizeof want / sizeof *want);
    for (uint32_t i = 0; i < bundle->feature_count; i++) {
        const struct lp_feature *f = &bundle->features[i];
        assert_string_equal(f->name, want[i].name);
        assert_string_equal(f->from, want[i].from);
        assert_int_equal(f->column, want[i].column);
        assert_int_equal(f->column_count, want[i].columns);
        assert_int_equal(f->vocabulary_count, want[i].vocabulary);
        assert_true(f->missing_value == want[i].missing_value);
    }
    assert_int_equal(bundle->column_count, 22);
    assert_string_equal(bundle->features[5].vocabulary[1], "gr\xc3\xbcn");
    assert_string_equal(bundle->features[7].vocabulary[1499], "city 1499");
    assert_int_equal(bundle->features[7].baseline.bin_count, 1501);
    assert_int_equal(bundle->features[8].baseline.bin_count, 16);
    assert_int_equal(bundle->features[9].baseline.bin_count, 0);
    assert_int_equal(bundle->output_count, 3);
    assert_true(isnan(bundle->threshold));
    assert_int_equal(bundle->ops[0].activation, LP_ACTIVATION_GELU);
    assert_true(bundle->ops[2].alpha == 0.2);
    assert_int_equal(bundle->golden_count, 32);
    lp_bundle_free(bundle);
}

static void reads_the_same_from_json_and_from_tensors(void **state)
{
    (void)state;
    struct lp_bundle *a = load(MIXED), *b = load(MIXED_TENSORS);
    assert_non_null(lp_bundle_tensor(b, "golden.records"));
    assert_int_equal(a->golden_count, b->golden_count);
    for (uint32_t i = 0; i < a->golden_count; i++) {
        assert_memory_equal(a->golden[i].margin, b->golden[i].margin, 3 * sizeof(double));
        assert_memory_equal(a->golden[i].score, b->golden[i].score, 3 * sizeof(double));
    }
    for (uint32_t i = 0; i < a->feature_count; i++) {
        const struct lp_feature *f = &a->features[i], *g = &b->features[i];
        assert_int_equal(f->vocabulary_count, g->vocabulary_count);
        for (uint32_t j = 0; f->vocabulary != NULL && j < f->vocabulary_count; j++)
            assert_string_equal(f->vocabulary[j], g->vocabulary[j]);
        assert_int_equal(f->baseline.bin_count, g->baseline.bin_count);
        assert_int_equal(f->baseline.edge_count, g->baseline.edge_count);
        for (uint32_t j = 0; j < f->baseline.edge_count; j++) assert_true(f->baseline.edges[j] == g->baseline.edges[j]);
        for (uint32_t j = 0; j < f->baseline.bin_count; j++)
            assert_true(f->baseline.counts[j] == g->baseline.counts[j]);
    }
    lp_bundle_free(a);
    lp_bundle_free(b);
}

static void refuse(const char *path, uint64_t max_bytes, enum lp_code code, const char *fragment)
{
    struct lp_bundle *bundle = NULL;
    struct lp_error err;
    test_expect(lp_bundle_load(path, max_bytes, &bundle, &err), &err, code, fragment);
    assert_non_null(strstr(err.text, path)); /* every refusal names the file */
}

static void refuses_what_is_no_bundle_file(void **state)
{
    (void)state;
    char folder[] = "/tmp/lepton-bundle-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    refuse(folder, 1 << 20, LP_E_INVALID, "not a regular file");
    refuse("/dev/zero", 1 << 20, LP_E_INVALID, "not a regular file");
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    refuse(path, 1 << 20, LP_E_INVALID, "not a regular file"); /* and does not wait for a writer */
    unlink(path);
    snprintf(path, sizeof path, "%s/none", folder);
    refuse(path, 1 << 20, LP_E_NOT_FOUND, "cannot open");
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    refuse(path, 1 << 20, LP_E_INVALID, "only 0 bytes");
    assert_int_equal(ftruncate(fd, (off_t)10 << 30), 0); /* sparse: takes no room on the disk */
    refuse(path, 1 << 20, LP_E_LIMIT, "has 10737418240 bytes, at most 1048576 are read");
    close(fd);
    unlink(path);
    rmdir(folder);
}

static void takes_a_file_of_exactly_the_limit(void **state)
{
    (void)state;
    struct lp_bundle *bundle = load(MIXED);
    uint64_t size = bundle->file_bytes;
    lp_bundle_free(bundle);
    struct lp_error err;
    test_expect(lp_bundle_load(MIXED, size, &bundle, &err), &err, LP_OK, "");
    lp_bundle_free(bundle);
    refuse(MIXED, size - 1, LP_E_LIMIT, "at most");
}

static void frees_nothing_gracefully(void **state)
{
    (void)state;
    lp_bundle_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_the_sha256_of_the_file),
        cmocka_unit_test(reads_every_kind_and_policy),
        cmocka_unit_test(reads_the_same_from_json_and_from_tensors),
        cmocka_unit_test(refuses_what_is_no_bundle_file),
        cmocka_unit_test(takes_a_file_of_exactly_the_limit),
        cmocka_unit_test(frees_nothing_gracefully),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
