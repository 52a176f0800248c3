// arithmetic.cc — what a checked kernel calls where an operation has no defined result: GCC's -fsanitize options leave the reporting to
// these functions, and the names are its. A device would go on, with a value that may be another on the next one.
#include "block.h"

namespace {

struct Place {
  const char* file;
  uint32_t line, column;
};

}  // namespace

#define VQS_HANDLER(name, text, ...)                                                                         \
  extern "C" VQS_EMU_HIDDEN void name(const Place* place, ##__VA_ARGS__) {                                   \
    vqs_emu::FailArithmetic(text, vqs_emu::Where{place->file, static_cast<int>(place->line)});               \
  }

VQS_HANDLER(__ubsan_handle_add_overflow, "a signed sum overflows", void*, void*)
VQS_HANDLER(__ubsan_handle_sub_overflow, "a signed difference overflows", void*, void*)
VQS_HANDLER(__ubsan_handle_mul_overflow, "a signed product overflows", void*, void*)
VQS_HANDLER(__ubsan_handle_negate_overflow, "a negation overflows", void*)
VQS_HANDLER(__ubsan_handle_divrem_overflow, "a division by zero, or whose quotient overflows", void*, void*)
VQS_HANDLER(__ubsan_handle_shift_out_of_bounds, "a shift by less than 0 or by the word's width or more", void*, void*)
VQS_HANDLER(__ubsan_handle_float_cast_overflow, "a floating point value that the integer type does not hold", void*)
