/* What the MPI module (lepton-mpi.so, src/mpi/mpi.c) gives the program. */
#ifndef LP_CMD_TRAIN_MPI_H
#define LP_CMD_TRAIN_MPI_H

#include "train/team.h"

#include <stdbool.h>

#define LP_MPI_SYMBOL "lepton_mpi_module"

struct lp_mpi_module {
    bool (*join)(struct lp_train_peers *ret_peers);
    void (*abandon)(void); /* ends every process */
    void (*leave)(void);
};

#endif
