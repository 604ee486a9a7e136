// What NVRTC knows by itself, for g++: qualifiers, indices, barriers, shuffles, atomics, functions.
//
// compiler.cpp includes this before each kernel's source; build.py precompiles it with CuPy's
// headers. Threads of a block run one at a time (blocks.cpp), so an atomic is a plain operation.
#pragma once
#include <cassert>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__ const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __restrict__ __restrict

struct emulated_size {
  unsigned x, y, z;
};
extern "C" {
extern emulated_size threadIdx, blockIdx, blockDim, gridDim;
extern void* emulated_shared;
void emulated_syncthreads();
void emulated_syncwarp();
void* emulated_exchanged(int lane);
int emulated_lane();
}

// ---- how modules.cpp calls a kernel: by an array of pointers to its arguments
template <class... A, size_t... I>
inline void emulated_apply(void (*kernel)(A...), void** p, std::index_sequence<I...>) {
  kernel(*static_cast<std::remove_cv_t<std::remove_reference_t<A>>*>(p[I])...);
}
template <class... A>
inline void emulated_call(void (*kernel)(A...), void** p) {
  emulated_apply(kernel, p, std::index_sequence_for<A...>());
}
template <class... A>
inline int emulated_sizes(void (*)(A...), unsigned* sizes) {
  const unsigned all[] = {unsigned(sizeof(A))..., 0};
  for (size_t i = 0; i < sizeof...(A); i++) sizes[i] = all[i];
  return sizeof...(A);
}
template <class... A>
inline const char* emulated_signature(void (*)(A...)) {
  return __PRETTY_FUNCTION__;  // it ends in the types: "[with A = {CArray<float, 1, ...>, int}]"
}

