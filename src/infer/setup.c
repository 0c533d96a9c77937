#include "infer/infer.h"

#include <cblas.h>

enum { PARALLEL_PTHREAD = 1 }; /* openblas_get_parallel: 0 serial, 1 pthread, 2 OpenMP */

enum lp_code lp_infer_setup(struct lp_error *err)
{
    /* The serial build gives wrong results under threads, the OpenMP one keeps threads of its own in each lane. */
    if (openblas_get_parallel() != PARALLEL_PTHREAD)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "OpenBLAS is not the pthread build (%s): install libopenblas0-pthread and select it with "
                       "update-alternatives",
                       openblas_get_config());
    openblas_set_num_threads(1);
    return LP_OK;
}
