// The part of cuBLAS that CuPy's dot and matmul use, in plain loops. A product follows the stream of
// its handle and can be recorded. Whatever else CuPy looks up in cuBLAS answers "not supported";
// build.py writes those.
#include "core.h"

#include <algorithm>

using namespace emulated;

namespace {

// cuBLAS's numbers, in place of its headers.
enum Status { SUCCESS = 0, INVALID_VALUE = 7, EXECUTION_FAILED = 13, INTERNAL_ERROR = 14, NOT_SUPPORTED = 15 };
enum Type { FLOAT = 0, DOUBLE = 1 };
enum Compute { COMPUTE_32F = 68, COMPUTE_64F = 70, COMPUTE_64F_PEDANTIC = 71, COMPUTE_32F_FAST_TF32 = 77 };
constexpr int POINTERS_ON_DEVICE = 1;

struct Handle {
  void* stream = nullptr;
  int pointer_mode = 0, math_mode = 0;
  int device = current_device();
};

Handle* of(void* handle) { return static_cast<Handle*>(handle); }

int status_of(int error) {
  return !error ? SUCCESS : error == 700 ? EXECUTION_FAILED : INTERNAL_ERROR;
}

// C = alpha op(A) op(B) + beta C by columns, as in BLAS; lda, ldb, ldc are the distances of columns.
template <class T>
struct Product {
  bool transpose_a, transpose_b;
  int m, n, k;
  int lda, ldb, ldc;

  bool valid() const {
    return m >= 0 && n >= 0 && k >= 0 && lda >= std::max(1, transpose_a ? k : m) &&
           ldb >= std::max(1, transpose_b ? n : k) && ldc >= std::max(1, m);
  }

  void compute(T alpha, const T* a, const T* b, T beta, T* c) const {
    // Static, because a fault jumps over destructors; one product runs at a time.
    static std::vector<T> packed, column;
    size_t distance = lda;
    if (transpose_a) {
      packed.resize(size_t(m) * k);
      for (int i = 0; i < m; i++)
        for (int l = 0; l < k; l++) packed[size_t(l) * m + i] = a[size_t(i) * lda + l];
      a = packed.data();
      distance = m;
    }
    for (int j = 0; j < n; j++) {
      column.assign(m, T(0));
      for (int l = 0; l < k; l++) {
        const T factor = transpose_b ? b[size_t(l) * ldb + j] : b[size_t(j) * ldb + l];
        const T* from = a + l * distance;
        for (int i = 0; i < m; i++) column[i] += from[i] * factor;
      }
      T* out = c + size_t(j) * ldc;
      for (int i = 0; i < m; i++)  // where beta is 0, C may hold anything, NaN too
        out[i] = beta == T(0) ? alpha * column[i] : alpha * column[i] + beta * out[i];
    }
  }
};

bool usable(Handle* handle, std::initializer_list<const void*> operands) {
  if (handle->device != current_device()) return false;
  for (const void* each : operands)
    if (owner(each) != handle->device) return false;
  return true;
}

template <class T>
int batched(void* given, const Product<T>& product, const void* alpha, const void* a, long long step_a,
            const void* b, long long step_b, const void* beta, void* c, long long step_c, int count) {
  Locked locked(lock);
  Handle* handle = of(given);
  if (!product.valid()) return INVALID_VALUE;
  if (!product.m || !product.n) return SUCCESS;
  if (!usable(handle, {c}) || (product.k && !usable(handle, {a, b}))) return EXECUTION_FAILED;
  const auto *factor = static_cast<const T*>(alpha), *keep = static_cast<const T*>(beta);
  const bool read_later = handle->pointer_mode == POINTERS_ON_DEVICE;
  const T factor_now = read_later ? T(0) : *factor, keep_now = read_later ? T(0) : *keep;
  return status_of(submit(handle->stream, PRODUCT, "product", [=] {
    for (int i = 0; i < count; i++)
      product.compute(read_later ? *factor : factor_now, static_cast<const T*>(a) + i * step_a,
                      static_cast<const T*>(b) + i * step_b, read_later ? *keep : keep_now,
                      static_cast<T*>(c) + i * step_c);
    return 0;
  }));
}

template <class T>
int by_pointers(void* given, const Product<T>& product, const T* alpha, const T* const* a, const T* const* b,
                const T* beta, T* const* c, int count) {
  Locked locked(lock);
  Handle* handle = of(given);
  if (!product.valid()) return INVALID_VALUE;
  if (!usable(handle, {a, b, c})) return EXECUTION_FAILED;
  const T factor = *alpha, keep = *beta;
  return status_of(submit(handle->stream, PRODUCT, "product", [=] {
    for (int i = 0; i < count; i++) product.compute(factor, a[i], b[i], keep, c[i]);
    return 0;
  }));
}

template <class T>
int dot(void* given, int n, const T* x, int step_x, const T* y, int step_y, T* result) {
  Locked locked(lock);
  Handle* handle = of(given);
  if (n && !usable(handle, {x, y})) return EXECUTION_FAILED;
  const int error = submit(handle->stream, PRODUCT, "dot", [=] {
    T sum = 0;
    for (long i = 0; i < n; i++) sum += x[i * step_x] * y[i * step_y];
    *result = sum;
    return 0;
  });
  // A result on the host is there when the function returns.
  if (error || handle->pointer_mode == POINTERS_ON_DEVICE) return status_of(error);
  return status_of(host_waits_for(handle->stream));
}

}  // namespace