// ---- barriers and shuffles
static const int warpSize = 32;
inline void __syncthreads() { emulated_syncthreads(); }
inline void __syncwarp(unsigned = 0xffffffffu) { emulated_syncwarp(); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
template <class T>
T emulated_shuffle(T value, int from) {
  static_assert(sizeof(T) <= 16, "a lane shows 16 bytes");
  memcpy(emulated_exchanged(emulated_lane()), &value, sizeof value);
  emulated_syncwarp();
  memcpy(&value, emulated_exchanged(from), sizeof value);
  emulated_syncwarp();
  return value;
}
template <class T>
T __shfl_sync(unsigned, T value, int from, int width = 32) {
  return emulated_shuffle(value, (emulated_lane() & ~(width - 1)) | (from & (width - 1)));
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask, int = 32) {
  return emulated_shuffle(value, emulated_lane() ^ mask);
}
template <class T>
T __shfl_up_sync(unsigned, T value, unsigned distance, int width = 32) {
  const int lane = emulated_lane(), place = lane & (width - 1);
  return emulated_shuffle(value, int(distance) <= place ? lane - int(distance) : lane);
}
template <class T>
T __shfl_down_sync(unsigned, T value, unsigned distance, int width = 32) {
  const int lane = emulated_lane(), place = lane & (width - 1);
  return emulated_shuffle(value, place + int(distance) < width ? lane + int(distance) : lane);
}

// ---- atomics
#define EMULATED_ATOMIC(NAME, T, RESULT)  \
  inline T NAME(T* p, T value) {          \
    const T old = *p;                     \
    *p = RESULT;                          \
    return old;                           \
  }
#define EMULATED_ATOMICS(T)               \
  EMULATED_ATOMIC(atomicAdd, T, old + value) EMULATED_ATOMIC(atomicExch, T, value)
#define EMULATED_ATOMICS_OF_INTEGERS(T)                      \
  EMULATED_ATOMICS(T)                                        \
  EMULATED_ATOMIC(atomicMax, T, value > old ? value : old)   \
  EMULATED_ATOMIC(atomicMin, T, value < old ? value : old)   \
  EMULATED_ATOMIC(atomicAnd, T, old & value)                 \
  EMULATED_ATOMIC(atomicOr, T, old | value)                  \
  EMULATED_ATOMIC(atomicXor, T, old ^ value)                 \
  inline T atomicCAS(T* p, T expected, T value) {            \
    const T old = *p;                                        \
    if (old == expected) *p = value;                         \
    return old;                                              \
  }
EMULATED_ATOMICS(float)
EMULATED_ATOMICS(double)
EMULATED_ATOMICS_OF_INTEGERS(int)
EMULATED_ATOMICS_OF_INTEGERS(unsigned)
EMULATED_ATOMICS_OF_INTEGERS(unsigned long long)
inline int atomicSub(int* p, int value) { return atomicAdd(p, -value); }

// ---- bits
template <class To, class From>
To emulated_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
inline int __float_as_int(float x) { return emulated_bits<int>(x); }
inline float __int_as_float(int x) { return emulated_bits<float>(x); }
inline unsigned __float_as_uint(float x) { return emulated_bits<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return emulated_bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulated_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emulated_bits<double>(x); }
inline int __double2hiint(double x) { return int(emulated_bits<long long>(x) >> 32); }
inline int __double2loint(double x) { return int(emulated_bits<long long>(x)); }
inline double __hiloint2double(int high, int low) {
  return emulated_bits<double>((static_cast<long long>(high) << 32) | unsigned(low));
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((a * 1ull * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}
#define __ldg(p) (*(p))

// ---- functions of numbers
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float fdividef(float a, float b) { return a / b; }
inline float __fdividef(float a, float b) { return a / b; }
inline double normcdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
inline void sincospi(double x, double* sine, double* cosine) {
  *sine = std::sin(x * M_PI);
  *cosine = std::cos(x * M_PI);
}

// CUDA's min and max accept two integers of one type, or of size_t and int; those of floats pass by
// a NaN, as fmin and fmax do.
#define EMULATED_MIN_MAX(T)                          \
  inline T min(T a, T b) { return b < a ? b : a; }   \
  inline T max(T a, T b) { return a < b ? b : a; }
EMULATED_MIN_MAX(int)
EMULATED_MIN_MAX(unsigned)
EMULATED_MIN_MAX(long)
EMULATED_MIN_MAX(unsigned long)
EMULATED_MIN_MAX(long long)
EMULATED_MIN_MAX(unsigned long long)
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline size_t min(size_t a, int b) { return b < long(a) ? b : a; }
inline size_t max(size_t a, int b) { return long(a) < b ? b : a; }

// Kernels call these without std::, for float and double alike.
using std::isfinite, std::isinf, std::isnan, std::signbit;
using std::abs, std::cbrt, std::copysign, std::fabs, std::fma, std::fmax, std::fmin, std::fmod;
using std::ceil, std::floor, std::frexp, std::ldexp, std::modf, std::nextafter, std::remainder;
using std::erf, std::erfc, std::exp, std::exp2, std::expm1, std::lgamma, std::log, std::log10;
using std::hypot, std::log1p, std::log2, std::pow, std::rint, std::sqrt, std::tgamma, std::trunc;
using std::acos, std::asin, std::atan, std::atan2, std::cos, std::sin, std::tan;
using std::acosh, std::asinh, std::atanh, std::cosh, std::sinh, std::tanh;

// ---- half precision, as far as CuPy's own class for compilers without it needs
inline unsigned short __float2half_rn(float f) {
  unsigned x = emulated_bits<unsigned>(f);
  const unsigned sign = x >> 16 & 0x8000;
  x &= 0x7fffffff;
  if (x > 0x7f800000) return 0x7fff;         // NaN
  if (x >= 0x477ff000) return sign | 0x7c00;  // infinity, from half of the last step on
  if (x < 0x38800000)                         // subnormal: multiples of 2^-24
    return sign | static_cast<unsigned short>(std::nearbyint(emulated_bits<float>(x) * 16777216.0f));
  const unsigned rebiased = x - 0x38000000;
  return sign | (rebiased + 0xfff + (rebiased >> 13 & 1)) >> 13;  // to nearest, ties to even
}
inline float __half2float(unsigned short h) {
  const unsigned exponent = h >> 10 & 31, mantissa = h & 0x3ff;
  const float size = exponent == 31 ? (mantissa ? NAN : INFINITY)
                     : exponent     ? ldexpf(mantissa | 0x400, int(exponent) - 25)
                                    : ldexpf(mantissa, -24);
  return h & 0x8000 ? -size : size;
}
struct half;
unsigned short __half_as_ushort(const half&);
half __ushort_as_half(unsigned short);
typedef unsigned long long cudaTextureObject_t;

#include <cupy/complex.cuh>
#include <cupy/carray.cuh>
#include <cupy/atomics.cuh>
#include <cupy/math_constants.h>
