// Devices and what they can do, errors and their names, and the few driver functions of CuPy's.
#include "core.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include <cuda.h>
#include <cuda_runtime_api.h>

using namespace emulated;

namespace {

constexpr int CUDA_VERSION_HERE = 13020;
thread_local int current = 0;
thread_local int last_error = 0;

struct Named {
  const char *name, *text;
};
// CuPy shows names and texts, and xpnet's tests read some of them.
const std::map<int, Named> errors = {
    {0, {"cudaSuccess", "no error"}},
    {1, {"cudaErrorInvalidValue", "invalid argument"}},
    {2, {"cudaErrorMemoryAllocation", "out of memory"}},
    {100, {"cudaErrorNoDevice", "no CUDA-capable device is detected"}},
    {101, {"cudaErrorInvalidDevice", "invalid device ordinal"}},
    {200, {"cudaErrorInvalidKernelImage", "device kernel image is invalid"}},
    {400, {"cudaErrorInvalidResourceHandle", "invalid resource handle"}},
    {500, {"cudaErrorSymbolNotFound", "named symbol not found"}},
    {600, {"cudaErrorNotReady", "device not ready"}},
    {700, {"cudaErrorIllegalAddress", "an illegal memory access was encountered"}},
    {800, {"cudaErrorNotPermitted", "operation not permitted"}},
    {801, {"cudaErrorNotSupported", "operation not supported"}},
    {900, {"cudaErrorStreamCaptureUnsupported", "operation not permitted when stream is capturing"}},
    {901,
     {"cudaErrorStreamCaptureInvalidated", "operation failed due to a previous error during capture"}},
    {906,
     {"cudaErrorStreamCaptureImplicit",
      "operation would make the legacy stream depend on a capturing blocking stream"}},
};

Named named(int status) {
  auto found = errors.find(status);
  return found == errors.end() ? Named{"cudaErrorUnknown", "unknown error"} : found->second;
}

bool exists(int device) { return device >= 0 && device < device_count(); }

}  // namespace

int emulated::failed(int status) {
  if (status) last_error = status;
  return status;
}
int emulated::current_device() { return current; }
int emulated::device_count() {
  const char* given = getenv("EMULATED_CUDA_DEVICES");
  static const int count = given ? atoi(given) : 2;
  return count < 0 ? 0 : count > 8 ? 8 : count;
}

EXPORT const char* cudaGetErrorName(cudaError_t status) { return named(status).name; }
EXPORT const char* cudaGetErrorString(cudaError_t status) { return named(status).text; }
EXPORT cudaError_t cudaPeekAtLastError() { return cudaError_t(last_error); }
EXPORT cudaError_t cudaGetLastError() {
  const int status = last_error;
  last_error = 0;
  return cudaError_t(status);
}

EXPORT cudaError_t cudaDriverGetVersion(int* version) { return *version = CUDA_VERSION_HERE, cudaSuccess; }
EXPORT cudaError_t cudaRuntimeGetVersion(int* version) { return *version = CUDA_VERSION_HERE, cudaSuccess; }
EXPORT cudaError_t cudaGetDeviceCount(int* count) {
  *count = device_count();
  return cudaError_t(failed(*count ? 0 : cudaErrorNoDevice));
}
EXPORT cudaError_t cudaGetDevice(int* device) { return *device = current, cudaSuccess; }
EXPORT cudaError_t cudaSetDevice(int device) {
  if (!exists(device)) return cudaError_t(failed(cudaErrorInvalidDevice));
  current = device;
  return cudaSuccess;
}

