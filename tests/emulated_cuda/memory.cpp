// Device memory: host pages in one reserved range per device, so that an address tells its owner.
//
// Each block ends at the end of a page and is followed by a megabyte that nobody may touch. No
// address is used twice. So a read or write beyond a block, or of one that was freed, faults; and
// as new blocks hold 0xFF bytes, which are NaN, a result made of memory that nobody wrote is NaN.
#include "core.h"

#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sys/mman.h>

#include <cuda_runtime_api.h>

using namespace emulated;

namespace {

constexpr size_t RANGE = size_t(4) << 40;
constexpr size_t GAP = size_t(1) << 20;
constexpr size_t PAGE = 4096;
constexpr size_t ALIGNMENT = 512;  // as cudaMalloc aligns
constexpr int MAX_DEVICES = 8;

struct DeviceMemory {
  char* start = nullptr;
  size_t next = GAP;
  size_t used = 0;
  std::map<const char*, size_t> blocks;
};
DeviceMemory memories[MAX_DEVICES];
std::map<const char*, size_t> pinned;

size_t rounded_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

bool within(const std::map<const char*, size_t>& blocks, const void* pointer, size_t bytes) {
  auto block = blocks.upper_bound(static_cast<const char*>(pointer));
  if (block == blocks.begin()) return false;
  --block;
  return static_cast<const char*>(pointer) + bytes <= block->first + block->second;
}

bool reserve(DeviceMemory& memory) {
  if (memory.start) return true;
  void* range = mmap(nullptr, RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) return false;
  memory.start = static_cast<char*>(range);
  return true;
}

int allocate(void** pointer, size_t bytes) {
  Locked locked(lock);
  *pointer = nullptr;
  if (!bytes) return 0;
  if (anyone_captures_strictly()) return failed(cudaErrorStreamCaptureUnsupported);
  DeviceMemory& memory = memories[current_device()];
  const size_t size = rounded_up(bytes, PAGE);
  const bool fits = memory.used + bytes <= total_memory() && memory.next + size + GAP <= RANGE;
  if (!fits || !reserve(memory)) return failed(cudaErrorMemoryAllocation);
  char* pages = memory.start + memory.next;
  if (mprotect(pages, size, PROT_READ | PROT_WRITE)) return failed(cudaErrorMemoryAllocation);
  memset(pages, 0xFF, size);
  char* block = pages + size - rounded_up(bytes, ALIGNMENT);
  memory.next += size + GAP;
  memory.used += bytes;
  memory.blocks[block] = bytes;
  *pointer = block;
  return 0;
}

int release(void* pointer) {
  Locked locked(lock);
  if (!pointer) return 0;
  const int device = owner(pointer);
  if (device < 0) return failed(cudaErrorInvalidValue);
  DeviceMemory& memory = memories[device];
  auto block = memory.blocks.find(static_cast<char*>(pointer));
  if (block == memory.blocks.end()) return failed(cudaErrorInvalidValue);
  run_everything();  // as cudaFree does
  const size_t size = rounded_up(block->second, PAGE);
  char* pages = static_cast<char*>(pointer) + rounded_up(block->second, ALIGNMENT) - size;
  memory.used -= block->second;
  memory.blocks.erase(block);
  madvise(pages, size, MADV_DONTNEED);
  mprotect(pages, size, PROT_NONE);
  return 0;
}

// ---- faults within a command end that command, with the status a GPU gives

thread_local sigjmp_buf landing;
thread_local bool landing_set = false;
struct sigaction previous;

void on_fault(int, siginfo_t* info, void*) {
  if (landing_set && owner(info->si_addr) >= 0) siglongjmp(landing, 1);
  sigaction(SIGSEGV, &previous, nullptr);  // not ours: the access repeats, and fails as it would
}

void catch_faults() {
  struct sigaction present;
  sigaction(SIGSEGV, nullptr, &present);
  if (present.sa_sigaction == on_fault) return;
  previous = present;
  struct sigaction ours {};
  ours.sa_sigaction = on_fault;
  ours.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &ours, nullptr);
}

}  // namespace

