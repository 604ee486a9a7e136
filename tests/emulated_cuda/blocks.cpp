// Running a kernel's grid on the host: block by block; the threads of a block one after the other,
// or as fibers where they meet.
//
// A fiber is a stack of its own and a saved stack pointer. A thread that reaches a barrier switches
// back to the scheduler, which lets the others come as far and then frees them all. This is what
// __syncthreads (a whole block), __syncwarp and the shuffles (32 threads) need, and no more.
#include "blocks.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <vector>
#include <xmmintrin.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

using namespace emulated;

// What a kernel reads; prelude.h declares them.
extern "C" {
Size threadIdx, blockIdx, blockDim, gridDim;
void* emulated_shared;
}

namespace {

constexpr size_t STACK_BYTES = 64 << 10;
constexpr int WARP = 32;

enum State { READY, AT_WARP, AT_BLOCK, DONE };

struct Fiber {
  void* stack_pointer;
  char* stack;
  State state;
  Size index;
};

std::vector<Fiber> fibers;
int running = -1;  // a fiber's number, or -1 where threads do not meet
void* scheduler;
Kernel fiber_kernel;
void** fiber_arguments;
char exchanged[1024 / WARP][WARP][16];  // what each lane shows to the others of its warp

}  // namespace

// Saves the registers that a callee must keep, and the stack pointer; loads those of the other side.
extern "C" void emulated_switch(void** save, void* load);
asm(R"(
.text
.globl emulated_switch
.hidden emulated_switch
emulated_switch:
  push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp
  ret
)");

namespace {

void stop_at(State state) {
  if (running < 0) return;
  fibers[running].state = state;
  emulated_switch(&fibers[running].stack_pointer, scheduler);
}

void fiber_main() {
  fiber_kernel(fiber_arguments);
  stop_at(DONE);
  abort();  // a finished fiber is not resumed
}

void start(Fiber& fiber, int number) {
  const unsigned n = number;
  fiber.index = {n % blockDim.x, n / blockDim.x % blockDim.y, n / (blockDim.x * blockDim.y)};
  // The stack as emulated_switch leaves it: six registers, the address to return to, and above
  // that an empty slot, so that %rsp is 8 off a multiple of 16 as at any function's entry.
  void** top = reinterpret_cast<void**>(fiber.stack + STACK_BYTES - 64);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(fiber_main);
  for (int each = 0; each < 6; each++) *--top = nullptr;
  fiber.stack_pointer = top;
  fiber.state = READY;
}

void resume(int number) {
  running = number;
  threadIdx = fibers[number].index;
  emulated_switch(&scheduler, fibers[number].stack_pointer);
}

// Runs the threads of one warp until each is done or waits for the block.
void run_warp(int first, int end) {
  for (bool met = true; met;) {
    for (int each = first; each < end; each++)
      if (fibers[each].state == READY) resume(each);
    met = false;
    for (int each = first; each < end; each++)
      if (fibers[each].state == AT_WARP) {
        fibers[each].state = READY;
        met = true;
      }
  }
}

void run_block_of_fibers(int threads) {
  while (int(fibers.size()) < threads) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* stack = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (stack == MAP_FAILED) abort();
    fibers.push_back({nullptr, static_cast<char*>(stack), DONE, {}});
  }
  for (int each = 0; each < threads; each++) start(fibers[each], each);
  for (bool live = true; live;) {
    for (int first = 0; first < threads; first += WARP)
      run_warp(first, first + WARP < threads ? first + WARP : threads);
    live = false;
    for (int each = 0; each < threads; each++)
      if (fibers[each].state == AT_BLOCK) {
        fibers[each].state = READY;
        live = true;
      }
  }
  running = -1;
}

void run_block_in_order(Kernel kernel, Size block, void** arguments) {
  for (unsigned z = 0; z < block.z; z++)
    for (unsigned y = 0; y < block.y; y++)
      for (unsigned x = 0; x < block.x; x++) {
        threadIdx = {x, y, z};
        kernel(arguments);
      }
}

// With EMULATED_CUDA_FLUSH, subnormal numbers become zero, as NVRTC's -ftz=true does to float32.
// (Here float64 too, and what a kernel reads.)
class FlushSubnormals {
 public:
  FlushSubnormals() : before_(_mm_getcsr()) {
    static const bool wanted = getenv("EMULATED_CUDA_FLUSH") != nullptr;
    if (wanted) _mm_setcsr(before_ | 0x8040);
  }
  ~FlushSubnormals() { _mm_setcsr(before_); }

 private:
  unsigned before_;
};

}  // namespace

EXPORT void emulated_syncthreads() { stop_at(AT_BLOCK); }
EXPORT void emulated_syncwarp() { stop_at(AT_WARP); }
EXPORT int emulated_lane() { return running < 0 ? 0 : running % WARP; }
EXPORT void* emulated_exchanged(int lane) {
  return running < 0 ? exchanged[0][0] : exchanged[running / WARP][lane & (WARP - 1)];
}

void emulated::run_grid(Kernel kernel, Threads threads, Size grid, Size block, size_t shared_bytes,
                        void** arguments) {
  static const bool every_thread = getenv("EMULATED_CUDA_EVERY_THREAD") != nullptr;
  if (threads == LOOP && !every_thread) grid = block = {1, 1, 1};
  FlushSubnormals flush;
  static std::vector<char> shared;  // static: a fault jumps over destructors
  shared.assign(shared_bytes + 64, char(0xFF));
  emulated_shared = reinterpret_cast<void*>((uintptr_t(shared.data()) + 63) & ~uintptr_t(63));
  gridDim = grid;
  blockDim = block;
  running = -1;
  fiber_kernel = kernel;
  fiber_arguments = arguments;
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        blockIdx = {x, y, z};
        if (threads == MEET)
          run_block_of_fibers(block.x * block.y * block.z);
        else
          run_block_in_order(kernel, block, arguments);
      }
}
