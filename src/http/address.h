/* "host:port" and "[v6]:port": private to http/. */
#ifndef LP_HTTP_ADDRESS_H
#define LP_HTTP_ADDRESS_H

#include "core/error.h"

#include <netdb.h>
#include <stdbool.h>

/**
 * Resolve an address to listen on or to connect to.
 * @param connecting true: the "any" addresses stand for loopback
 * @param ret_list   owned by the caller: freeaddrinfo
 * @return LP_E_INVALID (form, port), LP_E_NOT_FOUND (unknown host)
 */
LP_MUST_USE enum lp_code lp_address_resolve(const char *address, bool connecting, struct addrinfo **ret_list,
                                            struct lp_error *err);

#endif
