// Running a kernel's grid on the host; see blocks.cpp.
#pragma once
#include <cstddef>

namespace emulated {

struct Size {
  unsigned x, y, z;
};

// How the threads of a kernel depend on each other; compiler.cpp finds it in the source.
enum Threads {
  LOOP,   // each thread strides over all elements: one thread alone does the whole work
  ALONE,  // threads use their indices, but never meet
  MEET,   // threads of a block meet at barriers, or exchange values within a warp
};

using Kernel = void (*)(void** arguments);

void run_grid(Kernel kernel, Threads threads, Size grid, Size block, size_t shared_bytes, void** arguments);

}  // namespace emulated
