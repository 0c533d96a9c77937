/*
 * lepton-mpi.so: MPI carries the sums. Large ones go in pieces: counts are int. All ranks get the same bits: the sum is
 * made on rank 0 and handed on (MPI_Allreduce need not give every rank the same last bit).
 */
#include "cmd/train_mpi.h"

#include <mpi.h>

enum { PIECE = 1 << 24 };

static void sum(void *values, size_t count, size_t element_bytes, MPI_Datatype type)
{
    unsigned char *at = values;
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    while (count > 0) {
        int piece = count < PIECE ? (int)count : PIECE;
        MPI_Reduce(rank == 0 ? MPI_IN_PLACE : at, at, piece, type, MPI_SUM, 0, MPI_COMM_WORLD);
        MPI_Bcast(at, piece, type, 0, MPI_COMM_WORLD);
        at += (size_t)piece * element_bytes;
        count -= (size_t)piece;
    }
}

static void sum_floats(void *context, float *values, size_t count)
{
    (void)context;
    sum(values, count, sizeof *values, MPI_FLOAT);
}

static void sum_doubles(void *context, double *values, size_t count)
{
    (void)context;
    sum(values, count, sizeof *values, MPI_DOUBLE);
}

static void same(void *context, void *bytes, size_t count)
{
    (void)context;
    MPI_Bcast(bytes, (int)count, MPI_BYTE, 0, MPI_COMM_WORLD);
}

static bool join(struct lp_train_peers *ret_peers)
{
    int provided, rank, size;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS || provided < MPI_THREAD_FUNNELED)
        return false;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    *ret_peers = (struct lp_train_peers){.rank = (uint32_t)rank,
                                         .count = (uint32_t)size,
                                         .sum_floats = sum_floats,
                                         .sum_doubles = sum_doubles,
                                         .same = same};
    return true;
}

static void abandon(void) { MPI_Abort(MPI_COMM_WORLD, 1); }
static void leave(void) { MPI_Finalize(); }

__attribute__((visibility("default"))) const struct lp_mpi_module lepton_mpi_module = {join, abandon, leave};