size_t emulated::total_memory() {
  const char* given = getenv("EMULATED_CUDA_MEMORY");
  static const size_t bytes = given ? strtoull(given, nullptr, 0) : size_t(8) << 30;
  return bytes;
}

int emulated::owner(const void* pointer) {
  for (int device = 0; device < MAX_DEVICES; device++) {
    const char* start = memories[device].start;
    if (start && pointer >= start && pointer < start + RANGE) return device;
  }
  return -1;
}

bool emulated::is_block(const void* pointer, size_t bytes) {
  const int device = owner(pointer);
  return device >= 0 && within(memories[device].blocks, pointer, bytes);
}

int emulated::guarded(const Work& work) {
  if (landing_set) return work();  // a graph's command: the graph is guarded as a whole
  catch_faults();
  landing_set = true;
  // A fault jumps over the destructors of `work`; what they would free is lost, which is little.
  const int status = sigsetjmp(landing, 1) ? cudaErrorIllegalAddress : work();
  landing_set = false;
  return status;
}

// ---- the runtime's functions

EXPORT cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  return cudaError_t(allocate(pointer, bytes));
}
EXPORT cudaError_t cudaMallocManaged(void** pointer, size_t bytes, unsigned) {
  return cudaError_t(allocate(pointer, bytes));
}
EXPORT cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t) {
  return cudaError_t(allocate(pointer, bytes));
}
EXPORT cudaError_t cudaMallocFromPoolAsync(void** pointer, size_t bytes, cudaMemPool_t, cudaStream_t) {
  return cudaError_t(allocate(pointer, bytes));
}
EXPORT cudaError_t cudaFree(void* pointer) { return cudaError_t(release(pointer)); }
EXPORT cudaError_t cudaFreeAsync(void* pointer, cudaStream_t) { return cudaError_t(release(pointer)); }

EXPORT cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  Locked locked(lock);
  *pointer = aligned_alloc(PAGE, rounded_up(bytes, PAGE));
  if (!*pointer) return cudaError_t(failed(cudaErrorMemoryAllocation));
  pinned[static_cast<char*>(*pointer)] = bytes;
  return cudaSuccess;
}
EXPORT cudaError_t cudaFreeHost(void* pointer) {
  Locked locked(lock);
  run_everything();
  pinned.erase(static_cast<char*>(pointer));
  free(pointer);
  return cudaSuccess;
}
EXPORT cudaError_t cudaHostRegister(void* pointer, size_t bytes, unsigned) {
  Locked locked(lock);
  pinned[static_cast<char*>(pointer)] = bytes;
  return cudaSuccess;
}
EXPORT cudaError_t cudaHostUnregister(void* pointer) {
  Locked locked(lock);
  pinned.erase(static_cast<char*>(pointer));
  return cudaSuccess;
}
EXPORT cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  Locked locked(lock);
  *total = total_memory();
  *available = *total - memories[current_device()].used;
  return cudaSuccess;
}
EXPORT cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* found, const void* pointer) {
  Locked locked(lock);
  memset(found, 0, sizeof *found);
  void* address = const_cast<void*>(pointer);
  if (is_block(pointer, 1)) {
    found->type = cudaMemoryTypeDevice;
    found->device = owner(pointer);
    found->devicePointer = address;
  } else if (within(pinned, pointer, 1)) {
    found->type = cudaMemoryTypeHost;
    found->devicePointer = found->hostPointer = address;
  } else {
    found->type = cudaMemoryTypeUnregistered;
    found->device = cudaInvalidDeviceId;
    found->hostPointer = address;
  }
  return cudaSuccess;
}

// ---- copies: refused where the direction is not the truth, or where they leave a block

