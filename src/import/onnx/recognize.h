#ifndef LP_IMPORT_ONNX_RECOGNIZE_H
#define LP_IMPORT_ONNX_RECOGNIZE_H

#include "core/span.h"

/** May the bytes begin an ONNX file? */
bool lp_onnx_recognize(struct lp_span bytes);

#endif