EXPORT int cublasCreate_v2(void** handle) { return *handle = new Handle, SUCCESS; }
EXPORT int cublasDestroy_v2(void* handle) { return delete of(handle), SUCCESS; }
EXPORT int cublasGetVersion_v2(void*, int* version) { return *version = 130200, SUCCESS; }
EXPORT int cublasSetStream_v2(void* handle, void* stream) { return of(handle)->stream = stream, SUCCESS; }
EXPORT int cublasGetStream_v2(void* handle, void** stream) { return *stream = of(handle)->stream, SUCCESS; }
EXPORT int cublasSetPointerMode_v2(void* handle, int mode) { return of(handle)->pointer_mode = mode, SUCCESS; }
EXPORT int cublasGetPointerMode_v2(void* handle, int* mode) { return *mode = of(handle)->pointer_mode, SUCCESS; }
EXPORT int cublasSetMathMode(void* handle, int mode) { return of(handle)->math_mode = mode, SUCCESS; }
EXPORT int cublasGetMathMode(void* handle, int* mode) { return *mode = of(handle)->math_mode, SUCCESS; }
EXPORT int cublasSetWorkspace_v2(void* handle, void* workspace, size_t bytes) {
  Locked locked(lock);
  const bool right = is_block(workspace, bytes) && owner(workspace) == of(handle)->device;
  return right ? SUCCESS : INVALID_VALUE;
}

EXPORT int cublasGemmStridedBatchedEx(void* handle, int transpose_a, int transpose_b, int m, int n, int k,
                                      const void* alpha, const void* a, int type_a, int lda, long long step_a,
                                      const void* b, int type_b, int ldb, long long step_b, const void* beta,
                                      void* c, int type_c, int ldc, long long step_c, int count, int compute,
                                      int) {
  if (type_a != type_b || type_b != type_c) return NOT_SUPPORTED;
  const bool ta = transpose_a, tb = transpose_b;
  if (type_a == FLOAT && compute >= COMPUTE_32F && compute <= COMPUTE_32F_FAST_TF32)
    return batched<float>(handle, {ta, tb, m, n, k, lda, ldb, ldc}, alpha, a, step_a, b, step_b, beta, c,
                          step_c, count);
  if (type_a == DOUBLE && (compute == COMPUTE_64F || compute == COMPUTE_64F_PEDANTIC))
    return batched<double>(handle, {ta, tb, m, n, k, lda, ldb, ldc}, alpha, a, step_a, b, step_b, beta, c,
                           step_c, count);
  return NOT_SUPPORTED;
}
EXPORT int cublasGemmEx(void* handle, int transpose_a, int transpose_b, int m, int n, int k, const void* alpha,
                        const void* a, int type_a, int lda, const void* b, int type_b, int ldb,
                        const void* beta, void* c, int type_c, int ldc, int compute, int algorithm) {
  return cublasGemmStridedBatchedEx(handle, transpose_a, transpose_b, m, n, k, alpha, a, type_a, lda, 0, b,
                                    type_b, ldb, 0, beta, c, type_c, ldc, 0, 1, compute, algorithm);
}
EXPORT int cublasSgemmEx(void* handle, int transpose_a, int transpose_b, int m, int n, int k,
                         const float* alpha, const void* a, int type_a, int lda, const void* b, int type_b,
                         int ldb, const float* beta, void* c, int type_c, int ldc) {
  return cublasGemmEx(handle, transpose_a, transpose_b, m, n, k, alpha, a, type_a, lda, b, type_b, ldb, beta,
                      c, type_c, ldc, COMPUTE_32F, 0);
}

// cuBLAS has each function once for every type.
#define FOR_TYPE(GEMM, GEMM_BATCHED, DOT, T)                                                                 \
  EXPORT int GEMM(void* handle, int ta, int tb, int m, int n, int k, const T* alpha, const T* a, int lda,    \
                  const T* b, int ldb, const T* beta, T* c, int ldc) {                                       \
    return batched<T>(handle, {ta != 0, tb != 0, m, n, k, lda, ldb, ldc}, alpha, a, 0, b, 0, beta, c, 0, 1); \
  }                                                                                                          \
  EXPORT int GEMM_BATCHED(void* handle, int ta, int tb, int m, int n, int k, const T* alpha,                 \
                          const T* const* a, int lda, const T* const* b, int ldb, const T* beta,             \
                          T* const* c, int ldc, int count) {                                                 \
    return by_pointers<T>(handle, {ta != 0, tb != 0, m, n, k, lda, ldb, ldc}, alpha, a, b, beta, c, count);  \
  }                                                                                                          \
  EXPORT int DOT(void* handle, int n, const T* x, int step_x, const T* y, int step_y, T* result) {           \
    return dot<T>(handle, n, x, step_x, y, step_y, result);                                                  \
  }
FOR_TYPE(cublasSgemm_v2, cublasSgemmBatched, cublasSdot_v2, float)
FOR_TYPE(cublasDgemm_v2, cublasDgemmBatched, cublasDdot_v2, double)
