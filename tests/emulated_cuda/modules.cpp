// Modules and launches of the driver API. A module is a shared object of this host, which
// compiler.cpp made; for a kernel k it has the functions call_k, sizes_k and signature_k.
#include "blocks.h"
#include "core.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <map>
#include <memory>
#include <unistd.h>

#include <cuda.h>

using namespace emulated;

namespace {

struct Module {
  void* shared_object;
  int device;  // on which it was loaded; its kernels run on no other
};

struct Function {
  Kernel kernel;
  Threads threads;
  std::string name, signature;
  std::vector<unsigned> sizes;  // of each argument, in bytes
  int device;
};

std::map<std::string, long> kernels_run;  // by signature

template <class T>
T symbol(Module* module, const std::string& name) {
  return reinterpret_cast<T>(dlsym(module->shared_object, name.c_str()));
}

// The values of a launch, copied, because the caller's go away.
class Arguments {
 public:
  Arguments(const std::vector<unsigned>& sizes, void** given) {
    size_t words = 0;
    for (unsigned size : sizes) words += words_of(size);
    storage_.resize(words);
    words = 0;
    for (size_t each = 0; each < sizes.size(); each++) {
      memcpy(&storage_[words], given[each], sizes[each]);
      pointers_.push_back(&storage_[words]);
      words += words_of(sizes[each]);
    }
  }

  // Tells whether an argument, or the first member of one (a CArray's data), points into memory of
  // a device other than `device`. Not later members: CuPy leaves some of a CIndexer unset.
  bool reach_beyond(int device) const {
    for (const void* each : pointers_) {
      const int found = owner(*static_cast<void* const*>(each));
      if (found >= 0 && found != device) return true;
    }
    return false;
  }

  void** pointers() { return pointers_.data(); }

 private:
  struct alignas(16) Word {
    uint64_t low = 0, high = 0;
  };
  static size_t words_of(unsigned size) { return (size + sizeof(Word) - 1) / sizeof(Word); }

  std::vector<Word> storage_;
  std::vector<void*> pointers_;
};

}  // namespace

EXPORT CUresult cuModuleLoad(CUmodule* out, const char* path) {
  void* shared_object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!shared_object) {
    fprintf(stderr, "emulated CUDA: %s\n", dlerror());
    return CUDA_ERROR_INVALID_IMAGE;
  }
  *out = reinterpret_cast<CUmodule>(new Module{shared_object, current_device()});
  return CUDA_SUCCESS;
}
EXPORT CUresult cuModuleLoadData(CUmodule* out, const void* image) {
  const auto* header = static_cast<const Elf64_Ehdr*>(image);
  if (memcmp(header->e_ident, ELFMAG, SELFMAG)) return CUDA_ERROR_INVALID_IMAGE;
  // The section table is the last thing in what the linker writes, so its end is the file's.
  const size_t size = header->e_shoff + size_t(header->e_shentsize) * header->e_shnum;
  const char* folder = getenv("TMPDIR");
  std::string path = std::string(folder ? folder : "/tmp") + "/emulated-cuda-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) return CUDA_ERROR_FILE_NOT_FOUND;
  const bool written = write(file, image, size) == ssize_t(size);
  close(file);
  const CUresult status = written ? cuModuleLoad(out, path.c_str()) : CUDA_ERROR_FILE_NOT_FOUND;
  unlink(path.c_str());
  return status;
}
EXPORT CUresult cuModuleUnload(CUmodule module) {
  delete reinterpret_cast<Module*>(module);  // its code stays: a graph may still run it
  return CUDA_SUCCESS;
}
EXPORT CUresult cuModuleGetFunction(CUfunction* out, CUmodule handle, const char* name) {
  auto* module = reinterpret_cast<Module*>(handle);
  const std::string suffix = std::string("_") + name;
  auto kernel = symbol<Kernel>(module, "call" + suffix);
  auto sizes = symbol<int (*)(unsigned*)>(module, "sizes" + suffix);
  auto signature = symbol<const char* (*)()>(module, "signature" + suffix);
  auto threads = symbol<const int*>(module, "emulated_threads");
  if (!kernel || !sizes || !signature || !threads) return CUDA_ERROR_NOT_FOUND;
  unsigned found[256];
  const int count = sizes(found);
  *out = reinterpret_cast<CUfunction>(new Function{kernel, Threads(*threads), name, signature(),
                                                   {found, found + count}, module->device});
  return CUDA_SUCCESS;
}
EXPORT CUresult cuModuleGetGlobal_v2(CUdeviceptr* pointer, size_t* size, CUmodule module, const char* name) {
  void* found = symbol<void*>(reinterpret_cast<Module*>(module), name);
  if (!found) return CUDA_ERROR_NOT_FOUND;
  if (pointer) *pointer = reinterpret_cast<CUdeviceptr>(found);
  if (size) *size = 0;
  return CUDA_SUCCESS;
}

EXPORT CUresult cuLaunchKernel(CUfunction handle, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                               unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                               CUstream stream, void** parameters, void**) {
  Locked locked(lock);
  auto* function = reinterpret_cast<Function*>(handle);
  const size_t threads = size_t(block_x) * block_y * block_z;
  const bool fits = threads && threads <= 1024 && block_z <= 64 && grid_x && grid_x <= 2147483647u &&
                    grid_y && grid_y <= 65535 && grid_z && grid_z <= 65535 && shared_bytes <= 232448;
  if (!fits) return CUDA_ERROR_INVALID_VALUE;
  Stream* found = find_stream(stream);
  const int device = current_device();
  if (!found || found->device != device || function->device != device) return CUDA_ERROR_INVALID_HANDLE;
  auto arguments = std::make_shared<Arguments>(function->sizes, parameters);
  if (arguments->reach_beyond(device)) return CUDA_ERROR_ILLEGAL_ADDRESS;
  const Size grid{grid_x, grid_y, grid_z}, block{block_x, block_y, block_z};
  return CUresult(submit(stream, KERNEL, function->name, [=] {
    kernels_run[function->name + ": " + function->signature]++;
    run_grid(function->kernel, function->threads, grid, block, shared_bytes, arguments->pointers());
    return 0;
  }));
}
EXPORT CUresult cuLaunchCooperativeKernel(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned,
                                          unsigned, unsigned, CUstream, void**) {
  return CUDA_ERROR_NOT_SUPPORTED;
}
EXPORT CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction) {
  *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0;
  return CUDA_SUCCESS;
}
EXPORT CUresult cuFuncSetAttribute(CUfunction, CUfunction_attribute, int) { return CUDA_SUCCESS; }
EXPORT CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction, int, size_t) {
  return *blocks = 2, CUDA_SUCCESS;
}
EXPORT CUresult cuOccupancyMaxPotentialBlockSize(int* grid, int* block, CUfunction, CUoccupancyB2DSize,
                                                 size_t, int limit) {
  *grid = 8;
  *block = limit > 0 && limit < 512 ? limit : 512;
  return CUDA_SUCCESS;
}

// Lines "count, tab, name: signature" of the kernels that ran since the last call; valid until the next.
EXPORT const char* emulated_kernels() {
  Locked locked(lock);
  static std::string lines;
  lines.clear();
  for (const auto& [name, count] : kernels_run) lines += std::to_string(count) + "\t" + name + "\n";
  kernels_run.clear();
  return lines.c_str();
}
