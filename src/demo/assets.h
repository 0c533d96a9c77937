/* Files of src/demo/data and schemas that the program carries inside. */
#ifndef LP_DEMO_ASSETS_H
#define LP_DEMO_ASSETS_H

#include "core/span.h"

struct lp_span lp_asset_flights_csv_gz(void);
struct lp_span lp_asset_flights_schema(void);

#endif
