# build.mk — how the software libcuda is built; scripts/emu.sh calls it from the root of the repository.
#
#   OUT      folder of the library
#   OBJ      folder of the objects
#   KERNELS  the .cu files whose kernels it is to have

CXX ?= g++
# -fno-strict-aliasing: kernels make pointers of addresses, and read bytes in words. -fno-semantic-interposition: calls within the library need no indirection.
FLAGS := -std=c++17 -O2 -g -fPIC -fvisibility=hidden -fno-semantic-interposition -fno-strict-aliasing -ffp-contract=off -Wall -Wextra -Werror
KERNEL_FLAGS := $(FLAGS) -fno-exceptions -Wno-unknown-pragmas -DVQS_EMULATED -I kernels/common -I kernels/cuda -I kernels/emu
# Arithmetic without a defined result is reported by kernels/emu/arithmetic.cc; no library of the compiler's is linked.
CHECKED_FLAGS := -DVQS_CHECKED -fsanitize=signed-integer-overflow,shift-exponent,integer-divide-by-zero,float-cast-overflow

NAMES := $(basename $(notdir $(KERNELS)))
# One set of driver objects serves every library.
DRIVER := $(patsubst kernels/emu/%.cc,bin/emu/obj/driver/%.o,$(filter-out kernels/emu/nvcuvid%,$(wildcard kernels/emu/*.cc)))
PLAIN := $(NAMES:%=$(OBJ)/kernels/%.plain.o)
CHECKED := $(NAMES:%=$(OBJ)/kernels/%.checked.o)
vpath %.cu $(sort $(dir $(KERNELS)))

.DELETE_ON_ERROR:
.SECONDARY:

# Renamed into place, so that a process that uses the old one keeps it.
$(OUT)/libcuda.so.1: $(DRIVER) $(PLAIN) $(CHECKED) kernels/emu/exports.map
	@mkdir -p $(OUT)
	$(CXX) -shared -Wl,-soname,libcuda.so.1 -Wl,-z,nodelete -Wl,-z,defs -Wl,--version-script=kernels/emu/exports.map -o $@.new $(DRIVER) $(PLAIN) $(CHECKED) -pthread
	mv $@.new $@

# The program of the tests; see kernels/emu/trial.
$(OUT)/trial: kernels/emu/trial/testdata/trial.cc kernels/emu/driver.h kernels/emu/build.mk
	@mkdir -p $(OUT)
	$(CXX) -std=c++17 -O1 -g -Wall -Wextra -Werror -I kernels/emu -o $@.new $< -ldl -pthread
	mv $@.new $@

bin/emu/obj/driver/%.o: kernels/emu/%.cc kernels/emu/build.mk
	@mkdir -p $(@D)
	$(CXX) $(FLAGS) -MMD -MP -c -o $@ $<

$(OBJ)/kernels/%.plain.o: $(OBJ)/kernels/%.plain.cc kernels/emu/build.mk
	$(CXX) $(KERNEL_FLAGS) -MMD -MP -c -o $@ $<

$(OBJ)/kernels/%.checked.o: $(OBJ)/kernels/%.checked.cc kernels/emu/build.mk
	$(CXX) $(KERNEL_FLAGS) $(CHECKED_FLAGS) -MMD -MP -c -o $@ $<

# The entry points of a source are what __global__ marks in its preprocessed text.
$(OBJ)/kernels/%.list: %.cu kernels/emu/build.mk
	@mkdir -p $(@D)
	$(CXX) $(KERNEL_FLAGS) -DVQS_LIST_KERNELS -E -P -x c++ -MMD -MP -MF $(@:.list=.list.d) -MT $@ $< | tr '\n' ' ' | \
		grep -oE 'VQS_ENTRY_POINT +void +[A-Za-z0-9_]+' | sed 's/.* //' > $@

# Under another name than the plain ones, since both are in one library.
$(OBJ)/kernels/%.plain.cc: $(OBJ)/kernels/%.list
	{ echo '#include "$*.cu"'; sed 's/.*/VQS_KERNEL("&", &)/' $<; } > $@
$(OBJ)/kernels/%.checked.cc: $(OBJ)/kernels/%.list
	{ sed 's/.*/#define & &_checked/' $<; echo '#include "$*.cu"'; sed 's/\(.*\)/#undef \1\nVQS_KERNEL("\1", \1_checked)/' $<; } > $@

$(OBJ)/kernels/%.plain.o $(OBJ)/kernels/%.checked.o: KERNEL_FLAGS += $(patsubst %,-I %,$(sort $(dir $(KERNELS))))

-include $(wildcard bin/emu/obj/driver/*.d $(OBJ)/kernels/*.d)