namespace {

bool is_pinned(const void* pointer) { return within(pinned, pointer, 1); }

// The kind of a copy, or KINDS where it may not be.
Kind kind_of_copy(void* to, const void* from, size_t bytes, int direction) {
  const bool to_device = owner(to) >= 0, from_device = owner(from) >= 0;
  if ((to_device && !is_block(to, bytes)) || (from_device && !is_block(from, bytes))) return KINDS;
  const int truth = from_device ? (to_device ? cudaMemcpyDeviceToDevice : cudaMemcpyDeviceToHost)
                                : (to_device ? cudaMemcpyHostToDevice : cudaMemcpyHostToHost);
  if (direction != truth && direction != cudaMemcpyDefault) return KINDS;
  return from_device ? (to_device ? COPY_WITHIN : COPY_OUT) : COPY_IN;
}

int copy_async(void* to, const void* from, size_t bytes, int direction, void* stream) {
  Locked locked(lock);
  if (!bytes) return 0;
  const Kind kind = kind_of_copy(to, from, bytes, direction);
  if (kind == KINDS) return failed(cudaErrorInvalidValue);
  Stream* found = find_stream(stream);
  const bool recorded = found && found->recording;
  // Pageable memory: CUDA takes a copy of what goes in, and waits for what comes out.
  if (kind == COPY_IN && !is_pinned(from) && !recorded) {
    const char* bytes_now = static_cast<const char*>(from);
    auto staged = std::make_shared<std::vector<char>>(bytes_now, bytes_now + bytes);
    return submit(stream, kind, "copy in", [=] { return memcpy(to, staged->data(), bytes), 0; });
  }
  int status = submit(stream, kind, "copy", [=] { return memmove(to, from, bytes), 0; });
  if (!status && kind == COPY_OUT && !is_pinned(to) && !recorded) status = host_waits_for(stream);
  return status;
}

int copy_and_wait(void* to, const void* from, size_t bytes, int direction) {
  Locked locked(lock);
  const int status = copy_async(to, from, bytes, direction, nullptr);
  return status ? status : host_waits_for(nullptr);
}

void copy_rows(char* to, size_t to_pitch, const char* from, size_t from_pitch, size_t width, size_t rows) {
  for (size_t row = 0; row < rows; row++) memmove(to + row * to_pitch, from + row * from_pitch, width);
}

}  // namespace

EXPORT cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind direction) {
  return cudaError_t(copy_and_wait(to, from, bytes, direction));
}
EXPORT cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind direction,
                                   cudaStream_t stream) {
  return cudaError_t(copy_async(to, from, bytes, direction, stream));
}
EXPORT cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device,
                                       size_t bytes, cudaStream_t stream) {
  const bool right = owner(to) == to_device && owner(from) == from_device;
  if (bytes && !right) return cudaError_t(failed(cudaErrorInvalidValue));
  return cudaError_t(copy_async(to, from, bytes, cudaMemcpyDeviceToDevice, stream));
}
EXPORT cudaError_t cudaMemcpyPeer(void* to, int to_device, const void* from, int from_device, size_t bytes) {
  return cudaMemcpyPeerAsync(to, to_device, from, from_device, bytes, nullptr);
}
EXPORT cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                                     size_t width, size_t rows, cudaMemcpyKind direction,
                                     cudaStream_t stream) {
  Locked locked(lock);
  if (!width || !rows) return cudaSuccess;
  const Kind kind = kind_of_copy(to, from, width, direction);
  if (kind == KINDS) return cudaError_t(failed(cudaErrorInvalidValue));
  return cudaError_t(submit(stream, kind, "copy of rows", [=] {
    copy_rows(static_cast<char*>(to), to_pitch, static_cast<const char*>(from), from_pitch, width, rows);
    return 0;
  }));
}
EXPORT cudaError_t cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                                size_t width, size_t rows, cudaMemcpyKind direction) {
  Locked locked(lock);
  const cudaError_t status =
      cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, width, rows, direction, nullptr);
  return status ? status : cudaError_t(host_waits_for(nullptr));
}
EXPORT cudaError_t cudaMemsetAsync(void* at, int value, size_t bytes, cudaStream_t stream) {
  Locked locked(lock);
  if (bytes && !is_block(at, bytes)) return cudaError_t(failed(cudaErrorInvalidValue));
  return cudaError_t(submit(stream, FILL, "fill", [=] { return memset(at, value, bytes), 0; }));
}
EXPORT cudaError_t cudaMemset(void* at, int value, size_t bytes) {
  return cudaMemsetAsync(at, value, bytes, nullptr);
}
