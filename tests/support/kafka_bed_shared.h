/* One cluster for all tests of a file: `bed`, up from bed_setup() to bed_teardown(). */
#ifndef LP_TESTS_KAFKA_BED_SHARED_H
#define LP_TESTS_KAFKA_BED_SHARED_H

#include "support/kafka_bed.h"

static struct bed bed;

static int bed_setup(void **state)
{
    (void)state;
    bed_start(&bed, NULL);
    return 0;
}

static int bed_teardown(void **state)
{
    (void)state;
    bed_stop(&bed);
    return 0;
}

#endif