// A Hopper GPU (compute capability 9.0) with few multiprocessors.
EXPORT cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  static const std::map<int, int> values = {
      {cudaDevAttrComputeCapabilityMajor, 9},
      {cudaDevAttrComputeCapabilityMinor, 0},
      {cudaDevAttrMaxThreadsPerBlock, 1024},
      {cudaDevAttrMaxBlockDimX, 1024},
      {cudaDevAttrMaxBlockDimY, 1024},
      {cudaDevAttrMaxBlockDimZ, 64},
      {cudaDevAttrMaxGridDimX, 2147483647},
      {cudaDevAttrMaxGridDimY, 65535},
      {cudaDevAttrMaxGridDimZ, 65535},
      {cudaDevAttrWarpSize, 32},
      {cudaDevAttrMultiProcessorCount, 4},
      {cudaDevAttrMaxSharedMemoryPerBlock, 49152},
      {cudaDevAttrMaxSharedMemoryPerBlockOptin, 232448},
      {cudaDevAttrMaxSharedMemoryPerMultiprocessor, 233472},
      {cudaDevAttrMaxThreadsPerMultiProcessor, 2048},
      {cudaDevAttrMaxRegistersPerBlock, 65536},
      {cudaDevAttrMaxRegistersPerMultiprocessor, 65536},
      {cudaDevAttrUnifiedAddressing, 1},
      {cudaDevAttrClockRate, 1000000},
  };
  auto found = values.find(attribute);
  *value = found == values.end() ? 0 : found->second;
  return cudaSuccess;
}
EXPORT cudaError_t cudaGetDeviceProperties(cudaDeviceProp* found, int device) {
  if (!exists(device)) return cudaError_t(failed(cudaErrorInvalidDevice));
  memset(found, 0, sizeof *found);
  snprintf(found->name, sizeof found->name, "Emulated CUDA device");
  found->totalGlobalMem = total_memory();
  found->sharedMemPerBlock = 49152;
  found->sharedMemPerBlockOptin = 232448;
  found->sharedMemPerMultiprocessor = 233472;
  found->regsPerBlock = 65536;
  found->warpSize = 32;
  found->maxThreadsPerBlock = found->maxThreadsDim[0] = found->maxThreadsDim[1] = 1024;
  found->maxThreadsDim[2] = 64;
  found->maxGridSize[0] = 2147483647;
  found->maxGridSize[1] = found->maxGridSize[2] = 65535;
  found->major = 9;
  found->multiProcessorCount = 4;
  found->maxThreadsPerMultiProcessor = 2048;
  found->unifiedAddressing = 1;
  found->pciBusID = device;
  return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int device) {
  snprintf(text, size, "0000:%02x:00.0", device);
  return cudaSuccess;
}
EXPORT cudaError_t cudaDeviceGetByPCIBusId(int* device, const char* text) {
  *device = int(strtol(text + strlen("0000:"), nullptr, 16));
  return cudaSuccess;
}
// No GPU reaches another's memory, as on most machines without NVLink.
EXPORT cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) { return *can = 0, cudaSuccess; }
EXPORT cudaError_t cudaDeviceEnablePeerAccess(int, unsigned) {
  return cudaError_t(failed(cudaErrorNotSupported));
}
EXPORT cudaError_t cudaDeviceDisablePeerAccess(int) { return cudaError_t(failed(cudaErrorNotSupported)); }
EXPORT cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit) { return *value = 8 << 20, cudaSuccess; }
EXPORT cudaError_t cudaDeviceSetLimit(cudaLimit, size_t) { return cudaSuccess; }
EXPORT cudaError_t cudaProfilerStart() { return cudaSuccess; }
EXPORT cudaError_t cudaProfilerStop() { return cudaSuccess; }

// ---- driver: one context for each device, known by its address

static int contexts[8];
EXPORT CUresult cuGetErrorName(CUresult status, const char** name) {
  return *name = named(status).name, CUDA_SUCCESS;
}
EXPORT CUresult cuGetErrorString(CUresult status, const char** text) {
  return *text = named(status).text, CUDA_SUCCESS;
}
EXPORT CUresult cuInit(unsigned) { return CUDA_SUCCESS; }
EXPORT CUresult cuDriverGetVersion(int* version) { return *version = CUDA_VERSION_HERE, CUDA_SUCCESS; }
EXPORT CUresult cuDeviceGetCount(int* count) { return *count = device_count(), CUDA_SUCCESS; }
EXPORT CUresult cuCtxGetDevice(CUdevice* device) { return *device = current, CUDA_SUCCESS; }
EXPORT CUresult cuCtxGetCurrent(CUcontext* context) {
  return *context = reinterpret_cast<CUcontext>(&contexts[current]), CUDA_SUCCESS;
}
EXPORT CUresult cuCtxSetCurrent(CUcontext context) {
  const int* found = reinterpret_cast<int*>(context);
  if (found >= contexts && found < contexts + 8) current = int(found - contexts);
  return CUDA_SUCCESS;
}
EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) { return CUDA_SUCCESS; }
EXPORT CUresult cuStreamGetCtx(CUstream, CUcontext* context) { return cuCtxGetCurrent(context); }
