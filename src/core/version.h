/* What this build is. */
#ifndef LP_CORE_VERSION_H
#define LP_CORE_VERSION_H

/** "0.1.0" */
const char *lp_version(void);
/** Abbreviated commit the build was configured from, or "unknown". */
const char *lp_version_commit(void);

#endif
