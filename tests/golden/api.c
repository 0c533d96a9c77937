/*
 * A program outside the tree: compiled against an installed prefix with pkg-config by installed_library.cmake. Scores
 * the first golden record three ways and compares with numpy.
 *
 *     api BUNDLE RECORDS EXPECTED
 */
#include <lepton/lepton.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                    \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "api.c:%d: not so: %s (%s)\n", __LINE__, #condition, err.text); \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

enum { COLUMNS = 10, HEADER_DOUBLES = 4 };

static struct lp_error err;

static void read_first(const char *path, void *to, size_t bytes)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    CHECK(fread(to, 1, bytes, file) > 0);
    fclose(file);
}

static void describe(const struct lp_model *model)
{
    CHECK(strcmp(lepton_model_name(model), "mlp") == 0);
    CHECK(strcmp(lepton_model_version(model), "1") == 0);
    CHECK(lepton_model_feature_count(model) == COLUMNS);
    CHECK(strcmp(lepton_model_feature_name(model, 9), "f9") == 0);
    CHECK(lepton_model_feature_name(model, 10) == NULL);
    CHECK(lepton_model_column_count(model) == COLUMNS);
    CHECK(lepton_model_output_count(model) == 1);
    CHECK(lepton_model_manifest(model)[0] == '{');
    CHECK(strlen(lepton_version()) >= 5);
}

static void score(struct lp_scorer *scorer, const char *line, const double *row, double want)
{
    static double rows[8 * COLUMNS];
    float got = -1, many[8];
    CHECK(lepton_score_json(scorer, line, strlen(line), &got, &err) == LP_OK);
    CHECK(fabs((double)got - want) <= 1e-5);
    for (int i = 0; i < 8; i++) memcpy(rows + i * COLUMNS, row, COLUMNS * sizeof *row);
    CHECK(lepton_score_rows(scorer, rows, 8, many, &err) == LP_OK);
    for (int i = 0; i < 8; i++) CHECK(fabs((double)many[i] - want) <= 1e-5);
    CHECK(lepton_score_rows(scorer, rows, 9, many, &err) == LP_E_LIMIT);
    /* A bad record says what and where, and the next one is scored all the same. */
    CHECK(lepton_score_json(scorer, "{\"f3\": \"x\"}", 11, &got, &err) == LP_E_INVALID);
    CHECK(strcmp(err.field, "f3") == 0);
    CHECK(lepton_score_json(scorer, line, strlen(line), &got, &err) == LP_OK);
}

int main(int argc, char **argv)
{
    static char line[1 << 16];
    double expected[HEADER_DOUBLES + 1 + 3 * COLUMNS] = {0};
    struct lp_model *model = NULL;
    struct lp_scorer *scorer = NULL;
    CHECK(argc == 4);
    read_first(argv[2], line, sizeof line - 1);
    line[strcspn(line, "\n")] = '\0';
    read_first(argv[3], expected, sizeof expected);
    CHECK(lepton_model_open("/no/such/file", &model, &err) == LP_E_NOT_FOUND);
    CHECK(model == NULL);
    CHECK(lepton_model_open(argv[1], &model, &err) == LP_OK);
    describe(model);
    CHECK(lepton_scorer_new(model, 8, &scorer, &err) == LP_OK);
    lepton_model_unref(lepton_model_ref(model));
    lepton_model_unref(model); /* the scorer holds its own reference */
    /* header, rejected, row[10], observed[10], margin, score */
    score(scorer, line, expected + HEADER_DOUBLES + 1, expected[HEADER_DOUBLES + 1 + 2 * COLUMNS + 1]);
    lepton_scorer_free(scorer);
    lepton_scorer_free(NULL);
    lepton_model_unref(NULL);
    return 0;
}
