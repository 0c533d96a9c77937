#include "infer/infer.h"

#include "kernels/dense/dense.h"

enum lp_code lp_infer_setup(struct lp_error *err)
{
    /* The serial build gives wrong results under threads, the OpenMP one keeps threads of its own in each lane. */
    const char *build;
    if (!lp_dense_openblas_setup(&build))
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "OpenBLAS is not the pthread build (%s): install libopenblas0-pthread and select it with "
                       "update-alternatives",
                       build);
    return LP_OK;
}
