/* The leaves of an Avro schema as columns. */
#include "data/private.h"
#include "decode/avro.h"
#include "decode/avro_leaves.h"

static enum lp_code add_leaf(void *context, struct lp_span path, enum lp_avro_leaf leaf, struct lp_error *err)
{
    static const enum lp_data_hint hints[] = {
        [LP_AVRO_LEAF_NUMBER] = LP_DATA_NUMBER, [LP_AVRO_LEAF_BOOLEAN] = LP_DATA_BOOLEAN,
        [LP_AVRO_LEAF_TEXT] = LP_DATA_TEXT,     [LP_AVRO_LEAF_TIME] = LP_DATA_TIME,
        [LP_AVRO_LEAF_ANY] = LP_DATA_ANY,       [LP_AVRO_LEAF_OTHER] = LP_DATA_OTHER,
    };
    return lp_data_add_column(context, path, hints[leaf], 1, err);
}

enum lp_code lp_container_columns(struct lp_data *data, struct lp_error *err)
{
    struct lp_avro_schema *schema;
    LP_TRY(lp_avro_schema_parse(lp_buffer_span(&data->container.schema), &schema, err));
    enum lp_code rc = lp_avro_leaves(schema, add_leaf, data, err);
    lp_avro_schema_free(schema);
    return rc;
}
