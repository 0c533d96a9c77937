/* The module that knows MPI is loaded only under a launcher: no other verb and no worker waits for its libraries. */
#include "cmd/train_peers.h"

#include "cmd/terminal.h"
#include "cmd/train_mpi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, WHY_BYTES = 256 };
static const char module_name[] = "lepton-mpi.so";

static bool was_launched(void)
{
    static const char *const signs[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (getenv(signs[i]) != NULL) return true;
    return false;
}

/* Beside the program, as it was built, or where it was installed. */
static void *open_module(char *why)
{
    char path[PATH_BYTES];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - sizeof module_name - 1);
    void *module = NULL;
    if (size > 0) {
        path[size] = '\0';
        char *slash = strrchr(path, '/');
        memcpy(slash + 1, module_name, sizeof module_name);
        module = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    }
    if (module == NULL) module = dlopen(LEPTON_MODULE_DIR "/lepton-mpi.so", RTLD_NOW | RTLD_GLOBAL);
    const char *text = module == NULL ? dlerror() : NULL;
    snprintf(why, WHY_BYTES, "%s", text != NULL ? text : "");
    return module;
}

enum lp_code lp_peers_join(struct lp_peers_handle *handle, struct lp_error *err)
{
    char why[WHY_BYTES] = "";
    *handle = (struct lp_peers_handle){.peers = NULL};
    if (!was_launched()) return LP_OK;
    void *module = open_module(why);
    const struct lp_mpi_module *mpi = module != NULL ? dlsym(module, LP_MPI_SYMBOL) : NULL;
    if (mpi == NULL)
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL,
                       "started as one of several processes, but this build has no MPI module: %.200s", why);
    handle->mpi = mpi;
    if (!mpi->join(&handle->storage))
        return lp_fail(err, LP_E_UNSUPPORTED, LP_FATAL, "MPI cannot be started with threads");
    if (handle->storage.count > 1) handle->peers = &handle->storage;
    return LP_OK;
}

void lp_peers_leave(struct lp_peers_handle *handle, const struct lp_error *why)
{
    if (handle->mpi == NULL) return;
    if (why != NULL && handle->peers != NULL) {
        lp_print_safe(stderr, "lepton: train: rank %u: %s\n", handle->storage.rank, why->text);
        handle->mpi->abandon(); /* the others wait for this one's sums */
    }
    handle->mpi->leave();
}
