/* The other processes of a training under mpirun. */
#ifndef LP_CMD_TRAIN_PEERS_H
#define LP_CMD_TRAIN_PEERS_H

#include "train/team.h"

struct lp_peers_handle {
    const struct lp_train_peers *peers; /* NULL: this process is alone */
    struct lp_train_peers storage;
    const struct lp_mpi_module *mpi; /* NULL: no launcher */
};

/** Join those that the launcher started. LP_E_UNSUPPORTED under a launcher without the MPI module. */
LP_MUST_USE enum lp_code lp_peers_join(struct lp_peers_handle *handle, struct lp_error *err);

/** @param why the error that ends this process's part, NULL: none. With one, all processes end. */
void lp_peers_leave(struct lp_peers_handle *handle, const struct lp_error *why);

#endif
