/* One error dialect for the library and the program. */
#ifndef LEPTON_ERROR_H
#define LEPTON_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/** What went wrong. Every fallible function returns one; LP_OK is 0. */
enum lp_code {
    LP_OK = 0,
    LP_E_INVALID,     /* bytes, text or arguments that break their specification */
    LP_E_LIMIT,       /* a named maximum was exceeded */
    LP_E_MEMORY,      /* an allocation failed */
    LP_E_IO,          /* a file, socket or library call failed */
    LP_E_NOT_FOUND,   /* a file, field, topic or schema that does not exist */
    LP_E_MISMATCH,    /* two things that must agree do not: hash, shape, golden row */
    LP_E_UNSUPPORTED, /* legal, but not in this release */
    LP_E_PENDING,     /* not available yet; ask again */
    LP_E_TIMEOUT,     /* a deadline passed */
    LP_E_REFUSED,     /* forbidden by configuration or by the peer */
};

/** What the caller should do about it; decided where the error arises. */
enum lp_action {
    LP_SKIP_RECORD, /* this record is bad, its neighbours are not */
    LP_RETRY,       /* the same call may succeed later */
    LP_FATAL,       /* retrying cannot help */
    LP_PAUSE,       /* as LP_RETRY, but somebody must act first: wait and raise an alarm */
};

enum { LP_ERROR_TEXT_BYTES = 512, LP_ERROR_FIELD_BYTES = 128 };

/**
 * Details of a failure. Caller's storage, never NULL where a function takes it;
 * written only on failure. `text` says what was wrong, where, and what to do;
 * `field` is the path of the record field or configuration key, or empty.
 */
struct lp_error {
    enum lp_code code;
    enum lp_action action;
    char text[LP_ERROR_TEXT_BYTES];
    char field[LP_ERROR_FIELD_BYTES];
};

#if defined(__GNUC__)
#define LP_MUST_USE __attribute__((warn_unused_result))
#define LP_API __attribute__((visibility("default")))
#else
#define LP_MUST_USE
#define LP_API
#endif

#ifdef __cplusplus
}
#endif
#endif
