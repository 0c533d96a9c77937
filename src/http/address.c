#include "http/address.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { HOST_MAX_BYTES = 255 };

/* The host without brackets, and the port's text. */
static bool split(const char *address, char *host, const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address) return false;
    size_t bytes = (size_t)(colon - address);
    const char *begin = address;
    if (begin[0] == '[') {
        if (bytes < 3 || begin[bytes - 1] != ']') return false;
        begin++;
        bytes -= 2;
    } else if (memchr(begin, ':', bytes) != NULL) {
        return false;
    }
    size_t digits = strspn(colon + 1, "0123456789");
    if (bytes > HOST_MAX_BYTES || digits == 0 || digits > 5 || colon[1 + digits] != '\0') return false;
    if (strtol(colon + 1, NULL, 10) > 65535) return false;
    memcpy(host, begin, bytes);
    host[bytes] = '\0';
    *ret_port = colon + 1;
    return true;
}

enum lp_code lp_address_resolve(const char *address, bool connecting, struct addrinfo **ret_list, struct lp_error *err)
{
    char host[HOST_MAX_BYTES + 1];
    const char *port;
    if (!split(address, host, &port))
        return lp_fail(err, LP_E_INVALID, LP_FATAL, "%.200s: not an address: write host:port or [v6]:port", address);
    const char *name = host;
    if (connecting && strcmp(host, "0.0.0.0") == 0) name = "127.0.0.1";
    if (connecting && strcmp(host, "::") == 0) name = "::1";
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (connecting ? 0 : AI_PASSIVE)};
    int failed = getaddrinfo(name, port, &hints, ret_list);
    if (failed == 0) return LP_OK;
    return lp_fail(err, LP_E_NOT_FOUND, LP_FATAL, "%.200s: the host cannot be resolved: %s", address,
                   gai_strerror(failed));
}
