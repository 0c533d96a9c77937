/*
 * Bytes -> messages. protobuf-c allocates what the file says: an empty tensor of two bytes takes hundreds, and merging
 * a message that is split a thousand times copies its lists a thousand times. Its allocator here gives a multiple of
 * the file's size in all and then fails.
 */
#include "import/onnx/private.h"
#include "import/onnx/recognize.h"

#include <stdlib.h>

enum { BYTES_BASE = 16 << 20, BYTES_FILE_FACTOR = 24 };

struct quota {
    size_t left; /* bytes */
    bool exhausted;
};

static void *take(void *data, size_t bytes)
{
    struct quota *quota = data;
    if (bytes > quota->left) {
        quota->exhausted = true;
        return NULL;
    }
    quota->left -= bytes;
    return malloc(bytes > 0 ? bytes : 1);
}

static void give_back(void *data, void *pointer)
{
    (void)data;
    free(pointer);
}

enum lp_code lp_onnx_unpack(struct lp_span bytes, Onnx__Model **ret_model, struct lp_error *err)
{
    struct quota quota = {.left = BYTES_BASE + (bytes.size < SIZE_MAX / 64 ? bytes.size * BYTES_FILE_FACTOR : 0)};
    ProtobufCAllocator allocator = {.alloc = take, .free = give_back, .allocator_data = &quota};
    Onnx__Model *model = onnx__model__unpack(&allocator, bytes.size, bytes.data);
    if (model != NULL) {
        *ret_model = model;
        return LP_OK;
    }
    if (quota.exhausted)
        return lp_fail(err, LP_E_LIMIT, LP_FATAL,
                       "its messages take many times the file's size: damaged, or made to fill the memory");
    return lp_fail(err, LP_E_INVALID, LP_FATAL, "not a model: its protobuf messages are damaged or cut off");
}

void lp_onnx_unpacked_free(Onnx__Model *model)
{
    ProtobufCAllocator allocator = {.alloc = take, .free = give_back};
    if (model != NULL) onnx__model__free_unpacked(model, &allocator);
}

/* A field of Model at the start: ir_version, a text, the graph or an opset; the whole decides. */
bool lp_onnx_recognize(struct lp_span bytes)
{
    if (bytes.size < 2) return false;
    unsigned char tag = bytes.data[0];
    bool number = tag == 0x08 || tag == 0x28;
    bool message =
        tag == 0x12 || tag == 0x1a || tag == 0x22 || tag == 0x32 || tag == 0x3a || tag == 0x42 || tag == 0x72;
    return number || message;
}
