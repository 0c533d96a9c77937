#include "import/draft.h"

/* Text of features and vocabularies, and the arrays of a linear model. */
enum { STORAGE_BYTES = 4 << 20, NOTES_MAX_BYTES = 1 << 20 };
enum { ARRAY_BYTES = 32 << 20, ARRAY_FILE_FACTOR = 8 };

void lp_draft_init(struct lp_draft *draft, size_t file_bytes)
{
    *draft = (struct lp_draft){.link_scale = 1, .divisor = 1};
    draft->storage.budget = STORAGE_BYTES + (uint64_t)LP_DRAFT_STORAGE_FACTOR * file_bytes;
    lp_forest_init(&draft->forest, ARRAY_BYTES + (size_t)ARRAY_FILE_FACTOR * file_bytes);
    lp_graph_init(&draft->graph, &draft->storage);
    lp_buffer_init(&draft->notes, NOTES_MAX_BYTES);
}

void lp_draft_done(struct lp_draft *draft)
{
    lp_graph_done(&draft->graph);
    lp_storage_done(&draft->storage);
    if (draft->kept_free != NULL) draft->kept_free(draft->kept);
    lp_forest_done(&draft->forest);
    lp_buffer_done(&draft->notes);
}
