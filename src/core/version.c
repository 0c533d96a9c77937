#include "core/version.h"

const char *lp_version(void) { return LEPTON_VERSION; }
const char *lp_version_commit(void) { return LEPTON_COMMIT; }
